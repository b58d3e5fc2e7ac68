"""Two days of 2,000 people in two and a half minutes: traffic that swells and ebbs, people who come and go,
mail for those who are away, a channel that talks; and the memory of the server, hour by hour, which takes on
the second day what it took on the first (benches/RESULTS.md has eight of them).

Not its concern: how fast it is (benches/load).
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from pathlib import Path

import psutil
import pytest

from benches.load.harness import (
    Cheap,
    Person,
    ask,
    kind,
    log_in_as,
    memory,
    mobium_server,
    payload,
    publication,
)
from mobium.protocol import codec
from mobium.protocol import messages as m
from mobium.protocol.roster import Access
from tests.support.channels import Room, gather, write
from tests.support.server import Client, log_in

pytestmark = [pytest.mark.serial, pytest.mark.long]

PEOPLE = 2_000
DAY = (2, 1, 1, 1, 1, 2, 4, 6, 7, 7, 7, 8, 8, 7, 7, 7, 8, 9, 10, 10, 9, 7, 5, 3)  # tenths of the busiest hour
DAYS = 2
HOUR = 3.0  # seconds
BUSIEST = 300  # direct messages a second
TALK = 4  # channel messages a second then, to each of the members
MEMBERS = 20
MOVING = 0.05  # of all people go in an hour, and as many come back
AT_ONCE = 20  # logins that go on at the same time
MIB = 1 << 20
# What a message leaves for ten minutes, which are eight days here: the hash by which it is known again.
REMEMBERED = 160  # bytes
GROWTH = 8 * MIB  # beside that, from one day to the next: what the allocator could not use again


class Somebody:
    """One of them: takes what comes, and acknowledges it."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.person = Person()
        self.line: Cheap | None = None
        self._counts = counts

    async def come(self, url: str) -> None:
        self.line, _ = await log_in_as(url, self.person, self._take)

    def go(self) -> None:
        line, self.line = self.line, None
        assert line is not None
        line.transport.abort()

    def _take(self, frames: list[bytes]) -> None:
        tag = 0
        for one in map(kind, frames):
            self._counts[type(one).__name__] = self._counts.get(type(one).__name__, 0) + 1
            if isinstance(one, m.Delivery):
                tag = one.tag
        if tag and self.line is not None:
            self.line.send(codec.encode(m.AckDeliveries(tag)))

    def write(self, to: Somebody) -> None:
        assert self.line is not None
        self.line.send(codec.encode(m.SendMessage(os.urandom(16), to.person.public, payload())))


class Town:
    """All of them."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = url
        self.chance = random.Random(seed)
        self.counts: dict[str, int] = {}
        self.here = [Somebody(self.counts) for _ in range(PEOPLE)]
        self.away: list[Somebody] = []
        self.sent = 0

    async def arrive(self) -> None:
        """Everybody comes for the first time."""

        async def one(somebody: Somebody) -> None:
            await somebody.come(self.url)
            assert somebody.line is not None
            take, somebody.line.on_frames = somebody.line.on_frames, lambda _frames: None
            await ask(somebody.line, codec.encode(publication()))
            somebody.line.on_frames = take

        for start in range(0, PEOPLE, AT_ONCE):
            await asyncio.gather(*map(one, self.here[start : start + AT_ONCE]))

    async def move(self) -> None:
        """Some go, and those who went before come back."""
        self.chance.shuffle(self.here)
        going = [self.here.pop() for _ in range(int(PEOPLE * MOVING))]
        for somebody in going:
            somebody.go()
        back, self.away = self.away, going
        for start in range(0, len(back), AT_ONCE):
            await asyncio.gather(*(one.come(self.url) for one in back[start : start + AT_ONCE]))
        self.here += back

    async def hour(self, level: int, room: Room, owner: Client) -> None:
        """Messages, evenly over the hour; one of ten is for somebody who is away."""
        begin = time.monotonic()
        await self.move()
        number = int(BUSIEST * HOUR * level / 10)
        every = max(1, BUSIEST // TALK)
        for count in range(number):
            wait = begin + count * HOUR / number - time.monotonic()
            if wait > 0.005:
                await asyncio.sleep(wait)
            others = self.away if self.away and count % 10 == 0 else self.here
            self.chance.choice(self.here).write(self.chance.choice(others))
            self.sent += 1
            if count % every == 0:
                await write(owner, room)
        await asyncio.sleep(max(0.0, begin + HOUR - time.monotonic()))

    async def settled(self) -> None:
        """Every message has its answer, except those whose senders went before it."""
        async with asyncio.timeout(60):
            before = -1
            while before != (before := self.counts.get("Accepted", 0)):  # noqa: ASYNC110 - no event says it
                await asyncio.sleep(1)


async def drain(one: Client) -> None:
    """Read and forget."""
    async for _ in one.socket:
        pass


async def live(process: psutil.Process, url: str, seed: int) -> tuple[list[int], Town]:
    """Days; the resident bytes after each hour."""
    town = Town(url, seed)
    await town.arrive()
    owner, *others = [await log_in(url) for _ in range(MEMBERS)]
    room = await gather(owner, *others, access=Access.OPEN)
    readers = [asyncio.create_task(drain(one)) for one in (owner, *others)]
    sizes = []
    for number, level in enumerate(DAY * DAYS):
        await town.hour(level, room, owner)
        sizes.append(memory(process))
        print(f"hour {number:2}: {town.sent:6} messages, {sizes[-1] / MIB:6.1f} MiB", file=sys.stderr)
    await town.settled()
    for reader in readers:
        reader.cancel()
    for client in (owner, *others):
        client.socket.transport.abort()
    assert sum(one.line is not None and not one.line.lost for one in town.here) == len(town.here)
    for somebody in town.here:
        somebody.go()
    return sizes, town


def test_days_of_two_thousand_people_take_the_same_memory(tmp_path: Path, seed: int) -> None:
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with mobium_server(tmp_path) as (process, url):
        sizes, town = asyncio.run(live(process, url, seed))
    assert town.counts.get("Error", 0) == 0
    # Nearly all were answered; who goes takes the answers that were on their way with him.
    assert town.counts["Accepted"] > 0.95 * town.sent
    assert town.counts["Delivery"] > 0.85 * town.sent
    hours = len(DAY)
    first, last = max(sizes[:hours]), max(sizes[-hours:])
    assert last - first < (DAYS - 1) * (GROWTH + REMEMBERED * town.sent / DAYS)
