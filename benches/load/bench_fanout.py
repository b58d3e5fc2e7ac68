"""B17: what a channel message costs the server's CPU for each member who is online, against
`websockets.broadcast`; and how many a second it takes into a channel, each acknowledged after its commit.

Ours does more: it checks the roster, numbers and stores the message, and answers its sender. Both servers get
the same load in turns, on a core of their own, a few messages at once from one sender.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benches.load.floor_broadcast import __file__ as floor_broadcast
from benches.load.harness import (
    PATIENCE,
    ROOT,
    Cheap,
    Person,
    answer,
    cpu,
    kind,
    log_in,
    mobium_server,
    open_socket,
    pin,
    started,
)
from mobium.protocol import codec
from mobium.protocol.limits import BUCKET_SIZES, SENDER_KEY_OVERHEAD
from mobium.protocol.messages import (
    Accepted,
    Appended,
    ChannelMessage,
    ChannelPost,
    CreateChannel,
    JoinChannel,
)
from mobium.protocol.roster import SEALED_SIZE, ZEROS, Access, Kind, Roster, build
from mobium_server.storage.sqlite import SqliteStorage

READERS = 40
IN_FLIGHT = 4
MANY = 256  # under way when it is the number that counts
BODY = b"\x01".ljust(BUCKET_SIZES[0] + SENDER_KEY_OVERHEAD, b"\0")


class Open:
    """An open channel of one sender and some readers, all of them online."""

    def __init__(self, sender: Cheap, readers: list[Cheap], roster: Roster) -> None:
        self.sender = sender
        self.readers = readers
        self._channel = roster.channel_id
        self._index = roster.index

    @property
    def id(self) -> bytes:
        """The channel's id."""
        return self._channel

    @classmethod
    async def made(cls, url: str, readers: int, context: ssl.SSLContext | None = None) -> Open:
        """A new one."""
        sender, owner = await log_in(url, context)
        data = bytes((Access.OPEN,)) + os.urandom(32 + SEALED_SIZE)
        raw = statement(owner, Kind.CREATE, None, data)
        await answer(sender, CreateChannel(raw), Appended)
        roster = Roster.begin(raw)
        sockets = []
        for _ in range(readers):
            socket, person = await log_in(url, context)
            raw = statement(person, Kind.JOIN, roster, b"")
            await answer(socket, JoinChannel(raw), Appended)
            roster = roster.append(raw)
            sockets.append(socket)
        return cls(sender, sockets, roster)

    def post(self) -> bytes:
        """A frame with the next message."""
        return codec.encode(ChannelPost(os.urandom(16), self._channel, self._index, BODY))

    def close(self) -> None:
        """Everybody is gone."""
        for one in (self.sender, *self.readers):
            one.transport.abort()


def statement(person: Person, what: Kind, roster: Roster | None, data: bytes) -> bytes:
    """A statement that follows on a roster."""
    now = int(time.time() * 1000)
    if roster is None:
        return build(person, what, ZEROS, 0, ZEROS, person.public, now, data)
    return build(person, what, roster.channel_id, roster.index + 1, roster.head, person.public, now, data)


async def deliver(channel: Open, number: int, at_once: int) -> set[int]:
    """Send so many messages; returns their numbers when all are acknowledged and with every reader."""
    left, shown = number, 0
    acknowledged: set[int] = set()
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send() -> None:
        nonlocal left
        if left > 0:
            left -= 1
            channel.sender.send(channel.post())

    def check() -> None:
        if len(acknowledged) == number and shown == number * len(channel.readers) and not done.done():
            done.set_result(None)

    def at_sender(frames: list[bytes]) -> None:
        for one in frames:
            message = kind(one)
            assert isinstance(message, Accepted), message
            assert message.number is not None
            acknowledged.add(message.number)
            send()
        check()

    def at_reader(frames: list[bytes]) -> None:
        nonlocal shown
        shown += len(frames)
        check()

    for reader in channel.readers:
        reader.on_frames = at_reader
    channel.sender.on_frames = at_sender
    for _ in range(at_once):
        send()
    async with asyncio.timeout(PATIENCE):
        await done
    return acknowledged


