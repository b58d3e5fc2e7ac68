"""Whether the storage works, and how fast: what is logged when it begins to fail, and when it works again.

Not its concern: what is done about it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from mobium_server.stats import Durations
from mobium_server.storage.base import Unavailable

__all__ = ["Health"]

log = logging.getLogger(__name__)

QUIET = 60.0  # seconds in which the storage is said once to fail, and to work again


class Health:
    """Says a failure once, though it goes on until the storage works again. Where it does both in turn, as
    with one damaged page, it is said once a minute, so that nobody fills the log by asking for that page.
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self.failing = False
        self.failures = 0
        self.commits = Durations()
        self._steady = steady
        self._said_at = steady() - QUIET
        self._unsaid = 0
        self._told = False

    def fails(self, what: str, error: Exception | None) -> None:
        """The storage did not do what it was asked."""
        self.failures += 1
        if self.failing and self._told:
            return
        self.failing = True
        now = self._steady()
        if now - self._said_at < QUIET:
            self._unsaid += 1
            return
        more = f" (and {self._unsaid} times more since this was said last)" if self._unsaid else ""
        self._said_at, self._unsaid, self._told = now, 0, True
        if isinstance(error, Unavailable):
            log.error("%s%s: %s", what, more, error)
        else:
            log.error("%s%s", what, more, exc_info=error)

    def works(self) -> None:
        """It did."""
        self.failing = False
        if self._told:
            self._told = False
            log.warning("The storage works again.")
