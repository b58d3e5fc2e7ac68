"""What is logged when a connection fails by a fault of the server: each kind of fault once a minute, so that
nobody who has found one fills the log with it.

Not its concern: failures of the storage (`mobium_server.health`).
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

__all__ = ["Faults"]

log = logging.getLogger(__name__)

QUIET = 60.0  # seconds in which a kind of fault is logged once and then counted
KINDS = 256  # kinds remembered; the code has no more places in which to fail than that


class Faults:
    """A kind of fault is an exception's type and the line that raised it."""

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._kinds: dict[tuple[str, str, int | None], tuple[float, int]] = {}

    def note(self, error: BaseException) -> None:
        """A connection failed with `error`."""
        frames = traceback.extract_tb(error.__traceback__, limit=-1)
        kind = (
            type(error).__qualname__,
            frames[0].filename if frames else "",
            frames[0].lineno if frames else 0,
        )
        now = self._steady()
        said, unsaid = self._kinds.get(kind, (now - QUIET, 0))
        if now - said < QUIET:
            self._kinds[kind] = (said, unsaid + 1)
            return
        self._kinds.pop(kind, None)
        if len(self._kinds) >= KINDS:
            del self._kinds[next(iter(self._kinds))]
        self._kinds[kind] = (now, 0)
        more = f" It was the same {unsaid} times more since it was last said." if unsaid else ""
        log.error("A connection failed.%s", more, exc_info=error)
