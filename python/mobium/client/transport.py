"""The edge to the network: a `Transport` carries binary messages, in order, until it is closed.

`dial` opens a real WebSocket and is, with the server's gateway, the only place that imports `websockets`;
`memory_pair` is the in-memory reference that tests use. Not its concern: what the messages say, logging
in, reconnecting (`mobium.client.link`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

from mobium.client.address import Address
from mobium.errors import NotConnected

if TYPE_CHECKING:  # websockets takes a fifth of the time to import the engine, and is wanted when one dials
    from websockets.asyncio.client import ClientConnection
    from websockets.exceptions import ConnectionClosed

__all__ = ["Connector", "MemoryTransport", "Transport", "TransportClosed", "dial", "memory_pair"]

_OPEN_TIMEOUT = 15.0
_CLOSE_TIMEOUT = 2.0
_KEEPALIVE = 20.0  # seconds between pings
_UNANSWERED = 2  # of them in silence mean that the network is gone
_MAX_FRAME = (4 << 20) + 8_192  # the largest bucket and a frame around it
_READ_AHEAD = 32  # frames that wait before the socket is no longer read; the server's window bounds the rest


class TransportClosed(NotConnected):
    """The other side, or the network, has closed.

    `code` is the WebSocket close code, 1006 if there was none.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__("The connection to the server was closed.")
        self.code = code
        self.reason = reason


class Transport(Protocol):
    """A two-way stream of binary messages."""

    async def send(self, data: bytes) -> None:
        """Hand `data` over; waits while the other side does not read. Raises TransportClosed."""

    async def receive(self) -> bytes:
        """The next message. Raises TransportClosed; a text message closes the transport."""

    async def close(self) -> None:
        """Close; never raises."""


_T = TypeVar("_T")
Connector = Callable[[Address], Awaitable[Transport]]
"""Opens a connection. One that goes through a proxy has an attribute `proxy` that is not None: then there are
no calls, which would go around it and show the address that it hides.
"""


class _Life:
    """How often bytes have come in."""

    def __init__(self) -> None:
        self.count = 0


def _counting(life: _Life) -> type[ClientConnection]:
    from websockets.asyncio.client import ClientConnection

    class Counting(ClientConnection):
        def data_received(self, data: bytes) -> None:
            life.count += 1
            super().data_received(data)

    return Counting


class _WebSocket:
    def __init__(
        self, socket: ClientConnection, life: _Life, closed: type[ConnectionClosed], keepalive: float
    ) -> None:
        self._socket = socket
        self._life = life
        self._closed = closed
        self._handed_over = 0
        self._keeper = asyncio.create_task(self._keep_alive(keepalive))

    async def _keep_alive(self, interval: float) -> None:
        """Ping, and give a silent network up.

        Whatever moves is life, not pongs alone: on a slow link a pong waits behind a large message, for
        longer than anybody would wait for a network that is gone.
        """
        transport, before, silent = self._socket.transport, (0, 0), 0
        with suppress(self._closed):
            while True:
                await asyncio.sleep(interval)
                moved = (self._life.count, self._handed_over - transport.get_write_buffer_size())
                # Nothing can come while this side does not read.
                silent = silent + 1 if moved == before and transport.is_reading() else 0
                if silent > _UNANSWERED:
                    transport.abort()
                    return
                before = moved
                with suppress(TimeoutError):
                    async with asyncio.timeout(interval):  # it is written at once; then it waits for room
                        await self._socket.ping()

    async def send(self, data: bytes) -> None:
        self._handed_over += len(data)
        try:
            await self._socket.send(data)
        except self._closed as error:
            raise _closed(error) from None

    async def receive(self) -> bytes:
        try:
            data = await self._socket.recv()
        except self._closed as error:
            raise _closed(error) from None
        if isinstance(data, str):
            await self.close()
            raise TransportClosed(1003, "text frame")
        return data

    async def close(self) -> None:
        self._keeper.cancel()
        await self._socket.close()


