"""What must not go wrong in a call, whoever fails: devices, a program that watches, somebody who calls."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest

from mobium.client.call_heard import _OF_EACH, _PEERS, HeardSteps
from mobium.errors import CallError
from mobium.media.link import MemoryNetwork
from mobium.media.pattern import PatternCapture
from mobium.protocol.content import Call
from tests.support.calls import phones, talking
from tests.support.engines import World, until
from tests.support.links import ice_on_loopback

pytestmark = [pytest.mark.once, pytest.mark.needs("libopus")]

ANNA, EVE = b"a" * 32, b"e" * 32


@pytest.mark.parametrize("who", ["alice", "bob"])
async def test_a_speaker_that_fails_in_its_own_way_ends_no_engine_and_no_call(
    world: World, network: MemoryNetwork, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        victim = alice if who == "alice" else bob
        with monkeypatch.context() as patch:
            patch.setattr(victim.devices, "open_speaker", broken)
            await talking(alice, bob)
            await alice.calls.hang_up()
            for one in (alice, bob):
                await one.state("ended", "hung_up")
            await alice.call(bob)
            await bob.state("incoming")
            await bob.calls.decline()
            await alice.state("ended", "declined")
        await talking(bob, alice)


def broken(*_: Any) -> None:
    """As a device that nobody knows would be."""
    raise RuntimeError("not initialized")


async def test_a_program_that_fails_to_look_is_shown_the_next_picture(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the pictures that nobody takes would pile up, a megabyte each."""
    pytest.importorskip("aiortc")
    from mobium.media.peer import RtcLink

    ice_on_loopback(monkeypatch)
    seen = 0

    def fails(_picture: object) -> None:
        nonlocal seen
        seen += 1
        raise ValueError("of a program")

    async def several() -> bool:
        return seen > 5

    async with phones(world, RtcLink, "alice", "bob") as (alice, bob):
        bob.calls.watch(fails)
        await talking(alice, bob)
        await alice.calls.share(capture=PatternCapture)
        await until(several)
        (link,) = bob.calls.links._links.values()
        assert link._inside.pictures._queue.qsize() < 3
        assert bob.calls.current.state == "active"


class Slow(PatternCapture):
    """A display that takes its time."""

    def __init__(self) -> None:
        time.sleep(0.6)
        super().__init__()


async def test_a_screen_meant_for_one_call_is_not_shown_in_the_next(
    world: World, network: MemoryNetwork
) -> None:
    async with phones(world, network.maker, "alice", "bob", "eve") as (alice, bob, eve):
        await talking(alice, bob)
        sharing = asyncio.create_task(alice.calls.share(capture=Slow))
        await asyncio.sleep(0.1)
        await bob.calls.hang_up()
        await alice.state("ended")
        await talking(eve, alice)
        with pytest.raises(CallError, match="ended") as caught:
            await sharing
        assert caught.value.code == "no_call"
        assert not alice.calls.sharing
        await alice.calls.share(capture=Slow)
        assert alice.calls.sharing


async def test_whoever_means_one_call_takes_no_other(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob", "eve") as (alice, bob, eve):
        await alice.call(bob)
        meant = (await bob.state("incoming")).call
        await alice.calls.hang_up()
        await bob.state("ended", "missed")
        await eve.call(bob)
        rings = (await bob.state("incoming")).call
        for act in (bob.calls.accept, bob.calls.decline):
            with pytest.raises(CallError, match="Another") as caught:
                await act(meant)
            assert caught.value.code == "no_call"
        assert bob.calls.current.state == "incoming"
        assert await bob.calls.accept(rings) == rings
        await eve.state("active")


def step() -> Call:
    """One that asks for nothing and is answered by nothing."""
    return Call(os.urandom(16), 1, os.urandom(16), "again", 0, None, None)


def test_steps_wait_in_bounds_and_each_has_a_turn() -> None:
    heard = HeardSteps()
    own = [step() for _ in range(3)]
    for one in own:
        heard.put(ANNA, one)
    flood = [step() for _ in range(5_000)]
    for one in flood:
        heard.put(EVE, one)
    kept = flood[-_OF_EACH:]
    assert heard.take() == (ANNA, own[0])
    assert heard.take() == (EVE, kept[0])
    assert heard.take() == (ANNA, own[1])
    assert heard.take() == (EVE, kept[1])
    assert heard.take() == (ANNA, own[2])
    assert [heard.take() for _ in kept[2:]] == [(EVE, one) for one in kept[2:]]
    assert heard.take() is None
    for number in range(2 * _PEERS):
        heard.put(number.to_bytes(32, "big"), own[0])
    assert len(list(iter(heard.take, None))) == _PEERS
