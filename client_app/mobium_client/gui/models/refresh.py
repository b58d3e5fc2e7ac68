"""Reading something anew after a change, not more often than is worth it.

A thousand events in a second make a handful of readings: one is under way at most, and they are apart. Not
its concern: what is read.
"""

from __future__ import annotations

from collections.abc import Callable

from mobium_client.gui.models.presenter import Cancel, Later

__all__ = ["Refresh"]

_APART = 0.1  # seconds: quicker than an eye asks for, and ten in a second leave time for everything else


class Refresh:
    """Calls `read(finished)` when asked to, and once more if it was asked meanwhile."""

    def __init__(self, later: Later, read: Callable[[Callable[[], None]], object]) -> None:
        self._later = later
        self._read = read
        self._reading = False
        self._again = False
        self._waiting: Cancel | None = None

    def now(self) -> None:
        """Read at once, or as soon as the present reading has finished."""
        self.cancel()
        if self._reading:
            self._again = True
            return
        self._reading = True
        self._read(self._finished)

    def soon(self) -> None:
        """Read within a tenth of a second."""
        if self._waiting is None:
            self._waiting = self._later(_APART, self._due)

    def cancel(self) -> None:
        """Forget what was asked for."""
        if self._waiting is not None:
            self._waiting()
            self._waiting = None

    def _due(self) -> None:
        self._waiting = None
        self.now()

    def _finished(self) -> None:
        self._reading = False
        if self._again:
            self._again = False
            self.soon()
