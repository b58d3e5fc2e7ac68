"""What the floors of B8, B9 and B17 share: websockets' own server on a free port, which says where; with TLS
if its arguments name a certificate and its key.

Not its concern: what it answers.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Awaitable, Callable

from websockets.asyncio.server import ServerConnection, serve

__all__ = ["run"]


def run(handle: Callable[[ServerConnection], Awaitable[None]]) -> None:
    """Serve until the process is ended."""
    context = None
    if len(sys.argv) > 1:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*sys.argv[1:])

    async def main() -> None:
        async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None, ssl=context) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            print(f"floor listening on {'wss' if context else 'ws'}://127.0.0.1:{port}/ws", flush=True)
            await asyncio.Event().wait()

    asyncio.run(main())
