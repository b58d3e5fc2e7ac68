"""Who listens to devices, and until when."""

from __future__ import annotations

import time
from collections.abc import Callable

from mobium.media.devices import DeviceEvent
from mobium.media.sources import Tone

PATIENCE = 15.0  # seconds
TONE = Tone(440, 0.5).read()
"""A frame of -9 dBFS."""


def until(done: Callable[[], bool]) -> None:
    """Real time passes until that is so."""
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)


class Ear:
    """What a microphone gave, and what was told."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.events: list[DeviceEvent] = []

    def more(self, count: int = 5) -> Callable[[], bool]:
        wanted = len(self.frames) + count
        return lambda: len(self.frames) >= wanted

    def wanted(self) -> bytes:
        """For a speaker: one frame of a tone, counted."""
        self.frames.append(TONE)
        return TONE
