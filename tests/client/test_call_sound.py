"""Sound and screens of calls: devices that are missing, changed or lost, ringing, screens that come."""

from __future__ import annotations

import asyncio

import pytest

from mobium.client import SCREEN_PRESETS, CallScreenChanged, SoundChanged
from mobium.client.call_sound import Ringing
from mobium.errors import AudioUnavailable, CallError, CaptureUnavailable, InvalidInput, MediaUnavailable
from mobium.media.capture import Shot
from mobium.media.devices import VirtualDevices
from mobium.media.link import MemoryNetwork
from mobium.media.pattern import PatternCapture
from mobium.media.sources import Tone
from mobium.media.tones import BUSY, ENDED, RINGBACK, RINGTONE, Tune
from tests.support.calls import Mouth, Phone, phones, sounds, states, talking
from tests.support.engines import World, until

pytestmark = pytest.mark.once


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
