"""The floor of B9 and B17: websockets' own server, which hands what one client sends to all the others with
`websockets.broadcast`, and promises nothing.
"""

from __future__ import annotations

from websockets.asyncio.server import ServerConnection, broadcast

from benches.load.floor import run

connected: set[ServerConnection] = set()


async def handle(socket: ServerConnection) -> None:
    connected.add(socket)
    await socket.send(b"ready")
    async for data in socket:
        broadcast(connected - {socket}, data)


if __name__ == "__main__":
    run(handle)
