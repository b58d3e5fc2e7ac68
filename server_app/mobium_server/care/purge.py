"""Deleting by hand, on a server that is stopped: what belongs to one identity, or what has expired; then the
file is made as small as what it holds.

A running server keeps in memory what waits for whom, so it must not run meanwhile: opening the storage
refuses it. Not its concern: what a running server deletes by itself (`mobium_server.upkeep`).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from mobium.errors import StoreError
from mobium_server.clock import Clock
from mobium_server.config import Settings, database_path
from mobium_server.storage.base import DEVICE
from mobium_server.storage.database import give_back
from mobium_server.storage.sqlite import SqliteStorage
from mobium_server.upkeep import AWAY, EXPIRE_AT_ONCE, RETIRE_AT_ONCE

__all__ = ["Expired", "Held", "Purge", "stopped"]


@dataclass(frozen=True, slots=True)
class Held:
    """What a server holds for one identity."""

    messages: int
    """That wait for it."""
    prekeys: int
    """One-time prekeys, and the two that serve when those are gone."""


@dataclass(frozen=True, slots=True)
class Expired:
    """What was deleted because its time had come."""

    messages: int
    posts: int
    identities: int


class Purge:
    """What can be deleted from an open storage."""

    def __init__(self, storage: SqliteStorage, settings: Settings, clock: Clock) -> None:
        self._storage = storage
        self._settings = settings
        self._clock = clock
        storage.checkpoint()
        self._size = storage.path.stat().st_size

    def held(self, identity: bytes) -> Held | None:
        """What there is for an identity; None if it has published nothing here."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT (SELECT count(*) FROM messages WHERE mailbox = d.id),"
                " (SELECT count(*) FROM prekeys WHERE owner = d.id) FROM devices d"
                " WHERE identity = ? AND device = ?",
                (identity, DEVICE),
            ).fetchone()
        return None if row is None else Held(row[0], row[1] + 2)

    def forget(self, identity: bytes) -> None:
        """Delete the mail that waits for an identity, and its prekeys. What it wrote to others and its place
        in channels, which members have signed, stay. When it comes back it publishes again.
        """
        with self._reading() as connection:
            mine = "(SELECT id FROM devices WHERE identity = ?)"
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"DELETE FROM messages WHERE mailbox IN {mine}", (identity,))  # noqa: S608
            connection.execute(f"DELETE FROM prekeys WHERE owner IN {mine}", (identity,))  # noqa: S608
            connection.execute("DELETE FROM devices WHERE identity = ?", (identity,))
            connection.execute("COMMIT")

    def expired(self) -> Expired:
        """Delete what a running server would have deleted by now."""
        now = self._clock.own()
        arrived = now - self._settings.message_ttl
        messages = posts = identities = 0
        while found := len(self._storage.expire(arrived, EXPIRE_AT_ONCE)):
            messages += found
        while found := len(self._storage.expire_posts(arrived, EXPIRE_AT_ONCE)):
            posts += found
        while found := len(self._storage.retire(now, now - AWAY, RETIRE_AT_ONCE)):
            identities += found
        return Expired(messages, posts, identities)

    def compact(self) -> int:
        """Give what is empty in the file back to the disk; the bytes by which it became smaller since it was
        opened.
        """
        with self._reading() as connection:
            give_back(connection)
        self._storage.checkpoint()
        return self._size - self._storage.path.stat().st_size

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._storage.connection
        except sqlite3.Error as error:
            raise StoreError(f"The database {self._storage.path} cannot be changed: {error}.") from error


@contextlib.contextmanager
def stopped(settings: Settings) -> Iterator[Purge]:
    """The database of a server that does not run. Raises StoreError, InUse while it does."""
    path = database_path(settings.database_url)
    if not path.exists():
        raise StoreError(f"There is no database {path}.")
    storage = SqliteStorage(path, settings.max_offline_messages)
    storage.open()
    try:
        clock = Clock()
        clock.load(storage)
        yield Purge(storage, settings, clock)
        clock.keep(storage)
    finally:
        storage.close()
