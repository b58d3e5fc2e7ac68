"""The storage on SQLite: the server's own values, mailboxes and prekeys.

Not its concern: channels (`mobium_server.storage.sqlite_channels`) and the database itself
(`mobium_server.storage.database`).
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from mobium_server.storage.base import (
    DEVICE,
    KEPT,
    BadPrekeys,
    Bounds,
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
    sender_share,
)
from mobium_server.storage.database import connect, pieces
from mobium_server.storage.schema import MIGRATIONS
from mobium_server.storage.sqlite_channels import SqliteChannels

__all__ = ["SqliteStorage", "connect"]

COUNTED = 4_096  # mailboxes whose counts are kept in memory; others are counted again when they are needed


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


class SqliteStorage(SqliteChannels):
    """The database at `path`; `max_messages` bounds one mailbox. `connector` opens connections (tests count
    and break them there).
    """

    def __init__(
        self,
        path: Path,
        max_messages: int,
        connector: Callable[[Path], sqlite3.Connection] = connect,
        migrations: Sequence[str] = MIGRATIONS,
        bounds: Bounds = Bounds(),  # noqa: B008 - a constant
    ) -> None:
        super().__init__(path, connector, migrations)
        self.bounds = bounds
        self._max_messages = max_messages
        self._share = sender_share(max_messages)
        # Of each mailbox, what is written to somebody and what is distributed are counted apart.
        self._counts: OrderedDict[tuple[int, bool], _Counts] = OrderedDict()
        self._ids: OrderedDict[bytes, int] = OrderedDict()

    def _rolled_back(self) -> None:
        self._counts.clear()
        self._ids.clear()

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
            for start, end in pieces(len(deletes)):
                self._delete(connection, deletes[start:end])
            results: list[int | Refused] = [Refused.UNKNOWN] * len(inserts)
            chosen: list[tuple[int, int, NewMessage]] = []
            for place, message in enumerate(inserts):
                refused = self._admit(connection, message)
                if isinstance(refused, tuple):
                    results[place] = refused[0]
                else:
                    chosen.append((place, refused, message))
            for start, end in pieces(len(chosen)):
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
                self._forget(mailbox, one.sender, one.distributed)
            elif mailbox is not None:
                # some had expired: count again when it is needed
                self._counts.pop((mailbox, one.distributed), None)

    def _admit(self, connection: sqlite3.Connection, message: NewMessage) -> int | tuple[int | Refused]:
        """The mailbox that has room for a message, where it counts from now on; or what comes instead."""
        mailbox = self._id(connection, message.recipient)
        if mailbox is None:
            return (Refused.UNKNOWN,)
        counts = self._count(connection, mailbox, message.channel is not None)
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
        values: list[int | bytes | None] = []
        for _, mailbox, message in chosen:
            values += (mailbox, message.sender, message.delivery, now, message.payload, message.channel)
        cursor = connection.execute(
            "INSERT INTO messages (mailbox, sender, delivery, arrived, payload, channel)"  # noqa: S608 - marks
            f" VALUES {', '.join(['(?, ?, ?, ?, ?, ?)'] * len(chosen))}"
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
            self._counts.pop((mailbox, message.channel is not None), None)

    @staticmethod
    def _find(connection: sqlite3.Connection, mailbox: int, message: NewMessage) -> int | None:
        row = connection.execute(
            "SELECT seq FROM messages WHERE mailbox = ? AND sender = ? AND delivery = ?",
            (mailbox, message.sender, message.delivery),
        ).fetchone()
        return None if row is None else int(row[0])

    def mailbox(self, identity: bytes) -> Mailbox:
        with self._reading() as connection:
            channels = self._memberships(connection, identity)
            mailbox = self._id(connection, identity)
            if mailbox is None:
                return Mailbox(known=False, waiting=0, channels=channels)
            waiting = sum(self._count(connection, mailbox, kind).total for kind in (False, True))
            return Mailbox(known=True, waiting=waiting, channels=channels)

    def page(self, identity: bytes, after: int, max_rows: int, max_bytes: int) -> Page:
        with self._reading() as connection:
            mailbox = self._id(connection, identity)
            rows: list[Row] = []
            size = 0
            if mailbox is None:
                return Page(rows, end=True)
            cursor = connection.execute(
                "SELECT seq, sender, delivery, payload, channel FROM messages"
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
                " RETURNING mailbox, sender, delivery, channel IS NOT NULL",
                (limit, arrived),
            ).fetchall()
            gone = []
            for mailbox, sender, delivery, distributed in rows:
                self._forget(mailbox, sender, bool(distributed))
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

    def _count(self, connection: sqlite3.Connection, mailbox: int, distributed: bool) -> _Counts:
        counts = self._counts.get((mailbox, distributed))
        if counts is None:
            rows = connection.execute(
                "SELECT sender, count(*) FROM messages"
                " WHERE mailbox = ? AND (channel IS NOT NULL) = ? GROUP BY sender",
                (mailbox, distributed),
            )
            counts = self._counts[mailbox, distributed] = _Counts(dict(rows.fetchall()))
            if len(self._counts) > COUNTED:
                self._counts.popitem(last=False)
        else:
            self._counts.move_to_end((mailbox, distributed))
        return counts

    def _forget(self, mailbox: int, sender: bytes, distributed: bool) -> None:
        counts = self._counts.get((mailbox, distributed))
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
