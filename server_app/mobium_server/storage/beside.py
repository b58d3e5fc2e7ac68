"""What lies beside a database, or is the same file by another name, and speaks against starting on it.

A start that finds no database makes a new one with a new key. That is right on a new machine, and wrong where
a restore was interrupted or somebody moved the file away. Not its concern: rights
(`mobium_server.storage.access`) and the content (`mobium_server.storage.migrate`).
"""

from __future__ import annotations

import glob
import shlex
from pathlib import Path

__all__ = ["halfway", "linked", "remains", "replaced", "unfinished"]

LOGS = ("-wal", "-shm", "-journal")


def remains(path: Path) -> str:
    """Why no new database may be made at `path`, in a sentence with what to do; empty if it may, or if there
    is one.
    """
    if path.exists() and path.stat().st_size:
        return ""
    log = path.with_name(f"{path.name}-wal")
    whole = [*reversed(replaced(path)), *reversed(_found(path, "{}.before-*[0-9]"))]
    parts = [*unfinished(path), *_found(path, ".*.[0-9]*.partial"), *_found(path, "{}.before-*.partial")]
    if whole:
        found, typed = whole[0], f"mobium-server restore {shlex.quote(str(whole[0]))}"
    elif parts or (log.exists() and log.stat().st_size):
        found, typed = (*parts, log)[0], "mobium-server restore and the name of a backup"
    else:
        return ""
    return (
        f"There is no database {path}, but {found} lies beside it, so there was one; a new one would have"
        f" another key. Bring it back with {typed}, or move {found} away to begin anew."
    )


def linked(path: Path) -> str:
    """Why the file at `path` may not be used by this name, in a sentence; empty if it has one name alone. The
    log and the lock go by the name, so that a second server would not be noticed.
    """
    if not path.is_file() or path.stat().st_nlink < 2:
        return ""
    aside = halfway(path)
    if aside is not None:
        return (
            f"A restore of {path} was interrupted, and nothing is lost: do it again, or go back with"
            f" mobium-server restore {shlex.quote(str(aside))}"
        )
    return (
        f"{path} has a second name (a hard link), by which another server could run on it: delete that one;"
        f" sudo find / -xdev -samefile {shlex.quote(str(path))} shows both."
    )


def halfway(path: Path) -> Path | None:
    """The second name of the database at `path` that a restore had given it when it was interrupted."""
    return next((one for one in replaced(path) if path.exists() and one.samefile(path)), None)


def replaced(path: Path) -> list[Path]:
    """The databases that restores have replaced at `path` and that are still there."""
    return _found(path, "{}.replaced-*")


def unfinished(path: Path) -> list[Path]:
    """What restores that were interrupted were writing."""
    return _found(path, ".{}.*.restoring")


def _found(path: Path, pattern: str) -> list[Path]:
    found = path.parent.glob(pattern.format(glob.escape(path.name)))
    return sorted(one for one in found if not one.name.endswith(LOGS))
