"""Calls leave nothing behind: links are set up and closed, and calls made and ended, again and again."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from benches.load import bench_hour
from mobium.client.transport import dial
from mobium.media.sources import Tone
from tests.support.calls import phones, talking
from tests.support.engines import World
from tests.support.links import joined
from tests.support.server import server

pytestmark = [pytest.mark.usefixtures("on_loopback"), pytest.mark.serial, pytest.mark.needs("libopus")]
pytest.importorskip("aiortc")

from mobium.media.peer import RtcLink  # noqa: E402

WARM = 10
LONG = int(os.environ.get("MOBIUM_SCHEDULES", "500"))
GROWTH = 12 << 20
"""Bytes: what allocators may keep. After 200 links it is 7 MiB, and after 800 no more."""


class Use:
    """What this process uses now."""

    def __init__(self) -> None:
        gc.collect()
        process = psutil.Process()
        self.memory = process.memory_info().rss
        self.files = process.num_fds()
        self.threads = threading.active_count()
        self.tasks = len(asyncio.all_tasks())
        self.objects = len(gc.get_objects())


async def flat(rounds: int, once: Callable[[int], Awaitable[None]]) -> None:
    """Assert that so many rounds use no more than the first few did."""
    for number in range(WARM):
        await once(number)
    await asyncio.sleep(0.2)
    before = Use()
    for number in range(rounds):
        await once(number)
    await asyncio.sleep(0.2)
    after = Use()
    print(
        f"{rounds} rounds: {(after.memory - before.memory) >> 10} KiB,"
        f" {after.objects - before.objects} objects more"
    )
    assert after.memory - before.memory < GROWTH
    assert after.objects - before.objects < 20 * 50, "objects that grow with every round"
    assert after.files <= before.files
    assert after.threads <= before.threads
    assert after.tasks <= before.tasks


async def one_link(_: int) -> None:
    async with joined(RtcLink) as (one, _first, _other, second):
        for _ in range(5):
            one.send(b"x" * 80)
        await second.until(lambda: second.packets)


async def test_links_leave_nothing(folder: Path) -> None:
    await flat(50, one_link)


@pytest.mark.long
async def test_many_links_leave_nothing(folder: Path) -> None:
    await flat(LONG, one_link)


@pytest.mark.long
def test_minutes_of_a_call_and_of_a_room_leave_nothing() -> None:
    """Five minutes of both at once, in real time: frames come all the time, and memory is level."""
    rows = bench_hour.measure(10, 30.0)
    for figures in rows:
        print(figures)
    for before, after in pairwise(rows):
        for name in ("frames of the call", "frames of the room"):
            assert after[name] > before[name] + 1_200  # of 1,500
    for name in ("the four, MiB", "server, MiB"):
        assert rows[-1][name] - rows[2][name] < 4, "it grew after the first minute"


async def calls(folder: Path, rounds: int) -> None:
    async with (
        server(folder / "server") as one,
        World(folder, dial, one.url) as world,
        phones(world, RtcLink, "alice", "bob", alice=Tone(440, 0.5)) as (alice, bob),
    ):
        for phone in (alice, bob):
            phone.heard._frames = deque(maxlen=50)  # a minute of sound would look like a leak

        async def once(number: int) -> None:
            caller, called = (alice, bob) if number % 2 else (bob, alice)
            await talking(caller, called)
            await (caller if number % 3 else called).calls.hang_up()
            for phone in (alice, bob):
                await phone.state("ended")
                phone.ear.heard.clear()

        await flat(rounds, once)


async def test_calls_leave_nothing(folder: Path) -> None:
    await calls(folder, 20)


@pytest.mark.long
async def test_many_calls_leave_nothing(folder: Path) -> None:
    await calls(folder, LONG // 2)