async def ours(url: str, process: psutil.Process, number: int) -> tuple[float, float]:
    """CPU seconds for each delivery, and messages a second."""
    channel = await Open.made(url, READERS)
    seen: list[object] = []
    channel.readers[0].on_frames = lambda frames: seen.extend(map(kind, frames))
    channel.sender.send(channel.post())
    await asyncio.sleep(0.2)
    assert [type(one) for one in seen] == [ChannelMessage]
    before, began = cpu(process), time.perf_counter()
    await deliver(channel, number, IN_FLIGHT)
    spent, seconds = cpu(process) - before, time.perf_counter() - began
    channel.close()
    return spent / (number * READERS), number / seconds


async def floor(url: str, process: psutil.Process, number: int) -> float:
    """The same of the bare broadcast; a reader's frame starts the next message, since nobody answers."""
    sockets = [await open_socket(url) for _ in range(READERS + 1)]
    sender, *readers = sockets
    await asyncio.gather(*(one.ready for one in sockets))
    await asyncio.sleep(0.1)
    data = codec.encode(ChannelMessage(bytes(32), 1, bytes(32), BODY))
    left, shown = number, 0
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send() -> None:
        nonlocal left
        if left > 0:
            left -= 1
            sender.send(data)

    def at_reader(frames: list[bytes]) -> None:
        nonlocal shown
        shown += len(frames)
        if shown == number * READERS:
            done.set_result(None)

    def at_first(frames: list[bytes]) -> None:
        for _ in frames:
            send()
        at_reader(frames)

    for one in readers:
        one.on_frames = at_reader
    readers[0].on_frames = at_first
    before = cpu(process)
    for _ in range(IN_FLIGHT):
        send()
    async with asyncio.timeout(PATIENCE):
        await done
    spent = cpu(process) - before
    for one in sockets:
        one.transport.abort()
    return spent / (number * READERS)


async def many(url: str, process: psutil.Process, number: int) -> tuple[float, set[int]]:
    """Messages a second into a channel in which nobody else is online, and the numbers that were
    acknowledged; the server is killed at the end.
    """
    channel = await Open.made(url, 0)
    began = time.perf_counter()
    acknowledged = await deliver(channel, number, MANY)
    seconds = time.perf_counter() - began
    process.kill()
    channel.close()
    return number / seconds, acknowledged


def stored(path: Path) -> set[int]:
    """The numbers of messages in a database whose server was killed."""
    storage = SqliteStorage(path, READERS)
    storage.open()
    found = {row[0] for row in storage.connection.execute("SELECT number FROM posts")}
    storage.close()
    return found


def rows(quick: bool) -> list[dict[str, Any]]:
    """Three rows."""
    number, rounds, most = (200, 3, 1_000) if quick else (1_000, 5, 10_000)
    pin(0, last=False)
    costs, speeds, floors, alone = [], [], [], []
    (ROOT / "build").mkdir(exist_ok=True)
    # Not in the temporary folder, which may be memory: a commit waits for the disk.
    with (
        tempfile.TemporaryDirectory(dir=ROOT / "build") as folder,
        mobium_server(Path(folder) / "readers") as (process, url),
        started([floor_broadcast]) as (floor_process, floor_url),
    ):
        for _ in range(rounds):
            cost, speed = asyncio.run(ours(url, process, number))
            costs.append(cost)
            speeds.append(speed)
            floors.append(asyncio.run(floor(floor_url, floor_process, number)))
        for turn in range(rounds):
            place = Path(folder) / str(turn)
            with mobium_server(place) as (victim, victim_url):
                speed, acknowledged = asyncio.run(many(victim_url, victim, most))
            assert acknowledged <= stored(place / "mobium.db"), "acknowledged before its commit"
            alone.append(speed)
    mine, theirs = statistics.median(costs) * 1e6, statistics.median(floors) * 1e6
    return [
        {
            "id": "B17",
            "what": f"channel message to {READERS} online: server CPU for each delivery (ours stores it too)",
            "ours": round(mine, 2),
            "peer": round(theirs, 2),
            "peer_name": "websockets.broadcast",
            "unit": "us",
            "ratio": round(mine / theirs, 2),
        },
        {
            "id": "B17",
            "what": f"the same: messages of one sender, {IN_FLIGHT} at once, acknowledged after commit",
            "ours": round(statistics.median(speeds)),
            "unit": "/s",
        },
        {
            "id": "B17",
            "what": f"messages into a channel, nobody online, {MANY} at once; after a kill all are there",
            "ours": round(statistics.median(alone)),
            "unit": "/s",
        },
    ]
