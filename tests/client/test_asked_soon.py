"""What stays closed within the hour of a new session is asked for in the session that is there: how soon, how
often, and what becomes of it where that session is lost as well.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from typing import Any

import pytest

from mobium.client import receive, repair
from mobium.client.maintenance import forget_peer, maintain
from mobium.client.store import incoming, peers
from mobium.client.store.cache import Held
from mobium.client.store.database import Tx
from mobium.client.store.peers import Peer
from mobium.errors import StoreFault
from tests.support.asking import (
    asked,
    forged,
    in_order,
    lose_sessions,
    none_unasked,
    nothing_due,
    talk,
    unasked,
    unopened,
)
from tests.support.engines import PATIENCE, Ear, World, inside, online, settle, tx, until
from tests.support.hostile import HostileServer


@pytest.mark.parametrize("smaller_writes", [True, False])
async def test_what_was_sent_while_a_retry_was_under_way_is_asked_for_soon(
    world: World, server: HostileServer, smaller_writes: bool
) -> None:
    writer_name, loser_name = await in_order(world, smaller_writes)
    writer, loser = await world.engine(writer_name), await world.engine(loser_name)
    await settle(writer, loser)
    await writer.contacts.add(loser.me)
    await loser.contacts.add(writer.me)
    ear, hears = Ear(loser), Ear(writer)
    for sender, receiver, other in ((writer, loser, ear), (loser, writer, hears)):
        await sender.wait(await sender.send(receiver.me, "hello"), "delivered", 5)
        await other.text("hello")
    await tx(loser, lose_sessions, bytes.fromhex(writer.me))
    server.hold(bytes.fromhex(writer.me))
    await writer.send(loser.me, "one")
    await until(lambda: tx(loser, asked))
    # The retry waits on the server; this goes into the session that is lost, too.
    await writer.send(loser.me, "two")

    async def both() -> bool:
        return len(await tx(loser, unopened)) == 2

    await until(both)
    await server.release(bytes.fromhex(writer.me))
    await ear.text("one")
    world.clock.offset += 61
    online(loser).repair.wake()
    assert (await ear.text()).text == "two"
    kinds = [each.payload[0] for each in server.sent_by(bytes.fromhex(loser.me))]
    assert kinds.count(2) <= 2, "a second retry began no session"


async def test_what_stays_closed_is_asked_for_less_and_less_within_an_hour(world: World) -> None:
    """A server that forges without end costs six retries and one session an hour."""
    alice, bob = await world.pair()

    def an_hour(tx: Tx, began: int) -> list[int]:
        peer = peers.by_key(tx, bytes.fromhex(bob.me))
        assert peer is not None
        peers.update(tx, peer, retry_at=began)
        asked = []
        for now in range(began, began + incoming.RETRY_PAUSE + 2):
            incoming.note_unopened(tx, now.to_bytes(32, "big"), peer.id, "forged", now)
            if [at for _, at in incoming.due_retries(tx, now, 0) if at <= now]:
                asked.append(now - began)
                incoming.note_asked_soon(tx, peer.id, now)
        return asked

    for began in (1_000_000, 1_003_600):  # and in the next one as in the first
        asked = await tx(alice, an_hour, began)
        assert asked == [60, 180, 420, 900, 1_860, 3_600, 3_601]  # the last two begin a session


@pytest.mark.parametrize("late", [True, False])
async def test_nobody_asks_more_often_than_is_honoured(world: World, late: bool, seed: int) -> None:
    """Whatever stays closed when: what comes late in the hour is not asked for in one go."""
    alice, bob = await world.pair()
    await talk(alice, bob)
    chance = random.Random(f"{seed}")
    began = inside(alice).now() + 7_200
    # As it suits a server best, which forges: the whole hour's at its end, and then again at once.
    moments = [*range(began, began + 10), *range(began + 3_500, began + 7_200)]
    if not late:
        moments = sorted(chance.choices(range(began, began + 6 * 3_600), k=chance.choice((50, 500, 5_000))))

    def hours(tx: Tx) -> list[int]:
        peer = peers.by_key(tx, bytes.fromhex(bob.me))
        assert peer is not None
        asked = []
        for now in moments:
            incoming.note_unopened(tx, os.urandom(32), peer.id, "forged", now)
            if not [at for _, at in incoming.due_retries(tx, now, 0) if at <= now]:
                continue
            asked.append(now)
            if not repair._ask_soon(tx, peer.id, now * 1_000, os.urandom):
                peers.update(tx, peer, retry_at=now)
                incoming.note_asked(tx, incoming.unasked(tx, peer.id, now, 5_000), 1)
        return asked

    asked = await tx(alice, hours)
    within = [sum(first <= each < first + 3_600 for each in asked) for first in asked]
    assert max(within) < receive._MAX_RETRIES
    assert len(asked) > 3


async def test_how_often_somebody_was_asked_is_forgotten_with_him(world: World) -> None:
    alice, bob = await world.pair()

    def left(tx: Tx) -> list[str]:
        peer = peers.by_key(tx, bytes.fromhex(bob.me))
        assert peer is not None
        incoming.note_asked_soon(tx, peer.id, 1_000_000)
        assert tx.all("SELECT name FROM meta WHERE name LIKE ?", f"% of {peer.id}")
        forget_peer(tx, peer.id)
        return [row[0] for row in tx.all("SELECT name FROM meta WHERE name LIKE ?", f"% of {peer.id}")]

    assert await tx(alice, left) == []


async def test_how_often_somebody_was_asked_is_forgotten_with_the_last_channel(world: World) -> None:
    """A fellow member who has left is a stranger of whom nothing is kept."""
    alice = await world.engine("alice", connect=False)

    def work(tx: Tx) -> None:
        peer = peers.add(tx, os.urandom(32), "unknown", 1)
        other = peers.add(tx, os.urandom(32), "contact", 1)
        for each in (peer, other):
            incoming.note_asked_soon(tx, each.id, 1_000_000)
            assert receive._may_ask(tx, each, 1_000_000)
        maintain(tx, inside(alice).now())
        assert peers.find(tx, peer.id) is None
        names = [row[0] for row in tx.all("SELECT name FROM meta WHERE name LIKE '% of %' ORDER BY name")]
        assert names == [f"asked of {other.id}", f"retries of {other.id}"]

    await tx(alice, work)


async def test_a_server_that_never_stops_is_waited_for_no_longer(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that a million messages wait, and something comes again and again."""
    patience, time = 0.5, asyncio.get_running_loop().time
    monkeypatch.setattr(repair, "_PATIENCE", patience)
    alice, bob = await world.pair()
    await talk(alice, bob)
    online(alice).inbox.expect(1_000_000)
    began = time()
    await server.forge(bytes.fromhex(bob.me), bytes.fromhex(alice.me), forged())
    await server.drained(bytes.fromhex(alice.me))

    async def asked_meanwhile() -> bool:
        online(alice).repair.wake()
        return await tx(alice, asked)

    early = await asked_meanwhile()
    assert not early or time() - began > patience, "what waits belongs into the same retry"
    await until(asked_meanwhile)


