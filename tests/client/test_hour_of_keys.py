"""A voice room's keys through an hour of speech that is not waited for: somebody comes and somebody goes each
second, more generations than are remembered are drawn, counters stand far on, every frame is opened once, and
nothing grows.
"""

from __future__ import annotations

import gc
import random

import psutil
import pytest

from mobium.client import room_keys
from mobium.client.room_keys import OwnKey, TheirKeys
from mobium.crypto.media import FIRST_COUNTER, MediaKind, pad_voice
from mobium.protocol.limits import VOICE_BODY

HOUR = 3_600.0
FRAME = 0.02
CHANNEL, ANNA, BEN = bytes(32), b"a" * 32, b"b" * 32
OTHERS = [bytes([number]) * 32 for number in range(38)]
POINTS = 5
GROWTH = 3 << 20
"""Bytes that the allocator may keep from the first fifth on."""


def memory() -> int:
    """Resident bytes."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


class Room:
    """Anna speaks, Ben listens, others come and go."""

    def __init__(self, seed: int) -> None:
        self.now = 1_000.0
        self.own = OwnKey(MediaKind.VOICE, CHANNEL, ANNA, self.now)
        self.theirs = TheirKeys(CHANNEL)
        self.theirs.set_members([ANNA])
        self.members = {BEN}
        self.generations: set[int] = set()
        self._chance = random.Random(seed)
        self._hand(self.own.set_members(self.members, self.now))

    def _hand(self, handed: list[room_keys.Handing]) -> None:
        for one in handed:
            if one.peer == BEN:
                for opened in self.theirs.take(ANNA, one.kind, one.key, self.now):
                    raise AssertionError(f"{opened} had waited for its key")
            self.own.acknowledged(one.peer, one.key.kid, self.now)

    def change(self) -> None:
        """Somebody comes or goes."""
        self.members ^= {self._chance.choice(OTHERS)}
        self._hand(self.own.set_members(self.members, self.now))

    def say(self) -> int:
        """A frame, which Ben opens once and not again; returns its counter."""
        self.now += FRAME
        self._hand(self.own.due(self.now))
        self.generations.add(self.own.kid >> 8)
        frame = self.own.seal(pad_voice(b"word"))
        assert len(frame) == VOICE_BODY
        opened = self.theirs.open(ANNA, MediaKind.VOICE, frame, self.now)
        assert opened is not None
        assert opened.kid == self.own.kid
        self.theirs.missing(self.now)
        return opened.counter


def test_an_hour_of_comings_and_goings(seed: int) -> None:
    print(f"seed {seed}")
    room, used = Room(seed), []
    frames = round(HOUR / FRAME)
    for number in range(frames):
        if number % 50 == 0:
            room.change()
        room.say()
        if (number + 1) % (frames // POINTS) == 0:
            used.append(memory())
            [source] = room.theirs._sources.values()
            assert len(source.steps) <= room_keys._GENERATIONS
            assert len(source.openers) < 60  # those of ten seconds, with what is on its way
            assert not source.waiting
    print(
        f"{frames} frames, {len(room.generations)} generations of the key;"
        f" MiB at {POINTS} points: {', '.join(f'{one / 2**20:.1f}' for one in used)}"
    )
    assert room.theirs.dropped == {"key": 0, "duplicate": 0, "tag": 0}
    assert len(room.generations) > room_keys._GENERATIONS
    assert used[-1] - used[0] < GROWTH


def test_a_generation_that_was_drawn_before_is_not_drawn_again(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Receivers remember 256, and would take its key for a known one. Here 300 can be drawn at all, so that
    what is rare among 8 million comes about all the time.
    """
    print(f"seed {seed}")
    chance = random.Random(seed)
    monkeypatch.setattr(
        "mobium.crypto.media.urandom",
        lambda size: chance.randbytes(size) if size != 3 else chance.randrange(300).to_bytes(3, "big"),
    )
    room = Room(seed)
    for _ in range(1_000):
        room.change()
        room.now += 2.0
        room.say()
    assert len(room.generations) > room_keys._GENERATIONS
    assert room.theirs.dropped == {"key": 0, "duplicate": 0, "tag": 0}


def test_counters_far_on_open_and_keep_their_size_to_the_last(seed: int) -> None:
    room = Room(seed)
    assert room.say() == FIRST_COUNTER
    key = room.own._key
    sealer = type(key.sealer())
    for last in (2**26, 2**30, 2**32 - 1_000):  # leaps far beyond the window, as nobody speaks for years
        room.own._sealer = sealer(key._base, key.kid, last)
        assert [room.say() for _ in range(1_000)] == list(range(last, last + 1_000))
    # The two and a half years of docs/CRYPTO.md are over: what follows has another size.
    assert len(room.own.seal(pad_voice(b"word"))) == VOICE_BODY + 1
    assert room.theirs.dropped == {"key": 0, "duplicate": 0, "tag": 0}
