"""An engine whose `async with` is cancelled twice lets the profile go all the same."""

from __future__ import annotations

import asyncio

import pytest

from mobium.client import Engine
from mobium.errors import StoreError
from tests.support.engines import World, inside, online

pytestmark = pytest.mark.once


@pytest.mark.parametrize("ticks", range(0, 40, 5))
async def test_a_second_cancellation_leaves_no_profile_open(world: World, ticks: int) -> None:
    await world.create("alice")
    opened: asyncio.Future[Engine] = asyncio.get_running_loop().create_future()

    async def use() -> None:
        async with world.opened("alice") as alice:
            opened.set_result(alice)
            await asyncio.sleep(60)

    using = asyncio.create_task(use())
    alice = await opened
    using.cancel()
    for _ in range(ticks):
        await asyncio.sleep(0)
    using.cancel()
    await asyncio.gather(using, return_exceptions=True)
    async with world.opened("alice", connect=False) as again:  # at once
        assert again.me == alice.me
    with pytest.raises(StoreError):
        inside(alice).identity  # noqa: B018 - it was let go


@pytest.mark.parametrize("ticks", range(12))
async def test_a_connection_that_breaks_while_it_is_given_up(world: World, ticks: int) -> None:
    async with world.opened("alice") as alice:
        transport = online(alice).link._transport
        assert transport is not None
        await transport.close()
        for _ in range(ticks):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await alice.disconnect()
        assert alice.connection == "offline"
