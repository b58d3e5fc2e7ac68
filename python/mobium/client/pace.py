"""How fast to send: a little slower than the server allows, and not at all while it says so.

Not its concern: what is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from mobium.errors import NotConnected

__all__ = ["Pace"]

# Requests, and what another program of the same identity sends, count against the same limit.
_SHARE: Final = 0.8
_LONGEST_PAUSE: Final = 300.0


class Pace:
    """A bucket of permissions that fills at `rate` a second up to `burst`; unlimited until told otherwise."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rate = 0.0
        self._burst = 0.0
        self._held = 0.0
        self._at = clock()
        self._not_before = 0.0
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._over = False

    def limit(self, rate: float, burst: float) -> None:
        """Keep to a server's limits from a login on; a rate of 0 is none. What was to be paused for before it
        is over.
        """
        first = self._rate == 0
        self._rate, self._burst = rate * _SHARE, max(1.0, burst * _SHARE)
        self._held = self._burst if first else min(self._held, self._burst)
        self._not_before = 0.0
        self._changed.set()

    def pause(self, seconds: float) -> None:
        """Send nothing for so long."""
        self._not_before = max(self._not_before, self._clock() + seconds)
        self._held = 0.0

    def refused(self, retry_after: float | None) -> float:
        """The server takes no more for now: send nothing for the seconds that it names, five minutes at most;
        returns how many.
        """
        # What is no number is not above 0 either.
        seconds = min(retry_after, _LONGEST_PAUSE) if retry_after is not None and retry_after > 0 else 1.0
        self.pause(seconds)
        return seconds

    def charge(self, cost: int) -> None:
        """An answer counted as so many, which nobody knew before; as at the server, the debt is a burst at
        most.
        """
        if self._rate > 0:
            self._refill()
            self._held = max(self._held - cost, min(self._held, -self._burst))

    async def take(self, cost: int = 1) -> None:
        """Wait for permission for a message that counts as `cost`; one beyond the burst waits for a full
        bucket. Whoever came first goes first, or many small ones would keep a large one out. Raises
        NotConnected after `end`.
        """
        async with self._turn:
            while not self._over and (delay := self._wait(cost)) > 0:
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await self._changed.wait()
            if self._over:
                raise NotConnected("The connection was given up.")

    def end(self) -> None:
        """Nothing is sent any more, and nobody waits for permission."""
        self._over = True
        self._changed.set()

    def _refill(self) -> float:
        now = self._clock()
        self._held = min(self._burst, self._held + (now - self._at) * self._rate)
        self._at = now
        return now

    def _wait(self, cost: int = 1) -> float:
        now = self._refill()
        if now < self._not_before:
            return self._not_before - now
        if self._rate <= 0:
            return 0
        needed = min(float(cost), self._burst)
        if self._held < needed:
            return (needed - self._held) / self._rate
        self._held -= cost
        return 0
