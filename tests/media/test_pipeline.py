"""A voice from the microphone to the speaker, in memory: the whole path on a clock that is called."""

from __future__ import annotations

import gc
import itertools
import random
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from mobium.errors import InvalidInput
from mobium.media.devices import DeviceEvent, VirtualDevices
from mobium.media.form import FRAME_BYTES, FRAME_SECONDS, SILENCE
from mobium.media.levels import HANGOVER, QUIETEST, level
from mobium.media.opus import LARGEST_PACKET, OpusEncoder
from mobium.media.pipeline import Incoming, Outgoing
from mobium.media.sources import MemorySink, Source, Tone

FIRST = 1 << 24


def unexpected(event: DeviceEvent) -> None:
    pytest.fail(str(event))


class Table:
    """Some who speak, and one who listens."""

    def __init__(self) -> None:
        self.now = 50.0
        self.told: list[tuple[Hashable, bool]] = []
        self.incoming = Incoming(lambda *change: self.told.append(change), FIRST)
        self.voices: dict[str, tuple[Source, Outgoing]] = {}

    def sit(self, name: str, source: Source | None = None) -> Outgoing:
        numbers = itertools.count(FIRST)

        def send(packet: bytes) -> None:
            assert 1 <= len(packet) <= LARGEST_PACKET
            self.incoming.put(name, 1, next(numbers), packet, self.now)

        outgoing = Outgoing(send, lambda now: self.told.append((f"{name} himself", now)))
        self.voices[name] = source or Tone(440, 0.25), outgoing
        return outgoing

    def pass_time(self, frames: int = 1) -> list[bytes]:
        """What is heard in so many frames."""
        heard = []
        for _ in range(frames):
            for source, outgoing in self.voices.values():
                outgoing.feed(source.read() or SILENCE)
            self.now += FRAME_SECONDS
            heard.append(self.incoming.pull(self.now))
        return heard

    def loudness(self, frames: int = 20) -> float:
        """dBFS of the last of so many frames."""
        return level(self.pass_time(frames)[-1])


def test_a_tone_at_the_microphone_comes_out_of_the_speaker() -> None:
    sink, table = MemorySink(), Table()
    devices = VirtualDevices({"tone": Tone()}, {"memory": sink})
    outgoing = table.sit("anna")
    devices.open_microphone(None, outgoing.feed, unexpected)
    devices.open_speaker("memory", lambda: table.incoming.pull(table.now), unexpected)
    for _ in range(50):
        devices.tick()
        table.now += FRAME_SECONDS
    assert level(sink.pcm[-FRAME_BYTES:]) == pytest.approx(outgoing.level, abs=1.0)
    report = table.incoming.report()["anna"]
    assert report.speaking
    assert outgoing.speaking
    assert report.counts.played >= 47
    assert (report.counts.concealed, report.counts.recovered, report.counts.late) == (0, 0, 0)
    assert 0 < report.delay <= 0.04


def test_who_is_muted_sends_nothing_and_shows_no_sign_though_he_speaks() -> None:
    table = Table()
    anna = table.sit("anna")
    assert table.loudness() == pytest.approx(-15, abs=1)
    anna.muted = True
    table.pass_time(50)
    assert table.loudness() == QUIETEST
    assert anna.level == pytest.approx(-15, abs=0.1)
    assert not anna.speaking
    played = table.incoming.report()["anna"].counts.played
    table.pass_time(100)
    assert table.incoming.report()["anna"].counts.played == played
    anna.muted = False
    assert table.loudness() == pytest.approx(-15, abs=1)
    assert [now for name, now in table.told if name == "anna"] == [True, False, True]
    assert [now for name, now in table.told if name == "anna himself"] == [True, False, True]


def test_who_speaks_is_told_with_the_frame_and_who_ends_a_moment_later() -> None:
    table = Table()
    table.sit("anna", Tone(volume=0))
    table.pass_time(50)
    assert table.told == []
    table.voices["anna"] = Tone(440, 0.25), table.voices["anna"][1]
    table.pass_time(10)
    assert table.told == [("anna himself", True), ("anna", True)]
    table.voices["anna"] = Tone(volume=0), table.voices["anna"][1]
    table.pass_time(HANGOVER - 2)
    assert len(table.told) == 2
    table.pass_time(10)
    assert table.told[2:] == [("anna himself", False), ("anna", False)]


def test_each_speaker_has_a_volume_which_is_kept_while_he_is_away() -> None:
    table = Table()
    table.incoming.set_volume("anna", 0.5)
    table.sit("anna")
    assert table.loudness() == pytest.approx(-21, abs=1)
    table.incoming.remove("anna")
    assert table.loudness() == pytest.approx(-21, abs=1)
    table.incoming.set_volume("anna", 2.0)
    assert table.loudness() == pytest.approx(-9, abs=1)
    table.incoming.set_volume("anna", 0.0)
    assert table.loudness() == QUIETEST
    assert table.incoming.report()["anna"].level == pytest.approx(-15, abs=1), "before his volume"
    table.sit("bob", Tone(300, 0.25))
    assert table.loudness() == pytest.approx(-15, abs=1)


@pytest.mark.parametrize("volume", [-0.1, 2.1, float("nan")])
def test_a_volume_that_is_none_is_refused(volume: float) -> None:
    with pytest.raises(InvalidInput):
        Incoming().set_volume("anna", volume)


