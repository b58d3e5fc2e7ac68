"""How loud, who speaks, and many voices in one."""

from __future__ import annotations

import random
from array import array

import numpy as np
import pytest

from mobium.media.form import FRAME_SAMPLES, SILENCE
from mobium.media.levels import HANGOVER, QUIETEST, Speaking, level
from mobium.media.mixer import ATTACK, CEILING, Mixer, Part, fade
from mobium.media.sources import Tone


def flat(value: int) -> bytes:
    return array("h", [value] * FRAME_SAMPLES).tobytes()


def samples(pcm: bytes) -> np.ndarray[tuple[int], np.dtype[np.int_]]:
    return np.frombuffer(pcm, "<i2").astype(int)


def test_levels_are_those_of_the_textbook() -> None:
    assert level(flat(-32_768)) == 0
    assert level(Tone(500, 1.0).read()) == pytest.approx(-3.01, abs=0.01)
    assert level(Tone(500, 0.1).read()) == pytest.approx(-23.01, abs=0.01)
    assert level(SILENCE) == level(flat(0)) == QUIETEST


def test_who_speaks_does_so_through_the_pauses_between_words() -> None:
    speaking = Speaking()
    assert [speaking.note(QUIETEST) for _ in range(50)] == [False] * 50
    changes = [speaking.note(loud) for loud in ([-20.0] * 10 + [-60.0] * (HANGOVER - 1)) * 20]
    assert changes == [True] + [False] * (len(changes) - 1)
    assert speaking.now
    ended = [speaking.note(-60.0) for _ in range(HANGOVER)]
    assert ended.count(True) == 1
    assert not speaking.now


def test_a_level_between_beginning_and_ending_changes_nothing() -> None:
    speaking = Speaking()
    assert not any(speaking.note(-45.0) for _ in range(100))
    assert speaking.note(-41.0)
    assert not any(speaking.note(-45.0) for _ in range(100))
    assert speaking.now


def test_nobody_is_silence_and_one_passes_as_he_is(seed: int) -> None:
    mixer = Mixer()
    assert mixer.mix([]) == SILENCE
    voice = random.Random(seed).randbytes(2 * FRAME_SAMPLES)
    quiet = (samples(voice) // 2).astype("<i2").tobytes()
    assert mixer.mix([Part(quiet)]) == quiet


def test_voices_are_added_each_with_its_volume() -> None:
    mixed = Mixer().mix([Part(flat(1_000)), Part(flat(4_000), 0.5, 0.5), Part(flat(700), 0.0, 0.0)])
    assert mixed == flat(3_000)
    assert Mixer().mix([Part(flat(1_000), 2.0, 2.0)]) == flat(2_000)


def test_a_volume_that_changes_goes_there_within_the_frame() -> None:
    mixed = samples(Mixer().mix([Part(flat(10_000), 0.0, 1.0)]))
    assert (mixed[0], mixed[-1]) == (10_000, 0)
    assert np.abs(np.diff(mixed)).max() <= 11


def test_forty_who_shout_are_neither_cut_nor_turned_over() -> None:
    mixer = Mixer()
    voices = [Tone(200 + 7 * index, 0.9) for index in range(40)]
    for frame in range(50):
        mixed = samples(mixer.mix([Part(voice.read()) for voice in voices]))
        bent = np.flatnonzero(np.abs(mixed) > CEILING + 1)
        assert all(at < ATTACK for at in bent), f"frame {frame} is bent where the limiter had the time"
        # at once from nothing to all, but never from one edge to the other
        assert np.abs(np.diff(mixed)).max() < (12_000 if frame else 40_000)


def test_the_limiter_lets_go_within_a_second_or_two() -> None:
    mixer = Mixer()
    loud, quiet = [Part(Tone(300, 1.0).read())] * 4, [Part(flat(1_000))]
    mixer.mix(loud)
    assert samples(mixer.mix(loud)).max() <= CEILING + 1
    assert samples(mixer.mix(quiet)).max() < 400
    for _ in range(100):
        mixer.mix(quiet)
    assert mixer.mix(quiet) == flat(1_000)


def test_a_frame_that_becomes_another_does_so_evenly() -> None:
    assert fade(flat(900), flat(900)) == flat(900)
    faded = samples(fade(flat(9_590), flat(0)))
    assert (faded[0], faded[-1]) == (9_590, 0)
    assert np.abs(np.diff(faded)).max() <= 11
