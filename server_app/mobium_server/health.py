"""Whether the storage works, and how fast: what is logged when it begins to fail, and when it works again.

Not its concern: what is done about it.
"""

from __future__ import annotations

import logging

from mobium_server.stats import Durations
from mobium_server.storage.base import Unavailable

__all__ = ["Health"]

log = logging.getLogger(__name__)


class Health:
    """Says a failure once, though it goes on until the storage works again."""

    def __init__(self) -> None:
        self.failing = False
        self.failures = 0
        self.commits = Durations()

    def fails(self, what: str, error: Exception | None) -> None:
        """The storage did not do what it was asked."""
        self.failures += 1
        if self.failing:
            return
        self.failing = True
        if isinstance(error, Unavailable):
            log.error("%s: %s", what, error)
        else:
            log.error("%s", what, exc_info=error)

    def works(self) -> None:
        """It did."""
        if self.failing:
            self.failing = False
            log.warning("The storage works again.")
