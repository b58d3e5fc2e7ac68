"""What time does to a profile: everything ends in the end, however short it is open, and no wrong clock ends
it early.
"""

from __future__ import annotations

import pytest

from mobium.client import Engine
from mobium.client.maintenance import INTERVAL, maintain
from mobium.client.store import meta
from mobium.client.store.database import Tx
from tests.support.channel_world import STRANGER
from tests.support.engines import World, inside, tx, until
from tests.support.hostile import Envelope, HostileServer

pytestmark = pytest.mark.once

DAY = 86_400
WEEK = 7 * DAY


async def maintained(engine: Engine) -> bool:
    """Whether the run of this opening is over."""
    return int(await tx(engine, meta.get, "maintained_at", 0)) > inside(engine).now() - DAY


async def test_a_profile_that_is_opened_once_a_week_is_maintained(world: World) -> None:
    """Each opening is shorter than the hour between two runs, and each looks like a jump of the clock."""
    async with world.opened("alice", connect=False) as alice:
        sent = await alice.send(STRANGER, "never goes out")
    states = []
    for _ in range(7):
        world.clock.offset += WEEK
        async with world.opened("alice", connect=False) as alice:
            await until(lambda opened=alice: maintained(opened))  # type: ignore[misc]
            states.append((await alice.message(sent)).state)
    assert states == 5 * ["queued"] + 2 * ["expired"], "after 30 days, and seen a second time"


@pytest.mark.parametrize("jump", [10 * DAY, 365 * DAY])
async def test_one_look_at_a_wrong_clock_ends_nothing(world: World, jump: int) -> None:
    alice, _ = await world.pair()
    await alice.wait(await alice.send("Bob", "hello"), "delivered", 5)
    await alice.disconnect()
    sent = await alice.send("Bob", "waits")
    now = inside(alice).now()
    for moment in (now, now + jump, now + INTERVAL, now + 2 * jump, now + jump, now + WEEK, now - jump):
        await tx(alice, maintain, int(moment))
        assert (await alice.message(sent)).state == "queued"
    await alice.connect()
    assert await alice.wait(sent, "delivered", 5) == "delivered"


async def test_a_key_of_a_message_that_never_came_ends_in_memory_too(
    world: World, server: HostileServer
) -> None:
    alice, bob = await world.pair()
    await alice.wait(await alice.send("Bob", "first"), "delivered", 5)
    honest, late = server.cheat.forward, []

    def keep(envelope: Envelope) -> tuple[Envelope, ...]:
        late.append(envelope)
        return ()

    server.cheat.forward = keep
    await alice.wait(await alice.send("Bob", "late"), "sent", 5)
    server.cheat.forward = honest
    await alice.wait(await alice.send("Bob", "last"), "delivered", 5)
    assert await tx(bob, _held_keys) == (1, 1)
    begin = world.clock.offset
    for day in range(1, 33):
        world.clock.offset = begin + day * DAY
        await tx(bob, maintain, inside(bob).now())
        if day == 20:  # the session goes on
            await alice.wait(await alice.send("Bob", "still here"), "delivered", 5)
    assert await tx(bob, _held_keys) == (0, 0)
    await server.put(*late)
    await server.drained(bytes.fromhex(bob.me))
    assert [line.text for line in await bob.history("Alice")] == ["first", "last", "still here"]
    await alice.wait(await alice.send("Bob", "and on"), "delivered", 5)


def _held_keys(tx: Tx) -> tuple[int, int]:
    """How many skipped keys stand in the table, and how many the sessions in memory would use."""
    held = [each for (peer,) in tx.all("SELECT id FROM peer") for each in tx.sessions.of(tx, peer).values()]
    return int(tx.value("SELECT count(*) FROM skipped")), sum(len(each.session.skipped()) for each in held)
