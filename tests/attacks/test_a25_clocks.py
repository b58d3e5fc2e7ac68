"""A25: the clock of a client or of the server jumps, or somebody makes it: order is by number, expiry is
bounded, nothing is lost.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mobium.client import maintenance
from mobium.client.maintenance import maintain
from mobium.client.store import messages
from mobium.client.store.database import Tx
from mobium.client.store.messages import Message
from mobium.errors import ServerRefused
from mobium_server import clock as server_clock
from mobium_server.clock import Clock as ServerClock
from tests.attacks.people import Person, Scene, acquainted, state
from tests.support.engines import Clock, inside, online, tx
from tests.support.server import Person as Somebody
from tests.support.server import client, log_in, server

YEAR = 365 * 86_400
JUMPS = (0, 10 * YEAR, -10 * YEAR, 3_600, -3_600, 0)


async def talk_in_time(scene: Scene) -> tuple[list[str], list[str | None]]:
    """What Alice wrote while her clock jumped, and what Bob sees, whose clock jumped too."""
    clocks = {"alice": Clock(), "bob": Clock()}
    alice, bob = [await scene.person(name, clock=clock) for name, clock in clocks.items()]
    await acquainted(alice, bob)
    texts = [f"text {number}" for number in range(len(JUMPS))]
    for text, jump in zip(texts, JUMPS, strict=True):
        clocks["alice"].offset = jump
        clocks["bob"].offset = -jump
        # The first one begins the session: no clock is wrong yet.
        await alice.says(bob, text, "delivered")
    await bob.hears(*texts)
    return texts, await bob.history(alice)


async def test_messages_stand_in_the_order_in_which_they_came(folder: Path) -> None:
    async with Scene(folder) as scene:
        written, shown = await talk_in_time(scene)
        assert shown == written


async def test_without_numbers_a_clock_turns_them_around(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = messages.history

    def by_time(tx: Tx, peer: int, before: int | None, limit: int, drained_at: int) -> list[Message]:
        return sorted(history(tx, peer, before, limit, drained_at), key=lambda message: message.sent_at)

    monkeypatch.setattr(messages, "history", by_time)  # the defence, off
    async with Scene(folder) as scene:
        written, shown = await talk_in_time(scene)
        assert shown != written
        assert set(shown) == set(written)


async def with_much_to_lose(scene: Scene) -> tuple[Person, str]:
    """Bob, with sessions, skipped keys, prekeys, and a message that waits."""
    alice, bob = await scene.pair()
    await alice.says(bob, "hello", "delivered")
    await bob.says(alice, "hello too", "delivered")
    scene.server.hold(bob.key)
    for number in range(4):
        await alice.says(bob, f"text {number}")
    await scene.server.release(bob.key, lambda mailbox: mailbox[-1:])
    await scene.server.drained(bob.key)
    await bob.engine.disconnect()
    waiting = await bob.engine.send(alice.key, "waits")
    assert (await state(bob))["skipped"]
    return bob, waiting


@pytest.mark.parametrize("jump", [YEAR, -YEAR, 100 * YEAR])
async def test_a_jump_of_the_clients_clock_deletes_nothing(jump: int, folder: Path) -> None:
    async with Scene(folder) as scene:
        bob, waiting = await with_much_to_lose(scene)
        before, now = await state(bob), inside(bob.engine).now()
        for moment in (now, now + jump, now, now + jump, now):  # as an hourly clock that cannot decide
            await tx(bob.engine, maintain, moment)
            assert await state(bob) == before
        assert (await bob.engine.message(waiting)).state == "queued"
        await bob.engine.connect()
        assert await bob.engine.wait(waiting, "delivered", timeout=10) == "delivered"


async def test_without_a_second_look_a_jump_deletes_everything(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_JUMP", 2**62)  # the defence, off
    async with Scene(folder) as scene:
        bob, waiting = await with_much_to_lose(scene)
        await tx(bob.engine, maintain, inside(bob.engine).now() + YEAR)
        left = await state(bob)
        assert left["session"] == left["skipped"] == []
        assert (await bob.engine.message(waiting)).state == "expired"


async def test_a_wrong_clock_at_either_end_is_said_and_mended(folder: Path) -> None:
    clocks = {"alice": Clock(), "bob": Clock()}
    async with Scene(folder) as scene:
        clocks["bob"].offset = 10 * YEAR
        alice, bob = [await scene.person(name, clock=clock) for name, clock in clocks.items()]
        await acquainted(alice, bob)
        # Bob's keys come from the future.
        text = await alice.says(bob, "hello", until=None)
        with pytest.raises(ServerRefused, match="clock"):
            await alice.engine.wait(text, "sent", timeout=10)
        clocks["bob"].offset = 0
        await online(bob.engine).upkeep.run_once(1 << 20)
        # Alice's clock is ahead.
        clocks["alice"].offset = YEAR
        await alice.engine.retry(text)
        with pytest.raises(ServerRefused, match="not been online"):
            await alice.engine.wait(text, "sent", timeout=10)
        clocks["alice"].offset = 0
        await alice.engine.retry(text)
        await bob.hears("hello")
        await bob.says(alice, "hello too", "delivered")


# ---------------------------------------------------------------- the server


class Wall:
    """The wall clock of the server's host."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


async def left_after(folder: Path, jump: float, *, restart: bool) -> int:
    """How many of three messages are left after the server's clock jumped, while it ran or was down."""
    wall = Wall()
    async with server(folder, clock=ServerClock(wall)) as running:
        async with client(running.url) as absent:
            person = absent.person
        async with client(running.url) as friend:
            for number in range(3):
                await friend.post_and_wait(person.public, b"%d" % number)
        if not restart:
            wall.offset = jump
            hub = running.hub
            expired = hub.clock.own() - hub.settings.message_ttl
            hub.jobs.submit(lambda *_: None, hub.storage.expire, expired, 100)
            return await waiting(running.url, person)
    wall.offset = jump
    async with server(folder, clock=ServerClock(wall)) as running:
        return await waiting(running.url, person)


async def waiting(url: str, person: Somebody) -> int:
    one = await log_in(url, person)
    for _ in range(one.welcome.offline_count):
        await one.take(ack=False)
    await one.close()
    return one.welcome.offline_count


@pytest.mark.parametrize("restart", [False, True], ids=["while it runs", "over a restart"])
@pytest.mark.parametrize("jump", [YEAR, -YEAR, 100 * YEAR])
async def test_a_jump_of_the_servers_clock_expires_no_mail(jump: int, restart: bool, tmp_path: Path) -> None:
    assert await left_after(tmp_path, jump, restart=restart) == 3


async def test_without_the_bound_a_jump_expires_all_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_clock, "DOWN_AT_MOST", 2**62)  # the defence, off
    assert await left_after(tmp_path, YEAR, restart=True) == 0
