"""The storage on SQLite: WAL, `synchronous=FULL` on every connection, one connection on one thread.

A commit that returned is on the disk. Deleted rows are overwritten (`secure_delete`), so that who wrote to
whom does not linger in free pages. Not its concern: the schema's steps (`mobium_server.storage.migrate`) and
the thread (`mobium_server.storage.worker`).
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mobium.errors import StoreError
from mobium_server.storage.base import (
    DEVICE,
    KEPT,
    BadPrekeys,
    Bundle,
    Gone,
    Kind,
    Mailbox,
    NewMessage,
    Page,
    Prekey,
    Publication,
    Refused,
    Row,
    Stock,
    Taken,
    Unavailable,
    sender_share,
)
from mobium_server.storage.migrate import migrate
from mobium_server.storage.schema import MIGRATIONS

__all__ = ["SqliteStorage", "connect"]

# how long to wait for another program's lock, such as a backup's, before a sender is told to come again
BUSY_MS = 2_000
AT_ONCE = 64  # rows in one statement, a power of two
COUNTED = 4_096  # mailboxes whose counts are kept in memory; others are counted again when they are needed
OLDEST_SQLITE = (3, 35, 0)  # DELETE ... RETURNING, by which a one-time key is handed out once


def connect(path: Path) -> sqlite3.Connection:
    """A connection that may only be used by one thread at a time, and commits only where it is told to."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1_000)


class _Counts:
    """How many messages a mailbox holds, in all and from each sender."""

    __slots__ = ("senders", "total")

    def __init__(self, senders: dict[bytes, int]) -> None:
        self.senders = senders
        self.total = sum(senders.values())

    def add(self, sender: bytes, number: int) -> None:
        self.total += number
        left = self.senders.get(sender, 0) + number
        if left > 0:
            self.senders[sender] = left
        else:
            self.senders.pop(sender, None)


