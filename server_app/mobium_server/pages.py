"""Pages out of the storage: one at a time for each connection, and only while its socket takes more, so that
whoever asks for much and reads nothing costs no memory; and not before what the pages before it turned out to
cost is paid, so that whoever asks for many at once gets no more than others.

Not its concern: what is on a page (`mobium_server.channels`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar

from mobium_server.envelope import Desk
from mobium_server.health import Health
from mobium_server.pace import Later
from mobium_server.storage.worker import Jobs

__all__ = ["Pages"]

T = TypeVar("T")

LOOK = 1.0  # seconds after which whoever waits to have paid is looked at again: he may be gone


class _Reader:
    """The pages that one connection still gets."""

    __slots__ = ("reading", "waiting")

    def __init__(self) -> None:
        self.reading = False
        """One is read, or is waited with."""
        self.waiting: deque[Callable[[], None]] = deque()


class Pages:
    """The pages that were asked for, by connection. `owes` gives the seconds until a connection has paid for
    those that it got.
    """

    def __init__(self, jobs: Jobs, health: Health, later: Later, owes: Callable[[Desk], float]) -> None:
        self._jobs = jobs
        self._health = health
        self._later = later
        self._owes = owes
        self._readers: dict[Desk, _Reader] = {}

    def read(
        self, desk: Desk, job: Callable[[], T], done: Callable[[T | None, Exception | None], None]
    ) -> None:
        """Run `job` on the storage when it is the connection's turn, then call `done` with what it found, if
        the connection still stands.
        """
        reader = self._readers.get(desk)
        if reader is None:
            reader = self._readers[desk] = _Reader()

        def found(page: T | None, error: Exception | None) -> None:
            reader.reading = False
            if error is None:
                self._health.works()
            else:
                self._health.fails("A page could not be read", error)
            if not desk.open:
                self._readers.pop(desk, None)
                return
            done(page, error)
            self.go_on(desk)

        reader.waiting.append(lambda: self._jobs.submit(found, job))
        self.go_on(desk)

    def go_on(self, desk: Desk) -> None:
        """The socket takes more, or the connection ended."""
        reader = self._readers.get(desk)
        if reader is None or reader.reading:
            return
        if not desk.open or not reader.waiting:
            del self._readers[desk]
        elif desk.outlet.writable():
            reader.reading = True
            owes = self._owes(desk)
            if owes:
                self._later(min(owes, LOOK), lambda: self._waited(desk, reader))
            else:
                reader.waiting.popleft()()

    def _waited(self, desk: Desk, reader: _Reader) -> None:
        reader.reading = False
        self.go_on(desk)
