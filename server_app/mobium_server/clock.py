"""The server's two clocks: the wall's, for what others date, and its own, by which messages expire.

A wall clock jumps (a Raspberry Pi has none while it is off), and a jump must not expire mail. The server's
own clock runs with the monotonic one while the server is up, and while it was down it gains what the wall
says, but never more than a day and never less than nothing. Not its concern: when it is kept
(`mobium_server.upkeep`).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

from mobium_server.storage.base import Storage

__all__ = ["Clock"]

# Seconds that one restart may take off a message's life, whatever the wall clock claims.
DOWN_AT_MOST = 86_400
_NAME = "clock"
_LAYOUT = struct.Struct(">QQ")  # the server's own time, the wall's at that moment, both in seconds


class Clock:
    """Both clocks. `wall` and `steady` are given in seconds."""

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self.steady = steady
        self._offset = -steady()

    def wall(self) -> int:
        """Seconds since 1970, as far as the host knows."""
        return max(0, int(self._wall()))

    def own(self) -> int:
        """Seconds on the server's own clock."""
        return int(self._offset + self.steady())

    def load(self, storage: Storage) -> None:
        """Go on from where the clock was last kept."""
        kept = storage.get(_NAME)
        own, wall = 0, self.wall()
        if kept is not None and len(kept) == _LAYOUT.size:
            own, wall = _LAYOUT.unpack(kept)
        down = min(max(self.wall() - wall, 0), DOWN_AT_MOST)
        self._offset = own + down - self.steady()

    def keep(self, storage: Storage) -> None:
        """Keep the time, so that the next start goes on from it."""
        storage.put(_NAME, _LAYOUT.pack(max(0, self.own()), self.wall()))
