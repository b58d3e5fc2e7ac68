"""Telling others of what changes: the first change at once, and what follows soon after it together.

Not its concern: what is told to whom.
"""

from __future__ import annotations

from collections.abc import Callable

from mobium_server.pace import Later

__all__ = ["Bell"]


class Bell:
    """Calls `ring` for a key that was touched: at once, but at most once in `gap` seconds for each key; what
    comes within a gap is told at its end.
    """

    def __init__(self, gap: float, later: Later, ring: Callable[[bytes], None]) -> None:
        self._gap = gap
        self._later = later
        self._ring = ring
        self._rung: dict[bytes, bool] = {}
        """Keys that rang less than a gap ago, and whether they were touched since."""

    def __contains__(self, key: bytes) -> bool:
        """Whether it rang for a key less than a gap ago, so that it may not have told everything."""
        return key in self._rung

    def touch(self, key: bytes) -> None:
        """Something has changed."""
        if key in self._rung:
            self._rung[key] = True
        else:
            self._begin(key)

    def _begin(self, key: bytes) -> None:
        self._rung[key] = False
        self._later(self._gap, lambda: self._end(key))
        self._ring(key)

    def _end(self, key: bytes) -> None:
        if self._rung.pop(key):
            self._begin(key)
