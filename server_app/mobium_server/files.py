"""File descriptors: each connection takes one, and the usual soft limit is smaller than the usual number of
connections.
"""

from __future__ import annotations

import logging
import sys

__all__ = ["raise_file_limit"]

log = logging.getLogger(__name__)

OWN = 128  # 64 connections that are being refused, and the database, the log, Python itself


def raise_file_limit(connections: int) -> None:
    """Raise the soft limit to what `connections` (0: unlimited) need, as far as the hard one allows; a
    warning says where it does not.
    """
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OWN if connections else (hard if hard != resource.RLIM_INFINITY else 65_536)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    except (OSError, ValueError):
        target = soft
    if target < wanted:
        log.warning(
            "SC_MAX_CONNECTIONS=%d needs %d open files, but the system allows %d; raise that limit"
            " (ulimit -n, LimitNOFILE=).",
            connections,
            wanted,
            target,
        )
