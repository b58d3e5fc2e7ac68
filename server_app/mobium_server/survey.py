"""How much the storage holds, looked up from time to time and shown until the next time, so that whoever asks
for figures neither waits for the storage nor keeps it busy.

Not its concern: how it is counted (`mobium_server.storage`) and who may see it (`mobium_server.http`).
"""

from __future__ import annotations

from collections.abc import Callable

from mobium_server.storage.base import Storage, Volume
from mobium_server.storage.worker import Jobs

__all__ = ["Survey"]

FRESH = 2.0  # seconds in which nothing is looked up again
NOTHING = Volume(0, 0, 0, 0, 0, 0, 0, complete=False)


class Survey:
    """The newest figures. What was there at the start is counted at once, in small steps."""

    def __init__(self, storage: Storage, jobs: Jobs, steady: Callable[[], float]) -> None:
        self.volume = NOTHING
        self._storage = storage
        self._jobs = jobs
        self._steady = steady
        self._looked = steady()
        self._looking = False
        self._look()

    def refresh(self) -> None:
        """Look again, unless that was just done; `volume` follows."""
        if not self._looking and self._steady() - self._looked >= FRESH:
            self._look()

    def _look(self) -> None:
        self._looking = True
        self._jobs.submit(self._seen, self._storage.volume)

    def _seen(self, volume: Volume | None, _error: Exception | None) -> None:
        # A failure shows elsewhere; the older figures stay.
        self._looking = False
        self._looked = self._steady()
        if volume is not None:
            self.volume = volume
            if not volume.complete:
                self._look()
