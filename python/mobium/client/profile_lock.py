"""One process at a time in a profile: the one file of the engine in which operating systems differ.

The lock is the system's and ends with the process, whatever ends it. Not its concern: what is in the profile.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from mobium.errors import StoreError

__all__ = ["ProfileLock"]

if sys.platform == "win32":
    import msvcrt

    def _take(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    def _give_back(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _take(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _give_back(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


class ProfileLock:
    """Held from construction until `release`."""

    def __init__(self, directory: Path) -> None:
        """Take the lock of `directory`.

        Raises StoreError if another process has it or the folder cannot be written.
        """
        self._file: int | None = None
        try:
            file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"The profile {directory} cannot be opened: {error.strerror}.") from error
        try:
            _take(file)
        except OSError as error:
            os.close(file)
            raise StoreError(
                f"The profile {directory} is open in another program; close it there first."
            ) from error
        self._file = file

    def release(self) -> None:
        """Let the next one in."""
        if self._file is not None:
            # Closing alone would leave it with a child of this process that was just begun, or forked.
            with contextlib.suppress(OSError):
                _give_back(self._file)
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None
