"""One HTTP request, byte for byte, and what came back: no client library tidies anything up."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

WAIT = 20.0  # seconds


@dataclass(frozen=True)
class Response:
    """A response. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


async def exchange(port: int, data: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """Send `data` to the port on loopback, and read until the server closes."""
    async with asyncio.timeout(WAIT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(data)
        await writer.drain()
        answer = await reader.read()
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    return answer


def parse(answer: bytes) -> Response:
    """Read a response."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Response(int(first.split()[1]), headers, body)


async def request(
    port: int, path: str, method: str = "GET", context: ssl.SSLContext | None = None, **headers: str
) -> Response:
    """Make a request; underscores in header names become hyphens."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return parse(await exchange(port, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), context))
