"""Locking after some minutes in which nobody has touched keyboard or mouse.

Not its concern: what counts as a touch (the window), and what locking does.
"""

from __future__ import annotations

from collections.abc import Callable

from mobium_client.gui.models.preferences import Preferences
from mobium_client.gui.models.presenter import Cancel, Later

__all__ = ["Idle"]

_LOOK = 5.0  # seconds between two looks at the clock


class Idle:
    """Calls `lock` once nobody has touched anything for as long as the settings say; 0 minutes is never."""

    def __init__(
        self,
        later: Later,
        clock: Callable[[], float],
        preferences: Preferences,
        lock: Callable[[], object],
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """`clock` gives seconds that also pass while the machine sleeps; `busy` is whether somebody talks,
        which locks nothing.
        """
        self._later = later
        self._clock = clock
        self._preferences = preferences
        self._lock = lock
        self._busy = busy
        self._touched = clock()
        self._next: Cancel | None = None

    def start(self) -> None:
        """A profile is open from now on."""
        self.stop()
        self._touched = self._clock()
        self._next = self._later(_LOOK, self._look)

    def stop(self) -> None:
        """No profile is open any more."""
        if self._next is not None:
            self._next()
            self._next = None

    def touch(self) -> None:
        """Somebody is there."""
        self._touched = self._clock()

    def _look(self) -> None:
        self._next = None
        now = self._clock()
        if (
            self._busy() or now < self._touched
        ):  # a clock that was set back must not put the lock off for long
            self._touched = now
        limit = self._preferences.state.idle_minutes * 60
        if limit and now - self._touched >= limit:
            self._lock()
            return
        self._next = self._later(_LOOK, self._look)
