"""The viewer's rule, case by case; tests/media/test_screen_schedules.py has what chance brings."""

from __future__ import annotations

import itertools

from mobium.media import follow
from mobium.media.follow import Following
from tests.support.screens import picture

PERIOD = 1 / 15


class Viewer:
    """A viewer whose requests are noted, on a clock that is called."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked: list[float] = []
        self.following = Following(lambda: self.asked.append(self.now))
        self.following.take(self.now)  # somebody looks

    def put(self, *numbers: int, keyframe: bool = False, share: int = 1, size: int = 1_000) -> None:
        for number in numbers:
            self.following.put(picture(number, keyframe=keyframe, share=share, size=size), self.now)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.following.poll(self.now)

    def take(self) -> list[int]:
        return [one.number for one in iter(lambda: self.following.take(self.now), None)]


def test_what_comes_in_order_is_taken_in_order() -> None:
    viewer = Viewer()
    viewer.put(0, keyframe=True)
    viewer.put(1, 2)
    assert viewer.take() == [0, 1, 2]
    assert viewer.take() == []
    viewer.put(3)
    assert viewer.take() == [3]
    assert viewer.asked == []


def test_what_comes_out_of_order_waits_for_what_is_missing() -> None:
    viewer = Viewer()
    viewer.put(0, keyframe=True)
    viewer.put(2, 3, 5)
    viewer.wait(0.05)
    assert viewer.take() == [0]
    viewer.put(1)
    assert viewer.take() == [1, 2, 3]
    viewer.wait(0.04)
    viewer.put(4)
    assert viewer.take() == [4, 5]
    assert viewer.asked == []
    assert viewer.following.counts.lost == 0


def test_what_comes_again_or_too_late_is_left_out() -> None:
    viewer = Viewer()
    viewer.put(0, keyframe=True)
    viewer.put(1, 1, 0, 3, 3)
    viewer.put(0, keyframe=True)
    assert viewer.take() == [0, 1]
    assert viewer.following.counts.late == 4


def test_after_a_gap_nothing_is_shown_until_a_keyframe_for_which_is_asked() -> None:
    viewer = Viewer()
    viewer.put(0, keyframe=True)
    viewer.put(1, 3)
    assert viewer.take() == [0, 1]
    viewer.wait(0.09)
    assert viewer.asked == []
    viewer.wait(0.02)
    assert viewer.asked == [viewer.now]
    viewer.put(2, 4, 5)  # 2 came too late
    assert viewer.take() == []
    assert viewer.following.waits_for_keyframe
    viewer.put(6, keyframe=True)
    viewer.put(7)
    assert viewer.take() == [6, 7]
    assert not viewer.following.waits_for_keyframe


def test_a_second_gap_is_noticed_though_nothing_follows_it() -> None:
    viewer = Viewer()
    viewer.put(0, keyframe=True)
    viewer.put(2, 4)
    viewer.put(1)
    assert viewer.take() == [0, 1, 2]
    viewer.wait(0.11)
    assert len(viewer.asked) == 1


def test_it_asks_once_a_second_as_long_as_something_comes() -> None:
    viewer = Viewer()
    for number in range(5, 155):  # ten seconds, joined late
        viewer.wait(PERIOD)
        viewer.put(number)
        assert viewer.take() == []
    assert len(viewer.asked) == 10
    gaps = [later - earlier for earlier, later in itertools.pairwise(viewer.asked)]
    assert min(gaps) >= 1.0
    assert max(gaps) < 1.0 + 2 * PERIOD
    for _ in range(600):
        viewer.wait(PERIOD)
        viewer.take()
    assert len(viewer.asked) == 20  # in vain: nobody sends any more


def test_who_does_not_look_asks_for_nothing() -> None:
    viewer = Viewer()
    viewer.wait(3.0)
    for number in range(150):
        viewer.wait(PERIOD)
        viewer.put(number)
    assert viewer.asked == []
    assert viewer.take() == []
    viewer.put(150)
    assert len(viewer.asked) == 1


def test_a_keyframe_is_gone_to_at_once() -> None:
    viewer = Viewer()
    viewer.put(0, keyframe=True)
    viewer.put(1, 2, 4, 5)
    viewer.put(6, keyframe=True)
    viewer.put(7)
    assert viewer.take() == [6, 7]
    counts = viewer.following.counts
    assert (counts.dropped, counts.lost, counts.keyframes) == (5, 1, 2)
    assert viewer.asked == []


def test_pictures_that_wait_for_half_a_second_are_dropped_for_a_keyframe() -> None:
    viewer = Viewer()
    viewer.put(0, keyframe=True)
    assert viewer.take() == [0]
    viewer.put(1)
    viewer.wait(0.4)
    viewer.put(2)
    assert viewer.take() == [1, 2]
    viewer.put(3)
    viewer.wait(0.6)
    viewer.put(4)
    assert viewer.take() == []
    viewer.wait(0.01)
    assert len(viewer.asked) == 1
    viewer.put(5)
    viewer.put(6, keyframe=True)
    assert viewer.take() == [6]


def test_who_decodes_slowly_does_not_fall_behind() -> None:
    """Three pictures a second of fifteen, after a stall that gave 38 at once."""
    viewer = Viewer()
    viewer.put(0, keyframe=True)
    viewer.put(*range(1, 38))
    taken = []
    while (one := viewer.following.take(viewer.now)) is not None:
        taken.append(one.number)
        viewer.wait(1 / 3)
    viewer.wait(0)
    assert taken == [0, 1]
    assert len(viewer.asked) == 1
    assert viewer.following.ready == 0


def test_a_stall_of_the_network_is_caught_up_with() -> None:
    viewer = Viewer()
    viewer.put(0, keyframe=True)
    viewer.take()
    viewer.wait(2.5)
    viewer.put(*range(1, 38))
    assert viewer.take() == list(range(1, 38))
    assert viewer.asked == []


def test_more_than_three_seconds_of_pictures_do_not_wait() -> None:
    viewer = Viewer()
    viewer.put(0, keyframe=True)
    viewer.put(*range(1, 200))
    assert viewer.take() == []
    viewer.wait(0)
    assert len(viewer.asked) == 1
    counts = viewer.following.counts
    assert counts.dropped + len(viewer.following._held) == 200
    large = Viewer()
    large.put(0, keyframe=True, size=500_000)
    large.put(*range(1, 40), size=500_000)
    assert large.following._ready_bytes <= follow.MOST_BYTES
    assert len(large.following._held) <= follow.MOST_HELD
    assert large.take() == []


def test_what_does_not_decode_waits_for_a_keyframe() -> None:
    viewer = Viewer()
    viewer.put(0, keyframe=True)
    viewer.take()
    viewer.put(1)
    viewer.following.broken()
    viewer.wait(0)
    assert len(viewer.asked) == 1
    viewer.put(2)
    assert viewer.take() == []
    viewer.put(3, keyframe=True)
    viewer.following.broken()  # of one that was taken before: the keyframe mends it
    assert viewer.take() == [3]


def test_a_later_share_replaces_the_one_before_it() -> None:
    viewer = Viewer()
    viewer.put(70, keyframe=True)
    viewer.put(71)
    viewer.put(0, keyframe=True, share=2)
    viewer.put(72)
    viewer.put(73, keyframe=True)
    viewer.put(1, share=2)
    assert viewer.take() == [0, 1]
    counts = viewer.following.counts
    assert (counts.late, counts.lost, counts.dropped) == (2, 0, 2)
    viewer.put(5, share=3)  # begun without its keyframe
    viewer.wait(0.2)
    assert len(viewer.asked) == 1
    viewer.put(9, keyframe=True, share=3)
    assert viewer.take() == [9]


def test_a_sender_who_begins_to_count_anew_is_followed_after_two_seconds() -> None:
    viewer = Viewer()
    viewer.put(500, keyframe=True, share=9)
    viewer.take()
    shown = []
    for number in range(75):
        viewer.put(number, keyframe=number % 15 == 0, share=0)
        shown += viewer.take()
        viewer.wait(PERIOD)
    assert shown in (list(range(30, 75)), list(range(45, 75)))
    viewer.put(0, share=0)
    assert viewer.take() == []
    viewer.wait(2.1)
    viewer.put(0, keyframe=True, share=0)  # of the same number, too
    assert viewer.take() == [0]


def test_a_sender_who_jumps_about_costs_no_more_than_one_who_does_not() -> None:
    viewer = Viewer()
    for step in range(3_000):
        viewer.wait(0.01)
        viewer.put(step * 7_919 % 2**32, keyframe=step % 3 == 0, share=step % 11, size=400_000)
        held = len(viewer.following._held) + len(viewer.following._ready)
        assert held <= follow.MOST_HELD + follow.MOST_READY
        if step % 7 == 0:
            viewer.take()
    assert len(viewer.asked) <= 31
