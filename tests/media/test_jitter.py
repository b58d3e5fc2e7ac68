"""The jitter buffer on a clock that is called: by hand for each thing it is to do, and on random schedules
beside a model that knows what was sent when.
"""

from __future__ import annotations

import gc
import heapq
import os
import random
import tracemalloc
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from mobium.media.form import FRAME_SECONDS
from mobium.media.jitter import (
    LONGEST,
    MOST_CONCEALED,
    MOST_HELD,
    Conceal,
    Decision,
    Fec,
    JitterBuffer,
    Merge,
    Packet,
    Silence,
)

SCHEDULES = int(os.environ.get("MOBIUM_SCHEDULES") or 20)
FIRST = 1 << 24
KEY = 0x8123_4500
TICK = FRAME_SECONDS

#: Seconds from a packet's coming to its being played: MOST_HELD frames, and what it waits for a missing one.
LONGEST_WAIT = (MOST_HELD + 2) * FRAME_SECONDS


def name(number: int, key: int = KEY) -> bytes:
    return f"{key:x}/{number}".encode()


class Listener:
    """A buffer, its clock, and all it decided."""

    def __init__(self) -> None:
        self.buffer = JitterBuffer(FIRST)
        self.now = 100.0
        self.heard: list[Decision] = []
        self.came = 0

    def put(self, *numbers: int, key: int = KEY) -> None:
        for number in numbers:
            self.buffer.put(key, FIRST + number, name(number, key), self.now)

    def tick(self, count: int = 1) -> list[Decision]:
        """So many times 20 ms pass; what is heard in them."""
        since = len(self.heard)
        for _ in range(count):
            self.now += TICK
            self.heard.append(self.buffer.get(self.now))
        return self.heard[since:]

    def talk(self, numbers: Iterable[int], key: int = KEY) -> list[Decision]:
        """A packet comes 5 ms after each tick."""
        since = len(self.heard)
        for number in numbers:
            self.now += 0.005
            self.put(number, key=key)
            self.now -= 0.005
            self.tick()
        return self.heard[since:]

    @property
    def played(self) -> list[bytes]:
        return [data for decision in self.heard for data in packets(decision)]


def packets(decision: Decision) -> list[bytes]:
    match decision:
        case Packet(data):
            return [data]
        case Merge(first, second):
            return [first, second]
        case _:
            return []


def names(numbers: Iterable[int], key: int = KEY) -> list[bytes]:
    return [name(number, key) for number in numbers]


def test_a_steady_voice_is_played_whole_and_soon() -> None:
    listener = Listener()
    listener.talk(range(500))
    assert listener.heard[0] == Silence()
    assert listener.played == names(range(499))
    assert set(map(type, listener.heard[1:])) == {Packet}
    assert listener.buffer.margin <= 0.04


def test_nobody_is_silence() -> None:
    assert set(Listener().tick(100)) == {Silence()}


def test_who_mutes_is_faded_out_and_is_back_as_soon_as_he_speaks() -> None:
    listener = Listener()
    listener.talk(range(100))
    after = listener.tick(200)
    assert after[0] == Packet(name(99))
    assert after[1 : 1 + MOST_CONCEALED] == [Conceal()] * MOST_CONCEALED
    assert set(after[1 + MOST_CONCEALED :]) == {Silence()}
    again = listener.talk(range(100, 150))
    assert again[:3] == [Silence(), Packet(name(100)), Packet(name(101))]
    assert listener.played == names(range(149))


def test_a_hundred_mutes_make_the_delay_no_longer() -> None:
    listener = Listener()
    for turn in range(100):
        listener.talk(range(turn * 40, turn * 40 + 40))
        listener.tick(10 + turn % 7)
    assert listener.buffer.delay <= 0.06
    assert listener.played == names(range(4_000))


def test_a_lost_packet_is_made_of_the_next_one_which_is_then_played() -> None:
    listener = Listener()
    listener.talk([*range(50), *range(51, 60)])
    at = listener.heard.index(Packet(name(49)))
    assert listener.heard[at + 1 : at + 4] == [Fec(name(51)), Packet(name(51)), Packet(name(52))]


def test_with_some_margin_one_lost_packet_is_recovered_and_of_three_the_last() -> None:
    listener = Listener()
    listener.talk(range(50))
    listener.tick(4)
    listener.put(*range(50, 54))
    listener.talk(range(54, 80))
    listener.talk(range(81, 90))
    at = listener.heard.index(Packet(name(79)))
    assert listener.heard[at + 1 : at + 3] == [Fec(name(81)), Packet(name(81))]
    listener.talk(range(93, 120))
    at = listener.heard.index(Packet(name(89)))
    assert listener.heard[at + 1 : at + 5] == [Conceal(), Conceal(), Fec(name(93)), Packet(name(93))]


