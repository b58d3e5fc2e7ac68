"""Calls between engines over a server and links in memory: every state, and what a person is told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from mobium.client import SCREEN_PRESETS, CallChanged, CallMissed, CallScreenChanged, SoundChanged
from mobium.client.call_sound import Ringing
from mobium.errors import (
    AudioUnavailable,
    CallError,
    CaptureUnavailable,
    InvalidInput,
    MediaUnavailable,
    NotConnected,
)
from mobium.media.capture import Shot
from mobium.media.devices import VirtualDevices
from mobium.media.link import MemoryNetwork, Terms
from mobium.media.pattern import PatternCapture
from mobium.media.sources import PcmSource, Tone
from mobium.media.tones import BUSY, ENDED, RINGBACK, RINGTONE, Tune
from mobium.protocol import messages as m
from tests.support.calls import Mouth, Phone, phones, talking
from tests.support.engines import Ear, World, online, settle, until
from tests.support.hostile import HostileServer

pytestmark = pytest.mark.once

STATE = "mobium.client.call_state"


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes thirty times as fast in calls."""
    for name, seconds in {
        "RING": 1.0,
        "SILENCE": 0.3,
        "RECONNECT": 1.5,
        "REPEAT": 0.1,
        "CONNECT": 1.0,
    }.items():
        monkeypatch.setattr(f"{STATE}.{name}", seconds)
    monkeypatch.setattr("mobium.media.link._BEAT", 0.05)
    monkeypatch.setattr("mobium.client.call_links._BEAT", 0.01)


async def sounds(listener: Phone) -> bool:
    """Whether the voice of the other side is heard now."""
    report = listener.calls.report()
    return report is not None and report.counts.played > 5 and any(listener.heard.pcm[-1920:])


def states(listener: Phone) -> list[str]:
    """The states of calls that somebody was told of."""
    return [event.state for event in listener.ear.heard if isinstance(event, CallChanged)]


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


# ---------------------------------------------------------------- who may call whom


async def test_away_blocked_and_unknown_look_alike(
    world: World, network: MemoryNetwork, hurried: None
) -> None:
    """Nobody can tell by a call whether he was blocked."""
    told = []
    async with phones(world, network.maker, "alice", "bob", "eve", verified=False) as people:
        alice, bob, eve = people
        relay_there(people)
        await bob.engine.contacts.block(alice.me)
        await eve.engine.disconnect()
        stranger = await world.engine("stranger")
        await settle(stranger)
        await alice.engine.contacts.add(stranger.me)
        for other in (bob.me, eve.me, stranger.me):
            before = len(alice.ear.heard)
            await alice.engine.call(other)
            await alice.state("ended")
            told.append(
                [
                    (event.state, event.code, event.reason)
                    for event in alice.ear.heard[before:]
                    if isinstance(event, CallChanged)
                ]
            )
        assert told[0] == told[1] == told[2]
        assert told[0][-1][1] == "unreachable"
        assert states(bob) == []


@pytest.mark.parametrize("state", ["incoming", "active"])
async def test_blocking_somebody_ends_the_call_with_him(
    world: World, network: MemoryNetwork, hurried: None, state: str
) -> None:
    """And nothing is said to whoever is blocked: for him the line goes dead."""
    async with phones(world, network.maker, "alice", "bob", "carol") as (alice, bob, carol):
        await alice.call(bob)
        await bob.state("incoming")
        if state == "active":
            await bob.calls.accept()
            for one in (alice, bob):
                await one.state("active")
        await bob.engine.contacts.block(carol.me)
        await bob.engine.contacts.unblock(carol.me)
        assert bob.calls.current is not None, "blocking somebody else ends no call"
        await bob.engine.contacts.block(alice.me)
        await bob.state("ended")
        await alice.state("ended", "no_answer" if state == "incoming" else "lost")


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


def relay_there(people: list[Phone]) -> None:
    """Let the server name a relay, which links in memory do not need."""
    server = people[0].engine._connecting._connector.__self__  # type: ignore[attr-defined]
    assert isinstance(server, HostileServer)
    server.ice = m.IceConfig([m.IceServer(["turn:relay.test"], "name", "word")], 600)