class SqliteStorage:
    """The database at `path`; `max_messages` bounds one mailbox. `connector` opens connections (tests count
    and break them there).
    """

    def __init__(
        self,
        path: Path,
        max_messages: int,
        connector: Callable[[Path], sqlite3.Connection] = connect,
        migrations: Sequence[str] = MIGRATIONS,
    ) -> None:
        self.path = path
        self._max_messages = max_messages
        self._share = sender_share(max_messages)
        self._connector = connector
        self._migrations = migrations
        self._connection: sqlite3.Connection | None = None
        self._lock: IO[bytes] | None = None
        self._counts: OrderedDict[int, _Counts] = OrderedDict()
        self._ids: OrderedDict[bytes, int] = OrderedDict()

    # ------------------------------------------------------------ opening and closing

    def open(self) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreError(f"SQLite 3.35 or newer is needed; this Python has {sqlite3.sqlite_version}.")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(self.path)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StoreError(f"The database {self.path} cannot be opened: {error.strerror}.") from error
        try:
            self._connection = self._connector(self.path)
            self._prepare(self._connection)
            migrate(self._connection, self.path, self._migrations)
        except sqlite3.Error as error:
            self.close()
            raise StoreError(f"The database {self.path} cannot be used: {error}.") from error
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
        connection.execute(
            "PRAGMA fullfsync = ON"
        )  # macOS: a plain fsync leaves the data in the drive's cache
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
                # What is remembered beside the database may speak of rows that are not there now.
                self._counts.clear()
                self._ids.clear()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise Unavailable(f"The database cannot be written at the moment: {error}.") from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self.connection
        except sqlite3.Error as error:
            raise Unavailable(f"The database cannot be read at the moment: {error}.") from error

    # ------------------------------------------------------------ the server's own values

    def get(self, name: str) -> bytes | None:
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM server WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, name: str, value: bytes) -> None:
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO server (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )

    # ------------------------------------------------------------ messages

    def apply(self, inserts: Sequence[NewMessage], deletes: Sequence[Taken], now: int) -> list[int | Refused]:
        with self._transaction() as connection:
            for start, end in _pieces(len(deletes)):
                self._delete(connection, deletes[start:end])
            results: list[int | Refused] = [Refused.UNKNOWN] * len(inserts)
            chosen: list[tuple[int, int, NewMessage]] = []
            for place, message in enumerate(inserts):
                refused = self._admit(connection, message)
                if isinstance(refused, tuple):
                    results[place] = refused[0]
                else:
                    chosen.append((place, refused, message))
            for start, end in _pieces(len(chosen)):
                self._insert(connection, chosen[start:end], now, results)
            return results

    # Many rows in one statement: each step of a statement gives up the interpreter's lock, and while the loop
    # is busy
    # it takes milliseconds to get it back.

    def _delete(self, connection: sqlite3.Connection, taken: Sequence[Taken]) -> None:
        cursor = connection.execute(
            f"DELETE FROM messages WHERE seq IN ({', '.join('?' * len(taken))})",  # noqa: S608 - marks only
            [one.seq for one in taken],
        )
        exact = cursor.rowcount == len(taken)
        for one in taken:
            mailbox = self._ids.get(one.recipient)
            if exact and mailbox is not None:
                self._forget(mailbox, one.sender)
            elif mailbox is not None:
                self._counts.pop(mailbox, None)  # some had expired: count again when it is needed

    def _admit(self, connection: sqlite3.Connection, message: NewMessage) -> int | tuple[int | Refused]:
        """The mailbox that has room for a message, where it counts from now on; or what comes instead."""
        mailbox = self._id(connection, message.recipient)
        if mailbox is None:
            return (Refused.UNKNOWN,)
        counts = self._count(connection, mailbox)
        if counts.total >= self._max_messages or counts.senders.get(message.sender, 0) >= self._share:
            # Only now, because it is rare: what is stored already needs no room.
            seq = self._find(connection, mailbox, message)
            return (Refused.FULL if seq is None else seq,)
        counts.add(message.sender, 1)
        return mailbox

    def _insert(
        self,
        connection: sqlite3.Connection,
        chosen: Sequence[tuple[int, int, NewMessage]],
        now: int,
        results: list[int | Refused],
    ) -> None:
        values: list[int | bytes] = []
        for _, mailbox, message in chosen:
            values += (mailbox, message.sender, message.delivery, now, message.payload)
        cursor = connection.execute(
            "INSERT INTO messages (mailbox, sender, delivery, arrived, payload)"  # noqa: S608 - marks only
            f" VALUES {', '.join(['(?, ?, ?, ?, ?)'] * len(chosen))}"
            " ON CONFLICT (mailbox, sender, delivery) DO NOTHING",
            values,
        )
        if cursor.rowcount == len(chosen):
            # One statement of the only writer: AUTOINCREMENT numbers its rows one after the other.
            last = cursor.lastrowid or 0
            for back, (place, _, _) in enumerate(reversed(chosen)):
                results[place] = last - back
            return
        for place, mailbox, message in chosen:  # some were there already
            results[place] = self._find(connection, mailbox, message) or Refused.FULL
            self._counts.pop(mailbox, None)

    @staticmethod
    def _find(connection: sqlite3.Connection, mailbox: int, message: NewMessage) -> int | None:
        row = connection.execute(
            "SELECT seq FROM messages WHERE mailbox = ? AND sender = ? AND delivery = ?",
            (mailbox, message.sender, message.delivery),
        ).fetchone()
        return None if row is None else int(row[0])

    def mailbox(self, identity: bytes) -> Mailbox:
        with self._reading() as connection:
            mailbox = self._id(connection, identity)
            if mailbox is None:
                return Mailbox(known=False, waiting=0)
            return Mailbox(known=True, waiting=self._count(connection, mailbox).total)

    def page(self, identity: bytes, after: int, max_rows: int, max_bytes: int) -> Page:
        with self._reading() as connection:
            mailbox = self._id(connection, identity)
            rows: list[Row] = []
            size = 0
            if mailbox is None:
                return Page(rows, end=True)
            cursor = connection.execute(
                "SELECT seq, sender, delivery, payload FROM messages"
                " WHERE mailbox = ? AND seq > ? ORDER BY seq",
                (mailbox, after),
            )
            for found in cursor:
                if rows and (len(rows) >= max_rows or size >= max_bytes):
                    cursor.close()
                    return Page(rows, end=False)
                row = Row(*found)
                rows.append(row)
                size += len(row.payload)
            return Page(rows, end=True)

    def expire(self, arrived: int, limit: int) -> list[Gone]:
        with self._transaction() as connection:
            rows = connection.execute(
                "DELETE FROM messages WHERE seq IN"
                " (SELECT seq FROM messages ORDER BY seq LIMIT ?) AND arrived <= ?"
                " RETURNING mailbox, sender, delivery",
                (limit, arrived),
            ).fetchall()
            gone = []
            for mailbox, sender, delivery in rows:
                self._forget(mailbox, sender)
                owner = connection.execute("SELECT identity FROM devices WHERE id = ?", (mailbox,)).fetchone()
                gone.append(Gone(owner[0], sender, delivery))
        with self._reading() as connection:
            connection.execute(
                "PRAGMA incremental_vacuum(256)"
            ).fetchall()  # a megabyte at a time, so nobody waits
        return gone

    def _id(self, connection: sqlite3.Connection, identity: bytes) -> int | None:
        known = self._ids.get(identity)
        if known is not None:
            self._ids.move_to_end(identity)
            return known
        row = connection.execute(
            "SELECT id FROM devices WHERE identity = ? AND device = ?", (identity, DEVICE)
        ).fetchone()
        if row is None:
            return None
        self._ids[identity] = row[0]
        if len(self._ids) > COUNTED:
            self._ids.popitem(last=False)
        return int(row[0])

    def _count(self, connection: sqlite3.Connection, mailbox: int) -> _Counts:
        counts = self._counts.get(mailbox)
        if counts is None:
            rows = connection.execute(
                "SELECT sender, count(*) FROM messages WHERE mailbox = ? GROUP BY sender", (mailbox,)
            )
            counts = self._counts[mailbox] = _Counts(dict(rows.fetchall()))
            if len(self._counts) > COUNTED:
                self._counts.popitem(last=False)
        else:
            self._counts.move_to_end(mailbox)
        return counts

    def _forget(self, mailbox: int, sender: bytes) -> None:
        counts = self._counts.get(mailbox)
        if counts is not None:
            counts.add(sender, -1)

    # ------------------------------------------------------------ prekeys

    def publish(self, identity: bytes, publication: Publication, now: int) -> Stock:
        with self._transaction() as connection:
            owner = self._device(connection, identity, publication)
            if publication.reset:
                connection.execute("DELETE FROM prekeys WHERE owner = ?", (owner,))
            else:
                connection.execute("DELETE FROM prekeys WHERE owner = ? AND expires <= ?", (owner, now))
            for kind, keys in (
                (Kind.ONE_TIME, publication.one_time),
                (Kind.KEM_ONE_TIME, publication.kem_one_time),
            ):
                try:
                    connection.executemany(
                        "INSERT INTO prekeys (owner, kind, id, expires, public, signature)"
                        " VALUES (?, ?, ?, ?, ?, ?)",
                        [(owner, kind, *key) for key in keys],
                    )
                except sqlite3.IntegrityError as error:
                    raise BadPrekeys("A prekey id is used twice.") from error
                connection.execute(
                    "DELETE FROM prekeys WHERE owner = ? AND kind = ? AND number NOT IN"
                    " (SELECT number FROM prekeys WHERE owner = ? AND kind = ? ORDER BY number DESC LIMIT ?)",
                    (owner, kind, owner, kind, KEPT[kind]),
                )
            return self._stock(connection, owner, now)

    def _device(self, connection: sqlite3.Connection, identity: bytes, publication: Publication) -> int:
        owner = self._id(connection, identity)
        signed, resort = publication.signed, publication.last_resort
        if (owner is None or publication.reset) and (signed is None or resort is None):
            raise BadPrekeys("A first publication holds a signed and a last-resort prekey.")
        if owner is None and signed is not None and resort is not None:
            cursor = connection.execute(
                "INSERT INTO devices (identity, device, x_public, binding,"
                " signed_id, signed_expires, signed_public, signed_signature,"
                " resort_id, resort_expires, resort_public, resort_signature)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (identity, DEVICE, publication.x_public, publication.binding, *signed, *resort),
            )
            return cursor.lastrowid or 0
        connection.execute(
            "UPDATE devices SET x_public = ?, binding = ? WHERE id = ?",
            (publication.x_public, publication.binding, owner),
        )
        if signed is not None:
            connection.execute(
                "UPDATE devices"
                " SET signed_id = ?, signed_expires = ?, signed_public = ?, signed_signature = ?"
                " WHERE id = ?",
                (*signed, owner),
            )
        if resort is not None:
            connection.execute(
                "UPDATE devices"
                " SET resort_id = ?, resort_expires = ?, resort_public = ?, resort_signature = ?"
                " WHERE id = ?",
                (*resort, owner),
            )
        return owner or 0

    def bundle(self, identity: bytes, one_time: bool, now: int) -> Bundle | None:
        # Without one-time keys nothing is written, so that a flood of requests costs no write.
        with self._transaction() if one_time else self._reading() as connection:
            owner = self._id(connection, identity)
            if owner is None:
                return None
            device = connection.execute(
                "SELECT x_public, binding, signed_id, signed_expires, signed_public, signed_signature,"
                " resort_id, resort_expires, resort_public, resort_signature FROM devices WHERE id = ?",
                (owner,),
            ).fetchone()
            taken = {kind: self._take(connection, owner, kind, now) if one_time else None for kind in Kind}
        return Bundle(
            device[0],
            device[1],
            Prekey(*device[2:6]),
            Prekey(*device[6:10]),
            taken[Kind.ONE_TIME],
            taken[Kind.KEM_ONE_TIME],
        )

    @staticmethod
    def _take(connection: sqlite3.Connection, owner: int, kind: Kind, now: int) -> Prekey | None:
        row = connection.execute(
            "DELETE FROM prekeys WHERE number ="
            " (SELECT number FROM prekeys WHERE owner = ? AND kind = ? AND expires > ?"
            " ORDER BY number LIMIT 1)"
            " RETURNING id, expires, public, signature",
            (owner, kind, now),
        ).fetchone()
        return None if row is None else Prekey(*row)

    def stock(self, identity: bytes, now: int) -> Stock:
        with self._reading() as connection:
            owner = self._id(connection, identity)
            return Stock(0, 0, 0, 0) if owner is None else self._stock(connection, owner, now)

    @staticmethod
    def _stock(connection: sqlite3.Connection, owner: int, now: int) -> Stock:
        counts = dict(
            connection.execute(
                "SELECT kind, count(*) FROM prekeys WHERE owner = ? AND expires > ? GROUP BY kind",
                (owner, now),
            ).fetchall()
        )
        signed, resort = connection.execute(
            "SELECT signed_id, resort_id FROM devices WHERE id = ?", (owner,)
        ).fetchone()
        return Stock(counts.get(Kind.ONE_TIME, 0), counts.get(Kind.KEM_ONE_TIME, 0), signed, resort)


def _pieces(number: int) -> Iterator[tuple[int, int]]:
    """Cut `number` rows into as few statements as possible, of which there are few kinds to keep prepared."""
    start = 0
    while start < number:
        size = min(AT_ONCE, 1 << ((number - start).bit_length() - 1))
        yield start, start + size
        start += size


def _lock(path: Path) -> IO[bytes]:
    """Keep a second server away from the same database, until the file returned is closed or the process
    ends. Raises StoreError.
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
        raise StoreError(f"The database {path} is in use by another server.") from error
    return file
