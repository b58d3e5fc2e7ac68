"""Calls between engines over a server and links in memory: every state, and what a person is told."""

from __future__ import annotations

import pytest

from mobium.media.link import MemoryNetwork
from mobium.media.sources import Tone
from tests.support.calls import Phone, phones, talking
from tests.support.engines import World, until


async def _sounds(phone: Phone) -> bool:
    """Whether something is heard now."""
    return any(phone.heard.pcm[-1920:])


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


async def test_somebody_is_called_accepts_and_is_heard(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob", alice=Tone(440, 0.5)) as (alice, bob):
        await talking(alice, bob)
        await until(lambda: _sounds(bob))
        await bob.calls.hang_up()
        await alice.state("ended", "hung_up")
        await bob.state("ended", "hung_up")
