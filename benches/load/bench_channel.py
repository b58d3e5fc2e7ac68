"""B16: a private channel of 500: what one more join costs, the first message of a member, a message after it,
a message after somebody was removed, and a reader's way back to 1,000 messages.

Its owner and two members are engines, in this process; the others are members as `benches.load.members` makes
them. Everybody but the engines is offline while the engines are timed, so that this process does their work
alone; the server stores what it is given, on the disk. A row's frames and bytes are what passed the engine's
connection. Not its concern: what a message costs the server (benches/load/bench_fanout.py).
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psutil

from benches.load.harness import PATIENCE, ROOT, cpu, mobium_server, pin
from benches.load.members import Crowd, Member
from mobium.client import Engine
from mobium.client.address import Address
from mobium.client.events import MessageReceived
from mobium.client.join_links import parse_join
from mobium.client.transport import Transport, dial
from mobium.protocol import codec
from mobium.protocol.messages import (
    Accepted,
    AckDeliveries,
    ChannelPost,
    ClientMessage,
    Delivery,
    Distribute,
    GetPrekeyBundle,
    RosterPage,
    SendMessage,
    ServerMessage,
)
from mobium.protocol.roster import Roster

PASSWORD = "a password for a bench"
CHANNEL = "#bench"
TEXT = "x" * 200
RATE, BURST, SHARE = 30, 60, 0.8  # of the server by default; what an engine takes of it
POLL = 0.02

Row = dict[str, Any]


# ---------------------------------------------------------------- what passes an engine's connection


class Meter:
    """Keeps every frame of an engine until it is asked."""

    def __init__(self) -> None:
        self.up: list[bytes] = []
        self.down: list[bytes] = []

    async def dial(self, address: Address) -> Transport:
        """A connector for an engine."""
        return _Metered(await dial(address), self)

    def clear(self) -> None:
        """Begin anew."""
        self.up.clear()
        self.down.clear()

    def sent(self) -> list[tuple[ClientMessage, int]]:
        """What went up, each with its bytes."""
        return [(codec.decode_client(data), len(data)) for data in self.up]

    def received(self) -> list[tuple[ServerMessage, int]]:
        """What came down."""
        return [(codec.decode_server(data), len(data)) for data in self.down]


class _Metered:
    def __init__(self, transport: Transport, meter: Meter) -> None:
        self._transport = transport
        self._meter = meter

    async def send(self, data: bytes) -> None:
        self._meter.up.append(data)
        await self._transport.send(data)

    async def receive(self) -> bytes:
        data = await self._transport.receive()
        self._meter.down.append(data)
        return data

    async def close(self) -> None:
        await self._transport.close()


class Spent(msgspec.Struct):
    """What a message has cost its sender, until it was acknowledged."""

    seconds: float
    posts: int = 0
    bundles: int = 0
    distributions: int = 0
    frames: int = 0
    secrets: int = 0
    bytes: int = 0
    sizes: set[int] = msgspec.field(default_factory=set)

    @classmethod
    def of(cls, seconds: float, meter: Meter) -> Spent:
        """Read off what went up."""
        spent = cls(seconds)
        for message, size in meter.sent():
            spent.bytes += size
            spent.posts += isinstance(message, ChannelPost)
            spent.bundles += isinstance(message, GetPrekeyBundle)
            spent.secrets += isinstance(message, SendMessage)
            if isinstance(message, Distribute):
                spent.frames += 1
                spent.distributions += len(message.distributions)
                spent.sizes |= {len(one.payload) for one in message.distributions}
        assert spent.posts == 1, "one message is encrypted once, however many read it"
        return spent

    def __str__(self) -> str:
        parts = [f"{self.bundles} sessions begun"] if self.bundles else []
        parts.append(f"{self.distributions} distributions of {_sizes(self.sizes)} B in {self.frames} frames")
        if self.secrets:
            parts.append(f"and {self.secrets} new secrets as DMs")
        return f"{', '.join(parts)}, {self.bytes / 1024:,.0f} KiB up"


def _sizes(sizes: set[int]) -> str:
    return " or ".join(f"{size:,}" for size in sorted(sizes))


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that no event tells."""
    async with asyncio.timeout(PATIENCE):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(POLL)


# ---------------------------------------------------------------- the runs