async def test_what_fails_within_the_hour_does_not_put_off_the_next_session(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await world.pair()
    keys = bytes.fromhex(alice.me), bytes.fromhex(bob.me)
    await talk(alice, bob)
    await server.forge(keys[1], keys[0], forged())
    await until(lambda: tx(alice, asked))
    await talk(alice, bob)
    failed: list[int] = []

    def fail(_tx: Tx, peer: Peer, session: Held, *_: object) -> None:
        if not session.session.unanswered:
            failed.append(peer.id)
            raise StoreFault("Nobody knows why.")
        whole(_tx, peer, session, *_)

    whole: Any = repair._retry
    monkeypatch.setattr(repair, "_retry", fail)
    await server.forge(keys[1], keys[0], forged())
    await server.drained(keys[0])
    for minutes in (2, 59, 61):
        world.clock.offset = minutes * 60
        online(alice).repair.wake()
        if minutes < 60:
            await until(lambda: tx(alice, nothing_due, inside(alice).now()))
    await until(lambda: tx(alice, none_unasked))
    assert len(failed) == 2


@pytest.mark.parametrize("both", [False, True])
async def test_a_retry_in_a_session_that_is_lost_asks_for_nothing_less(
    world: World, server: HostileServer, both: bool
) -> None:
    """A profile is put back from a copy within the hour of a new session, and asks in that one, in which the
    other side has gone on. With `both` that side asks in it, too, and neither can open the other's retry.
    """
    bob = await world.engine("bob")
    async with world.opened("alice") as alice:
        await settle(alice, bob)
        await alice.contacts.add(bob.me)
        await bob.contacts.add(alice.me)
        keys = bytes.fromhex(alice.me), bytes.fromhex(bob.me)
        await talk(alice, bob)
        await server.forge(keys[1], keys[0], forged())
        await until(lambda: tx(alice, asked))
        if both:
            await server.forge(keys[0], keys[1], forged())
            await until(lambda: tx(bob, asked))
        for _ in range(2):
            await talk(alice, bob)
        await alice.settled(PATIENCE)
    shutil.copytree(world.path("alice"), world.path("copy"))
    async with world.opened("alice") as alice:
        for _ in range(2):
            await talk(alice, bob)
        await alice.settled(PATIENCE)
    copy = await world.engine("copy")
    wanted = [(bob, copy, "for the copy")] + [(copy, bob, "from the copy")] * both
    for sender, receiver, text in wanted:
        await sender.wait(await sender.send(receiver.me, text), "sent", 5)
    for key in keys:
        await server.drained(key)
    assert await tx(copy, unasked) == 1
    # Each in its time, until nothing is due any more; two hours at most.
    for minutes in (2, 4, 8, 16, 32, 61, 63, 65, 69, 77, 93, 122):
        world.clock.offset = minutes * 60
        for engine in (copy, bob):
            online(engine).repair.wake()
            await until(lambda engine=engine: tx(engine, nothing_due, inside(engine).now()))  # type: ignore[misc]
            for key in keys:
                await server.drained(key)
    for sender, receiver, text in wanted:
        assert [line.text for line in await receiver.history(sender.me)].count(text) == 1
    await talk(copy, bob)