@pytest.mark.parametrize("stall", range(5, 26, 5))
def test_after_a_stall_the_conversation_goes_on_where_it_is(stall: int) -> None:
    """100 to 500 ms, then all of it at once."""
    listener = Listener()
    listener.talk(range(100))
    listener.tick(stall)
    listener.put(*range(100, 100 + stall))
    listener.talk(range(100 + stall, 120 + stall))
    assert listener.buffer.margin <= MOST_HELD * FRAME_SECONDS
    # four seconds of watching, then a frame every half second
    after = listener.talk(range(120 + stall, 520 + stall))
    assert listener.buffer.margin <= 0.06
    assert {type(one) for one in after} <= {Packet, Merge}
    skipped = listener.buffer.counts.skipped
    assert skipped <= max(0, stall - MOST_HELD + 1)
    kept = [*range(100), *range(100 + skipped, 519 + stall)]
    assert [one for one in listener.played if one in names(kept)] == listener.played
    assert len(listener.played) >= len(kept) - 3


def test_late_packets_make_the_delay_longer_until_none_is_late() -> None:
    """Every fourth packet comes 60 ms late, with those behind it: as a radio link does."""
    listener = Listener()
    number = 0
    for _ in range(100):
        listener.talk([number])
        listener.tick(3)
        listener.put(number + 1, number + 2, number + 3)
        number += 4
    made_up = [type(one) for one in listener.heard[40:]].count(Conceal)
    assert listener.buffer.counts.late == 0
    assert made_up == 0
    assert listener.buffer.delay >= 0.06
    assert listener.played == names(range(len(listener.played)))


def test_packets_out_of_order_get_the_time_to_come() -> None:
    """Two of every five change places."""
    listener = Listener()
    for number in range(0, 1_000, 5):
        listener.talk([number, number + 1, number + 3, number + 2, number + 4])
    counts = listener.buffer.counts
    assert counts.late <= 2
    assert listener.played == sorted(listener.played, key=lambda one: int(one.split(b"/")[1]))
    assert counts.played >= 990


def test_what_comes_twice_is_played_once() -> None:
    listener = Listener()
    for number in range(100):
        listener.put(number, number)
        listener.tick()
        listener.put(max(0, number - 1))
    assert listener.played == names(range(99))
    assert listener.buffer.counts.repeated == 200
    assert listener.buffer.counts.late == 0


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_sender_who_begins_anew_under_another_key_is_heard_on(lost: int) -> None:
    listener = Listener()
    listener.talk(range(2_000))
    listener.tick(lost)
    listener.talk(range(lost, 300), key=KEY + 1)
    listener.talk(range(300), key=0x9999_9900)
    listener.tick()
    assert listener.played == [
        *names(range(2_000)),
        *names(range(lost, 300), KEY + 1),
        *names(range(300), 0x9999_9900),
    ]
    assert listener.buffer.counts.recovered + listener.buffer.counts.concealed == lost


def test_packets_of_the_old_key_after_the_first_of_the_new_one_do_not_push_it_away() -> None:
    listener = Listener()
    listener.talk(range(100))
    listener.put(0, 1, key=KEY + 1)
    listener.put(100, 101)  # their places went to the new key
    listener.talk(range(2, 50), key=KEY + 1)
    listener.tick(3)
    assert listener.played == [*names(range(100)), *names(range(50), KEY + 1)]
    assert listener.buffer.counts.late == 2


def test_who_joins_in_the_middle_hears_at_once() -> None:
    listener = Listener()
    listener.talk(range(777_000, 777_100))
    assert listener.played == names(range(777_000, 777_099))


def test_a_number_far_ahead_is_followed() -> None:
    listener = Listener()
    listener.talk([*range(50), *range(1_000_000, 1_000_050)])
    listener.tick()
    assert listener.played == names([*range(49), *range(1_000_000, 1_000_050)])


def test_what_nobody_asks_for_is_not_kept() -> None:
    listener = Listener()
    listener.put(*range(100_000))
    assert listener.buffer.counts.skipped == 100_000 - MOST_HELD
    listener.tick(20)
    assert listener.played == names(range(100_000 - MOST_HELD, 100_000))


@pytest.mark.parametrize("drift", [-0.001, 0.001])
def test_clocks_that_differ_by_a_thousandth_cost_a_frame_every_twenty_seconds(drift: float) -> None:
    listener = Listener()
    sent = 0
    start = listener.now
    for _ in range(50 * 120):  # two minutes
        while start + sent * TICK * (1 + drift) <= listener.now:
            listener.put(sent)
            sent += 1
        listener.tick()
    counts = listener.buffer.counts
    assert counts.skipped == counts.late == counts.recovered == 0
    assert 4 <= counts.merged + counts.concealed <= 14
    assert listener.buffer.margin <= 0.08


def test_a_sound_card_that_asks_for_two_frames_at_once_is_served() -> None:
    listener = Listener()
    for number in range(0, 1_000, 2):
        listener.put(number)
        listener.now += TICK
        listener.put(number + 1)
        listener.now += TICK
        listener.heard += [listener.buffer.get(listener.now), listener.buffer.get(listener.now)]
    counts = listener.buffer.counts
    assert counts.concealed <= 2
    assert counts.played >= 996


# ---------------------------------------------------------------- random schedules