class Run:
    """One channel, from its creation to its last row."""

    def __init__(self, size: int, steady: int, missed: int) -> None:
        self.size = size
        self.steady = steady
        self.missed = missed
        self.rows: list[Row] = []
        self.meters = [Meter(), Meter(), Meter()]
        self.owner: Engine
        self.second: Engine
        self.third: Engine
        self.crowd: Crowd

    def add(self, what: str, ours: float, unit: str, peer: tuple[str, float] | None = None) -> None:
        """One row; `peer` is what it is held against."""
        row = {"id": "B16", "what": f"{self.size} members: {what}", "ours": ours, "unit": unit}
        if peer is not None:
            row |= {"peer_name": peer[0], "peer": peer[1]}
        self.rows.append(row)

    async def open(self, stack: AsyncExitStack, folder: Path) -> None:
        """The three engines."""
        engines = []
        for name, meter in zip(("owner", "second", "third"), self.meters, strict=True):
            await Engine.create(folder / name, PASSWORD)
            engines.append(
                await stack.enter_async_context(
                    Engine.open(folder / name, PASSWORD, receipt_delay=0.0, connector=meter.dial)
                )
            )
        self.owner, self.second, self.third = engines

    async def unlimited(self, url: str, process: psutil.Process) -> None:
        """Everything on a server that takes what it is sent."""
        owner = self.owner
        await owner.connect(url)
        await owner.create_channel(CHANNEL[1:])
        link = await owner.invite(CHANNEL, uses=0)
        await owner.disconnect()
        self.crowd = Crowd(url, parse_join(link))
        await self._grow(process)
        await self._join(link, url)
        await owner.connect(url)
        await until(self._all_there)
        spent = await self._send(self.owner)
        self.add(f"the first message of a member: {spent}", spent.seconds, "s")
        await self._go_on()
        await self._rotate(0, "members who never wrote")
        await self._answer()
        await self._rotate(1, "members who did")
        await self._come_back(url)
        await owner.disconnect()
        await self.second.disconnect()

    async def limited(self, url: str) -> None:
        """The first message of another member, on a server as it is by default."""
        await self.second.connect(url)
        await asyncio.sleep(1)  # what a login brings is over, and the bucket full again
        spent = await self._send(self.second)
        requests = spent.bundles + spent.distributions + 1
        computed = max(0.0, (requests - BURST * SHARE) / (RATE * SHARE))
        what = f"the first message of a member, a server's default limits: {spent}"
        self.add(what, spent.seconds, "s", (f"computed for {requests} requests", computed))

    async def _grow(self, process: psutil.Process) -> None:
        """All but the engines come in; the last joins are measured, with everybody online."""
        last = min(20, self.size // 4)
        crowd = self.crowd
        await crowd.join(await crowd.arrive(self.size - 3 - last))
        arriving = await crowd.arrive(last)
        tally: list[int] = []
        for member in crowd.members:
            assert member.socket is not None
            member.socket.on_frames = lambda frames: tally.extend(map(len, frames))
        before, online = cpu(process), len(crowd.members)
        await crowd.join(arriving)
        async with asyncio.timeout(PATIENCE):
            while len(tally) < last * online:  # noqa: ASYNC110
                await asyncio.sleep(POLL)
        spent = cpu(process) - before
        size = sum(tally) / last / 1024
        self.add(
            f"one more join, server CPU; {online} online get a frame each, {size:,.0f} KiB in all",
            spent / last * 1e3,
            "ms",
        )
        crowd.log_out()

    async def _join(self, link: str, url: str) -> None:
        """Two engines come in, one of them measured."""
        meter = self.meters[1]
        await self.third.connect(url)
        await self.third.join(link)
        await self.second.connect(url)
        meter.clear()
        began = time.perf_counter()
        await self.second.join(link)
        spent = time.perf_counter() - began
        pages = [(page, size) for page, size in meter.received() if isinstance(page, RosterPage)]
        raws = [raw for page, _ in pages for raw in page.statements]
        began = time.perf_counter()
        Roster.load(raws)
        verified = time.perf_counter() - began
        size = sum(size for _, size in pages)
        self.add(f"the joiner, from link to member; the roster has {size / 1024:,.0f} KiB", spent, "s")
        self.add(f"of that, {len(raws)} statements verified", verified, "s")

    async def _all_there(self) -> bool:
        channel = await self.owner.channels.get(CHANNEL)
        return channel.members == self.size

    async def _send(self, engine: Engine, before: float | None = None) -> Spent:
        """One message, until it is acknowledged."""
        meter = self.meters[0] if engine is self.owner else self.meters[1]
        if before is None:
            meter.clear()
            before = time.perf_counter()
        await engine.wait(await engine.send(CHANNEL, TEXT), "sent", PATIENCE)
        return Spent.of(time.perf_counter() - before, meter)

    async def _go_on(self) -> None:
        """Messages that follow, one at a time, then as many as there are."""
        every = [await self._send(self.owner) for _ in range(self.steady)]
        assert not any(spent.distributions for spent in every)
        seconds = statistics.median(spent.seconds for spent in every)
        size = every[0].bytes
        self.add(f"a message after that: one encryption, {size} B up, acknowledged", seconds * 1e3, "ms")

    async def _rotate(self, who: int, whom: str) -> None:
        """Somebody is removed, and a message follows at once."""
        meter = self.meters[0]
        await asyncio.sleep(0.2)
        meter.clear()
        began = time.perf_counter()
        await self.owner.remove(CHANNEL, self.crowd.members[who].identity.public.hex())
        self.size -= 1
        seconds = (await self._send(self.owner, began)).seconds
        await until(self._settled)  # after the message, what a removal sends besides
        spent = Spent.of(seconds, meter)
        self.add(f"a removal and a message after it, to {whom}: {spent}", seconds, "s")

    async def _settled(self) -> bool:
        """Whether the new secret is with everybody too."""
        up = [message for message, _ in self.meters[0].sent() if isinstance(message, SendMessage)]
        answered = {message.id for message, _ in self.meters[0].received() if isinstance(message, Accepted)}
        return len(up) >= self.size - 1 and all(message.id in answered for message in up)

    async def _answer(self) -> None:
        """The members answer the owner, once each."""
        meter = self.meters[0]
        meter.clear()
        answering: list[Member] = self.crowd.members[1:]
        await self.crowd.reply(self.owner.identity.public, answering)

        async def taken() -> bool:
            tags = [message.tag for message, _ in meter.received() if isinstance(message, Delivery)]
            acknowledged = [message.tag for message, _ in meter.sent() if isinstance(message, AckDeliveries)]
            return len(tags) >= len(answering) and bool(acknowledged) and acknowledged[-1] >= tags[-1]

        await until(taken)

    async def _come_back(self, url: str) -> None:
        """A reader is away while messages are sent, and comes back."""
        owner, third = self.owner, self.third
        await third.disconnect()
        began = time.perf_counter()
        ids = [await owner.send(CHANNEL, TEXT) for _ in range(self.missed)]
        await owner.wait(ids[-1], "sent", PATIENCE)
        spent = time.perf_counter() - began
        what = f"{self.missed:,} messages of one member, queued at once, each acknowledged"
        self.add(what, self.missed / spent, "/s")
        events = third.events()
        began = time.perf_counter()
        await third.connect(url)
        left = self.missed
        async with asyncio.timeout(PATIENCE):
            async for event in events:
                left -= isinstance(event, MessageReceived)
                if not left:
                    break
        spent = time.perf_counter() - began
        await third.disconnect()
        self.add(f"{self.missed:,} messages missed: fetched, opened, stored", self.missed / spent, "/s")


async def run(folder: Path, size: int, steady: int, missed: int) -> list[Row]:
    """All rows."""
    one = Run(size, steady, missed)
    async with AsyncExitStack() as stack:
        await one.open(stack, folder)
        with mobium_server(folder / "server", max_offline_messages="100000") as (process, url):
            await one.unlimited(url, process)
        # On the same port, since a channel belongs to one address.
        settings = {"port": str(urlsplit(url).port), "rate_general": f"{RATE}/{BURST}"}
        with mobium_server(folder / "server", **settings) as (_, url):
            await one.limited(url)
            await one.second.disconnect()
    return one.rows


def rows(quick: bool) -> list[Row]:
    """All rows, of a small channel if `quick`."""
    size, steady, missed = (40, 5, 100) if quick else (500, 30, 1_000)
    pin(0, last=False)
    (ROOT / "build").mkdir(exist_ok=True)
    # Not in the temporary folder, which may be memory: both sides wait for their disks.
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        return asyncio.run(run(Path(folder), size, steady, missed))
