"""What waits for one socket: voice before screens, one turn at a time, and the oldest go first."""

from __future__ import annotations

import random

from mobium.protocol.limits import MAX_MEDIA_FRAME
from mobium.protocol.media_frames import SCREEN, VOICE
from mobium_server.bell import Bell
from mobium_server.frames import header
from mobium_server.media import SCREEN_LIFE, SCREEN_MOST, TURN, VOICE_LIFE, VOICE_MOST, MediaQueue
from tests.support.office import Timers
from tests.support.server import randomness, schedules

LARGEST = header(MAX_MEDIA_FRAME) + bytes(MAX_MEDIA_FRAME)


def drained(queue: MediaQueue, now: float) -> list[bytes]:
    frames: list[bytes] = []
    while taken := queue.take(now):
        assert sum(map(len, taken)) <= TURN
        frames += taken
    return frames


def test_what_was_put_in_is_taken_in_order_voice_first() -> None:
    queue = MediaQueue()
    for i in range(5):
        queue.put(SCREEN, b"s%d" % i, 0.0)
        queue.put(VOICE, b"v%d" % i, 0.0)
    assert len(queue) == 10
    assert drained(queue, 0.0) == [b"v%d" % i for i in range(5)] + [b"s%d" % i for i in range(5)]
    assert (len(queue), queue.count_dropped()) == (0, 0)


def test_the_largest_frame_fits_into_one_turn() -> None:
    queue = MediaQueue()
    queue.put(SCREEN, LARGEST, 0.0)
    queue.put(SCREEN, LARGEST, 0.0)
    queue.put(VOICE, b"v" * 151, 0.0)
    assert queue.take(0.0) == [b"v" * 151]  # and the screen waits for a turn with room for it
    assert queue.take(0.0) == [LARGEST]
    assert queue.take(0.0) == [LARGEST]
    assert not queue


def test_a_socket_that_takes_nothing_is_asked_less_and_less() -> None:
    queue = MediaQueue()

    def asked(unsent: int, *, wrote: bool = False, asked: bool = True) -> int:
        return round(1_000 * queue.ask_in(unsent, wrote=wrote, asked=asked))

    assert asked(900, wrote=True, asked=False) == 10
    assert [asked(900) for _ in range(6)] == [20, 40, 80, 160, 160, 160]
    assert asked(900, asked=False) == 0  # a frame came meanwhile, and the pause is not over
    assert asked(899) == 10  # it took something
    assert [asked(899), asked(899)] == [20, 40]
    assert asked(700, asked=False) == 10
    assert asked(700) == 20
    assert asked(900, wrote=True) == 10


def test_what_is_too_old_is_dropped() -> None:
    queue = MediaQueue()
    queue.put(VOICE, b"old", 0.0)
    queue.put(SCREEN, b"screen", 0.0)
    queue.put(VOICE, b"new", 0.1)
    assert queue.take(VOICE_LIFE + 0.05) == [b"new", b"screen"]
    assert queue.count_dropped() == 1
    assert queue.count_dropped() == 0
    queue.put(SCREEN, b"screen", 1.0)
    queue.expire(1.0 + SCREEN_LIFE + 0.01)
    assert (len(queue), queue.count_dropped()) == (0, 1)
    assert queue.take(4.0) == []


def test_what_is_too_much_pushes_the_oldest_out_of_its_own_kind() -> None:
    queue = MediaQueue()
    queue.put(VOICE, b"v", 0.0)
    count = SCREEN_MOST // len(LARGEST) + 5
    for _ in range(count):
        queue.put(SCREEN, LARGEST, 0.0)
    assert queue.count_dropped() == 5
    for i in range(3_000):
        queue.put(VOICE, i.to_bytes(151, "big"), 0.0)
    frames = drained(queue, 0.0)
    voice = [int.from_bytes(frame, "big") for frame in frames if len(frame) == 151]
    assert voice == list(range(3_000 - VOICE_MOST // 151, 3_000))
    assert len(frames) - len(voice) == count - 5


def test_any_order_of_putting_and_taking(seed: int) -> None:
    for schedule in range(schedules()):
        rng = randomness(seed, schedule)
        queue, now, put, taken, dropped = MediaQueue(), 0.0, 0, 0, 0
        came: dict[bytes, float] = {}
        last = {VOICE: -1, SCREEN: -1}
        for number in range(400):
            now += rng.random() * rng.choice([0.0, 0.02, 0.4])
            if rng.random() < 0.7:
                kind = rng.choice([VOICE, SCREEN])
                size = 151 if kind == VOICE else rng.randrange(152, len(LARGEST) + 1)
                data = number.to_bytes(8, "big").ljust(size, b"\0")
                queue.put(kind, data, now)
                came[data] = now
                put += 1
            else:
                frames = queue.take(now)
                assert sum(map(len, frames)) <= TURN
                for data in frames:
                    kind = VOICE if len(data) == 151 else SCREEN
                    age = now - came[data]
                    assert age <= (VOICE_LIFE if kind == VOICE else SCREEN_LIFE)
                    place = int.from_bytes(data[:8], "big")
                    assert place > last[kind]  # in order, and never twice
                    last[kind] = place
                taken += len(frames)
            dropped += queue.count_dropped()
            assert put == taken + dropped + len(queue), f"schedule {schedule} of seed {seed}"


# ---------------------------------------------------------------- bells


def test_a_bell_rings_at_once_and_then_once_a_gap() -> None:
    timers, rung = Timers(), []
    bell = Bell(1.0, timers.later, lambda key: rung.append((timers.now, key)))
    begin = timers.now
    bell.touch(b"a")
    bell.touch(b"a")
    bell.touch(b"b")
    bell.touch(b"a")
    assert rung == [(begin, b"a"), (begin, b"b")]
    while timers.fire():
        pass
    assert rung[2:] == [(begin + 1.0, b"a")]  # what came within the gap, once
    bell.touch(b"b")
    assert rung[-1] == (timers.now, b"b")


def test_a_bell_keeps_nothing_of_keys_that_are_quiet() -> None:
    timers = Timers()
    bell = Bell(1.0, timers.later, lambda _key: None)
    rng = random.Random(1)
    for _ in range(1_000):
        bell.touch(rng.randbytes(1))
        if rng.random() < 0.5:
            timers.fire()
    while timers.fire():
        pass
    assert not bell._rung
