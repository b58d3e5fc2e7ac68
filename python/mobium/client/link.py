"""The link: one authenticated connection to a server, made again whenever it breaks.

It dials, logs in, hands frames over in order, matches answers to requests, and backs off. Not its
concern: what the frames mean, and anything durable; a link that is closed forgets everything.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec

from mobium.client.address import Address
from mobium.client.together import together
from mobium.client.transport import Connector, Transport, TransportClosed, dial
from mobium.errors import (
    MobiumError,
    NotConnected,
    ProtocolError,
    ServerKeyChanged,
    ServerRefused,
    StoreDamaged,
)
from mobium.protocol import codec
from mobium.protocol.codes import CloseCode, ErrorCode
from mobium.protocol.connection import Answer, ClientConnection, Signer, Welcome
from mobium.protocol.media_frames import MediaDown, to_server
from mobium.protocol.messages import ClientMessage, Error, Limits, Ping, Pong, ServerMessage

__all__ = ["Link", "LinkState"]

LinkState = Literal["connecting", "online", "waiting", "offline"]

_LOGIN_TIMEOUT = 15.0
_REQUEST_TIMEOUT = 30.0
_FIRST_DELAY = 1.0
_LONGEST_DELAY = 30.0
_DISPATCH_AHEAD = 256  # frames between the socket and the handler; the server's window is smaller
_LARGE = 1 << 16  # bytes of a frame that waits until the handler has had all before it; 256 such are too many

# Trying again cannot help: a person must act first.
_FINAL_CODES = frozenset({ErrorCode.AUTH_FAILED, ErrorCode.WRONG_HOST, ErrorCode.UNSUPPORTED_VERSION})


class _Replaced(NotConnected):
    def __init__(self) -> None:
        super().__init__("This identity has logged in from somewhere else; connect again to take it back.")


class Link:
    """One connection at a time to `address`, as `identity`.

    `on_open` runs once after every login, beside the frames that arrive meanwhile; `on_message` gets
    every frame that answers no request, in order, one at a time; `on_media` gets media frames as they come,
    so that none waits for a message to be stored; `on_state` is told of every change, with the error that
    caused it and the seconds until the next try.
    """

    def __init__(
        self,
        identity: Signer,
        address: Address,
        pinned: bytes | None,
        *,
        on_open: Callable[[Welcome], Awaitable[None]],
        on_message: Callable[[ServerMessage], Awaitable[None]],
        on_state: Callable[[LinkState, MobiumError | None, float | None], None],
        on_media: Callable[[MediaDown], None],
        connector: Connector = dial,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._identity = identity
        self._address = address
        self._pinned = pinned
        self._on_open = on_open
        self._on_message = on_message
        self._on_state = on_state
        self._on_media = on_media
        self._connector = connector
        self._uniform = uniform
        self._transport: Transport | None = None
        self._answers: dict[int, asyncio.Future[ServerMessage]] = {}
        self._rid = 0
        self._retry_now = asyncio.Event()
        self.limits: Limits | None = None
        self.nonce = b""
        """The server's nonce of the present login, 32 bytes."""

    @property
    def online(self) -> bool:
        """Whether there is an authenticated connection now."""
        return self._transport is not None

    def retry_now(self) -> None:
        """End the present wait between two tries."""
        self._retry_now.set()

    async def run(self) -> None:
        """Keep the connection up until cancelled.

        Raises the error if a try ends with one that only a person can mend: a changed server key, a
        refused login, a newer login elsewhere.
        """
        attempt = 0
        while True:
            self._on_state("connecting", None, None)
            try:
                self._retry_now.clear()
                error, was_online = await self._once()
            except asyncio.CancelledError:
                self._on_state("offline", None, None)
                raise
            if _is_final(error):
                self._on_state("offline", error, None)
                raise error
            attempt = 0 if was_online else attempt + 1
            delay = self._delay(attempt, error)
            self._on_state("waiting", error, delay)
            try:
                async with asyncio.timeout(delay):
                    await self._retry_now.wait()
            except TimeoutError:
                continue
            except asyncio.CancelledError:
                self._on_state("offline", None, None)
                raise

    def _delay(self, attempt: int, error: MobiumError) -> float:
        longest = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(attempt, 8))
        delay = max(_FIRST_DELAY, self._uniform(longest / 2, longest))
        if isinstance(error, ServerRefused) and error.retry_after is not None:
            delay = max(delay, min(error.retry_after, _LONGEST_DELAY))
        return delay

    async def request(
        self,
        message: ClientMessage,
        timeout: float = _REQUEST_TIMEOUT,  # noqa: ASYNC109 - a caller names one number, not a context
    ) -> ServerMessage:
        """Send a message with a fresh `rid` and return its answer.

        Raises ServerRefused if the answer is an error, NotConnected if there is no connection, it breaks,
        or `timeout` seconds pass.
        """
        self._rid = self._rid % 0xFFFFFFFF + 1
        rid = self._rid
        answer: asyncio.Future[ServerMessage] = asyncio.get_running_loop().create_future()
        self._answers[rid] = answer
        try:
            async with asyncio.timeout(timeout):
                await self.send(msgspec.structs.replace(message, rid=rid))
                reply = await answer
        except TimeoutError as error:
            raise NotConnected("The server did not answer in time.") from error
        finally:
            self._answers.pop(rid, None)
        if isinstance(reply, Error):
            raise ServerRefused(reply.code, reply.text, reply.retry_after)
        return reply

    async def send_media(self, kind: int, room: int, body: bytes) -> None:
        """Send a media frame, which nobody answers. Raises NotConnected."""
        if self._transport is None:
            raise NotConnected("There is no connection to the server.")
        await self._transport.send(to_server(kind, room, body))

    async def send(self, message: ClientMessage) -> None:
        """Send a message that has no answer of its own. Raises NotConnected."""
        if self._transport is None:
            raise NotConnected("There is no connection to the server.")
        await self._transport.send(codec.encode(message))

    async def _once(self) -> tuple[MobiumError, bool]:
        """One connection from dialling to its end; returns why it ended, and whether it was ever online."""
        try:
            transport = await self._connector(self._address)
        except MobiumError as error:
            return error, False
        try:
            try:
                async with asyncio.timeout(_LOGIN_TIMEOUT):
                    connection, welcome = await self._log_in(transport)
            except TimeoutError:
                return NotConnected("The server did not finish the login in time."), False
            except MobiumError as error:
                return _explain(error), False
            self._pinned = welcome.server_key
            self.limits = welcome.limits
            self.nonce = welcome.nonce
            self._transport = transport
            return await self._pump(transport, connection, welcome), True
        finally:
            self._transport = None
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(NotConnected("The connection broke before the server answered."))
            await transport.close()

    async def _log_in(self, transport: Transport) -> tuple[ClientConnection, Welcome]:
        connection = ClientConnection(self._identity, self._address.host, self._pinned)
        while True:
            event = connection.receive(await transport.receive())
            if isinstance(event, Welcome):
                return connection, event
            if isinstance(event, Answer):
                await transport.send(event.frame)

    async def _pump(
        self, transport: Transport, connection: ClientConnection, welcome: Welcome
    ) -> MobiumError:
        waiting: asyncio.Queue[ServerMessage] = asyncio.Queue(_DISPATCH_AHEAD)

        async def read() -> None:
            while True:
                data = await transport.receive()
                if len(data) > _LARGE:
                    await waiting.join()
                event: Any = connection.receive(data)
                if isinstance(event, MediaDown):
                    self._on_media(event)
                    continue
                if isinstance(event, Ping):  # whatever number it carries, it answers nothing
                    await transport.send(codec.encode(Pong(event.rid)))
                    continue
                rid = getattr(event, "rid", None)
                answer = None if rid is None else self._answers.get(rid)
                if answer is not None:
                    if not answer.done():
                        answer.set_result(event)
                else:
                    await waiting.put(event)

        async def dispatch() -> None:
            while True:
                await self._on_message(await waiting.get())
                waiting.task_done()

        self._on_state("online", None, None)
        return _explain(_first(await together((read(), dispatch(), _run(self._on_open, welcome)))))


