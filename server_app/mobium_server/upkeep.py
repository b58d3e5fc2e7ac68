"""What is done from time to time: messages whose time has come are deleted, and the server's clock is kept.

Not its concern: what expires when (`mobium_server.clock`, `mobium_server.storage`).
"""

from __future__ import annotations

import asyncio
import logging

from mobium_server.board import Board
from mobium_server.clock import Clock
from mobium_server.delivery import PostOffice
from mobium_server.storage.base import Gone, GonePost, Storage
from mobium_server.storage.worker import Jobs

__all__ = ["Upkeep"]

log = logging.getLogger(__name__)

INTERVAL = 60.0  # seconds
EXPIRE_AT_ONCE = 1_000  # messages in one transaction, so that none takes long
KEEP_CLOCK = 3_600.0  # seconds; a crash between two costs nothing but that much longer lives


class Upkeep:
    """Begins at once, and goes on until `stop`."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        jobs: Jobs,
        office: PostOffice,
        board: Board,
        life: int,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """`life`: how long a message waits for its recipient, or in its channel, seconds."""
        self._storage = storage
        self._clock = clock
        self._jobs = jobs
        self._office = office
        self._board = board
        self._life = life
        self._loop = loop
        self._kept = clock.steady()
        self._timer = loop.call_soon(self.run)
        self._more = False
        self._stopped = False

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped = True
        self._timer.cancel()

    def run(self) -> None:
        """Delete what has expired, then wait for the next time."""
        arrived = self._clock.own() - self._life
        self._more = False
        self._jobs.submit(self._expired, self._storage.expire, arrived, EXPIRE_AT_ONCE)
        self._jobs.submit(self._posts_expired, self._storage.expire_posts, arrived, EXPIRE_AT_ONCE)
        if self._clock.steady() - self._kept >= KEEP_CLOCK:
            self._kept = self._clock.steady()
            self._jobs.submit(self._done, self._clock.keep, self._storage)

    def _expired(self, gone: list[Gone] | None, error: Exception | None) -> None:
        if gone:
            self._office.forget(gone)
            self._more = len(gone) == EXPIRE_AT_ONCE
        self._done(None, error)

    def _posts_expired(self, gone: list[GonePost] | None, error: Exception | None) -> None:
        if gone:
            self._board.forget(gone)
            self._more = self._more or len(gone) == EXPIRE_AT_ONCE
        self._done(None, error)
        if self._stopped:
            return
        if self._more:
            self._timer = self._loop.call_soon(self.run)
        else:
            self._timer = self._loop.call_later(INTERVAL, self.run)

    @staticmethod
    def _done(_result: None, error: Exception | None) -> None:
        if error is not None:
            log.error("Upkeep failed, and is tried again in a minute: %s", error)