@dataclass(order=True)
class Coming:
    when: float
    tie: int
    key: int = field(compare=False)
    number: int = field(compare=False)


class Schedule:
    """What a speaker sends in half a minute, and what a network makes of it; drawn from a seed."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.tcp = draw.random() < 0.5
        self.loss = draw.choice([0.0, 0.02, 0.1, 0.3])
        self.jitter = draw.choice([0.0, 0.005, 0.03, 0.08])
        self.repeats = 0.0 if self.tcp else draw.choice([0.0, 0.05])
        self.stalls = draw.choice([0.0, 0.0, 0.01])
        self.calm = draw.choice([0.0, 10.0])
        """Seconds at the end in which nothing happens but speech."""

    def __str__(self) -> str:
        return str({name: value for name, value in vars(self).items() if name != "draw"})

    def comings(self) -> list[Coming]:
        draw = self.draw
        now, number, key = 10.0, draw.choice([0, 0, 12_345]), KEY
        free = 0.0
        found: list[Coming] = []
        noisy = 30.0
        end = now + noisy + self.calm
        while now < end:
            calm = now > end - self.calm
            if not calm and draw.random() < 0.004:
                now = min(now + draw.uniform(0.02, 3.0), end - self.calm)  # muted
            if not calm and draw.random() < 0.002:
                key, number = draw.randrange(1 << 31, 1 << 32), 0
            delay = 0.0 if calm else draw.random() * self.jitter
            if not calm and draw.random() < self.stalls:
                free = now + draw.uniform(0.1, 0.5)
            if calm or draw.random() >= self.loss:
                when = now + delay
                if self.tcp:
                    when = free = max(when, free)
                for _ in range(1 + (draw.random() < self.repeats)):
                    found.append(Coming(when + 0.03, len(found), key, number))
                    when += draw.random() * 0.1
            number, now = number + 1, now + FRAME_SECONDS
        return found


def run(schedule: Schedule) -> Listener:
    """Plays a schedule and holds it to the model."""
    draw = schedule.draw
    listener = Listener()
    waiting = schedule.comings()
    heapq.heapify(waiting)
    came: dict[bytes, tuple[float, tuple[int, int]]] = {}
    last, promised, skipped = (-1, -1), None, 0
    keys: dict[int, int] = {}  # in the order in which they are heard of
    tick = 10.0 + draw.random() * FRAME_SECONDS
    listener.came = len(waiting)
    end = max(one.when for one in waiting) + 0.5
    while tick < end:
        while waiting and waiting[0].when <= tick:
            one = heapq.heappop(waiting)
            data = f"{one.key:x}/{one.number}".encode()
            came.setdefault(data, (one.when, (keys.setdefault(one.key, len(keys)), one.number)))
            listener.buffer.put(one.key, FIRST + one.number, data, one.when)
        decision = listener.buffer.get(tick)
        listener.heard.append(decision)
        for data in packets(decision):
            when, order = came.pop(data)  # a KeyError: it was played before, or never came
            assert order > last, "played out of order"
            assert tick - when <= LONGEST_WAIT, "played too long after it came"
            last = order
        if promised is not None and skipped == listener.buffer.counts.skipped:
            assert packets(decision)[:1] == [promised], "a copy was played, but not the packet behind it"
        promised = decision.following if isinstance(decision, Fec) else None
        skipped = listener.buffer.counts.skipped
        tick += FRAME_SECONDS
    listener.now = tick - FRAME_SECONDS
    return listener


@pytest.mark.parametrize("index", range(SCHEDULES))
def test_a_random_schedule(index: int, seed: int) -> None:
    print(f"seed {seed}:{index}")
    schedule = Schedule(random.Random(f"{seed}:{index}"))
    print(schedule)
    listener = run(schedule)
    counts = listener.buffer.counts
    print(counts)
    assert counts.played > 200
    assert counts.played + counts.skipped + counts.late + counts.repeated == listener.came
    assert listener.buffer.delay <= LONGEST
    if schedule.calm:
        assert listener.buffer.margin <= 0.07, "still late after ten seconds of calm"
        made_up = [one for one in listener.heard[-450:-50] if isinstance(one, Conceal | Fec | Silence)]
        assert len(made_up) <= 3
    if not schedule.loss and not schedule.stalls and schedule.jitter <= 0.005:
        assert counts.skipped == 0


def test_an_hour_takes_no_memory(seed: int) -> None:
    draw = random.Random(f"{seed}:hour")
    buffer, now, number, key = JitterBuffer(FIRST), 0.0, FIRST, KEY

    def pass_time(frames: int) -> None:
        nonlocal now, number, key
        for _ in range(frames):
            now += TICK
            if draw.random() < 0.001:
                key, number = draw.randrange(1 << 31, 1 << 32), FIRST
            if draw.random() > 0.05:
                buffer.put(key, number, b"packet", now + draw.random() * 0.01)
            number += 1
            buffer.get(now + 0.01)

    pass_time(20_000)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        pass_time(160_000)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"grown by {after - before} bytes")
    assert after - before < 10_000
