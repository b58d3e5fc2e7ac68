"""Speaking and listening in a voice room: real engines, a real server, and devices of which a test is the
clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from mobium.client import Engine, SoundChanged, SpeakingChanged, Voice, VoiceRoom
from mobium.crypto.media import MediaKind
from mobium.errors import AudioUnavailable, InvalidInput, NotConnected
from mobium.media.devices import VirtualDevices
from mobium.media.levels import level
from mobium.media.sources import MemorySink, PcmSource, Tone
from tests.support.channel_world import ChannelWorld
from tests.support.engines import Ear, until

pytestmark = pytest.mark.needs("libopus")

FRAME = 1_920


@dataclass
class Desk:
    """A microphone that hums, and a speaker that is recorded."""

    frequency: float = 440.0
    heard: MemorySink = field(default_factory=lambda: MemorySink(2.0))

    def forget(self) -> None:
        """What was heard until now counts no more."""
        for _ in range(101):
            self.heard.write(bytes(FRAME))

    def __post_init__(self) -> None:
        self.devices = VirtualDevices({"mic": Tone(self.frequency)}, {"spk": self.heard})

    async def join(self, engine: Engine, *, listen_only: bool = False) -> Voice:
        """Be in the room of the garden."""
        return await Voice.join(engine.rooms, "#garden", self.devices, listen_only=listen_only)

    @property
    def loudness(self) -> float:
        """dBFS of what was played last."""
        return level(self.heard.pcm[-FRAME:]) if len(self.heard.pcm) >= FRAME else -100.0


@contextmanager
def time_for(*desks: Desk) -> Iterator[None]:
    """20 ms pass for all of them, again and again."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            for desk in desks:
                desk.devices.tick()
            due = max(due + 0.02, loop.time() - 0.5)
            await asyncio.sleep(max(0.0, due - loop.time()))

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()


async def loud(desk: Desk) -> None:
    """Wait until something is heard."""

    async def so() -> bool:
        return desk.loudness > -30

    await until(so)


async def silent(desk: Desk) -> None:
    """Wait until nothing is heard any more."""

    async def so() -> bool:
        return desk.loudness < -60

    await until(so)