async def _run(work: Callable[[Welcome], Awaitable[None]], welcome: Welcome) -> None:
    await work(welcome)


def _first(ends: Sequence[object]) -> MobiumError:
    """The error that says most: a closed transport often follows from another one. Raises what is none of
    ours.
    """
    errors: list[MobiumError] = []
    for end in ends:
        if isinstance(end, MobiumError):
            errors.append(end)
        elif isinstance(end, Exception):
            raise end
    return min(
        errors, key=lambda error: type(error) is NotConnected, default=NotConnected("The connection ended.")
    )


def _explain(error: MobiumError) -> MobiumError:
    if isinstance(error, TransportClosed):
        if error.code == CloseCode.REPLACED:
            return _Replaced()
        if error.code == CloseCode.TOO_MANY_CONNECTIONS:
            return ServerRefused(
                ErrorCode.TOO_MANY_CONNECTIONS, "The server has too many connections; it will be tried again."
            )
        if error.code == CloseCode.SHUTTING_DOWN:
            return NotConnected("The server is restarting or shutting down; it will be tried again.")
    if isinstance(error, ProtocolError):
        return NotConnected(f"The server broke the protocol: {error}")
    return error


def _is_final(error: MobiumError) -> bool:
    if isinstance(error, ServerRefused):
        return error.code in _FINAL_CODES
    return isinstance(error, ServerKeyChanged | StoreDamaged | _Replaced)
