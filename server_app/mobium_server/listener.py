"""The listening socket, and what all connections share: their number, one buffer to read into, writing at the
end of a turn, and the end of all of them.

Not its concern: what happens on a connection (`mobium_server.gateway`).
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Protocol

from mobium.protocol.connection import ServerConnection
from mobium_server.config import Settings
from mobium_server.door import Guest
from mobium_server.faults import Faults
from mobium_server.hub import Hub
from mobium_server.reception import Reception
from mobium_server.stats import Counters
from mobium_server.tls import Certificates

__all__ = ["Listener", "Wired"]

# Frames that no rate counts, such as pings and requests that were refused: a connection may have so many
# times as many of them as requests. No client comes near it.
TOLERANCE = 20
READ_SIZE = 65_536  # bytes taken from a socket at once, into one buffer for all
BACKLOG = 1_024


class Wired(Guest, Protocol):
    """A connection, as the listener sees it."""

    def hold(self) -> None:
        """Stop reading."""

    def close(self, code: int) -> None:
        """Close with a WebSocket close code."""

    def flush(self) -> None:
        """Write what waits."""


class Listener:
    """The listening socket and what all connections share."""

    def __init__(
        self,
        settings: Settings,
        hub: Hub,
        reception: Reception,
        certificates: Certificates | None,
        new_connection: Callable[[], ServerConnection],
        counters: Counters,
    ) -> None:
        self.settings = settings
        self.hub = hub
        self.reception = reception
        self.certificates = certificates
        self.new_connection = new_connection
        self.counters = counters
        self.loop = asyncio.get_running_loop()
        self.lines: set[Wired] = set()
        self.door = reception.door
        self.tolerance = settings.rate_general.times(TOLERANCE)
        self.stopping = False
        self._faults = Faults(self.loop.time)
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._dirty: list[Wired] = []
        self._lagging: dict[Wired, asyncio.TimerHandle] = {}
        self._server: asyncio.Server | None = None
        self._empty: asyncio.Event = asyncio.Event()

    async def listen(self, make: Callable[[Listener], asyncio.BaseProtocol]) -> int:
        """Open the socket, with a protocol that `make` makes for each connection; returns its port. Raises
        OSError.
        """
        host, port = self.settings.host, self.settings.port
        if host == "::" and socket.has_dualstack_ipv6():
            # Every address of the machine; asyncio's own socket would take IPv6 alone.
            both = socket.create_server(
                (host, port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
            self._server = await self.loop.create_server(lambda: make(self), sock=both, backlog=BACKLOG)
        else:
            self._server = await self.loop.create_server(
                lambda: make(self), host or None, port, backlog=BACKLOG
            )
        return int(self._server.sockets[0].getsockname()[1])

    def stop_listening(self) -> None:
        """Take no more connections, and read no more from those there are."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        for wire in self.lines:
            wire.hold()

    async def close_all(self, code: int, patience: float) -> None:
        """Close every connection, and after `patience` seconds drop what is left."""
        for wire in list(self.lines):
            wire.close(code)
        self._empty.clear()
        if self.lines:
            try:
                await asyncio.wait_for(self._empty.wait(), patience)
            except TimeoutError:
                for wire in list(self.lines):
                    wire.drop()
                await asyncio.sleep(0)

    def gone(self, wire: Wired) -> None:
        """A connection ended."""
        self.lines.discard(wire)
        self._forget_pause(wire)
        self.door.leave(wire)
        if not self.lines:
            self._empty.set()

    def failed(self, error: Exception) -> None:
        """A connection failed by a fault of the server."""
        self.counters.internal += 1
        self._faults.note(error)

    # ------------------------------------------------------------ buffers

    def read_buffer(self) -> memoryview:
        """Where the next bytes of any connection go; they are used up before anything else is read."""
        if sys.platform == "win32":  # the proactor reads into many buffers at once
            return memoryview(bytearray(READ_SIZE))
        return self._buffer

    def soon(self, wire: Wired) -> None:
        """Write what `wire` has to say at the end of this turn of the loop."""
        if not self._dirty:
            self.loop.call_soon(self._flush)
        self._dirty.append(wire)

    def again(self, wire: Wired, pause: float) -> None:
        """Let `wire` write in `pause` seconds, when its socket may take more media, and not before that at an
        earlier one's end.
        """
        self._forget_pause(wire)
        self._lagging[wire] = self.loop.call_later(pause, self._ask_again, wire)

    def lags(self, wire: Wired) -> bool:
        """Whether it will be asked again."""
        return wire in self._lagging

    def _ask_again(self, wire: Wired) -> None:
        del self._lagging[wire]
        self.soon(wire)

    def _forget_pause(self, wire: Wired) -> None:
        timer = self._lagging.pop(wire, None)
        if timer is not None:
            timer.cancel()

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for wire in dirty:
            try:
                wire.flush()
            except Exception as error:  # noqa: BLE001 - the outermost edge of a connection
                # Whatever is wrong with this connection, the others in the same turn get their frames.
                self.failed(error)
                wire.drop()
