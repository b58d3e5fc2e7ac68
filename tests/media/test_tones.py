"""Ringing is made, not shipped; it is heard on the chosen speaker, and on none once it is over."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import ClassVar

import pytest

from mobium.media.devices import VirtualDevices
from mobium.media.form import FRAME_BYTES, FRAME_SECONDS, SILENCE
from mobium.media.levels import level
from mobium.media.sources import MemorySink
from mobium.media.tones import BUSY, ENDED, RINGBACK, RINGTONE, TEST, TonePlayer, Tune, TuneSource
from tests.media.ears import until
from tests.support.sound import SOUND, devices_of, pulse

TUNES = {"ringtone": RINGTONE, "ringback": RINGBACK, "busy": BUSY, "ended": ENDED, "test": TEST}


class Room:
    """Two speakers in memory, and a player on the first."""

    def __init__(self) -> None:
        self.sinks = {"desk": MemorySink(), "head": MemorySink()}
        self.devices = VirtualDevices({}, self.sinks)
        self.player = TonePlayer(self.devices)

    def tick(self, count: int) -> dict[str, bool]:
        """So many frames pass; on which speakers something is heard in them."""
        before = {name: len(sink.pcm) for name, sink in self.sinks.items()}
        for _ in range(count):
            self.devices.tick()
        return {name: any(sink.pcm[before[name] :]) for name, sink in self.sinks.items()}


def until_silent(player: TonePlayer) -> None:
    def silent() -> bool:
        ending = any(one.name == "mobium tone ends" for one in threading.enumerate())
        return player.playing is None and not ending

    until(silent)


@pytest.mark.parametrize("name", TUNES)
def test_a_tune_is_whole_frames_of_a_bearable_level_and_has_no_click(name: str) -> None:
    import numpy as np

    tune = TUNES[name]
    source = TuneSource(Tune(tune.steps, 1))
    frames = list(iter(source.read, None))
    assert {len(frame) for frame in frames} == {FRAME_BYTES}
    assert len(frames) * FRAME_SECONDS == pytest.approx(sum(step.seconds for step in tune.steps))
    assert -30 < max(map(level, frames)) < -14
    samples = np.frombuffer(b"".join(frames), np.int16).astype(int)
    assert abs(samples[0]) < 50
    assert abs(samples[-1]) < 50
    # the steepest of its sines moves by less: 2 kHz at that level
    assert np.abs(np.diff(samples)).max() < 2_000


@pytest.mark.parametrize("tune", [RINGTONE, RINGBACK], ids=["ringtone", "ringback"])
def test_ringing_goes_on_until_it_is_stopped(tune: Tune) -> None:
    room = Room()
    room.player.play(tune)
    for _ in range(12):  # a minute
        assert room.tick(250) == {"desk": True, "head": False}
    room.player.stop()
    assert room.tick(250) == {"desk": False, "head": False}
    room.player.stop()


@pytest.mark.parametrize("tune", [BUSY, ENDED, TEST], ids=["busy", "ended", "test"])
def test_other_tunes_end_by_themselves_and_let_the_speaker_go(tune: Tune) -> None:
    room = Room()
    room.player.play(tune)
    length = round(sum(step.seconds for step in tune.steps) * (tune.times or 1) / FRAME_SECONDS)
    assert room.tick(length + 1)["desk"]
    until_silent(room.player)
    assert room.tick(300) == {"desk": False, "head": False}
    assert room.devices.streams == 0


def test_ringing_follows_the_chosen_speaker_and_goes_on_where_it_was() -> None:
    room = Room()
    room.player.play(RINGBACK)
    assert room.tick(25) == {"desk": True, "head": False}
    room.player.choose("head")
    assert room.tick(24) == {"desk": False, "head": True}
    room.tick(2)
    assert room.tick(190) == {"desk": False, "head": False}, "the pause of ringback began after a second"
    room.player.stop()
    room.player.choose("desk")
    assert room.devices.streams == 0


def test_a_new_tune_replaces_the_old_one() -> None:
    room = Room()
    room.player.play(RINGTONE)
    room.tick(10)
    room.player.play(ENDED)
    assert room.player.playing is ENDED
    assert room.devices.streams == 1
    room.tick(100)
    until_silent(room.player)


def test_a_speaker_that_is_gone_is_replaced_by_the_default_and_none_is_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = Room()
    room.player.choose("nobody's")
    room.player.play(RINGTONE)
    assert room.tick(10) == {"desk": True, "head": False}
    room.player.stop()
    player = TonePlayer(VirtualDevices())
    player.play(RINGTONE)
    meanwhile = player.playing
    player.stop()
    assert (meanwhile, player.playing) == (RINGTONE, None)
    assert "A tone cannot be heard: There is no speaker on this machine." in caplog.text


class TestReal:
    pytestmark: ClassVar = SOUND

    def test_it_is_heard_on_the_chosen_speaker_and_then_no_more(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with contextlib.ExitStack() as stack:
            sound = stack.enter_context(pulse(tmp_path, ["desk", "head"]))
            devices = devices_of(sound, monkeypatch, stack)
            player = TonePlayer(devices, "desk")
            with sound.recording("desk") as desk, sound.recording("head") as head:
                player.play(RINGTONE)
                time.sleep(0.8)
                player.choose("head")
                time.sleep(0.8)
                player.stop()
            assert any(desk.pcm)
            assert any(head.pcm)
            with sound.recording("head") as after:
                player.play(ENDED)
                until_silent(player)
                time.sleep(0.5)
            assert any(after.pcm)
            assert after.pcm[-FRAME_BYTES:] == SILENCE
