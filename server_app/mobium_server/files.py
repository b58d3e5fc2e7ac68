"""File descriptors: each connection takes one, the usual soft limit is smaller than the usual number of
connections, and when there are none left that is said once and not in every turn of the loop.

Not its concern: who gets a place (`mobium_server.door`).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["Scarcity", "raise_file_limit"]

log = logging.getLogger(__name__)

OWN = 128  # 64 connections that are being refused, and the database, the log, Python itself
QUIET = 60.0  # seconds in which it is said once that there are none left
_NONE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def raise_file_limit(connections: int) -> int:
    """Raise the soft limit to what `connections` (0: unlimited) need, as far as the hard one allows; a
    warning says where it does not. How many connections fit: more could not be told that there is no room.
    """
    if sys.platform == "win32":
        return connections
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OWN if connections else (hard if hard != resource.RLIM_INFINITY else 65_536)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections or (0 if soft == resource.RLIM_INFINITY else max(1, soft - OWN))
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    except (OSError, ValueError):
        target = soft
    fit = max(1, target - OWN)
    if target < wanted:
        log.warning(
            "SC_MAX_CONNECTIONS=%d needs %d open files, but the system allows %d: %d connections are taken."
            " Raise that limit (ulimit -n, LimitNOFILE=).",
            connections,
            wanted,
            target,
            fit,
        )
    return fit


class Scarcity:
    """What the loop says about itself: that there are no descriptors left, which it says a thousand times a
    second, once a minute; all else as before. It tries again by itself.
    """

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._said = -QUIET

    def handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A handler for `loop.set_exception_handler`."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _NONE_LEFT:
            loop.default_exception_handler(context)
            return
        now = self._steady()
        if now - self._said >= QUIET:
            self._said = now
            log.error(
                "A connection could not be taken: %s. Others are served; new ones wait until some end. Raise"
                " that limit (ulimit -n, LimitNOFILE=) or lower SC_MAX_CONNECTIONS.",
                error.strerror,
            )
