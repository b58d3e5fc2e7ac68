"""A server that keeps honest books and cheats where a test tells it to.

It speaks the real protocol (`mobium.protocol.ServerConnection`) over the in-memory transport: hand `connect`
to an engine as its connector. Left alone it is honest: prekeys are handed out once, mailboxes keep what is
not acknowledged, everything unacknowledged comes again in order after a login. A test cheats by replacing one
of the functions in `HostileServer.cheat`, or by an act of its own (`put`, `cut`, `hold`). Its channels are in
`HostileServer.channels` (tests/support/hostile_channels.py). Not its concern: durability, limits and rates,
which the real server's own tests hold.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec

from mobium.client.address import Address
from mobium.client.transport import MemoryTransport, Transport, TransportClosed, memory_pair
from mobium.errors import NotConnected
from mobium.protocol import codec
from mobium.protocol import messages as m
from mobium.protocol.codes import ErrorCode, sentence
from mobium.protocol.connection import LoggedIn, Refusal, ServerConnection
from mobium.protocol.media_frames import MediaUp
from mobium.signing import SigningKey
from tests.support.envelope import Envelope
from tests.support.hostile_channels import HostileChannels

__all__ = ["ALLOWED", "MESSAGE_SIZE", "Account", "Cheat", "Envelope", "HostileServer", "Line", "altered"]

MESSAGE_SIZE = 1 << 20
ALLOWED = m.Limits(MESSAGE_SIZE, 10_000, 30 * 86_400, 0.0, 0, 30.0)
_PATIENCE = 15.0  # seconds until a wait is a failed test


@dataclass
class Account:
    """What the server holds of one identity."""

    x_public: bytes
    binding: bytes
    signed: m.WirePrekey | None = None
    last_resort: m.WirePrekey | None = None
    one_time: deque[m.WirePrekey] = field(default_factory=deque)
    kem_one_time: deque[m.WirePrekey] = field(default_factory=deque)
    mailbox: deque[Envelope] = field(default_factory=deque)
    line: Line | None = None


@dataclass
class Cheat:
    """The places where the server can lie; each default is the truth."""

    bundle: Callable[[bytes, m.PrekeyBundle], m.ServerMessage] = lambda _asker, bundle: bundle
    """What an asker gets for the bundle that it should get."""
    take_one_time: bool = True
    """Whether a one-time key that was handed out is deleted."""
    forward: Callable[[Envelope], Iterable[Envelope]] = lambda envelope: (envelope,)
    """What goes into mailboxes for one message that was sent."""
    answer: Callable[[m.SendMessage], m.ServerMessage | None] = lambda sent: m.Accepted(sent.id, sent.rid)
    """What the sender is told."""
    frame: Callable[[bytes, m.ServerMessage], Sequence[bytes]] = lambda _to, message: (codec.encode(message),)
    """The bytes that go to an identity for one message."""
    acknowledge: bool = True
    """Whether what a client acknowledged leaves its mailbox."""
    signal: Callable[[bytes, m.SendSignal], Iterable[tuple[bytes, m.Signal]]] = lambda sender, sent: (
        (sent.recipient, m.Signal(sender, sent.payload)),
    )
    """What goes to whom for one signal that somebody sent."""


class Line:
    """One client's connection: its core, its tags, and a queue so that no slow client stops the server."""

    def __init__(self, end: MemoryTransport, core: ServerConnection) -> None:
        self.end = end
        self.core = core
        self.identity = b""
        self.outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self.tag = 0
        self.unacknowledged: dict[int, Envelope] = {}


