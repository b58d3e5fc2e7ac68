"""Engines in channels of a real server in this process, whose wires a test can watch, bend and cut.

The server keeps its rows in memory, so that a world costs little. Not its concern: a server that lies about
its books (`mobium.client` is attacked in tests/attacks), and durability.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mobium.client import ChannelChanged, Engine
from mobium.client.address import Address
from mobium.client.store import channels
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.client.store.messages import Message
from mobium.client.transport import Transport, TransportClosed, dial
from mobium.errors import MobiumError, ProtocolError
from mobium.protocol import codec
from mobium.protocol.media_frames import is_media
from mobium.protocol.messages import ClientMessage, ServerMessage
from tests.support.clocks import Hands
from tests.support.engines import PATIENCE, Ear, World, inside, tx, until

__all__ = [
    "STRANGER",
    "ChannelWorld",
    "Tap",
    "calm",
    "channel_world",
    "enter",
    "equal_secrets",
    "everything",
    "has_role",
    "lines",
    "members_seen",
    "refused",
    "row_of",
    "said",
    "shows",
    "state",
    "still",
    "texts",
    "told",
]

M = TypeVar("M")

STRANGER = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
"""The key of somebody whom nobody knows."""


# ---------------------------------------------------------------- wires


class _Tapped:
    """A transport through which a tap looks."""

    def __init__(self, tap: Tap, inner: Transport) -> None:
        self._tap = tap
        self._inner = inner
        self.waiting: asyncio.Queue[bytes | TransportClosed] = asyncio.Queue()
        self._pump = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                data = await self._inner.receive()
                for out in self._tap.come(data):
                    self.waiting.put_nowait(out)
        except TransportClosed as error:
            self.waiting.put_nowait(error)

    async def send(self, data: bytes) -> None:
        for out in self._tap.go(data):
            await self._inner.send(out)

    async def receive(self) -> bytes:
        found = await self.waiting.get()
        if isinstance(found, TransportClosed):
            raise found
        return found

    async def close(self) -> None:
        self._pump.cancel()
        with suppress(asyncio.CancelledError):
            await self._pump
        await self._inner.close()


@dataclass
class Tap:
    """The wire of one profile. `up` and `down` say what becomes of a frame: a message in its place, or None
    for nothing at all.
    """

    up: Callable[[ClientMessage], ClientMessage | None] = lambda message: message
    down: Callable[[ServerMessage], ServerMessage | None] = lambda message: message
    sent: list[ClientMessage] = field(default_factory=list)
    got: list[ServerMessage] = field(default_factory=list)
    media: deque[bytes] = field(default_factory=lambda: deque(maxlen=1_000))
    """The last media frames that came."""
    tried: int = 0
    """For a test to count what it likes."""
    refuses: bool = False
    """Whether the server cannot be reached over this wire."""
    _line: _Tapped | None = None

    async def connect(self, address: Address) -> Transport:
        """The connector of the engine."""
        if self.refuses:
            raise TransportClosed(1006)
        self._line = _Tapped(self, await dial(address))
        return self._line

    def go(self, data: bytes) -> Iterable[bytes]:
        """What is sent in the place of a client's frame."""
        with suppress(ProtocolError):
            message = codec.decode_client(data)
            out = self.up(message)
            if out is not None:
                self.sent.append(out)
            if out is not message:
                return [] if out is None else [codec.encode(out)]
        return [data]

    def come(self, data: bytes) -> Iterable[bytes]:
        """What arrives in the place of a server's frame."""
        if is_media(data):
            self.media.append(data)
            return [data]
        with suppress(ProtocolError):
            message = codec.decode_server(data)
            self.got.append(message)
            out = self.down(message)
            if out is not message:
                return [] if out is None else [codec.encode(out)]
        return [data]

    def honest(self) -> None:
        """Let everything through again."""
        self.up, self.down = (lambda message: message), (lambda message: message)

    def say(self, message: ServerMessage) -> None:
        """Something arrives that the server has not said."""
        self.inject(codec.encode(message))

    def inject(self, data: bytes) -> None:
        """A frame arrives that the server has not sent."""
        assert self._line is not None
        self._line.waiting.put_nowait(data)

    def cut(self) -> None:
        """The connection breaks."""
        assert self._line is not None
        self._line.waiting.put_nowait(TransportClosed(1006))

    def all(self, kind: type[M]) -> list[M]:
        """Every frame of a type that was sent."""
        return [message for message in self.sent if isinstance(message, kind)]

    async def count(self, kind: type[Any], number: int) -> None:
        """Wait until so many of a type were sent."""

        async def there() -> bool:
            return len(self.all(kind)) >= number

        await until(there)


# ---------------------------------------------------------------- the world


@dataclass
class ChannelWorld(World):
    """Profiles whose wires are tapped, by name."""

    hands: Hands = field(default_factory=Hands)
    taps: dict[str, Tap] = field(default_factory=dict)

    def tap(self, name: str) -> Tap:
        """The wire of a profile."""
        return self.taps.setdefault(name, Tap())

    @asynccontextmanager
    async def opened(self, name: str, *, connect: bool = True, **options: Any) -> AsyncIterator[Engine]:
        """A profile, made if there is none, open for the time of an `async with`."""
        options.setdefault("connector", self.tap(name).connect)
        options.setdefault("uniform", lambda low, _high: min(low, 0.01))
        async with super().opened(name, connect=connect, **options) as engine:
            yield engine

    async def people(self, *names: str) -> list[Engine]:
        """Connected engines."""
        return [await self.engine(name) for name in names]

    async def gather(self, *names: str, name: str = "garden", private: bool = True) -> list[Engine]:
        """Connected engines in a channel that the first of them made, who all know each other."""
        people = await self.people(*names)
        await enter(people[0], *people[1:], name=name, private=private)
        return people


