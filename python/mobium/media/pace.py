"""When the next picture is due, and what may go out: two clocks that are arguments.

Not its concern: waiting (whoever has the clock), and what is counted (`mobium.media.broadcast`).
"""

from __future__ import annotations

__all__ = ["Budget", "Pacer"]


class Pacer:
    """So many times a second, without drift: what comes late does not move what follows, and what is missed
    is not made up for.
    """

    def __init__(self, per_second: float, now: float) -> None:
        """The first time is `now` (seconds of any clock that only goes forward)."""
        self._period = 1 / per_second
        self._due = now

    def wait(self, now: float) -> float:
        """Seconds until it is time; 0.0 if it is."""
        return max(0.0, self._due - now)

    def began(self, now: float) -> None:
        """It was time, and the work began."""
        self._due += self._period
        if self._due <= now:  # a whole period is missed: from here on, and not as fast as it goes
            self._due = now + self._period


class Budget:
    """A token bucket that can be overdrawn: so much a second, and so much at once."""

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._level = burst
        self._as_of = now

    def wait(self, cost: float, now: float) -> float:
        """Seconds until there is `cost`, or as much as there can be; 0.0 if there is."""
        wait = (min(cost, self._burst) - self._filled(now)) / self._per_second
        return wait if wait > 1e-9 else 0.0  # whoever waited so long finds it there, however it is rounded

    def spend(self, cost: float, now: float) -> None:
        """Take `cost`, whether it is there or not."""
        self._level = self._filled(now) - cost
        self._as_of = max(now, self._as_of)

    def _filled(self, now: float) -> float:
        return min(self._burst, self._level + max(0.0, now - self._as_of) * self._per_second)
