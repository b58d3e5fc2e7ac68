"""The floor of B8: a relay on websockets' own server that decodes, looks up, sends, and promises nothing.

A client's first message is its name; every later one is a map with a recipient.
"""

from __future__ import annotations

import msgpack
from websockets.asyncio.server import ServerConnection

from benches.load.floor import run

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


if __name__ == "__main__":
    run(handle)
