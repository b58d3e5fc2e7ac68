"""What goes out when: within the server's own limit of media, at every preset, whatever the encoder makes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from mobium.errors import CryptoError
from mobium.media.broadcast import SCREEN_BURST, SCREEN_RATE, Broadcast
from mobium.media.fragments import LARGEST_FRAME, Reassembly, read_picture
from mobium.media.pace import Pacer
from mobium.media.screen import PRESETS, Preset
from mobium.protocol.limits import VOICE_BODY, media_cost
from mobium_server.config import Settings
from mobium_server.limits import Rates
from tests.support.screens import Keys, encoded

MEDIA = Settings().rate_media


class Room:
    """A sender with voice and a screen, and the server's bucket, on one clock.

    The network stands still when `stalls` says so: what was sent meanwhile arrives at once, and the server's
    clock is the one that counts.
    """

    def __init__(self, preset: Preset, stall: Callable[[float], float] = lambda _: 0.0) -> None:
        self.now = 50.0
        self.bit_rate = preset.bit_rate
        self.broadcast = Broadcast(7, preset.bit_rate, bytes, media_cost, self.now)
        self.refused = 0
        self.sent: list[tuple[float, bytes]] = []
        self._arrival = 0.0
        self._arrived_at = 0.0
        self._rates = Rates(MEDIA, lambda: self._arrived_at)
        self._pacer = Pacer(15, self.now)
        self._stall = stall
        self._voice = 0.0

    def _arrive(self, size: int) -> None:
        self._arrived_at = max(self._arrived_at, self.now + self._stall(self.now))
        if self._rates.take("me", media_cost(size)):
            self.refused += 1

    def run(self, seconds: float, encode: Callable[[int, bool], int]) -> None:
        """Voice all the time, and pictures of as many bytes as `encode(number, keyframe)` says."""
        broadcast, end = self.broadcast, self.now + seconds
        while self.now < end:
            if self.now >= self._voice:
                self._voice = max(self._voice, self.now - 0.1) + 0.02
                self._arrive(VOICE_BODY)
            while (body := broadcast.take(self.now)) is not None:
                self._arrive(len(body))
                self.sent.append((self.now, body))
            if broadcast.wait(self.now) == 0 and self._pacer.wait(self.now) == 0:
                self._pacer.began(self.now)
                keyframe = broadcast.keyframe_due(self.now)
                size = encode(broadcast.counts.pictures, keyframe)
                broadcast.put(encoded(keyframe, size, round(self.now * 1_000)), self.now)
            self.now += 0.001


def test_the_screen_s_part_and_that_of_voice_are_within_the_limit() -> None:
    assert (MEDIA.per_second, MEDIA.burst) == (80, 150)
    assert MEDIA.per_second > 50 + SCREEN_RATE
    # a second's worth of everything at once, as after a stall, fits beside the burst
    assert MEDIA.burst >= SCREEN_BURST + 50 + SCREEN_RATE


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_its_fifteen_pictures_beside_voice(name: str, seed: int) -> None:
    preset, draw = PRESETS[name], random.Random(seed)
    average = preset.bit_rate / 8 / 15

    def encode(number: int, keyframe: bool) -> int:
        return round(6 * average if keyframe else average * draw.uniform(0.3, 1.5))

    room = Room(preset)
    room.run(60, encode)
    counts = room.broadcast.counts
    print(f"{name}: {counts.pictures / 60:.1f} pictures, {counts.fragments / 60:.1f} fragments a second, "
          f"{8 * counts.bytes / 60_000:.0f} kbit/s")  # fmt: skip
    assert room.refused == 0
    assert 895 <= counts.pictures <= 901


@pytest.mark.parametrize("name", PRESETS)
def test_a_keyframe_of_the_largest_size_every_second_is_never_refused(name: str) -> None:
    room = Room(PRESETS[name])

    def encode(number: int, keyframe: bool) -> int:
        room.broadcast.ask(number, room.now)  # somebody new, every time
        return LARGEST_FRAME if keyframe else 20_000

    room.run(60, encode)
    counts = room.broadcast.counts
    print(f"{name}: {counts.pictures / 60:.1f} pictures, {counts.keyframes / 60:.2f} a second of 512 KiB")
    assert room.refused == 0
    assert counts.keyframes >= 5
    assert 8 * counts.bytes / 60 < 1.3 * room.bit_rate + 8 * LARGEST_FRAME / 60


@pytest.mark.parametrize("name", PRESETS)
def test_nothing_is_refused_after_the_network_stood_still(name: str, seed: int) -> None:
    """For up to a second, again and again, with pictures that are as large as they come."""
    draw = random.Random(seed)
    stalls = [(moment + draw.uniform(0, 3), draw.uniform(0.1, 1.0)) for moment in range(50, 110, 6)]

    def stall(now: float) -> float:
        return max(
            (begin + length - now for begin, length in stalls if begin <= now < begin + length), default=0.0
        )

    room = Room(PRESETS[name], stall)
    sizes = [500, 15_000, 40_000, 200_000]
    room.run(60, lambda number, _: LARGEST_FRAME if number % 20 == 0 else draw.choice(sizes))
    assert room.refused == 0
    assert room.broadcast.counts.pictures > 10


def test_nothing_is_refused_whatever_the_bits(seed: int) -> None:
    draw = random.Random(seed)
    room = Room(Preset(1_920, 1_080, 100_000_000))
    room.run(60, lambda *_: draw.choice([20_000, 100_000, LARGEST_FRAME]))
    counts = room.broadcast.counts
    print(f"{counts.fragments / 60:.1f} fragments, {8 * counts.bytes / 60e6:.1f} Mbit a second")
    assert room.refused == 0
    assert counts.fragments > 60 * 25


@pytest.mark.parametrize("burst", [140.0, 1e9])
def test_without_its_budget_frames_would_be_refused(monkeypatch: pytest.MonkeyPatch, burst: float) -> None:
    monkeypatch.setattr("mobium.media.broadcast.SCREEN_BURST", burst)  # the defence, off
    monkeypatch.setattr("mobium.media.broadcast.SCREEN_RATE", 1_000.0)
    room = Room(Preset(1_920, 1_080, 100_000_000))
    room.run(10, lambda *_: LARGEST_FRAME)
    assert room.refused > 50


def test_no_picture_is_made_while_one_goes_out() -> None:
    broadcast = Broadcast(1, 400_000, bytes, media_cost, 0.0)
    assert broadcast.wait(0.0) == 0
    assert broadcast.pause(0.0) is None
    assert broadcast.take(0.0) is None
    broadcast.put(encoded(True, 40_000), 0.0)
    assert broadcast.wait(0.0) == math.inf
    assert broadcast.take(0.0) is not None
    assert broadcast.wait(0.0) == math.inf
    assert broadcast.take(0.0) is not None
    assert broadcast.wait(0.0) == 0
    broadcast.put(encoded(False, 400_000), 0.0)
    while broadcast.take(0.0) is not None:
        pass
    assert broadcast.wait(0.0) == pytest.approx((440_000 - 50_000) / 62_500, rel=0.01)


def test_one_keyframe_answers_all_who_asked_and_the_next_comes_a_second_later() -> None:
    broadcast = Broadcast(1, 10**9, bytes, media_cost, 0.0)

    def make(now: float) -> bool:
        due = broadcast.keyframe_due(now)
        broadcast.put(encoded(due), now)
        while broadcast.take(now) is not None:
            pass
        return due

    assert make(0.0)
    assert not make(0.1)
    assert all(broadcast.ask(viewer, 0.2) for viewer in range(39))
    assert not make(0.2)
    assert not make(0.9)
    assert make(1.01)
    assert not make(2.5)
    assert broadcast.ask(40, 2.6)
    assert make(2.6)
    assert broadcast.counts.keyframes == 3


def test_who_asks_without_end_does_not_get_a_keyframe_every_second() -> None:
    broadcast = Broadcast(1, 10**9, bytes, media_cost, 0.0)
    answered = [broadcast.ask("mallory", second) for second in range(60)]
    assert answered[:5] == [True] * 5
    assert 22 <= sum(answered) <= 25
    assert broadcast.ask("bob", 60.0)
    assert broadcast.counts.ignored == 60 - sum(answered)
    for viewer in range(10_000):
        broadcast.ask(viewer, 61.0)
    assert len(broadcast._viewers) <= 64


def test_what_was_not_sealed_is_followed_by_a_keyframe() -> None:
    sealing = True

    def seal(plaintext: bytes) -> bytes:
        if not sealing:
            raise CryptoError("no key")
        return plaintext

    broadcast = Broadcast(1, 10**9, seal, media_cost, 0.0)
    broadcast.put(encoded(True), 0.0)
    broadcast.take(0.0)
    assert not broadcast.keyframe_due(0.1)
    sealing = False
    with pytest.raises(CryptoError):
        broadcast.put(encoded(False), 0.1)
    assert broadcast.pause(0.1) is None
    assert broadcast.keyframe_due(0.11)


def test_pictures_are_numbered_and_sealed_whole() -> None:
    keys = Keys()
    broadcast = Broadcast(0xABCD, 10**9, keys.seal, media_cost, 0.0)
    opener, whole, now = keys.opener(), Reassembly(), 0.0
    for number, size in enumerate([90_000, 10, LARGEST_FRAME, 1]):
        broadcast.put(encoded(number == 0, size, number * 66), now)
        found = None
        while found is None:
            now += broadcast.pause(now) or 0
            body = broadcast.take(now)
            assert body is not None
            found = whole.put("anna", body, now)
        picture = read_picture(opener.open(found.data, keys.place))
        assert (picture.share, picture.number) == (found.share, found.number) == (0xABCD, number)
        assert picture.encoded == encoded(number == 0, size, number * 66)
