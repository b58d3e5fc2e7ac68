"""Calls between engines over a server and links in memory: ways through one, and what contacts may send."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from mobium.client import CallChanged, CallMissed, SoundChanged
from mobium.errors import CallError
from mobium.media.link import MemoryNetwork
from mobium.media.sources import PcmSource, Tone
from tests.support.calls import Phone, phones, sounds, states, talking
from tests.support.engines import Ear, World, online, until
from tests.support.hostile import HostileServer

pytestmark = pytest.mark.once


# ---------------------------------------------------------------- one way after the other


async def test_a_call_is_made_taken_and_heard_on_both_sides(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob", alice=Tone(440, 0.5), bob=Tone(550, 0.5)) as (
        alice,
        bob,
    ):
        key = await alice.call(bob)
        assert (await bob.state("incoming")).peer == alice.me
        assert (await alice.state("ringing")).call == key
        assert not bob.calls.links._links, "nothing is made before somebody accepts"
        await bob.calls.accept()
        await alice.state("active")
        await bob.state("active")
        current = alice.calls.current
        assert (current.call, current.peer, current.state, current.muted) == (key, bob.me, "active", False)
        await until(lambda: sounds(bob))
        await until(lambda: sounds(alice))
        assert alice.calls.report().counts.played > 0
        await bob.calls.hang_up()
        assert (await alice.state("ended", "hung_up")).reason == ""
        await bob.state("ended", "hung_up")
        assert alice.calls.current is None
        assert states(alice) == ["calling", "ringing", "connecting", "active", "ended"]
        assert states(bob) == ["incoming", "connecting", "active", "ended"]
        await talking(bob, alice)  # and again, the other way
        await bob.calls.hang_up()
        await alice.state("ended", "hung_up")


async def test_muted_nothing_is_heard_and_the_call_goes_on(
    world: World, network: MemoryNetwork, hurried: None
) -> None:
    async with phones(world, network.maker, "alice", "bob", alice=Tone(440, 0.5)) as (alice, bob):
        await talking(alice, bob)
        await until(lambda: sounds(bob))
        alice.calls.mute()
        assert alice.calls.current.muted

        async def silent() -> bool:
            return not await sounds(bob)

        await until(silent)
        await asyncio.sleep(0.5)  # longer than a lost network is waited for
        assert bob.calls.current.state == "active"
        alice.calls.mute(False)
        await until(lambda: sounds(bob))


async def test_the_packets_of_words_and_of_silence_have_one_size(
    world: World, network: MemoryNetwork
) -> None:
    sizes: dict[int, int] = {}

    def count(packet: bytes) -> bool:
        sizes[len(packet)] = sizes.get(len(packet), 0) + 1
        return False

    network.lose = count
    noise = PcmSource(random.Random(1).randbytes(48_000) + bytes(96_000))
    async with phones(world, network.maker, "alice", "bob", alice=noise) as (alice, bob):
        await talking(alice, bob)
        await alice.ear.next(SoundChanged)  # all was said
        assert list(sizes) == [80]
        assert sizes[80] > 70


async def test_declined(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        await alice.call(bob)
        await bob.state("incoming")
        await bob.calls.decline()
        assert (await alice.state("ended", "declined")).reason
        await bob.state("ended", "declined")


async def test_cancelled_is_missed(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        await alice.call(bob)
        await bob.state("incoming")
        await alice.calls.hang_up()
        await alice.state("ended", "cancelled")
        assert (await bob.state("ended", "missed")).reason


async def test_who_hangs_up_while_it_is_prepared_does_not_call(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        async with asyncio.TaskGroup() as group:
            calling = group.create_task(_fails_to_call(alice, bob))
            await asyncio.sleep(0)
            await alice.calls.hang_up()
        assert calling.result() == "cancelled"
        assert alice.calls.current is None
        await talking(alice, bob)
        assert states(alice)[0] == "calling"
        assert states(alice).count("calling") == states(bob).count("incoming") == 1


async def _fails_to_call(caller: Phone, called: Phone) -> str:
    with pytest.raises(CallError) as caught:
        await caller.call(called)
    return caught.value.code


async def test_nobody_answers(world: World, network: MemoryNetwork, hurried: None) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        await alice.call(bob)
        await bob.state("incoming")
        assert (await alice.state("ended", "no_answer")).reason
        await bob.state("ended", "missed")


async def test_somebody_who_talks_is_busy(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob", "eve") as (alice, bob, eve):
        await talking(alice, bob)
        await eve.call(bob)
        assert (await eve.state("ended", "busy")).reason
        with pytest.raises(CallError, match="already") as caught:
            await bob.call(eve)
        assert caught.value.code == "busy"
        assert bob.calls.current.state == "active"
        assert "incoming" not in states(bob)[1:]
        assert (await bob.ear.next(CallMissed)).peer == eve.me


async def test_both_call_at_once_and_talk(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob", alice=Tone(440, 0.5)) as (alice, bob):
        first, second = await asyncio.gather(alice.call(bob), bob.call(alice))
        for one, key in ((alice, first), (bob, second)):
            assert (await one.state("active")).call == key, "a person sees one call"
        await until(lambda: sounds(bob))
        await alice.calls.hang_up()
        await bob.state("ended", "hung_up")
        assert states(bob).count("ended") == 1


async def test_who_calls_back_while_it_rings_accepts(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        await alice.call(bob)
        incoming = await bob.state("incoming")
        assert await bob.call(alice) == incoming.call
        await alice.state("active")


async def test_a_program_that_ends_hangs_up(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        await talking(alice, bob)
        await bob.engine.lock()
        await alice.state("ended", "hung_up")


async def test_calls_go_on_while_the_server_is_away(
    world: World, network: MemoryNetwork, server: HostileServer
) -> None:
    async with phones(world, network.maker, "alice", "bob", alice=Tone(440, 0.5)) as (alice, bob):
        await talking(alice, bob)
        await server.cut(bytes.fromhex(alice.me))
        await alice.ear.connection("waiting")
        assert alice.calls.current.state == "active"
        await until(lambda: sounds(bob))


@pytest.mark.parametrize("who", ["alice", "bob"])
async def test_a_lost_network_is_found_again(
    world: World, network: MemoryNetwork, hurried: None, who: str
) -> None:
    async with phones(world, network.maker, "alice", "bob", alice=Tone(440, 0.5)) as (alice, bob):
        await talking(alice, bob)
        [link] = (alice if who == "alice" else bob).calls.links._links.values()
        link.other.other = None  # nothing comes through from one side any more
        await (bob if who == "alice" else alice).state("reconnecting")
        await alice.state("active")
        await bob.state("active")
        await until(lambda: sounds(bob))
        assert [attempt for _, attempt in alice.calls.links._links] == [1]


async def test_a_network_that_stays_away_ends_the_call(
    world: World, network: MemoryNetwork, hurried: None
) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        await talking(alice, bob)
        network.up = False
        for one in (alice, bob):
            await one.state("reconnecting")
        for one in (alice, bob):
            event = await one.state("ended")
            assert event.code in {"lost", "hung_up"}, "whoever gives up first tells the other one"
            assert not one.calls.links._links


async def test_what_goes_wrong_in_a_call_ends_the_call_alone(
    world: World, network: MemoryNetwork, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        monkeypatch.setattr("mobium.client.calls._AFTER_FAULT", 0.05)
        with monkeypatch.context() as patch:
            patch.setattr(bob.calls._machine, "received", broken)
            await alice.call(bob)
            await until(said_in_log(caplog, "A call went wrong"))
            await alice.calls.hang_up()
            await alice.state("ended", "cancelled")
        await talking(alice, bob)
        (link,) = alice.calls.links._links.values()
        monkeypatch.setattr(link, "close", broken)
        await alice.calls.hang_up()
        await until(said_in_log(caplog, "could not be closed"))
        assert "secret" not in caplog.text
        for one in (alice, bob):
            await one.state("ended")
        await talking(bob, alice)


def broken(*_: Any) -> None:
    """As a fault of ours would be."""
    raise RuntimeError("secret")


def said_in_log(caplog: pytest.LogCaptureFixture, words: str) -> Callable[[], Awaitable[bool]]:
    """Whether the log says it by now."""

    async def said() -> bool:
        return words in caplog.text

    return said


# ---------------------------------------------------------------- what contacts may send


HOSTILE = {"garbage": "x", "long": "v=0\r\n" * 3_000, "two lines": "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n"}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_description_ends_the_call(world: World, network: MemoryNetwork, name: str) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        replace_sdp(alice, HOSTILE[name])
        await alice.call(bob)
        await bob.state("incoming")
        await bob.calls.accept()
        await bob.state("ended", "failed")
        await alice.state("ended", "not_taken")
        replace_sdp(bob, HOSTILE[name])
        await bob.engine.contacts.rename(alice.me, "Alice again")
        honest(alice)
        await alice.call(bob)
        await bob.state("incoming")
        await bob.calls.accept()
        await alice.state("ended", "failed")
        await bob.state("ended")
        assert not alice.calls.links._links
        assert not bob.calls.links._links
        honest(bob)
        await talking(alice, bob)


def replace_sdp(one: Phone, sdp: str) -> None:
    """Let somebody say another description than his own."""
    signals = online(one.engine).signals
    real = type(signals).send

    async def send(recipient: bytes, said: Any) -> bool:
        if said.sdp is not None:
            said = msgspec.structs.replace(said, sdp=sdp[:16_384])
        return await real(signals, recipient, said)

    signals.send = send  # type: ignore[method-assign]


def honest(one: Phone) -> None:
    del online(one.engine).signals.send


async def test_events_are_told_in_order_to_every_ear(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        other = Ear(alice.engine)
        await talking(alice, bob)
        await alice.calls.hang_up()
        await alice.state("ended")
        await other.next(CallChanged, lambda event: event.state == "ended")
        assert [event.state for event in other.heard if isinstance(event, CallChanged)] == states(alice)


async def test_many_calls_one_after_the_other(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        for number in range(20):
            caller, called = (alice, bob) if number % 2 else (bob, alice)
            await talking(caller, called)
            await (caller if number % 3 else called).calls.hang_up()
            for one in (alice, bob):
                await one.state("ended", "hung_up")
        assert not network.links
        for one in (alice, bob):
            assert one.calls._machine.talk is None
