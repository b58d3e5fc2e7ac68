"""What the floors of B8 and B17 share: websockets' own server on a free port, which says where.

Not its concern: what it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from websockets.asyncio.server import ServerConnection, serve

__all__ = ["run"]


def run(handle: Callable[[ServerConnection], Awaitable[None]]) -> None:
    """Serve until the process is ended."""

    async def main() -> None:
        async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            print(f"floor listening on ws://127.0.0.1:{port}/ws", flush=True)
            await asyncio.Event().wait()

    asyncio.run(main())
