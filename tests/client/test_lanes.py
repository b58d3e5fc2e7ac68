"""Lanes: order within a peer whatever is refused, and no peer in the way of another."""

from __future__ import annotations

import random
from collections import defaultdict

from mobium.client.lanes import Lanes, Ready
from mobium.protocol.messages import SendMessage


def ready(row: int, peer: int = 1) -> Ready:
    return Ready(row, peer, SendMessage(row.to_bytes(16, "big"), bytes(32), b""))


def send(lanes: Lanes, now: float) -> Ready | None:
    found = lanes.next(now)
    if found is not None:
        lanes.take_off(found, now)
    return found


def test_a_lane_sends_one_at_a_time_and_lanes_do_not_wait_for_each_other() -> None:
    lanes = Lanes()
    for each in (ready(1), ready(2), ready(3, peer=2)):
        lanes.add(each)
    assert [send(lanes, 0), send(lanes, 0), send(lanes, 0)] == [ready(1), ready(3, 2), None]
    assert (lanes.busy(0), lanes.flying()) == ({1}, {1, 2})
    assert lanes.answered(ready(1).message.id) == 1
    assert lanes.answered(ready(1).message.id) is None, "one answer counts"
    assert send(lanes, 0) == ready(2)
    assert lanes.busy(0) == set()
    lanes.answered(ready(2).message.id)
    lanes.settled(ready(1).message.id)
    assert lanes.flying() == {1, 2}, "the second is answered, and not settled"
    lanes.settled(ready(2).message.id)
    assert lanes.flying() == {2}


def test_a_held_lane_waits_longer_each_time_until_one_is_taken() -> None:
    lanes, now = Lanes(), 0.0
    waits = []
    for row in range(1, 9):
        lanes.add(ready(row))
        assert send(lanes, now) is not None
        lanes.answered(ready(row).message.id)
        lanes.hold(1, now, None)
        assert lanes.busy(now) == {1}
        wait = lanes.next_change(now)
        assert wait is not None
        waits.append(wait)
        now += wait
        assert lanes.busy(now) == set()
    assert waits[:3] == [5.0, 10.0, 20.0]
    assert waits[-1] == 300.0
    lanes.release(1)
    lanes.hold(1, now, 7.0)
    assert lanes.next_change(now) == 7.0
    lanes.delay(1, now, 0.5)
    assert lanes.next_change(now) == 0.5
    waits = []
    for _ in range(3):  # a wait that was none of its own making is no reason to wait no more
        lanes.hold(1, now, None)
        wait = lanes.next_change(now)
        assert wait is not None
        waits.append(wait)
    assert waits == [5.0, 10.0, 20.0]


def test_an_overdue_answer_puts_the_message_first_again() -> None:
    lanes = Lanes()
    lanes.add(ready(1))
    lanes.add(ready(2))
    send(lanes, 0)
    lanes.overdue(29.9)
    assert (lanes.busy(30), lanes.flying()) == ({1}, {1})
    lanes.overdue(30)
    assert (lanes.busy(30), lanes.flying()) == (set(), set()), "both are taken from the store again, in order"


def test_whatever_is_refused_each_lane_delivers_in_order(seed: int) -> None:
    """A server that refuses and delays at random, and the store beside it."""
    chance = random.Random(seed)
    for _ in range(50):
        lanes, now = Lanes(), 0.0
        waiting = {row: chance.randrange(4) for row in range(1, 60)}
        taken: dict[int, list[int]] = defaultdict(list)
        flying: list[Ready] = []
        while waiting:
            busy = lanes.busy(now) | lanes.flying()
            for row, peer in sorted(waiting.items()):
                if peer in busy:
                    continue
                if chance.random() < 0.1:
                    break  # a batch ends
                lanes.add(ready(row, peer))
            while (found := send(lanes, now)) is not None:
                flying.append(found)
            chance.shuffle(flying)
            for _ in range(chance.randrange(len(flying) + 1)):
                answered = flying.pop()
                if lanes.answered(answered.message.id) is None:
                    continue
                if chance.random() < 0.6:
                    taken[answered.peer].append(answered.row)
                    del waiting[answered.row]
                    lanes.release(answered.peer)
                else:
                    lanes.hold(answered.peer, now, None)
                lanes.settled(answered.message.id)
            if chance.random() < 0.1:
                lanes.recall()
            if chance.random() < 0.05:
                lanes.reset()
                flying.clear()
            now += chance.choice((0.1, 1.0, 20.0))
            lanes.overdue(now)
            flying = [each for each in flying if each.peer in lanes.flying()]
        assert all(rows == sorted(rows) for rows in taken.values())
        assert sum(map(len, taken.values())) == 59
