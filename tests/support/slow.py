"""A slow link: a relay over loopback that lets only so many bytes through in a second; and a socket that
takes few while nobody reads.

Not its concern: what goes through.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

__all__ = ["little_socket", "slow_link"]

_PIECE = 4_096
_BUFFER = 16_384  # bytes that the kernel may hold between the relay and either end, lest it take all at once


def _small() -> socket.socket:
    made = socket.socket()
    made.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
    return made


async def little_socket(port: int) -> socket.socket:
    """A socket that is connected to `port` of this machine, and whose kernel takes few bytes unread."""
    made = _small()
    await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
    return made


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
            if rate:
                await asyncio.sleep(len(data) / rate)
    writer.close()


@asynccontextmanager
async def slow_link(port: int, *, up: float = 0, down: float = 0) -> AsyncIterator[int]:
    """A port that leads to `port` of this machine, with `up` and `down` bytes a second; 0 is as fast as can
    be.
    """

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = _small()
        await asyncio.get_running_loop().sock_connect(there, ("127.0.0.1", port))
        far_reader, far_writer = await asyncio.open_connection(sock=there, limit=_PIECE)
        await asyncio.gather(_pump(reader, far_writer, up), _pump(far_reader, writer, down))

    listening = _small()  # what it accepts inherits the small buffers
    listening.bind(("127.0.0.1", 0))
    async with await asyncio.start_server(carry, sock=listening, limit=_PIECE) as relay:
        yield int(listening.getsockname()[1])
        relay.close()
