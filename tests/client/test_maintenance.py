"""What time does to a profile: everything ends in the end, however short it is open, and no wrong clock ends
it early.
"""

from __future__ import annotations

import pytest

from mobium.client import Engine
from mobium.client.maintenance import INTERVAL, maintain
from mobium.client.store import meta
from tests.support.engines import World, inside, tx, until

DAY = 86_400
WEEK = 7 * DAY


async def maintained(engine: Engine) -> bool:
    """Whether the run of this opening is over."""
    return int(await tx(engine, meta.get, "maintained_at", 0)) > inside(engine).now() - DAY


async def test_a_profile_that_is_opened_once_a_week_is_maintained(world: World) -> None:
    """Each opening is shorter than the hour between two runs, and each looks like a jump of the clock."""
    stranger = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    async with world.opened("alice", connect=False) as alice:
        sent = await alice.send(stranger, "never goes out")
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
