"""What every kind of devices keeps: those in memory, on a clock that is called, and real streams of PortAudio
on a PulseAudio of their own. What is pulled out there is a PulseAudio of its own, because one that loses a
single device moves the streams by itself.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from mobium.errors import InvalidInput
from mobium.media.devices import AudioDevices, DeviceFound, DeviceLost, SourceEnded, VirtualDevices
from mobium.media.form import FRAME_BYTES, SILENCE
from mobium.media.levels import QUIETEST, level
from mobium.media.sources import FileSource, MemorySink, PcmSource, Tone, WavSink
from tests.media.ears import TONE, Ear, until
from tests.support.sound import SOUND, Pulse, devices_of, pulse


class World(Protocol):
    """Some devices, of which one microphone and one speaker can be pulled out."""

    @property
    def devices(self) -> AudioDevices: ...

    microphone: str
    speaker: str
    loose_microphone: str
    loose_speaker: str

    def until(self, done: Callable[[], bool]) -> None:
        """Time passes until that is so."""

    def unplug(self) -> None:
        """The loose ones are pulled out."""

    def plug(self) -> None:
        """The loose ones are back."""

    def speak(self) -> None:
        """A tone of -9 dBFS is heard at `microphone`."""


class InMemory:
    microphone, speaker = "mic", "spk"
    loose_microphone, loose_speaker = "usb mic", "usb spk"

    def __init__(self) -> None:
        self.devices = VirtualDevices({"mic": Tone(440, 0.0)}, {"spk": MemorySink()})
        self.plug()

    def until(self, done: Callable[[], bool]) -> None:
        for _ in range(1_000):
            if done():
                return
            self.devices.tick()
        pytest.fail("it never came to be")

    def unplug(self) -> None:
        self.devices.unplug(self.loose_microphone)
        self.devices.unplug(self.loose_speaker)

    def plug(self) -> None:
        self.devices.plug_microphone(self.loose_microphone, Tone())
        self.devices.plug_speaker(self.loose_speaker, MemorySink())

    def speak(self) -> None:
        self.devices.plug_microphone("mic", Tone(440, 0.5))


class Real:
    microphone, speaker = "micsrc", "spk"
    loose_microphone, loose_speaker = "loosesrc", "head"

    def __init__(self, folder: Path, stack: contextlib.ExitStack, patch: pytest.MonkeyPatch) -> None:
        self.stack = stack
        self.folder = folder
        self.loose: Pulse
        self.plug()
        self.main = stack.enter_context(pulse(folder / "main", elsewhere=[self.loose]))
        self.devices = devices_of(self.main, patch, stack)

    def until(self, done: Callable[[], bool]) -> None:
        until(done)

    def unplug(self) -> None:
        self.loose.end()

    def plug(self) -> None:
        self.loose = self.stack.enter_context(pulse(self.folder / "loose", ["head"], ["loose"]))

    def speak(self) -> None:
        tone = Tone(440, 0.5)
        process = self.main.feed(b"".join(itertools.islice(iter(tone.read, None), 500)))
        self.stack.callback(process.wait, 5)
        self.stack.callback(process.terminate)


@pytest.fixture(params=["in memory", pytest.param("real", marks=SOUND)])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    if request.param == "in memory":
        yield InMemory()
        return
    with contextlib.ExitStack() as stack:
        yield Real(tmp_path, stack, monkeypatch)


def test_each_kind_has_one_default_and_names_that_differ(world: World) -> None:
    for found, known in (
        (world.devices.microphones(), (world.microphone, world.loose_microphone)),
        (world.devices.speakers(), (world.speaker, world.loose_speaker)),
    ):
        names = [device.name for device in found]
        assert len([device for device in found if device.default]) == 1
        assert len(set(names)) == len(names)
        assert set(known) <= set(names)


def test_names_are_the_same_after_another_look(world: World) -> None:
    before = world.devices.microphones(), world.devices.speakers()
    world.devices.rescan()
    assert (world.devices.microphones(), world.devices.speakers()) == before


@pytest.mark.parametrize("chosen", [True, False], ids=["chosen", "default"])
def test_a_microphone_gives_frames_of_what_is_said(world: World, chosen: bool) -> None:
    ear = Ear()
    stream = world.devices.open_microphone(
        world.microphone if chosen else None, ear.frames.append, ear.events.append
    )
    world.speak()
    world.until(lambda: bool(ear.frames) and level(ear.frames[-1]) == pytest.approx(-9, abs=0.5))
    world.until(ear.more(20))
    assert {len(frame) for frame in ear.frames} == {FRAME_BYTES}
    assert stream.level == pytest.approx(-9, abs=0.5)
    assert not chosen or stream.device == world.microphone
    stream.close()
    assert ear.events == []


@pytest.mark.parametrize("chosen", [True, False], ids=["chosen", "default"])
def test_a_speaker_asks_for_frames(world: World, chosen: bool) -> None:
    ear = Ear()
    stream = world.devices.open_speaker(world.speaker if chosen else None, ear.wanted, ear.events.append)
    world.until(ear.more(20))
    assert stream.level == pytest.approx(-9, abs=0.5)
    assert not chosen or stream.device == world.speaker
    stream.close()
    assert ear.events == []


def test_once_closed_nothing_is_called_back(world: World) -> None:
    ear, mouth = Ear(), Ear()
    heard = world.devices.open_microphone(None, ear.frames.append, ear.events.append)
    played = world.devices.open_speaker(None, mouth.wanted, mouth.events.append)
    world.until(ear.more())
    world.until(mouth.more())
    heard.close()
    before = len(ear.frames)
    world.until(mouth.more(10))
    assert len(ear.frames) == before
    assert (heard.device, heard.level) == (None, QUIETEST)
    played.close()
    played.close()
    assert ear.events + mouth.events == []


def test_two_speakers_at_once_and_a_fault_of_one_that_harms_neither(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    ear, other = Ear(), Ear()

    def faulty() -> bytes:
        other.wanted()
        raise ValueError("a fault")

    first = world.devices.open_speaker(world.speaker, ear.wanted, ear.events.append)
    second = world.devices.open_speaker(world.speaker, faulty, other.events.append)
    world.until(other.more(20))
    world.until(ear.more(20))
    assert second.level == QUIETEST
    assert "What the speaker is to play could not be made." in caplog.text
    first.close()
    second.close()


def test_a_fault_of_who_hears_ends_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    ear = Ear()

    def faulty(pcm: bytes) -> None:
        ear.frames.append(pcm)
        raise ValueError("a fault")

    stream = world.devices.open_microphone(None, faulty, ear.events.append)
    world.until(ear.more(20))
    assert "What the microphone heard could not be used." in caplog.text
    stream.close()


def test_a_name_that_there_is_not_is_refused_with_those_there_are(world: World) -> None:
    ear = Ear()
    with pytest.raises(InvalidInput, match=f"no microphone called nobody.*{world.microphone}"):
        world.devices.open_microphone("nobody", ear.frames.append, ear.events.append)
    with pytest.raises(InvalidInput, match=f"no speaker called nobody.*{world.speaker}"):
        world.devices.open_speaker("nobody", ear.wanted, ear.events.append)


def test_a_device_that_is_pulled_out_is_replaced_by_the_default_until_it_is_back(world: World) -> None:
    ear, mouth = Ear(), Ear()
    heard = world.devices.open_microphone(world.loose_microphone, ear.frames.append, ear.events.append)
    played = world.devices.open_speaker(world.loose_speaker, mouth.wanted, mouth.events.append)
    world.until(ear.more())
    world.until(mouth.more())
    world.unplug()
    world.until(lambda: bool(ear.events and mouth.events))
    (default_microphone,) = [one.name for one in world.devices.microphones() if one.default]
    (default_speaker,) = [one.name for one in world.devices.speakers() if one.default]
    assert ear.events == [DeviceLost("microphone", world.loose_microphone, default_microphone)]
    assert mouth.events == [DeviceLost("speaker", world.loose_speaker, default_speaker)]
    assert (heard.device, played.device) == (default_microphone, default_speaker)
    world.until(ear.more())
    world.until(mouth.more())

    world.plug()
    world.devices.rescan()
    assert ear.events[1:] == [DeviceFound("microphone", world.loose_microphone)]
    assert mouth.events[1:] == [DeviceFound("speaker", world.loose_speaker)]
    world.until(ear.more())
    world.until(mouth.more())
    heard.close()
    played.close()


# ---------------------------------------------------------------- where all of it goes


def test_in_memory_the_last_device_leaves_silence_until_there_is_one() -> None:
    devices, ear, mouth = VirtualDevices({"mic": Tone()}, {"spk": MemorySink()}), Ear(), Ear()
    heard = devices.open_microphone(None, ear.frames.append, ear.events.append)
    played = devices.open_speaker(None, mouth.wanted, mouth.events.append)
    devices.tick()
    devices.unplug("mic")
    devices.unplug("spk")
    for _ in range(10):
        devices.tick()
    assert ear.events == [DeviceLost("microphone", "mic", None)]
    assert mouth.events == [DeviceLost("speaker", "spk", None)]
    assert len(ear.frames) == 1
    assert len(mouth.frames) == 11, "what is to be heard goes on, or it would be late afterwards"
    assert (heard.device, played.device, played.level) == (None, None, QUIETEST)
    devices.plug_microphone("new mic", Tone())
    devices.plug_speaker("new spk", MemorySink())
    devices.tick()
    assert ear.events[1:] == [DeviceFound("microphone", "new mic")]
    assert mouth.events[1:] == [DeviceFound("speaker", "new spk")]
    assert len(ear.frames) == 2


# ---------------------------------------------------------------- files


def test_a_file_is_a_microphone_that_ends_and_a_recording_a_speaker(tmp_path: Path) -> None:
    said = b"".join(itertools.islice(iter(Tone(440, 0.5).read, None), 50))
    sink = WavSink(tmp_path / "said.wav")
    for at in range(0, len(said), FRAME_BYTES):
        sink.write(said[at : at + FRAME_BYTES])
    sink.close()
    ear = Ear()
    waiting: list[bytes] = []

    def hear(pcm: bytes) -> None:
        ear.frames.append(pcm)
        waiting.append(pcm)

    devices = VirtualDevices(
        {"said.wav": FileSource(tmp_path / "said.wav")}, {"heard.wav": WavSink(tmp_path / "heard.wav")}
    )
    devices.open_microphone("said.wav", hear, ear.events.append)
    devices.open_speaker("heard.wav", lambda: waiting.pop(0) if waiting else SILENCE, ear.events.append)
    began = time.monotonic()
    with devices.running():
        until(lambda: bool(ear.events) and not waiting)
    print(f"a second of file took {time.monotonic() - began:.2f} s")
    assert ear.events == [SourceEnded("said.wav")]
    assert b"".join(ear.frames) == said
    with FileSource(tmp_path / "heard.wav") as file:
        recorded = b"".join(iter(file.read, None))
    assert said[: 45 * FRAME_BYTES] in recorded


def test_sound_in_memory_that_ends_is_told_once() -> None:
    devices, ear = VirtualDevices({"pcm": PcmSource(TONE[:100])}), Ear()
    devices.open_microphone(None, ear.frames.append, ear.events.append)
    for _ in range(5):
        devices.tick()
    assert ear.frames == [TONE[:100].ljust(FRAME_BYTES, b"\0")]
    assert ear.events == [SourceEnded("pcm")]