class HostileServer:
    """The server. Use as `async with HostileServer() as server`.

    `sent` holds every message that clients sent, `signals` every signal with its sender, `arrived` every
    frame of a client after its login, `left` every frame to it; in the order in which the server saw them.
    `ice` is what it names for calls.
    """

    def __init__(self, name: str = "server.test", key: SigningKey | None = None) -> None:
        self.name = name
        self.url = f"ws://{name}/ws"
        self.key = key or SigningKey.generate()
        self.cheat = Cheat()
        self.accounts: dict[bytes, Account] = {}
        self.sent: list[Envelope] = []
        self.acknowledged: list[Envelope] = []
        self.arrived: list[tuple[bytes, bytes]] = []
        self.left: list[tuple[bytes, bytes]] = []
        self.held: set[bytes] = set()
        self.signals: list[tuple[bytes, m.SendSignal]] = []
        self.ice = m.IceConfig([])
        self.channels = HostileChannels(self)
        self._changed = asyncio.Condition()
        self._group = asyncio.TaskGroup()
        self._ended = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)  # a failed test is not this group's failure

    async def connect(self, _address: Address) -> Transport:
        """Dial this server: the connector of a client. Raises NotConnected once the server has ended."""
        if self._ended:
            raise NotConnected("The server is gone.")
        ours, theirs = memory_pair()
        line = Line(theirs, ServerConnection(self.key, lambda name: name == self.name, MESSAGE_SIZE))
        task = self._group.create_task(self._serve(line))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ours

    # ------------------------------------------------------------ acts

    def be_honest(self) -> None:
        """Stop cheating."""
        self.cheat = Cheat()
        self.channels.be_honest()

    async def put(self, *envelopes: Envelope) -> None:
        """Lay envelopes into their recipients' mailboxes, whoever made them."""
        for given in envelopes:
            account = self.accounts[given.recipient]
            envelope = given.changed()  # an object of its own, also when one is delivered again
            account.mailbox.append(envelope)
            if account.line is not None and envelope.recipient not in self.held:
                await self._deliver(account.line, envelope)
        await self._note()

    async def forge(self, sender: bytes, recipient: bytes, payload: bytes) -> Envelope:
        """Deliver a payload under any sender, with a fresh delivery id; returns the envelope."""
        envelope = Envelope(os.urandom(16), sender, recipient, payload)
        await self.put(envelope)
        return envelope

    async def say(self, identity: bytes, *messages: m.ServerMessage) -> None:
        """Send frames to a client that is connected."""
        line = self._line(identity)
        for message in messages:
            await self._say(line, message)

    def is_online(self, identity: bytes) -> bool:
        """Whether this identity is connected."""
        account = self.accounts.get(identity)
        return account is not None and account.line is not None

    def nonce_of(self, identity: bytes) -> bytes:
        """The nonce of this identity's login."""
        return self._line(identity).core.nonce

    def _line(self, identity: bytes) -> Line:
        line = self.accounts[identity].line
        assert line is not None, "not connected"
        return line

    def hold(self, identity: bytes) -> None:
        """Deliver nothing to this identity until `release`."""
        self.held.add(identity)

    async def release(
        self, identity: bytes, order: Callable[[list[Envelope]], list[Envelope]] = list
    ) -> None:
        """Deliver what was held, in the order that `order` makes of it."""
        self.held.discard(identity)
        account = self.accounts[identity]
        account.mailbox = deque(order(list(account.mailbox)))
        if account.line is not None:
            waiting = set(map(id, account.line.unacknowledged.values()))
            for envelope in [each for each in account.mailbox if id(each) not in waiting]:
                await self._deliver(account.line, envelope)
        await self._note()

    async def cut(self, identity: bytes, code: int = 1006) -> None:
        """Break this identity's connection; its mailbox stays."""
        account = self.accounts[identity]
        if account.line is not None:
            line, account.line = account.line, None
            await line.end.close(code)

    # ------------------------------------------------------------ waits

    async def until(self, reached: Callable[[], bool], what: str) -> None:
        """Wait until `reached()`; something must happen at the server for it to be looked at again."""
        try:
            async with asyncio.timeout(_PATIENCE), self._changed:
                await self._changed.wait_for(reached)
        except TimeoutError:
            raise AssertionError(f"the server waited in vain for: {what}") from None

    async def drained(self, identity: bytes) -> None:
        """Wait until this identity has acknowledged everything in its mailbox."""
        account = self.accounts[identity]
        await self.until(
            lambda: not account.mailbox and not (account.line and account.line.unacknowledged),
            "an empty mailbox",
        )

    async def sent_count(self, count: int) -> None:
        """Wait until clients have sent `count` messages."""
        await self.until(lambda: len(self.sent) >= count, f"{count} messages, of which came {len(self.sent)}")

    def sent_by(self, sender: bytes) -> list[Envelope]:
        """What this identity sent."""
        return [envelope for envelope in self.sent if envelope.sender == sender]

    # ------------------------------------------------------------ the honest part

    async def _serve(self, line: Line) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write(line))
                await line.outgoing.put(line.core.challenge())
                try:
                    while True:
                        await self._receive(line, await line.end.receive())
                finally:
                    writer.cancel()
        except* TransportClosed:
            pass
        finally:
            account = self.accounts.get(line.identity)
            if account is not None and account.line is line:
                account.line = None
            await line.end.close()
            await self._note()

    @staticmethod
    async def _write(line: Line) -> None:
        while True:
            await line.end.send(await line.outgoing.get())

    async def _receive(self, line: Line, data: bytes) -> None:
        event = line.core.receive(data)
        if isinstance(event, Refusal):
            await line.outgoing.put(event.frame)
            if event.close is not None:
                while not line.outgoing.empty():  # what was said before the close arrives
                    await line.end.send(line.outgoing.get_nowait())
                await line.end.close(event.close)
        elif isinstance(event, LoggedIn):
            await self._log_in(line, event)
        else:
            self.arrived.append((line.identity, data))
            if not isinstance(event, MediaUp):
                await self._handle(line, event)
        await self._note()

    async def _log_in(self, line: Line, event: LoggedIn) -> None:
        line.identity = event.identity
        account = self.accounts.setdefault(event.identity, Account(event.x_public, event.binding))
        account.x_public, account.binding = event.x_public, event.binding
        account.line = line
        await line.outgoing.put(line.core.welcome(len(account.mailbox), ALLOWED))
        if event.identity not in self.held:
            for envelope in account.mailbox:
                await self._deliver(line, envelope)

    async def _handle(self, line: Line, message: m.ClientMessage) -> None:
        account = self.accounts[line.identity]
        if isinstance(message, m.SendMessage):
            await self._send(line, message)
        elif isinstance(message, m.AckDeliveries):
            self._acknowledge(line, account, message.tag)
        elif isinstance(message, m.PublishPrekeys):
            _publish(account, message)
            await self._say(line, _count(account, message.rid))
        elif isinstance(message, m.GetPrekeyCount):
            await self._say(line, _count(account, message.rid))
        elif isinstance(message, m.GetPrekeyBundle):
            await self._say(line, self._bundle(line.identity, message))
        elif isinstance(message, m.SendSignal):
            await self._signal(line, message)
        elif isinstance(message, m.GetIceConfig):
            await self._say(line, msgspec.structs.replace(self.ice, rid=message.rid))
        elif isinstance(message, m.Ping):
            await self._say(line, m.Pong(message.rid))
        else:
            await self.channels.handle(line.identity, message)

    async def _send(self, line: Line, message: m.SendMessage) -> None:
        envelope = Envelope(message.id, line.identity, message.recipient, message.payload)
        self.sent.append(envelope)
        if envelope.recipient not in self.accounts:
            code = ErrorCode.UNKNOWN_RECIPIENT
            await self._say(line, m.Error(code, sentence(code), message.rid, message.id))
            return
        for each in self.cheat.forward(envelope):
            await self.put(each)
        answer = self.cheat.answer(message)
        if answer is not None:
            await self._say(line, answer)

    async def _signal(self, line: Line, message: m.SendSignal) -> None:
        self.signals.append((line.identity, message))
        if not self.is_online(message.recipient):
            await self._say(line, m.Error(ErrorCode.OFFLINE, sentence(ErrorCode.OFFLINE), message.rid))
            return
        for recipient, signal in self.cheat.signal(line.identity, message):
            await self.say(recipient, signal)
        await self._say(line, m.Forwarded(message.rid))

    def _acknowledge(self, line: Line, account: Account, tag: int) -> None:
        for covered in [each for each in line.unacknowledged if each <= tag]:
            envelope = line.unacknowledged.pop(covered)
            self.acknowledged.append(envelope)
            if self.cheat.acknowledge:
                account.mailbox = deque(each for each in account.mailbox if each is not envelope)

    def _bundle(self, asker: bytes, message: m.GetPrekeyBundle) -> m.ServerMessage:
        account = self.accounts.get(message.pubkey)
        if account is None or account.signed is None or account.last_resort is None:
            return m.Error(ErrorCode.NO_PREKEYS, sentence(ErrorCode.NO_PREKEYS), message.rid)
        one_time = account.one_time[0] if account.one_time else None
        kem = account.kem_one_time[0] if account.kem_one_time else account.last_resort
        kind = 1 if account.kem_one_time else 2
        if self.cheat.take_one_time:
            for stock in (account.one_time, account.kem_one_time):
                if stock:
                    stock.popleft()
        bundle = m.PrekeyBundle(
            message.pubkey,
            account.x_public,
            account.binding,
            account.signed,
            kem,
            kind,
            one_time,
            message.rid,
        )
        return self.cheat.bundle(asker, bundle)

    async def _deliver(self, line: Line, envelope: Envelope) -> None:
        line.tag += 1
        line.unacknowledged[line.tag] = envelope
        await self._say(line, _delivery(line.tag, envelope))

    async def _say(self, line: Line, message: m.ServerMessage) -> None:
        for frame in self.cheat.frame(line.identity, message):
            self.left.append((line.identity, frame))
            await line.outgoing.put(frame)

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _delivery(tag: int, envelope: Envelope) -> m.Delivery:
    return m.Delivery(tag, envelope.id, envelope.sender, envelope.payload, envelope.channel)


def _publish(account: Account, message: m.PublishPrekeys) -> None:
    if message.reset:
        account.one_time.clear()
        account.kem_one_time.clear()
    account.signed = message.signed or account.signed
    account.last_resort = message.last_resort or account.last_resort
    account.one_time.extend(message.one_time)
    account.kem_one_time.extend(message.kem_one_time)


def _count(account: Account, rid: int | None) -> m.PrekeyCount:
    return m.PrekeyCount(
        len(account.one_time),
        len(account.kem_one_time),
        account.signed.id if account.signed else 0,
        account.last_resort.id if account.last_resort else 0,
        rid,
    )


def altered(message: Any, **fields: Any) -> Any:
    """The same wire message with other fields, however wrong."""
    return msgspec.structs.replace(message, **fields)
