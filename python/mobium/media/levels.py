"""How loud a frame is, and whether somebody speaks. Not its concern: who is told."""

from __future__ import annotations

import math
from typing import Final

from mobium.media.form import FRAME_SAMPLES

__all__ = ["QUIETEST", "Speaking", "level"]

QUIETEST: Final = -96.0
"""dBFS; what silence counts as."""

BEGINS: Final = -42.0
ENDS: Final = -48.0
"""dBFS at which somebody begins to speak, and below which he has ended: apart, so that no level flickers."""

HANGOVER: Final = 15
"""Frames for which somebody still speaks: 300 ms, longer than the pauses between words."""

_FULL: Final = 32_768.0


def level(pcm: bytes) -> float:
    """The level of a frame in dBFS: 0 for a square wave at full scale, -3 for such a sine,
    -96 for silence.
    """
    import numpy as np

    samples = np.frombuffer(pcm, np.int16).astype(np.float32)
    power = float(samples @ samples) / FRAME_SAMPLES
    return max(QUIETEST, 10 * math.log10(power / _FULL**2)) if power else QUIETEST


class Speaking:
    """Whether somebody speaks, from level to level."""

    def __init__(self) -> None:
        self.now = False
        self._left = 0

    def note(self, loudness: float) -> bool:
        """One frame of this level (dBFS) more. True if somebody has begun or ended to speak."""
        before = self.now
        if loudness >= (ENDS if self.now else BEGINS):
            self._left = HANGOVER
        elif self._left:
            self._left -= 1
        self.now = self._left > 0
        return self.now != before
