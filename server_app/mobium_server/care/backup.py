"""A copy of the database while the server runs, and its return.

A backup is one file that holds everything: the server's key, what waits, channels, prekeys. Whoever has it
can be this server and see who writes to whom, but read nothing. Not its concern: the copies made before
upgrades (`mobium_server.storage.migrate`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mobium.errors import InvalidInput, StoreError
from mobium_server.care.contents import Contents, faults, look, reading
from mobium_server.storage.access import hindrance
from mobium_server.storage.beside import halfway, linked, unfinished
from mobium_server.storage.database import lock

__all__ = ["Restored", "backup", "restore"]

# Numbers of a channel that are passed over after a restore. Those that were given since the backup are known
# to clients, and what comes under them would be taken for something they have seen.
GAP = 1 << 30
ABANDONED = 86_400  # seconds after which nobody can be writing a backup any more
_PARTIAL = re.compile(r"\..+\.[0-9]+\.partial")  # as `_beside` names it
# what a file system says that has no hard links, such as FAT
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    contents: Contents
    """What the backup holds."""
    aside: Path | None
    """Where the replaced database lies, if there was one."""


def backup(path: Path, target: Path) -> Contents:
    """Copy the database at `path`, whether or not a server runs on it, to the new file `target`, and compare.

    What a backup whose power went left in that folder goes a day later. Raises InvalidInput if `target`
    cannot be written, StoreError if there is no sound copy to be had; then there is no file.
    """
    _refuse_to_overwrite(target)
    if linked(path):
        raise StoreError(linked(path))
    partial = _beside(target, "partial")
    try:
        if path.exists():  # else it may be all that is left of it
            for old in _abandoned(target.parent):
                _remove(old)
        with _fresh(partial):
            contents = _copy(path, partial, still=False)
            _refuse_to_overwrite(target)
            partial.rename(target)
            _sync_folder(target.parent)
    except OSError as error:
        raise InvalidInput(f"The backup {target} cannot be written: {error.strerror}.") from error
    return contents


def restore(source: Path, path: Path, now: datetime) -> Restored:
    """Put the backup `source` in the place of the database at `path`, which is kept under a name with `now`.

    Clients go on where they are: what they have seen since the backup is not numbered again, and one-time
    prekeys, which may have been handed out since, are left to be published anew. Raises StoreError while a
    server runs, and for what is no sound backup; then nothing was changed.
    """
    if source.is_dir():
        raise InvalidInput(f"{source} is a folder; name the backup in it.")
    if not source.is_file():
        raise InvalidInput(f"There is no file {source}.")
    if path.exists() and source.samefile(path) and not _is_aside(source, path):
        raise InvalidInput(f"{source} is the server's database itself; name a backup.")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with lock(path):
            _give(path.with_name(f"{path.name}.lock"), path)
            _take_up(path)
            for old in unfinished(path):
                _remove(old)
            partial = _beside(path, "restoring")
            with _fresh(partial):
                contents = _copy(source, partial, still=True)
                _make_ready(partial)
                _give(partial, path)
                aside = _set_aside(path, now)
                try:
                    partial.replace(path)
                except OSError:
                    if aside is not None:
                        _put_back(aside, path)
                    raise
                _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be replaced: {error.strerror}. {hindrance(path)}".rstrip()
        ) from error
    return Restored(contents, aside)


def _copy(source: Path, target: Path, *, still: bool) -> Contents:
    """Copy one state of a database into the empty file `target`, and look whether all of it is there."""
    with reading(source, still=still) as connection:
        contents = look(connection, source)
        if not contents.has_key:
            raise StoreError(f"{source} has no key of a server in it, so it is not complete.")
        _write(target, lambda copy: _fill(connection, copy))
        with reading(target, still=True) as copy:
            found = faults(copy)
            if found:
                raise StoreError(f"{source} is damaged, so its copy was not kept: {found[0]}.")
            if look(copy, target) != contents:
                raise StoreError(f"The copy of {source} does not hold what {source} holds; it was not kept.")
    return contents


def _fill(source: sqlite3.Connection, copy: sqlite3.Connection) -> None:
    source.backup(copy)


def _write(target: Path, work: Callable[[sqlite3.Connection], object]) -> None:
    """Change a database that is to be one file, without a log beside it."""
    try:
        with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            work(connection)
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise StoreError(f"The copy {target} cannot be written: {error}.") from error


def _make_ready(partial: Path) -> None:
    def work(connection: sqlite3.Connection) -> None:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("BEGIN")
        connection.execute("DELETE FROM prekeys")
        if "channels" in tables:
            connection.execute("UPDATE channels SET next = next + ?", (GAP,))
        connection.execute("COMMIT")

    _write(partial, work)


def _set_aside(path: Path, now: datetime) -> Path | None:
    """Give the database at `path` a name of its own, with the log that belongs to it. It keeps the old one
    until another file takes that, so that there is a database whenever the power goes.
    """
    if not path.exists():
        return None
    aside = halfway(path) or path.with_name(f"{path.name}.replaced-{now:%Y%m%d-%H%M%S}")
    if aside.exists() and not aside.samefile(path):
        raise StoreError(f"{aside} exists already; nothing was changed.")
    try:
        _link(path, aside)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        _put_back(aside, path)
        for one, other in _pairs(path, aside):
            if one.exists():
                one.rename(other)
    _sync_folder(path.parent)
    # The log would be taken for that of the file that comes.
    for one, _ in _pairs(path, aside)[1:]:
        one.unlink(missing_ok=True)
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    _sync_folder(path.parent)
    return aside


def _take_up(path: Path) -> None:
    """Complete what a restore that was interrupted had set aside. Raises StoreError for another hard link."""
    aside = halfway(path)
    if aside is not None:
        _link(path, aside)
    elif linked(path):
        raise StoreError(linked(path))


def _link(path: Path, aside: Path) -> None:
    for one, other in _pairs(path, aside):
        if one.exists() and not other.exists():
            other.hardlink_to(one)


def _put_back(aside: Path, path: Path) -> None:
    for one, other in _pairs(aside, path):
        if one.exists() and other.exists():
            one.unlink()
        elif one.exists():
            one.rename(other)


def _is_aside(source: Path, path: Path) -> bool:
    aside = halfway(path)
    return aside is not None and source.resolve() == aside.resolve()


def _pairs(path: Path, other: Path) -> list[tuple[Path, Path]]:
    return [(path.with_name(path.name + end), other.with_name(other.name + end)) for end in ("", "-wal")]


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{ending}")


def _abandoned(folder: Path) -> list[Path]:
    """What backups to this folder were writing that did not come to their end."""
    found = []
    for one in folder.glob(".*.partial"):
        with contextlib.suppress(OSError):  # another one has just removed it
            if _PARTIAL.fullmatch(one.name) and one.stat().st_mtime < time.time() - ABANDONED:
                found.append(one)
    return found


@contextlib.contextmanager
def _fresh(partial: Path) -> Iterator[None]:
    """An empty file that only its owner can read, and that goes with all its logs unless it was renamed."""
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield
    finally:
        _remove(partial)


def _remove(partial: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        partial.with_name(partial.name + suffix).unlink(missing_ok=True)


def _refuse_to_overwrite(target: Path) -> None:
    if target.is_dir():
        raise InvalidInput(f"{target} is a folder; name the file that shall be made.")
    if target.exists() or target.is_symlink():
        raise InvalidInput(f"{target} exists already, and a backup overwrites nothing; name another file.")
    if not target.parent.is_dir():
        raise InvalidInput(f"There is no folder {target.parent}.")


def _give(file: Path, path: Path) -> None:
    """Root works for the user to whom the database at `path`, or its folder, belongs."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return
    owner = (path if path.exists() else path.parent).stat()
    os.chown(file, owner.st_uid, owner.st_gid)


def _sync_folder(folder: Path) -> None:
    """A name is durable once its folder is."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