async def test_one_speaks_and_the_other_hears_until_muted_deafened_or_turned_down(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    ear = Ear(ben)
    one, two = Desk(), Desk()
    with time_for(one, two):
        speaks = await one.join(anna)
        listens = await two.join(ben, listen_only=True)
        await loud(two)
        event = await ear.next(SpeakingChanged)
        assert (event.peer, event.speaking) == (anna.me, True)
        assert listens.speaking == {anna.me}
        assert speaks.level > -30
        speaks.muted = True
        await silent(two)
        await ear.next(SpeakingChanged, lambda event: not event.speaking)
        speaks.muted = False
        await loud(two)
        listens.deafened = True
        await silent(two)
        assert listens.speaking == {anna.me}, "who speaks is shown to the deaf as well"
        listens.deafened = False
        await loud(two)
        listens.set_volume(anna.me, 0.0)
        await silent(two)
        listens.set_volume(anna.me, 1.0)
        await loud(two)
        with pytest.raises(InvalidInput):
            listens.set_volume(anna.me, 3.0)
        report = listens.report()[anna.me]
        assert report.speaking
        assert (report.counts.late, report.counts.repeated) == (0, 0)
        await speaks.leave()
        await silent(two)
        assert await speaks.over() == ""

        async def alone() -> bool:
            return not listens.people and not listens.report() and not listens.speaking

        await until(alone)
        await listens.leave()
    assert one.devices._streams == two.devices._streams == []


async def test_nobody_hears_a_gap_when_others_come_and_go(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys step at each entrance and are new after each departure: every frame that is sent is opened."""
    anna, ben, cleo = await town.gather("anna", "ben", "cleo")
    one, two, three = Desk(), Desk(), Desk(660.0)
    sent, opened = 0, 0
    say, heard = Voice._say, Voice._heard

    def counted_say(self: Voice, packet: bytes) -> None:
        nonlocal sent
        sent += two_hears.is_set() and self._room is not None and self._room.state == "in"
        say(self, packet)

    def counted_heard(self: Voice, speaker: str, key: int, number: int, packet: bytes) -> None:
        nonlocal opened
        opened += two_hears.is_set() and speaker == anna.me and self._room is ben.rooms.present
        heard(self, speaker, key, number, packet)

    two_hears = asyncio.Event()
    monkeypatch.setattr(Voice, "_say", counted_say)
    monkeypatch.setattr(Voice, "_heard", counted_heard)
    with time_for(one, two, three):
        speaks = await one.join(anna)
        listens = await two.join(ben, listen_only=True)
        await loud(two)
        assert listens._room is not None
        assert speaks._room is not None
        two_hears.set()
        lost, kids = dict(listens._room.lost), set()
        for _ in range(3):
            three.forget()
            late = await three.join(cleo, listen_only=True)
            await loud(three)
            kids.add(speaks._room._own[MediaKind.VOICE].kid)
            await late.leave()

            async def alone() -> bool:
                return speaks.people == [ben.me]

            await until(alone)

        async def renewed() -> bool:
            assert speaks._room is not None
            return speaks._room._own[MediaKind.VOICE].kid not in kids

        await until(renewed)
        speaks.muted = True
        await silent(two)
        assert listens._room.lost == lost, "nothing but what was sealed before he came"
        assert len(kids) == 3
        assert abs(sent - opened) <= 10  # those that were on their way when counting began
        assert opened > 50


async def test_a_break_of_the_connection_is_got_over(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    one, two = Desk(), Desk()
    with time_for(one, two):
        speaks = await one.join(anna)
        await two.join(ben, listen_only=True)
        await loud(two)
        town.tap("anna").cut()
        await silent(two)
        await loud(two)
        assert speaks.state == "in"


async def test_devices_that_are_missing_go_away_or_are_changed(town: ChannelWorld) -> None:
    anna, ben = await town.gather("anna", "ben")
    one, two = Desk(), Desk()
    with pytest.raises(AudioUnavailable):
        await Voice.join(anna.rooms, "#garden", VirtualDevices())
    with pytest.raises(InvalidInput, match="no microphone"):
        await Voice.join(anna.rooms, "#garden", one.devices, microphone="another")

    async def out() -> bool:
        return anna.rooms.present is None

    await until(out)
    ear = Ear(anna)
    one.devices.plug_microphone("file", PcmSource(bytes(FRAME) * 5))
    with time_for(one, two):
        speaks = await one.join(anna)
        await two.join(ben, listen_only=True)
        await loud(two)
        speaks.choose_microphone("file")
        await silent(two)
        await ear.next(SoundChanged, lambda event: event.what == "ended")
        with pytest.raises(InvalidInput):
            speaks.choose_microphone("another")
        speaks.choose_microphone(None)
        await loud(two)
        one.devices.unplug("mic")
        await ear.next(SoundChanged, lambda event: event.what == "lost")
        await silent(two)


async def test_an_engine_that_is_locked_lets_the_devices_go(town: ChannelWorld) -> None:
    desk = Desk()
    async with town.opened("anna") as anna:
        await anna.create_channel("garden")
        with time_for(desk):
            voice = await desk.join(anna)
            await anna.lock()
            assert await voice.over() == ""
    assert desk.devices._streams == []


async def test_after_the_end_no_microphone_is_opened_any_more(town: ChannelWorld) -> None:
    [anna] = await town.gather("anna")
    desk = Desk()
    with time_for(desk):
        voice = await desk.join(anna)
        assert desk.devices.streams == 2
        await voice.leave()
        for choose in (voice.choose_microphone, voice.choose_speaker):
            with pytest.raises(NotConnected, match="left"):
                choose(None)
        voice = await desk.join(anna)
        anna.rooms.close("The end.")
        await voice.over()
        with pytest.raises(NotConnected):
            voice.choose_microphone(None)
    assert desk.devices.streams == 0


async def test_a_room_that_ends_while_it_is_entered_says_so_and_lets_the_devices_go(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    [anna] = await town.gather("anna")
    desk = Desk()
    join = anna.rooms.join

    async def ends(*arguments: Any) -> VoiceRoom:
        room = await join(*arguments)
        anna.rooms.close("The end.")

        async def over() -> bool:
            return anna.rooms.present is None

        await until(over)
        return room

    monkeypatch.setattr(anna.rooms, "join", ends)
    with pytest.raises(NotConnected, match=r"The end\."):
        await desk.join(anna)
    assert desk.devices.streams == 0
