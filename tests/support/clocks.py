"""Clocks that tests move by hand."""

from __future__ import annotations

import time

from mobium_server.clock import Clock

__all__ = ["Hands", "Seconds"]


class Hands:
    """The clock of a server, moved by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def clock(self) -> Clock:
        """A clock that these hands move."""
        return Clock(lambda: time.time() + self.ahead, lambda: time.monotonic() + self.ahead)


class Seconds:
    """Seconds of a clock that is only called."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
