"""What is done from time to time: messages whose time has come are deleted, identities that have been away
for long and old copies too, what was deleted leaves the disk, and the server's clock is kept.

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

__all__ = ["AWAY", "EXPIRE_AT_ONCE", "RETIRE_AT_ONCE", "Upkeep"]

log = logging.getLogger(__name__)

INTERVAL = 60.0  # seconds
EXPIRE_AT_ONCE = 1_000  # messages in one transaction, so that none takes long
HOUR = 3_600.0  # seconds; for the clock: a crash between two costs nothing but that much longer lives
# Seconds after which an identity is forgotten that published nothing: 60 days, after which nobody takes its
# signed prekey any more, and 30. Its client publishes again when it comes back.
AWAY = 90 * 86_400
RETIRE_AT_ONCE = 500  # identities in one transaction


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
        self._hour = clock.steady() - HOUR
        self._timer = loop.call_soon(self.run)
        self._more = False
        self._stopped = False

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped = True
        self._timer.cancel()

    def run(self) -> None:
        """Delete what has expired, then wait for the next time."""
        now = self._clock.own()
        self._more = False
        if self._clock.steady() - self._hour >= HOUR:
            self._hour = self._clock.steady()
            self._jobs.submit(self._done, self._clock.keep, self._storage)
            self._jobs.submit(self._cleared, self._storage.clear_copies, now)
            self._retire()
        arrived = now - self._life
        self._jobs.submit(self._expired, self._storage.expire, arrived, EXPIRE_AT_ONCE)
        self._jobs.submit(self._posts_expired, self._storage.expire_posts, arrived, EXPIRE_AT_ONCE)
        # Last: what was deleted lies in the log until then.
        self._jobs.submit(self._written, self._storage.checkpoint)

    def _cleared(self, names: list[str] | None, error: Exception | None) -> None:
        if names:
            log.info("Copies of the database from before updates are removed: %s", ", ".join(names))
        self._done(None, error)

    def _retire(self) -> None:
        now = self._clock.own()
        self._jobs.submit(self._retired, self._storage.retire, now, now - AWAY, RETIRE_AT_ONCE)

    def _retired(self, gone: list[bytes] | None, error: Exception | None) -> None:
        for identity in gone or ():
            desk = self._office.desks.get(identity)
            if desk is not None:  # it is here and publishes nothing: nobody can write to it now
                desk.known = False
        self._done(None, error)
        if gone is not None and len(gone) == RETIRE_AT_ONCE and not self._stopped:
            self._retire()

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

    def _written(self, _result: None, error: Exception | None) -> None:
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
