"""Who logs in and asks for the mailbox: each is answered once what has to be committed before is.

Not its concern: the commit (`mobium_server.delivery`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mobium_server.envelope import Envelope, State
from mobium_server.storage.base import Mailbox, Storage
from mobium_server.storage.worker import Jobs

__all__ = ["Looked", "Looks"]

Looked = Callable[[Mailbox | None, Exception | None], None]


class _Look(NamedTuple):
    """`waiting` is what has to be committed before."""

    identity: bytes
    waiting: list[Envelope]
    done: Looked

    @property
    def early(self) -> bool:
        return any(envelope.state is State.WAITING for envelope in self.waiting)


class Looks:
    """All of them."""

    def __init__(self, storage: Storage, jobs: Jobs) -> None:
        self._storage = storage
        self._jobs = jobs
        self._looks: list[_Look] = []

    def add(self, identity: bytes, waiting: list[Envelope], done: Looked) -> None:
        """One more: `done` is called with its mailbox when `waiting` is committed, or with what failed."""
        self._looks.append(_Look(identity, waiting, done))

    def look_in(self) -> bool:
        """Look into the mailboxes for which nothing has to be committed any more. True: others wait for a
        commit.
        """
        ready = [look for look in self._looks if not look.early]
        self._looks = [look for look in self._looks if look.early]
        for look in ready:
            self._jobs.submit(look.done, self._storage.mailbox, look.identity)
        return bool(self._looks)
