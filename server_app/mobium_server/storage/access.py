"""Whether this user can keep a database at a path, and what to type if not.

Nothing is changed to find out. Not its concern: opening it (`mobium_server.storage.database`).
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

__all__ = ["crowding", "hindrance", "read_only"]

ROOM = 1 << 20  # bytes that a start needs at least
FILES = ("", "-wal", "-shm", ".lock")  # of a database, its own first


def hindrance(path: Path) -> str:
    """What keeps this user from the database at `path`, in one sentence with what to type; empty if nothing
    does. SQLite opens what it cannot write for reading, so that trying tells less than the rights do.
    """
    if sys.platform == "win32":
        return ""
    folder = path.absolute().parent
    if _is_folder(path):
        return f"It is a folder; SC_DATABASE_URL names a file in it, such as sqlite://{path}/mobium.db."
    if not _is_there(folder):
        return _no_folder(folder)
    if not _is_folder(folder):
        return f"{path.parent} is no folder."
    if not _may(folder, os.R_OK | os.W_OK | os.X_OK):
        return _foreign(path) if _shared(path) else _closed(path.parent, "folder", "rwx")
    files = [path.with_name(path.name + suffix) for suffix in FILES]
    closed = [one for one in files if os.path.lexists(one) and not _may(one, os.R_OK | os.W_OK)]
    return _closed(closed[0], "file", "rw", closed[1:]) if closed else ""


def _is_there(one: Path) -> bool:
    return os.path.exists(one)  # noqa: PTH110 - a path's own method raises where a folder above is closed


def _is_folder(one: Path) -> bool:
    return os.path.isdir(one)  # noqa: PTH112 - the same


def _may(one: Path, rights: int) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(one, rights, effective_ids=effective)


def _no_folder(folder: Path) -> str:
    above = next(one for one in folder.parents if _is_there(one))
    if not _is_folder(above):
        return f"{above} is no folder."
    if _may(above, os.W_OK | os.X_OK):
        return ""
    if read_only(above):
        return f"The file system of {above} is read-only."
    user = os.geteuid()
    return (
        f"The folder {folder} is not there, and user {user} cannot make it in {above}:"
        f" sudo install -d -m 700 -o {user} {shlex.quote(str(folder))}"
    )


def _shared(path: Path) -> bool:
    """Whether the folder of a database is the system's, or one of root's with other things in it, or with
    who knows what: one that is not to be given to a server.
    """
    try:
        if path.parent.stat().st_uid != 0 or os.geteuid() == 0:
            return False
        return not all(_belongs(one.name, path) for one in path.parent.iterdir())
    except OSError:
        return True


def _belongs(name: str, path: Path) -> bool:
    return name.startswith(path.name) or name.endswith(".db") or name in ("backups", "lost+found")


def _foreign(path: Path) -> str:
    """The folder has other things too, or nobody can look into it: it is not to be given to a server."""
    folder, user = path.absolute().parent, os.geteuid()
    if read_only(folder):
        return f"The file system of {folder} is read-only."
    own = (folder if _may(folder, os.X_OK) else Path("/var/lib")) / "mobium"
    return (
        f"User {user} may not write in the folder {folder}, which is not the database's alone. Give it one of"
        f" its own: sudo install -d -m 700 -o {user} {shlex.quote(str(own))}, then"
        f" SC_DATABASE_URL=sqlite://{own / path.name}."
    )


def _closed(one: Path, kind: str, rights: str, others: list[Path] | None = None) -> str:
    try:
        owner = one.stat().st_uid
    except OSError as error:
        return f"The {kind} {one} cannot be reached: {error.strerror}."
    if read_only(one):
        return f"The file system of {one} is read-only."
    user = os.geteuid()
    typed = " ".join(shlex.quote(str(each)) for each in (one, *(others or [])))
    if owner == user:
        return f"The {kind} {one} is closed to user {user}, to whom it belongs: chmod u+{rights} {typed}"
    # Whoever looks after a service is often not the user as whom it runs; root should not run it.
    other = f"do this as the former (sudo -u '#{owner}'), or give it to the latter: " if owner else ""
    recursive = " -R" if kind == "folder" else ""
    return (
        f"The {kind} {one} belongs to user {owner}, and this is user {user}: {other}"
        f"sudo chown{recursive} {user} {typed} (for a container, on its host)."
    )


def read_only(one: Path) -> bool:
    """Whether nobody can write there, whatever the rights are."""
    return sys.platform != "win32" and bool(os.statvfs(one).f_flag & os.ST_RDONLY)


def crowding(path: Path) -> str:
    """That there is no room for a database at `path`, in one sentence; empty if there is some. SQLite speaks
    of an error of the disk where its log finds none.
    """
    try:
        free = shutil.disk_usage(path.absolute().parent).free
    except OSError:
        return ""
    if free >= ROOM:
        return ""
    return f"Only {free:,} bytes are free on the disk of {path.absolute().parent}; free some."