def test_a_change_of_volume_does_not_click() -> None:
    table = Table()
    table.sit("anna")
    table.pass_time(20)
    table.incoming.set_volume("anna", 0.1)
    heard = np.frombuffer(b"".join(table.pass_time(10)), "<i2").astype(int)
    assert np.abs(np.diff(heard)).max() < 700, "a sine of 440 Hz and a quarter of the scale moves by 472"


def test_who_is_deafened_hears_nobody_and_sees_who_speaks() -> None:
    table = Table()
    table.sit("anna")
    table.incoming.deafened = True
    assert set(table.pass_time(50)) == {SILENCE}
    assert ("anna", True) in table.told
    table.incoming.deafened = False
    assert level(table.pass_time(1)[0]) == pytest.approx(-15, abs=1), (
        "what was said meanwhile is not heard now"
    )


def test_two_are_heard_at_once_and_one_who_goes_is_no_speaker_any_more() -> None:
    table = Table()
    table.sit("anna", Tone(300, 0.25))
    table.sit("bob", Tone(500, 0.25))
    assert table.loudness() == pytest.approx(-12, abs=1)
    del table.voices["bob"]
    table.incoming.remove("bob")
    assert table.told[-1] == ("bob", False)
    assert table.loudness() == pytest.approx(-15, abs=1)
    assert set(table.incoming.report()) == {"anna"}
    table.incoming.remove("bob")


def test_what_being_heard_takes_is_counted() -> None:
    table = Table()
    for name in "abc":
        table.sit(name)
    table.pass_time(30)
    cost = table.incoming.cost
    assert cost.pulled == 30
    assert 3 * 27 <= cost.decoded <= 3 * 30
    assert 0 < cost.seconds < 30
    print(f"{cost.seconds / cost.pulled * 1e6:.0f} us a frame of three")


@pytest.mark.parametrize("length", [0, 1_919, 1_921])
def test_a_frame_of_another_length_is_refused_before_anything_happens(length: int) -> None:
    outgoing = Outgoing(lambda _: pytest.fail("it was sent"))
    with pytest.raises(InvalidInput):
        outgoing.feed(bytes(length))
    assert outgoing.level == QUIETEST


def test_the_network_may_put_while_the_sound_card_pulls() -> None:
    incoming, packet = Incoming(), OpusEncoder().encode(SILENCE)

    def often(work: Callable[[int], object]) -> None:
        for index in range(3_000):
            work(index)

    def put(index: int) -> None:
        incoming.put(f"speaker {index % 7}", 1, index // 7, packet, index / 350)
        if index % 50 == 0:
            incoming.remove(f"speaker {index % 3}")

    with ThreadPoolExecutor() as threads:
        works = [put, lambda index: incoming.pull(index / 350), lambda _: incoming.report()]
        for ended in [threads.submit(often, work) for work in works]:
            ended.result(60)
    assert incoming.cost.decoded > 0


# ---------------------------------------------------------------- an hour


def talk(seconds: int, seed: str) -> tuple[int, int]:
    """Three who speak, mute, stall, lose packets, leave and come back under new keys; on a clock that is
    called.

    The bytes by which this process has grown since a sixth of it, and the frames that were heard.
    """
    draw = random.Random(seed)
    encoder, tone = OpusEncoder(), Tone(440, 0.3)
    packets = [encoder.encode(tone.read()) for _ in range(50)]
    incoming = Incoming(first=FIRST)
    waiting: dict[str, list[tuple[int, int, bytes]]] = {name: [] for name in "abc"}
    state = {name: [draw.randrange(1 << 31, 1 << 32), FIRST] for name in "abc"}
    free = dict.fromkeys("abc", 0.0)
    muted = dict.fromkeys("abc", 0.0)
    process, began, now = psutil.Process(), 0, 0.0
    frames = round(seconds / FRAME_SECONDS)
    for index in range(frames):
        now = index * FRAME_SECONDS
        for name, (key, number) in state.items():
            chance = draw.random()
            if chance < 0.0005:
                incoming.remove(name)
                state[name] = [draw.randrange(1 << 31, 1 << 32), FIRST]
            elif chance < 0.001:
                muted[name] = now + draw.uniform(0.1, 10)
            elif chance < 0.002:
                free[name] = now + draw.uniform(0.1, 0.5)
            if now >= muted[name]:
                if draw.random() > 0.02:
                    waiting[name].append((key, number, packets[index % 50]))
                state[name][1] = state[name][1] + 1 if state[name][0] == key else state[name][1]
            if now >= free[name]:
                for packet in waiting[name]:
                    incoming.put(name, *packet, now)
                waiting[name].clear()
        incoming.pull(now)
        if index == frames // 6:
            gc.collect()
            began = process.memory_info().rss
    gc.collect()
    return process.memory_info().rss - began, incoming.cost.decoded


@pytest.mark.parametrize("seconds", [300, pytest.param(3_600, marks=pytest.mark.long)])
def test_memory_does_not_grow(seconds: int, seed: int) -> None:
    print(f"seed {seed}")
    grown, heard = talk(seconds, f"{seed}:hour")
    print(f"{seconds} s of sound: {heard} frames, grown by {grown / 1024:.0f} KiB")
    assert heard > seconds * 50
    assert grown < 2 << 20
