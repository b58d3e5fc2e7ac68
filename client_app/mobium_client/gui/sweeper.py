"""Collecting cyclic garbage in the window's thread alone.

Python collects in whichever thread happens to allocate. Images of Tk tell Tk when they go, and from another
thread that waits for the window: the background loop would stand still meanwhile, voices too, and for long
while the window waits for it to end. Not its concern: what garbage is made.
"""

from __future__ import annotations

import gc
import time
from typing import Final

__all__ = ["Sweeper"]

_FULL: Final = 30.0  # seconds between two looks at everything, which take some ten milliseconds each


class Sweeper:
    """Takes the place of the automatic collection, from construction until `end`."""

    def __init__(self) -> None:
        gc.disable()
        self._full = time.monotonic() + _FULL

    def turn(self) -> None:
        """Collect what is due by Python's own thresholds; to be called often."""
        young, middle, old = gc.get_count()
        limits = gc.get_threshold()
        if young <= limits[0]:
            return
        if old > limits[2] and time.monotonic() > self._full:
            self.everything()
        else:
            gc.collect(1 if middle > limits[1] else 0)

    def everything(self) -> None:
        """Collect all that nobody refers to any more."""
        gc.collect()
        self._full = time.monotonic() + _FULL

    def end(self) -> None:
        """Python collects by itself again."""
        gc.enable()
