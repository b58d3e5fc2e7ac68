"""How much room is left on the disk, and whether enough of it: whoever writes to people who are away must not
fill a disk so far that nothing can be written any more.

Not its concern: what is refused then (`mobium_server.delivery`, `mobium_server.board`, the handlers).
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["Room", "Space", "on_disk", "reserve"]

log = logging.getLogger(__name__)

LOOK = 1.0  # seconds in which the disk is not looked at again: what comes meanwhile fits into the reserve
MIB = 1 << 20


class Room(NamedTuple):
    """The bytes of a volume: those that this process may still fill, and all. 0 of all: nobody knows."""

    free: int
    total: int


def on_disk(path: Path) -> Callable[[], Room]:
    """A look at the volume that holds `path`."""

    def look() -> Room:
        try:
            usage = shutil.disk_usage(path)
        except OSError:
            return Room(0, 0)
        return Room(usage.free, usage.total)

    return look


def reserve(total: int) -> int:
    """The bytes that stay free on a volume of `total` bytes: a twentieth of it, but from 256 MiB to 1 GiB,
    and of a small one a quarter.
    """
    return min(max(total // 20, 256 * MIB), 1_024 * MIB, total // 4)


class Space:
    """The room on one volume, looked at by `look` at most once a second."""

    def __init__(self, look: Callable[[], Room], steady: Callable[[], float]) -> None:
        self._look = look
        self._steady = steady
        self._looked = -LOOK
        self._room = Room(0, 0)
        self._low = False

    @property
    def room(self) -> Room:
        """The newest figures."""
        now = self._steady()
        if now - self._looked >= LOOK:
            self._looked = now
            self._room = self._look()
            self._note(self._room.free < self.reserve)
        return self._room

    @property
    def reserve(self) -> int:
        """The bytes that stay free."""
        return reserve(self._room.total)

    @property
    def low(self) -> bool:
        """Whether less is free than that."""
        return self.room.free < self.reserve

    def _note(self, low: bool) -> None:
        if low == self._low:
            return
        self._low = low
        if low:
            log.error(
                "Only %d MiB are free on the database's disk: mail for people who are away, messages of"
                " channels and new identities are refused until there are %d MiB.",
                self._room.free // MIB,
                self.reserve // MIB,
            )
        else:
            log.warning("There is room on the database's disk again.")
