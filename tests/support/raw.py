"""Bytes on a socket: HTTP requests and whatever else no client library would send.

Not its concern: the protocol above (tests/support/server.py).
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

WAIT = 10.0
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}


@dataclass(frozen=True)
class Response:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes


async def exchange(port: int, data: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """Send bytes and read until the server closes."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost" if context else None
    )
    try:
        writer.write(data)
        async with asyncio.timeout(WAIT):
            return await reader.read()
    finally:
        writer.close()


async def handshake(port: int, headers: dict[str, str], path: str = "/ws") -> Response:
    """The response to a request for a WebSocket; the connection is closed then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "".join(f"{name}: {value}\r\n" for name, value in {**UPGRADE, **headers}.items())
    writer.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
    try:
        async with asyncio.timeout(WAIT):
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 101"):
                answer += await reader.read()
    finally:
        writer.close()
    return parse(answer)


async def request(
    port: int,
    path: str,
    method: str = "GET",
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    context: ssl.SSLContext | None = None,
) -> Response:
    """One request and its response."""
    fields = {"Host": f"localhost:{port}", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    data = await exchange(port, f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body, context)
    return parse(data)


def parse(data: bytes) -> Response:
    """The response that `data` is."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Response(int(first.split()[1]), headers, body)
