"""One connection as bytes: its address, TLS or not, where it is read into, what waits to be written, slow
readers, its one timer and its end.

A connection is one object with one timer and no task. Not its concern: what the bytes mean
(`mobium_server.gateway`), the listening socket and what all connections share (`mobium_server.listener`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from abc import ABC, abstractmethod
from enum import IntEnum

from mobium_server.frames import header
from mobium_server.hub import INTERNAL_ERROR
from mobium_server.limits import Address, address_key, in_networks, parse_address
from mobium_server.listener import Listener
from mobium_server.media import TURN, MediaQueue, hold_little
from mobium_server.tls import ALERT, CLIENT_HELLO, TlsLayer

__all__ = ["Stage", "Stream"]

log = logging.getLogger(__name__)

# unsent bytes beyond which a connection is a slow reader: nothing more is handed to it or taken from it
WRITE_HIGH = 65_536
WRITE_LOW = 16_384
TURN_MOST = 262_144  # bytes relayed to one connection in a turn of the loop, whatever its socket takes
CLOSING_TIME = 2.0  # seconds that a peer has to finish a close
COURTESY_TIME = 5.0


class Stage(IntEnum):
    """How far a connection has come."""

    FIRST_BYTE = 0
    REQUEST = 1
    LOGIN = 2
    OPEN = 3
    CLOSING = 4


class Stream(asyncio.BufferedProtocol, ABC):
    """One connection's bytes."""

    __slots__ = (
        "_buffer",
        "_flooding",
        "_held",
        "_listener",
        "_media",
        "_out",
        "_paused",
        "_relayed",
        "_stage",
        "_timer",
        "_tls",
        "_transport",
        "_turn",
        "address",
        "behind_proxy",
        "peer",
    )

    _transport: asyncio.Transport

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._stage = Stage.FIRST_BYTE
        self._tls: TlsLayer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._buffer: memoryview | None = None
        self._out: list[bytes] | None = None
        self._media: MediaQueue | None = None
        self._turn: list[tuple[int, bytes]] | None = None
        self._paused = False
        self._relayed = 0
        self._held = False
        self._flooding = False
        self.address = ""
        self.behind_proxy = False
        self.peer: Address | None = None

    # ------------------------------------------------------------ what the bytes mean

    @abstractmethod
    def _begin(self) -> None:
        """The first bytes are here, and those of a request follow."""

    @abstractmethod
    def _receive(self, data: bytes | memoryview) -> None:
        """Take plain bytes."""

    @abstractmethod
    def _receive_eof(self) -> None:
        """The peer sends nothing more."""

    @abstractmethod
    def _on_time(self) -> None:
        """The one timer."""

    @abstractmethod
    def _more(self) -> None:
        """More can be relayed."""

    @abstractmethod
    def _lost(self) -> None:
        """The connection is gone."""

    @abstractmethod
    def close(self, code: int) -> None:
        """Say why, and end; the peer has a moment to answer."""

    # ------------------------------------------------------------ asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("A connection needs a stream.")
        listener = self._listener
        self._transport = transport
        if listener.stopping:
            transport.abort()
            return
        transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        name = transport.get_extra_info("peername")
        self.peer = parse_address(name[0]) if name else None
        self.address = address_key(self.peer) if self.peer is not None else ""
        self.behind_proxy = in_networks(self.peer, listener.settings.trusted_proxies)
        listener.lines.add(self)
        time = listener.settings.auth_timeout if listener.door.enter(self) else COURTESY_TIME
        self._timer = listener.loop.call_later(time, self._on_time)

    def connection_lost(self, _error: Exception | None) -> None:
        self._end_timer()
        self._stage = Stage.CLOSING
        self._listener.gone(self)
        self._lost()
        self._tls = None
        self._out = None

    def get_buffer(self, _size_hint: int) -> memoryview:
        self._buffer = self._listener.read_buffer()
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        buffer, self._buffer = self._buffer, None
        if buffer is None or nbytes == 0:
            return
        data = buffer[:nbytes]
        try:
            if self._stage is Stage.FIRST_BYTE:
                self._first_bytes(data)
            if self._tls is not None:
                self._tls.receive(data, self._receive)
                if self._tls.finished:
                    self._receive_eof()
            else:
                self._receive(data)
        except ssl.SSLError as error:
            log.debug("TLS failed: %s", error.reason)
            self._stage = Stage.CLOSING
            self._transport.close()
        except Exception as error:  # noqa: BLE001 - the outermost edge of a connection
            self._listener.failed(error)
            self.close(INTERNAL_ERROR)

    def eof_received(self) -> bool | None:
        self._receive_eof()
        return None

    def pause_writing(self) -> None:
        self._paused = True
        self._set_reading()

    def resume_writing(self) -> None:
        self._paused = False
        self._set_reading()
        if self._stage is Stage.OPEN:
            self._more()

    def _set_reading(self) -> None:
        transport = self._transport
        # Whoever does not read its answers may not ask for more, lest they fill the memory. So nothing shows
        # that it is alive meanwhile but what it takes (`_keep_alive`).
        if self._flooding or ((self._paused or self._held) and self._stage is not Stage.CLOSING):
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _first_bytes(self, data: memoryview) -> None:
        listener = self._listener
        self._stage = Stage.REQUEST
        if data[0] == CLIENT_HELLO:
            if listener.certificates is None:
                self._transport.write(ALERT)
                self._stage = Stage.CLOSING
                self._transport.close()
                return
            # A proxy stands for everybody behind it; what it is told of them comes later.
            if not (self.behind_proxy or listener.hub.may_shake_hands(self.address)):
                self._stage = Stage.CLOSING
                self._transport.close()
                return
            self._tls = TlsLayer(listener.certificates.context, self._transport.write)
        self._begin()

    # ------------------------------------------------------------ bytes out

    def send(self, frame: bytes) -> None:
        """Write a frame at the end of this turn of the loop."""
        if self._stage not in (Stage.LOGIN, Stage.OPEN):
            return
        if self._out is None:
            self._out = []
        if not self._out:
            self._listener.soon(self)
        self._out.append(header(len(frame)))
        self._out.append(frame)

    def relay(self, data: bytes) -> bool:
        """Write bytes that are a whole frame already, at the end of this turn of the loop. False: not now,
        since the socket is slow, or since there is enough for one turn.
        """
        if self._paused or self._relayed >= TURN_MOST:
            return False
        if self._stage is not Stage.OPEN:
            return True
        self._relayed += len(data)
        if self._out is None:
            self._out = []
        if not self._out:
            self._listener.soon(self)
        self._out.append(data)
        return True

    def writable(self) -> bool:
        """Whether the socket takes more."""
        return not self._paused

    def tune_in(self) -> None:
        """Media will come."""
        self._turn = []
        hold_little(self._transport, True)

    def tune_out(self) -> None:
        """No more media will come, and what waits is dropped."""
        self._turn = self._media = None
        hold_little(self._transport, False)

    def relay_media(self, kind: int, data: bytes) -> None:
        """Write a media frame, a whole WebSocket frame already, once the socket has taken everything else."""
        turn = self._turn
        if turn is None or self._stage is not Stage.OPEN:
            return
        if not turn:
            self._listener.soon(self)
        turn.append((kind, data))

    def flush(self) -> None:
        """Write what waits, unless the connection has said its last."""
        out, self._out = self._out, None
        if self._stage is Stage.CLOSING:
            return
        if out:
            self._flush_messages(out)
        if self._turn or self._media is not None:
            self._flush_media(self._turn or [])

    def _flush_messages(self, out: list[bytes]) -> None:
        self._say(b"".join(out))
        enough, self._relayed = self._relayed >= TURN_MOST, 0
        if enough and not self._paused:
            self._more()  # what came too late for this turn

    def _flush_media(self, turn: list[tuple[int, bytes]]) -> None:
        """Write the media of this turn, if the socket has taken everything before it, as it nearly always
        has.
        """
        if self._media is None and not self._transport.get_write_buffer_size():
            data = turn[0][1] if len(turn) == 1 else b"".join([data for _, data in turn])
            if len(data) <= TURN:
                self._listener.counters.media_out += len(turn)
                turn.clear()
                self._say(data)
                return
        self._queue_media(turn)

    def _queue_media(self, turn: list[tuple[int, bytes]]) -> None:
        """Let media wait, and write what the socket takes of it."""
        media = self._media
        if media is None:
            media = self._media = MediaQueue()
        counters, now = self._listener.counters, self._listener.loop.time()
        for kind, data in turn:
            media.put(kind, data, now)
        turn.clear()
        wrote = False
        while media and not self._transport.get_write_buffer_size():
            frames = media.take(now)
            counters.media_out += len(frames)
            self._say(b"".join(frames))
            wrote = True
        media.expire(now)
        counters.media_slow += media.count_dropped()
        if media:
            unsent, asked = self._transport.get_write_buffer_size(), not self._listener.lags(self)
            pause = media.ask_in(unsent, wrote=wrote, asked=asked)
            if pause:
                self._listener.again(self, pause)
        else:
            self._media = None

    def _say_all(self, writes: list[bytes]) -> None:
        for data in writes:
            if data:
                self._say(data)

    def _say(self, data: bytes) -> None:
        if self._tls is not None:
            self._tls.send(data)
        else:
            self._transport.write(data)

    # ------------------------------------------------------------ holding, and the end

    def hold(self) -> None:
        """Stop reading."""
        self._held = True
        self._set_reading()

    def resume(self) -> None:
        """Read again."""
        if not self._listener.stopping:
            self._held = False
            self._set_reading()

    def drop(self) -> None:
        """End at once."""
        self._stage = Stage.CLOSING
        self._listener.door.leave(self)
        self._transport.abort()

    def _finish(self) -> None:
        """Everything was said: end our half, and give the peer a moment to end its own."""
        self._stage = Stage.CLOSING
        if self._transport.is_closing():
            return
        if self._tls is not None:
            self._tls.end()
        with contextlib.suppress(OSError):  # the peer has gone without reading the last of it
            if self._transport.can_write_eof():
                self._transport.write_eof()
        self._set_reading()
        self._linger()

    def _linger(self) -> None:
        self._end_timer()
        self._timer = self._listener.loop.call_later(CLOSING_TIME, self.drop)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