async def enter(owner: Engine, *others: Engine, name: str = "garden", private: bool = True) -> str:
    """A new channel with these members; returns its id."""
    channel = await owner.create_channel(name, private)
    if others:
        link = await owner.invite(f"#{channel.id}", uses=0)
        for other in others:
            await other.join(link)
        await members_seen(f"#{channel.id}", 1 + len(others), owner, *others)
    return channel.id


async def members_seen(channel: str, count: int, *engines: Engine) -> None:
    """Wait until each sees so many members."""
    for engine in engines:

        async def there(engine: Engine = engine) -> bool:
            return (await engine.channels.get(channel)).members == count

        await until(there)


async def lines(engine: Engine, channel: str = "#garden", limit: int = 1_000) -> list[Message]:
    """What is shown of a channel, without changes."""
    return [line for line in await engine.history(channel, limit=limit) if line.kind != "notice"]


async def texts(engine: Engine, channel: str = "#garden") -> list[str | None]:
    """The texts that are shown of a channel; what cannot be read is named by its kind."""
    return [line.text if line.kind == "text" else f"({line.kind})" for line in await lines(engine, channel)]


async def shows(engine: Engine, wanted: list[str], channel: str = "#garden") -> None:
    """Wait until exactly these texts are shown, in order."""

    async def there() -> bool:
        return await texts(engine, channel) == wanted

    try:
        await until(there)
    except TimeoutError:
        raise AssertionError(f"shown: {await texts(engine, channel)}, and not {wanted}") from None


async def state(engine: Engine, wanted: str, channel: str = "#garden") -> None:
    """Wait until a channel is in that state."""

    async def there() -> bool:
        return (await engine.channels.get(channel)).state == wanted

    await until(there)


def _row(tx: Tx, channel: str) -> ChannelRow:
    found = channels.by_key(tx, bytes.fromhex(channel.removeprefix("#")))
    assert found is not None
    return found


async def row_of(engine: Engine, channel: str) -> ChannelRow:
    """The row of a channel, by its id."""
    return await tx(engine, _row, channel)


def _everything(tx: Tx) -> dict[str, list[str]]:
    names = tx.all("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    rows = {name: sorted(map(repr, tx.all(f"SELECT * FROM {name}"))) for (name,) in names}
    rows["meta"] = [row for row in rows["meta"] if "maintained_at" not in row]
    del rows["server"]  # when a mailbox was last empty
    return rows


async def everything(engine: Engine) -> dict[str, list[str]]:
    """All rows of a profile, to compare what should not have changed."""
    return await tx(engine, _everything)


async def still(engine: Engine) -> dict[str, list[str]]:
    """All rows of a profile, once nothing changes any more."""
    async with asyncio.timeout(PATIENCE):
        before = await everything(engine)
        while True:
            await asyncio.sleep(0.02)
            after = await everything(engine)
            if after == before:
                return after
            before = after


async def refused(
    engine: Engine, work: Coroutine[Any, Any, object], error: type[MobiumError], says: str
) -> None:
    """`work` fails so, with a code of the server or a part of a sentence, and has changed nothing."""
    before = await still(engine)
    with pytest.raises(error) as caught:
        await work
    assert type(caught.value) is error, caught.value
    assert says in (getattr(caught.value, "code", ""), str(caught.value)) or says in str(caught.value)
    assert str(caught.value)[0].isupper()
    assert str(caught.value).endswith(".")
    after = await everything(engine)
    assert [(name, before[name], rows) for name, rows in after.items() if rows != before[name]] == []


def _waits(tx: Tx, now: int) -> bool:
    return (
        tx.one(
            "SELECT 1 FROM post UNION SELECT 1 FROM outbox UNION SELECT 1 FROM handout WHERE not_before <= ?",
            now,
        )
        is not None
    )


async def calm(*engines: Engine) -> None:
    """Wait until nothing waits to go out."""
    for engine in engines:

        async def quiet(engine: Engine = engine) -> bool:
            return not await tx(engine, _waits, inside(engine).now())

        async with asyncio.timeout(PATIENCE):
            await until(quiet)


async def said(engine: Engine, text: str, channel: str = "#garden") -> str:
    """Send a text, and return its id when the server has it."""
    message = await engine.send(channel, text)
    await engine.wait(message, "sent", PATIENCE)
    return message


@asynccontextmanager
async def channel_world(folder: Path, url: str, hands: Hands) -> AsyncIterator[ChannelWorld]:
    """A world whose profiles lie in `folder` and whose server is at `url`."""
    async with ChannelWorld(folder, dial, url, hands=hands) as world:
        yield world


async def told(ear: Ear, what: str) -> ChannelChanged:
    """The next change of that kind."""
    return await ear.next(ChannelChanged, lambda event: event.what == what)


async def has_role(one: Engine, other: Engine, role: str) -> bool:
    """Whether one shows the other in the garden, in that role."""
    found = [member for member in await one.members("#garden") if member.key == other.me]
    return [member.role for member in found] == [role]


async def equal_secrets(channel: str, *engines: Engine) -> bool:
    """Whether all of them have the same secret of a channel."""
    secrets = {(await row_of(one, channel)).secret for one in engines}
    return len(secrets) == 1 and None not in secrets
