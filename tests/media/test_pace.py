"""When the next picture is due, and what may go out: on a clock that is called."""

from __future__ import annotations

import itertools
import random

import pytest

from mobium.media.pace import Budget, Pacer

PERIOD = 1 / 15


def begun(seconds: float, work: list[float], late: float = 0.0) -> list[float]:
    """The moments at which pictures begin; the work on each takes as long as `work` says, in turn."""
    now, moments = 0.0, []
    pacer = Pacer(15, now)
    while now < seconds:
        now += pacer.wait(now) + late
        assert pacer.wait(now) == 0
        pacer.began(now)
        moments.append(now)
        now += work[len(moments) % len(work)]
    return moments


def test_an_hour_has_its_54_000_pictures() -> None:
    moments = begun(3_600, [0.02, 0.05, 0.001])
    assert len(moments) in (54_000, 54_001)
    assert all(moment == pytest.approx(at * PERIOD, abs=1e-6) for at, moment in enumerate(moments))


def test_who_always_wakes_late_does_not_drift() -> None:
    moments = begun(600, [0.01], late=0.004)
    assert moments[-1] == pytest.approx((len(moments) - 1) * PERIOD + 0.004, abs=1e-6)


def test_slow_work_goes_as_fast_as_it_can_and_nothing_piles_up() -> None:
    slow = begun(10, [0.1])
    assert len(slow) in (100, 101)
    then = begun(10, [0.4] * 10 + [0.01] * 90)
    gaps = [later - earlier for earlier, later in itertools.pairwise(then)]
    assert min(gaps) > 0.01
    # what was missed is not made up for: two pictures are closer than a period only where work ended late
    assert sum(gap < 0.9 * PERIOD for gap in gaps) <= len(then) / 90 + 1


def test_a_budget_is_never_more_than_its_rate_and_burst(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(50):
        rate, burst = draw.uniform(1, 100), draw.uniform(3, 100)
        budget, now, spent = Budget(rate, burst, 0.0), 0.0, 0.0
        for _ in range(300):
            cost = draw.choice([1, 1, 1, 2, 3])
            now += budget.wait(cost, now)
            assert budget.wait(cost, now) == 0
            budget.spend(cost, now)
            spent += cost
            assert spent <= rate * now + burst + 1e-6
            now += draw.choice([0.0, 0.0, draw.uniform(0, 5 / rate)])


def test_an_overdrawn_budget_waits_until_it_is_level() -> None:
    budget = Budget(10, 20, 0.0)
    budget.spend(50, 0.0)
    assert budget.wait(0, 0.0) == pytest.approx(3.0)
    assert budget.wait(0, 3.0) == 0
    assert budget.wait(1_000, 3.0) == pytest.approx(2.0)  # more than there can be: all there can be
    assert budget.wait(20, 100.0) == 0
    budget.spend(20, 1_000.0)
    assert budget.wait(1, 1_000.0) == pytest.approx(0.1)  # what was not used is not kept
    assert budget.wait(1, 50.0) >= 0  # a clock that went back gives nothing
