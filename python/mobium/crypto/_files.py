"""Small secret files, written so that a crash leaves the old one or the new one, whole.

The one place in the facade that knows what POSIX and Windows, Linux and macOS do differently about files. Not
its concern: what is in a file, and who else has the folder open.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

_OWNER_ONLY = 0o600
_BINARY = getattr(os, "O_BINARY", 0)  # Windows alone translates line ends otherwise


def read_limited(path: Path, limit: int) -> bytes:
    """The file's bytes, at most `limit`, so that a foreign file of any size costs nothing. Raises OSError."""
    with path.open("rb") as file:
        return file.read(limit)


def write_new(path: Path, data: bytes) -> None:
    """Create the file with mode 0600, durably, and only if nothing has that name.

    Raises FileExistsError if something has, OSError for anything else; then nothing was written.
    """
    with _temporary(path, data) as temporary:
        try:
            os.link(temporary, path)
        except (FileExistsError, FileNotFoundError):
            raise
        except OSError:
            # A file system without hard links (FAT): claim the name first. A crash between the two leaves an
            # empty file, which is refused as damaged, and that is better than one replaced.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY))
            try:
                temporary.replace(path)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
    try:
        _finish(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace(path: Path, data: bytes) -> None:
    """Replace the file's content, durably, with mode 0600. Raises OSError; then the old content stands."""
    with _temporary(path, data) as temporary:
        temporary.replace(path)
    _finish(path)


@contextlib.contextmanager
def _temporary(path: Path, data: bytes) -> Iterator[Path]:
    """A file beside `path` that holds the data, on the disk; gone afterwards unless it was renamed."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            _sync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _finish(path: Path) -> None:
    _sync_folder(path.parent)
    # What a crash left behind earlier may be sealed under a password that was given up since. (A process that
    # is writing the same file right now loses its temporary one and gets an error: this one was first.)
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        leftover.unlink(missing_ok=True)


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":  # plain fsync leaves the data in the drive's cache there
        import fcntl

        with contextlib.suppress(OSError):  # a network volume knows only the plain one
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    if sys.platform != "win32":  # a folder cannot be opened there; NTFS journals the name itself
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            _sync(descriptor)
        finally:
            os.close(descriptor)