def _closed(error: ConnectionClosed) -> TransportClosed:
    return (
        TransportClosed(1006) if error.rcvd is None else TransportClosed(error.rcvd.code, error.rcvd.reason)
    )


def _plain(text: str) -> str:
    return "".join(c for c in text[:200] if c.isprintable()).strip()


async def dial(
    address: Address, context: ssl.SSLContext | None = None, *, keepalive: float = _KEEPALIVE
) -> Transport:
    """Open a WebSocket to `address`.

    `context` replaces the system's certificate store, for a private authority; `keepalive` is the time in
    seconds between pings.

    No proxy is taken from the environment: where traffic goes is never decided by a variable. Raises
    NotConnected with a sentence.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

    life = _Life()
    tls = (context or ssl.create_default_context()) if address.secure else None
    try:
        socket = await connect(
            address.url,
            ssl=tls,
            proxy=None,
            compression=None,
            user_agent_header=None,
            open_timeout=_OPEN_TIMEOUT,
            close_timeout=_CLOSE_TIMEOUT,
            create_connection=_counting(life),
            ping_interval=None,
            max_size=_MAX_FRAME,
            max_queue=_READ_AHEAD,
        )
    except InvalidStatus as error:
        said = _plain((error.response.body or b"").decode("utf-8", "replace"))
        said = said or f"it answered HTTP {error.response.status_code}."
        raise NotConnected(f"The server at {address.host} refused the connection: {said}") from error
    except ssl.SSLCertVerificationError as error:
        raise NotConnected(
            f"The certificate of {address.host} is not trusted ({_plain(error.verify_message)}); "
            "check the name or the server's certificate; one of an authority of your own is trusted where "
            "SSL_CERT_FILE names it."
        ) from error
    except ssl.SSLError as error:
        raise NotConnected(
            f"The server at {address.host} did not answer with TLS; "
            "if it has none, write ws:// in front of its name."
        ) from error
    except TimeoutError as error:
        raise NotConnected(
            f"The server at {address.host} did not answer in {_OPEN_TIMEOUT:.0f} seconds."
        ) from error
    except (OSError, EOFError, UnicodeError, InvalidHandshake, WebSocketException) as error:
        # UnicodeError: a name that no resolver can be asked for, as one with a part of 64 letters is.
        raise NotConnected(
            f"The server at {address.host} cannot be reached; "
            "check the address, the network, and that the server runs."
        ) from error
    return _WebSocket(socket, life, ConnectionClosed, keepalive)


class MemoryTransport:
    """One end of an in-memory pair: what one end sends, the other receives, at most `_READ_AHEAD`
    messages ahead.
    """

    def __init__(self) -> None:
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue(_READ_AHEAD)
        self._closed = asyncio.Event()
        self._code = 1006
        self._peer = self

    async def send(self, data: bytes) -> None:
        """Put `data` into the other end's queue."""
        if self._closed.is_set():
            raise TransportClosed(self._code)
        await self._until_closed(asyncio.ensure_future(self._peer._inbox.put(data)))

    async def receive(self) -> bytes:
        """Take from this end's queue; what was sent before a close still arrives."""
        if not self._inbox.empty():
            return self._inbox.get_nowait()
        return await self._until_closed(asyncio.ensure_future(self._inbox.get()))

    async def close(self, code: int = 1000) -> None:
        """Close both ends with `code`."""
        for end in (self, self._peer):
            if not end._closed.is_set():
                end._code = code
                end._closed.set()

    async def _until_closed(self, work: asyncio.Future[_T]) -> _T:
        closing = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait((work, closing), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise TransportClosed(self._code)
            return work.result()
        finally:
            closing.cancel()
            if not work.done():
                work.cancel()


def memory_pair() -> tuple[MemoryTransport, MemoryTransport]:
    """Two connected ends."""
    left, right = MemoryTransport(), MemoryTransport()
    left._peer, right._peer = right, left
    return left, right
