"""The floor of B17: websockets' own server, which hands what one client sends to all the others with
`websockets.broadcast`, and promises nothing.
"""

from __future__ import annotations

import asyncio

from websockets.asyncio.server import ServerConnection, broadcast, serve

connected: set[ServerConnection] = set()


async def handle(socket: ServerConnection) -> None:
    connected.add(socket)
    await socket.send(b"ready")
    async for data in socket:
        broadcast(connected - {socket}, data)


async def main() -> None:
    async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"floor listening on ws://127.0.0.1:{port}/ws", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
