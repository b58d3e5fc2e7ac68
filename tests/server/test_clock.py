"""Clocks that jump, and messages that expire all the same at their time and never before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mobium.protocol.messages import Delivery
from mobium_server import upkeep
from mobium_server.clock import DOWN_AT_MOST, Clock
from mobium_server.storage.memory import MemoryStorage
from tests.support.channels import rows
from tests.support.server import Client, Person, client, log_in, server, until

DAY = 86_400


class Hands:
    """Two clocks that are moved by hand."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self.wall = wall
        self.steady = 5_000.0

    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.steady)

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def test_the_wall_clock_may_jump_as_it_likes() -> None:
    hands = Hands()
    storage = MemoryStorage(100)
    clock = hands.clock()
    clock.load(storage)
    assert clock.own() == 0
    hands.pass_time(100)
    hands.wall += 50 * 365 * DAY
    assert clock.own() == 100
    hands.wall = 0
    hands.pass_time(100)
    assert clock.own() == 200
    assert clock.wall() >= 0


def test_a_restart_counts_the_time_that_the_server_was_down() -> None:
    hands = Hands()
    storage = MemoryStorage(100)
    clock = hands.clock()
    clock.load(storage)
    hands.pass_time(1_000)
    clock.keep(storage)
    hands.wall += 3_600
    hands.steady = 17.0  # another boot
    again = hands.clock()
    again.load(storage)
    assert again.own() == 1_000 + 3_600


@pytest.mark.parametrize(("jump", "counted"), [(40 * 365 * DAY, DOWN_AT_MOST), (-40 * 365 * DAY, 0), (0, 0)])
def test_a_restart_believes_a_jump_for_a_day_at_most(jump: int, counted: int) -> None:
    hands = Hands()
    storage = MemoryStorage(100)
    clock = hands.clock()
    clock.load(storage)
    hands.pass_time(500)
    clock.keep(storage)
    hands.wall += jump
    again = hands.clock()
    again.load(storage)
    assert again.own() == 500 + counted


def test_a_kept_clock_that_cannot_be_read_begins_anew() -> None:
    storage = MemoryStorage(100)
    storage.put("clock", b"broken")
    clock = Hands().clock()
    clock.load(storage)
    assert clock.own() == 0


async def test_a_jump_of_the_wall_clock_expires_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "INTERVAL", 0.01)
    hands, ben = Hands(), Person()
    async with server(tmp_path, clock=hands.clock()) as one, client(one.url) as anna:
        await (await published(one.url, ben)).close()
        for i in range(3):
            await anna.post_and_wait(ben.public, bytes([i]))
            hands.wall += (-1) ** i * 30 * 365 * DAY
        await asyncio.sleep(0.1)
    hands.wall += 365 * DAY
    async with server(tmp_path, clock=hands.clock()) as one:
        await asyncio.sleep(0.1)
        async with client(one.url, ben, publish=False) as back:
            assert [(await back.take()).payload[1] for _ in range(3)] == [0, 1, 2]


async def test_messages_expire_after_their_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "INTERVAL", 0.01)
    monkeypatch.setattr(upkeep, "EXPIRE_AT_ONCE", 2)
    hands, ben = Hands(), Person()
    async with server(tmp_path, clock=hands.clock(), message_ttl=1_000) as one, client(one.url) as anna:
        await (await published(one.url, ben)).close()
        for i in range(5):
            await anna.post_and_wait(ben.public, bytes([i]))
        hands.pass_time(600)
        last = await anna.post_and_wait(ben.public, b"last")
        hands.pass_time(500)
        await until(lambda: len(rows(one)["messages"]) == 1)
        async with client(one.url, ben, publish=False) as back:
            assert back.welcome.offline_count == 1
            assert (await back.take()).id == last
            await back.nothing(Delivery)


async def published(url: str, person: Person) -> Client:
    one = await log_in(url, person)
    await one.publish()
    return one