async def test_who_cannot_be_called(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        with pytest.raises(InvalidInput, match="Only contacts"):
            await alice.engine.call("ab" * 32)
        with pytest.raises(InvalidInput, match="your own"):
            await alice.engine.call(alice.me)
        with pytest.raises(InvalidInput, match="no contact"):
            await alice.engine.call("nobody of this name")
        await alice.engine.contacts.block(bob.me)
        with pytest.raises(InvalidInput, match="blocked"):
            await alice.call(bob)
        await alice.engine.contacts.unblock(bob.me)
        await alice.engine.disconnect()
        with pytest.raises(NotConnected):
            await alice.call(bob)
        for act in (alice.calls.accept, alice.calls.decline, alice.calls.hang_up):
            with pytest.raises(CallError) as caught:
                await act()
            assert caught.value.code == "no_call"
        with pytest.raises(CallError):
            alice.calls.mute()
        assert states(alice) == []


async def test_through_a_proxy_there_are_no_calls(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        alice.calls._proxied = True
        with pytest.raises(CallError, match="proxy") as caught:
            await alice.call(bob)
        assert caught.value.code == "proxied"
        await bob.call(alice)
        await bob.state("calling")
        await asyncio.sleep(0.2)
        assert states(alice) == []
        assert bob.calls.current.state == "calling", "as if nobody were there"


async def test_an_engine_knows_that_its_connector_goes_through_a_proxy(world: World) -> None:
    class Proxied:
        proxy = "socks5h://127.0.0.1:9050"

        async def __call__(self, address: Any) -> Any:
            return await world.connector(address)

    engine = await world.engine("alice", connector=Proxied())
    other = await world.engine("bob")
    await engine.contacts.add(other.me)
    with pytest.raises(CallError, match="proxy"):
        await engine.call(other.me)


# ---------------------------------------------------------------- addresses


async def test_addresses_are_shown_to_verified_contacts_alone(world: World, network: MemoryNetwork) -> None:
    made: list[Terms] = []

    def maker(terms: Terms, listener: Any) -> Any:
        made.append(terms)
        return network.maker(terms, listener)

    async with phones(world, maker, "alice", "bob") as (alice, bob):
        relay_there([alice])
        await talking(alice, bob)
        assert [terms.relay_only for terms in made] == [False, False]
        assert made[0].servers == made[1].servers
        assert (made[0].ours, made[0].theirs) == (made[1].theirs, made[1].ours)
        await alice.calls.hang_up()
        await bob.state("ended")
        await bob.engine.contacts.unverify(alice.me)
        await talking(alice, bob)
        assert [terms.relay_only for terms in made[2:]] == [False, True], "each side decides for itself"
        await alice.calls.hang_up()
        await bob.state("ended")
        assert not await alice.calls.hide_address()
        await alice.calls.set_hide_address(True)
        assert await alice.calls.hide_address()
        await talking(bob, alice)
        assert [terms.relay_only for terms in made[4:]] == [True, True]
        assert len({terms.ours for terms in made}) == 6, "no two certificates have one name"


async def test_without_a_relay_an_address_is_not_shown_instead(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        await bob.engine.contacts.unverify(alice.me)
        with pytest.raises(CallError, match="TURN") as caught:
            await bob.call(alice)
        assert caught.value.code == "no_relay"
        await alice.call(bob)
        await bob.state("incoming")
        with pytest.raises(CallError, match="TURN"):
            await bob.calls.accept()
        assert bob.calls.current.state == "incoming", "it rings on"
        assert not bob.calls.links._links
        await bob.engine.contacts.verify(alice.me)
        await bob.calls.accept()
        await alice.state("active")


async def test_the_server_is_asked_once_for_what_works_for_a_while(
    world: World, network: MemoryNetwork, server: HostileServer
) -> None:
    def asked() -> int:
        return sum(b"get_ice_config" in frame for _, frame in server.arrived)

    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        relay_there([alice])
        for _ in range(3):
            await talking(alice, bob)
            await alice.calls.hang_up()
            await bob.state("ended")
        assert asked() == 2
        alice.calls._ice._fresh_until = 0.0
        server.ice = m.IceConfig([], 0)
        await talking(alice, bob)
        assert asked() == 3


# ---------------------------------------------------------------- sound and screens


async def test_without_a_microphone_there_is_no_call_and_without_a_speaker_it_rings_in_silence(
    world: World, network: MemoryNetwork
) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        alice.calls.use(VirtualDevices())
        with pytest.raises(AudioUnavailable):
            await alice.call(bob)
        assert states(alice) == []
        await bob.call(alice)
        await alice.state("incoming")
        with pytest.raises(AudioUnavailable):
            await alice.calls.accept()
        assert alice.calls.current.state == "incoming"
        alice.calls.use(alice.devices, microphone="nothing", speaker="alice")
        with pytest.raises(InvalidInput, match="nothing"):
            await alice.calls.accept()
        alice.calls.use(alice.devices)
        await alice.calls.accept()
        await bob.state("active")


async def test_what_is_missing_is_said(
    world: World, network: MemoryNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MediaUnavailable("Calls take something.", "pip install it")

    async with phones(world, None, "alice", "bob") as (alice, bob):
        monkeypatch.setattr("mobium.client.calls.real_links", missing)
        with pytest.raises(MediaUnavailable, match="pip install it"):
            await alice.call(bob)


async def test_devices_are_changed_and_lost_in_a_call(world: World, network: MemoryNetwork) -> None:
    async with phones(world, network.maker, "alice", "bob", alice=Tone(440, 0.5)) as (alice, bob):
        await talking(alice, bob)
        await until(lambda: sounds(bob))
        other = Mouth()
        bob.devices.plug_microphone("other", other)
        bob.devices.plug_speaker("headphones", type(bob.heard)())
        with pytest.raises(InvalidInput, match="nothing"):
            bob.calls.choose(microphone="other", speaker="nothing")
        await until(lambda: sounds(bob))
        bob.calls.choose(microphone="other", speaker="headphones")
        bob.devices.unplug("headphones")
        event = await bob.ear.next(SoundChanged)
        assert (event.kind, event.what, event.name) == ("speaker", "lost", "headphones")
        assert bob.calls.current.state == "active"
        await bob.calls.hang_up()
        await alice.state("ended")

        async def closed() -> bool:
            return bob.devices.streams == 0

        await until(closed)


async def test_it_rings_and_ends_to_be_heard(
    world: World, network: MemoryNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):

        def tune(one: Phone) -> Tune | None:
            ringing: Ringing = one.calls._ringing
            return None if ringing._player is None else ringing._player.playing

        await alice.call(bob)
        await bob.state("incoming")
        await alice.state("ringing")
        assert (tune(alice), tune(bob)) == (RINGBACK, RINGTONE)
        await bob.calls.accept()
        await alice.state("active")
        await bob.state("active")
        assert (tune(alice), tune(bob)) == (None, None)
        await bob.calls.hang_up()
        await alice.state("ended")
        assert (tune(alice), tune(bob)) == (ENDED, ENDED)
        await alice.call(bob)
        await bob.state("incoming")
        await bob.calls.decline()
        await alice.state("ended")
        assert (tune(alice), tune(bob)) == (BUSY, None), "who declines needs not be told"
        await alice.call(bob)
        await bob.state("incoming")
        await alice.calls.hang_up()
        await bob.state("ended", "missed")
        assert (tune(alice), tune(bob)) == (None, None)
        assert alice.devices.streams == 0
        await alice.call(bob)
        await bob.state("incoming")
        await alice.state("ringing")
        await bob.engine.lock()
        await alice.engine.lock()
        assert alice.devices.streams == 0, "whoever leaves while it rings leaves no sound behind"


async def test_a_screen_is_shown_and_taken_away(
    world: World, network: MemoryNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")
    monkeypatch.setattr("mobium.client.call_screen.FADED", 0.5)
    async with phones(world, network.maker, "alice", "bob") as (alice, bob):
        with pytest.raises(CallError):
            await alice.calls.share(capture=PatternCapture)
        await talking(alice, bob)
        seen: list[int] = []
        bob.calls.watch(lambda picture: seen.append(picture.width))
        with pytest.raises(InvalidInput, match="no monitor"):
            await alice.calls.share(capture=PatternCapture, monitor="nothing")
        await alice.calls.share(SCREEN_PRESETS["360p"], capture=PatternCapture)
        event = await bob.ear.next(CallScreenChanged)
        assert (event.peer, event.shown) == (alice.me, True)
        assert alice.calls.sharing
        await until(lambda: enough(seen))
        alice.calls.stop_sharing()
        assert not (await bob.ear.next(CallScreenChanged)).shown
        assert not alice.calls.sharing
        assert set(seen) == {640}
        await alice.calls.share(capture=Broken)
        event = await alice.ear.next(CallScreenChanged)
        assert (event.peer, event.shown) == ("", False)
        assert "gone" in event.reason
        assert not alice.calls.sharing
        assert alice.calls.current.state == "active"
        await alice.calls.share(capture=PatternCapture)
        await bob.ear.next(CallScreenChanged, lambda event: event.shown)
        await bob.calls.hang_up()
        await alice.state("ended")
        assert not alice.calls.sharing
        await talking(alice, bob)
        seen.clear()
        await asyncio.sleep(0.2)
        assert not seen, "nothing is shown in the next call"


class Broken(PatternCapture):
    """A screen that is gone after some pictures."""

    def grab(self) -> Shot:
        if self._number > 3:
            raise CaptureUnavailable("The display is gone.")
        return super().grab()


async def enough(seen: list[int]) -> bool:
    return len(seen) >= 3


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
