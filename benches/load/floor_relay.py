"""The floor of B8: a relay on websockets' own server that decodes, looks up, sends, and promises nothing.

A client's first message is its name; every later one is a map with a recipient.
"""

from __future__ import annotations

import asyncio

import msgpack
from websockets.asyncio.server import ServerConnection, serve

connected: dict[bytes, ServerConnection] = {}


async def handle(socket: ServerConnection) -> None:
    name = await socket.recv()
    assert isinstance(name, bytes)
    connected[name] = socket
    await socket.send(b"ready")
    async for data in socket:
        message = msgpack.unpackb(data)
        target = connected.get(message["recipient"])
        if target is not None:
            await target.send(
                msgpack.packb(
                    {"type": "message", "id": message["id"], "sender": name, "payload": message["payload"]}
                )
            )


async def main() -> None:
    async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"floor listening on ws://127.0.0.1:{port}/ws", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
