"""The database file: WAL, `synchronous=FULL` on every connection, one connection on one thread, transactions.

A commit that returned is on the disk. Deleted rows are overwritten (`secure_delete`), so that who wrote to
whom does not linger in free pages, and a checkpoint from time to time empties the log beside the file. Not
its concern: what the rows mean (`mobium_server.storage.sqlite`, `mobium_server.storage.sqlite_channels`), the
schema's steps (`mobium_server.storage.migrate`) and the thread (`mobium_server.storage.worker`).
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mobium.errors import StoreError
from mobium_server.storage.access import crowding, hindrance
from mobium_server.storage.base import Unavailable
from mobium_server.storage.beside import linked, remains
from mobium_server.storage.migrate import migrate
from mobium_server.storage.schema import MIGRATIONS

__all__ = ["BUSY_MS", "Database", "InUse", "connect", "give_back", "lock", "pieces", "reason"]

# how long to wait for another program's lock, such as a backup's, before a sender is told to come again
BUSY_MS = 2_000
AT_ONCE = 64  # rows in one statement, a power of two
OLDEST_SQLITE = (3, 35, 0)  # DELETE ... RETURNING, by which a one-time key is handed out once


class InUse(StoreError):
    """A server runs on the database."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that may only be used by one thread at a time, and commits only where it is told to."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1_000)


class Database:
    """The database at `path`. `connector` opens connections (tests count and break them there)."""

    def __init__(
        self,
        path: Path,
        connector: Callable[[Path], sqlite3.Connection] = connect,
        migrations: Sequence[str] = MIGRATIONS,
    ) -> None:
        self.path = path
        self._connector = connector
        self._migrations = migrations
        self._connection: sqlite3.Connection | None = None
        self._lock: IO[bytes] | None = None

    def open(self) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreError(f"SQLite 3.35 or newer is needed; this Python has {sqlite3.sqlite_version}.")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = lock(self.path)
            doubt = remains(self.path) or linked(self.path)
            if doubt:
                self.close()
                raise StoreError(doubt)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            self.close()
            said = f"The database {self.path} cannot be opened: {error.strerror}. {_hint(self.path)}"
            raise StoreError(said.rstrip()) from error
        try:
            self._connection = self._connector(self.path)
            self._prepare(self._connection)
            migrate(self._connection, self.path, self._migrations)
        except sqlite3.Error as error:
            self.close()
            said = f"The database {self.path} cannot be used: {reason(error)}. {_hint(self.path)}"
            raise StoreError(said.rstrip()) from error
        except StoreError:
            self.close()
            raise

    @staticmethod
    def _prepare(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect in a new file only
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(
                f"The database's file system does not allow SQLite's WAL mode (it stays {mode!r})."
            )
        connection.execute("PRAGMA synchronous = FULL")
        # macOS: a plain fsync leaves the data in the drive's cache.
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        if connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
            raise StoreError("SQLite does not take synchronous=FULL, so nothing could be promised.")

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error:
                pass  # the log stays beside the file and is read at the next start
            finally:
                connection.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    def checkpoint(self) -> None:
        with self._reading() as connection:
            # Without waiting: while another program reads, such as a backup, the log stays until the next
            # time.
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

    @property
    def connection(self) -> sqlite3.Connection:
        """The one connection. Raises Unavailable before `open` and after `close`."""
        if self._connection is None:
            raise Unavailable("The database is not open.")
        return self._connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._rolled_back()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise Unavailable(f"The database cannot be written at the moment: {reason(error)}.") from error

    def _rolled_back(self) -> None:
        """Forget what is remembered beside the database: it may speak of rows that are not there now."""

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self.connection
        except sqlite3.Error as error:
            raise Unavailable(f"The database cannot be read at the moment: {reason(error)}.") from error


def give_back(connection: sqlite3.Connection, pages: int = 0) -> None:
    """Give empty pages at the file's end back to the disk; 0: all of them. Not inside a transaction."""
    # A script runs to its end; `execute` takes one step, since no column comes, and that frees one page.
    connection.executescript(f"PRAGMA incremental_vacuum({pages})")


def _hint(path: Path) -> str:
    return hindrance(path) or crowding(path)


def reason(error: sqlite3.Error) -> str:
    """What SQLite says, and for a damaged file what to do about it, since that does not pass."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return f"{error}: either SC_DATABASE_URL names another file, or restore a backup"
    if code != sqlite3.SQLITE_CORRUPT:
        return str(error)
    return f"{error}; it is damaged: stop the server, then mobium-server check, and restore a backup"


def pieces(number: int) -> Iterator[tuple[int, int]]:
    """Cut `number` rows into as few statements as possible, of which there are few kinds to keep prepared."""
    start = 0
    while start < number:
        size = min(AT_ONCE, 1 << ((number - start).bit_length() - 1))
        yield start, start + size
        start += size


def lock(path: Path) -> IO[bytes]:
    """Keep a second server away from the same database, until the file returned is closed or the process
    ends. Raises InUse.
    """
    file = path.with_name(f"{path.name}.lock").open("ab")
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise InUse(f"The database {path} is in use by another server.") from error
    return file
