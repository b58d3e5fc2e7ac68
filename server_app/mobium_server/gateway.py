"""What the bytes of a connection mean: HTTP or WebSocket, the login's time, keepalive, closing.

websockets' sans-I/O protocol does the framing. The only file of the server that imports `websockets`. Not its
concern: sockets and TLS (`mobium_server.stream`), who may come in (`mobium_server.reception`), what messages
mean (`mobium_server.hub`).
"""

from __future__ import annotations

import logging
import random

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
from mobium_server.frames import PING, cut
from mobium_server.http import PHRASES, Asked, Reply, plain
from mobium_server.hub import Session
from mobium_server.limits import spend
from mobium_server.listener import Listener
from mobium_server.reception import Entry
from mobium_server.stream import Stage, Stream

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the compiled part
    from websockets.utils import apply_mask

__all__ = ["Wire"]

REQUEST_BYTES = 16_384  # an HTTP request, before which nobody is known
FRAGMENTS = 64  # pieces of one message; more would make small bytes expensive
SLOWEST = 128  # bytes a second that a reader must take to count as alive; a dead or idle one holds no buffer
_LINE_END = 10
PROTOCOL_ERROR = 1_002  # the WebSocket's own code

_quiet = logging.getLogger("mobium_server.websocket")
_quiet.setLevel(logging.ERROR)  # the library speaks of every connection


class Wire(Stream):
    """One connection."""

    __slots__ = (
        "_connection",
        "_fragments",
        "_rest",
        "_session",
        "_taken",
        "_unanswered",
        "_unpaid",
        "_unsent",
        "_websocket",
    )

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self._websocket: ServerProtocol | None = None
        self._connection: ServerConnection | None = None
        self._session: Session | None = None
        self._rest: bytearray | None = None
        self._fragments: list[bytes] | None = None
        self._taken = 0
        self._unanswered = 0
        self._unpaid = 0.0
        self._unsent = 0

    # ------------------------------------------------------------ bytes in

    def _begin(self) -> None:
        self._websocket = ServerProtocol(max_size=PREAUTH_FRAME, logger=_quiet)

    def _lost(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._listener.hub.log_out(session)
        self._websocket = None
        self._rest = self._fragments = None

    def _more(self) -> None:
        if self._session is not None:
            self._listener.hub.writable(self._session)

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
        websocket.send_response(self._response(reply, b"" if method == "HEAD" else reply.body))
        self._pass_on()

    @staticmethod
    def _response(reply: Reply, body: bytes) -> Response:
        return Response(reply.status, PHRASES[reply.status], Headers(reply.fields()), body)

    def _raw(self, reply: Reply) -> bytes:
        return bytes(self._response(reply, reply.body).serialize())

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
        elif session is None:
            return
        elif isinstance(event, MediaUp):
            self._listener.hub.media(session, event)
        else:
            self._listener.hub.request(session, event)

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

    # ------------------------------------------------------------ its time

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
