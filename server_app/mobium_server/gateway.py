"""One connection: TLS or not, HTTP or WebSocket, the login's time, keepalive, slow readers, closing.

websockets' sans-I/O protocol does the framing; a connection is one object with one timer and no task. The
only file of the server that imports `websockets`. Not its concern: the listening socket
(`mobium_server.listener`), who may come in (`mobium_server.reception`), what messages mean
(`mobium_server.hub`).
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import logging
import random
import ssl
from enum import IntEnum

from websockets.datastructures import Headers, MultipleValuesError
from websockets.exceptions import PayloadTooBig
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from mobium.protocol.codes import CloseCode, ErrorCode
from mobium.protocol.connection import LoggedIn, Refusal, ServerConnection
from mobium.protocol.limits import PREAUTH_FRAME
from mobium.protocol.media_frames import MediaUp
from mobium_server.frames import PING, cut, header
from mobium_server.http import Asked, Reply, plain
from mobium_server.hub import INTERNAL_ERROR, Session
from mobium_server.limits import Address, address_key, in_networks, parse_address, spend
from mobium_server.listener import Listener
from mobium_server.reception import Entry
from mobium_server.tls import ALERT, CLIENT_HELLO, TlsLayer

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the compiled part
    from websockets.utils import apply_mask

__all__ = ["Wire"]

log = logging.getLogger(__name__)

# unsent bytes beyond which a connection is a slow reader: nothing more is handed to it or taken from it
WRITE_HIGH = 65_536
WRITE_LOW = 16_384
TURN_MOST = 262_144  # bytes relayed to one connection in a turn of the loop, whatever its socket takes
REQUEST_BYTES = 16_384  # an HTTP request, before which nobody is known
FRAGMENTS = 64  # pieces of one message; more would make small bytes expensive
SLOWEST = 128  # bytes a second that a reader must take to count as alive; a dead or idle one holds no buffer
CLOSING_TIME = 2.0  # seconds that a peer has to finish a close
COURTESY_TIME = 5.0
_LINE_END = 10
PROTOCOL_ERROR = 1_002  # the WebSocket's own code

_quiet = logging.getLogger("mobium_server.websocket")
_quiet.setLevel(logging.ERROR)  # the library speaks of every connection
_PHRASES = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Stage(IntEnum):
    """How far a connection has come."""

    FIRST_BYTE = 0
    REQUEST = 1
    LOGIN = 2
    OPEN = 3
    CLOSING = 4


class Wire(asyncio.BufferedProtocol):
    """One connection."""

    __slots__ = (
        "_buffer",
        "_connection",
        "_flooding",
        "_fragments",
        "_held",
        "_listener",
        "_out",
        "_paused",
        "_relayed",
        "_rest",
        "_session",
        "_stage",
        "_taken",
        "_timer",
        "_tls",
        "_transport",
        "_unanswered",
        "_unpaid",
        "_unsent",
        "_websocket",
        "address",
        "behind_proxy",
        "peer",
    )

    _transport: asyncio.Transport

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._stage = Stage.FIRST_BYTE
        self._tls: TlsLayer | None = None
        self._websocket: ServerProtocol | None = None
        self._connection: ServerConnection | None = None
        self._session: Session | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._buffer: memoryview | None = None
        self._out: list[bytes] | None = None
        self._rest: bytearray | None = None
        self._fragments: list[bytes] | None = None
        self._taken = 0
        self._unanswered = 0
        self._unpaid = 0.0
        self._unsent = 0
        self._paused = False
        self._relayed = 0
        self._held = False
        self._flooding = False
        self.address = ""
        self.behind_proxy = False
        self.peer: Address | None = None

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
        session, self._session = self._session, None
        if session is not None:
            self._listener.hub.log_out(session)
        self._websocket = None
        self._tls = None
        self._out = self._rest = self._fragments = None

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
            elif self._websocket is not None:
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
        if self._session is not None and self._stage is Stage.OPEN:
            self._listener.hub.writable(self._session)

    def _set_reading(self) -> None:
        transport = self._transport
        # Whoever does not read its answers may not ask for more, lest they fill the memory. So nothing shows
        # that it is alive meanwhile but what it takes (`_keep_alive`).
        if self._flooding or ((self._paused or self._held) and self._stage is not Stage.CLOSING):
            transport.pause_reading()
        else:
            transport.resume_reading()

    # ------------------------------------------------------------ bytes in

    def _first_bytes(self, data: memoryview) -> None:
        listener = self._listener
        self._stage = Stage.REQUEST
        if data[0] == CLIENT_HELLO:
            if listener.certificates is None:
                self._transport.write(ALERT)
                self._stage = Stage.CLOSING
                self._transport.close()
                return
            self._tls = TlsLayer(listener.certificates.context, self._transport.write)
        self._websocket = ServerProtocol(max_size=PREAUTH_FRAME, logger=_quiet)

    def _receive(self, data: bytes | memoryview) -> None:
        websocket = self._websocket
        if websocket is None or websocket.reader.eof:
            return
        self._unanswered = 0  # whoever sends is alive
        if self._stage is Stage.REQUEST:
            self._taken += len(data)
            if self._taken > REQUEST_BYTES:
                self._reply(plain(431, "The request is too large."))
                return
            self._feed(websocket, data)
        elif not websocket.eof_sent:
            self._cut(websocket, data)

    def _cut(self, websocket: ServerProtocol, data: bytes | memoryview) -> None:
        rest = self._rest
        if rest is None:
            frames, used = cut(data, websocket.max_message_size or PREAUTH_FRAME, apply_mask)
            if used < len(data):
                self._rest = bytearray(data[used:])
        else:
            rest += data
            frames, used = cut(rest, websocket.max_message_size or PREAUTH_FRAME, apply_mask)
            del rest[:used]
            if not rest:
                self._rest = None
        for whole, content in frames:
            if self._flooding:
                return
            if not whole:
                if self._stage is Stage.CLOSING or self.tolerate():
                    self._feed(websocket, content)
            elif websocket.current_size is None:
                self._message(content)
            else:
                websocket.fail(PROTOCOL_ERROR, "expected a continuation frame")
                self._pass_on()

    def _feed(self, websocket: ServerProtocol, data: bytes | memoryview) -> None:
        """Hand bytes to the WebSocket protocol: the request, or what is not a message in one piece."""
        if websocket.reader.eof:
            return
        websocket.receive_data(data)  # type: ignore[arg-type]  # it only appends them to its buffer
        events = websocket.events_received()
        more = len(events) > 1 or data[-1] != _LINE_END or websocket.eof_sent
        if self._stage is Stage.REQUEST and events and more:
            # Something follows the request, but the server speaks first.
            self._say(self._raw(plain(400, "Nothing may follow a request before it is answered.")))
            self._finish()
            return
        for event in events:
            if isinstance(event, Request):
                self._request(event)
            elif isinstance(event, Frame):
                self._frame(event)
        self._pass_on()

    def _receive_eof(self) -> None:
        websocket = self._websocket
        if websocket is not None:
            websocket.receive_eof()
        self._transport.close()

    def _pass_on(self) -> None:
        """Write what the WebSocket protocol has to say by itself, and see to its end."""
        websocket = self._websocket
        if websocket is None:
            return
        writes = websocket.data_to_send()
        if not writes:
            return
        if self._stage is Stage.REQUEST and websocket.handshake_exc is not None:
            writes = [
                self._raw(
                    plain(400, "This is not an HTTP request that is answered here; requests have no body.")
                ),
                *writes,
            ]
        if isinstance(websocket.parser_exc, PayloadTooBig):
            self._listener.counters.malformed += 1
        self.flush()  # answers to what came before the end, or a pong, go before it
        for data in writes:
            if data:
                self._say(data)
        if websocket.eof_sent:
            self._finish()

    # ------------------------------------------------------------ HTTP

    def _request(self, request: Request) -> None:
        headers = request.headers
        try:
            asked = Asked(
                method=request.method,
                path=request.path.partition("?")[0],
                host=headers.get("Host", ""),
                origin=headers.get("Origin"),
                authorization=headers.get("Authorization", ""),
                forwarded_for=tuple(headers.get_all("X-Forwarded-For")),
                forwarded_proto=tuple(headers.get_all("X-Forwarded-Proto")),
            )
        except MultipleValuesError:
            self._reply(plain(400, "The request is malformed."))
            return
        decision = self._listener.reception.consider(self, asked, encrypted=self._tls is not None)
        if isinstance(decision, Reply):
            self._reply(decision, request.method)
        else:
            self._open_socket(request, place=decision is Entry.ADMITTED)

    def _open_socket(self, request: Request, place: bool) -> None:
        websocket = self._websocket
        if websocket is None:
            return
        response = websocket.accept(request)
        websocket.send_response(response)
        if response.status_code != 101:
            self._stage = Stage.CLOSING
            return
        self._stage = Stage.LOGIN
        self._say_all(websocket.data_to_send())
        if place:
            self._connection = self._listener.new_connection()
            self.send(self._connection.challenge())
        else:
            self.send(ServerConnection.refuse(ErrorCode.TOO_MANY_CONNECTIONS).frame)
            self.close(CloseCode.TOO_MANY_CONNECTIONS)

    def _reply(self, reply: Reply, method: str = "GET") -> None:
        """Answer over HTTP, and end."""
        websocket = self._websocket
        self._stage = Stage.CLOSING
        if websocket is None or websocket.eof_sent:
            return
        body = b"" if method == "HEAD" else reply.body
        websocket.send_response(Response(reply.status, _PHRASES[reply.status], self._headers(reply), body))
        self._pass_on()

    @staticmethod
    def _headers(reply: Reply) -> Headers:
        return Headers(
            {
                "Date": email.utils.formatdate(usegmt=True),
                "Connection": "close",
                "Content-Length": str(len(reply.body)),
                "Content-Type": reply.kind,
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                **reply.headers,
            }
        )

    def _raw(self, reply: Reply) -> bytes:
        return bytes(
            Response(reply.status, _PHRASES[reply.status], self._headers(reply), reply.body).serialize()
        )

    # ------------------------------------------------------------ WebSocket

    def _frame(self, frame: Frame) -> None:
        if self._stage not in (Stage.LOGIN, Stage.OPEN):
            return
        opcode = frame.opcode
        if opcode is Opcode.CLOSE:
            self.flush()  # what was asked before it is answered before it
            self._stage = Stage.CLOSING
        elif opcode is Opcode.BINARY:
            self._fragments = [bytes(frame.data)]
        elif opcode is Opcode.CONT:
            self._continue(frame)
        elif opcode is Opcode.TEXT and self._connection is not None:
            self._carry_out(self._connection.malformed())

    def _continue(self, frame: Frame) -> None:
        fragments = self._fragments
        if fragments is None:
            return  # the rest of a text message, which was answered already
        if len(fragments) >= FRAGMENTS:
            self._carry_out(ServerConnection.refuse(ErrorCode.MALFORMED, close=CloseCode.PROTOCOL))
            return
        fragments.append(bytes(frame.data))
        if frame.fin:
            self._fragments = None
            self._message(b"".join(fragments))

    def _message(self, data: bytes) -> None:
        connection = self._connection
        if connection is None or self._stage is Stage.CLOSING:
            return
        session = self._session
        if session is None and self._stage is Stage.OPEN:
            # Logged in, but not yet welcomed: no client of the protocol speaks now.
            self._carry_out(connection.refuse(ErrorCode.NOT_AUTHENTICATED, close=CloseCode.AUTH))
            return
        event = connection.receive(data)
        if isinstance(event, LoggedIn):
            self._stage = Stage.OPEN
            self._listener.hub.log_in(self, connection, event)
        elif isinstance(event, Refusal):
            self._carry_out(event)
        elif session is not None and not isinstance(event, MediaUp):
            self._listener.hub.request(session, event.message)

    def _carry_out(self, refusal: Refusal) -> None:
        if self._session is None:
            self._listener.counters.login_failures += 1
        else:
            self._listener.counters.malformed += 1
        self.send(refusal.frame)
        if refusal.close is not None:
            self.close(refusal.close)

    # ------------------------------------------------------------ what the hub uses

    @property
    def alive(self) -> bool:
        """Whether it is open and nobody has begun to close it."""
        return self._stage in (Stage.LOGIN, Stage.OPEN)

    def admit(self, session: Session) -> None:
        """The login succeeded."""
        listener = self._listener
        self._session = session
        listener.door.known(self)
        if self._websocket is not None and self._connection is not None:
            self._websocket.max_message_size = self._connection.frame_limit
        self._end_timer()
        interval = listener.settings.ws_ping_interval
        # The first comes early by chance, so that a crowd that logged in together is not pinged together.
        self._timer = listener.loop.call_later(interval * random.uniform(0.5, 1.0), self._on_time)  # noqa: S311

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

    def tolerate(self) -> bool:
        """Count a frame that no rate counts. False: there were far too many, and the connection ends."""
        listener = self._listener
        self._unpaid, lacking = spend(self._unpaid, listener.tolerance, listener.loop.time(), 1)
        if lacking and not self._flooding:
            self._flooding = True  # nothing more is read
            listener.hub.penalize(self.address)
            listener.counters.limited += 1
            self.close(CloseCode.TOO_MANY_CONNECTIONS)
        return not lacking

    def hold(self) -> None:
        """Stop reading."""
        self._held = True
        self._set_reading()

    def resume(self) -> None:
        """Read again."""
        if not self._listener.stopping:
            self._held = False
            self._set_reading()

    def close(self, code: int) -> None:
        """Say why, and end; the peer has a moment to answer."""
        websocket = self._websocket
        if self._stage is Stage.CLOSING:
            return
        self.flush()
        if websocket is None or websocket.state is not State.OPEN:
            self._stage = Stage.CLOSING
            self._transport.close()
            self._linger()
            return
        self._stage = Stage.CLOSING
        websocket.send_close(code)
        self._say_all(websocket.data_to_send())
        self._linger()
        self._set_reading()

    def drop(self) -> None:
        """End at once."""
        self._stage = Stage.CLOSING
        self._listener.door.leave(self)
        self._transport.abort()

    def flush(self) -> None:
        """Write what waits, unless the connection has said its last."""
        out, self._out = self._out, None
        if not out or self._stage is Stage.CLOSING:
            return
        self._say(b"".join(out))
        enough, self._relayed = self._relayed >= TURN_MOST, 0
        if enough and not self._paused and self._session is not None:
            self._listener.hub.writable(self._session)  # what came too late for this turn

    # ------------------------------------------------------------ bytes out

    def _say_all(self, writes: list[bytes]) -> None:
        for data in writes:
            if data:
                self._say(data)

    def _say(self, data: bytes) -> None:
        if self._tls is not None:
            self._tls.send(data)
        else:
            self._transport.write(data)

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

    def _on_time(self) -> None:
        """The one timer: the login took too long, or a ping is due."""
        self._timer = None
        if self._stage is Stage.OPEN and self._session is not None:
            self._keep_alive()
        elif self._stage in (Stage.LOGIN, Stage.OPEN):
            self._listener.counters.login_failures += 1
            self.close(CloseCode.AUTH)
        elif self._stage is Stage.REQUEST and self._websocket is not None and self._taken:
            self._reply(plain(408, "The request took too long."))
        else:
            self.drop()

    def _keep_alive(self) -> None:
        interval = self._listener.settings.ws_ping_interval
        before, self._unsent = self._unsent, self._transport.get_write_buffer_size()
        if self._paused and before - self._unsent >= SLOWEST * interval:
            self._unanswered = 0  # on a slow link a large message takes longer than pings wait
        if self._unanswered >= 2:
            self.close(CloseCode.IDLE)
            return
        self._unanswered += 1
        self._say(PING)
        self._timer = self._listener.loop.call_later(interval, self._on_time)
