"""The storage on SQLite: the server's own values, mailboxes and prekeys.

Not its concern: channels (`mobium_server.storage.sqlite_channels`) and the database itself
(`mobium_server.storage.database`).
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from mobium.errors import StoreError
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
    Unavailable,
    Volume,
    mailbox_bytes,
    sender_share,
)
from mobium_server.storage.database import connect, give_back, pieces
from mobium_server.storage.migrate import COPY_LIFE, copies
from mobium_server.storage.schema import MIGRATIONS
from mobium_server.storage.sqlite_channels import SqliteChannels
from mobium_server.storage.tally import Tally

__all__ = ["SqliteStorage", "connect"]

_COPIES = "copies"  # since when which copies were there
GIVEN_BACK = 256  # pages of the file at a time, a megabyte, so that nobody waits
COUNTED = 4_096  # mailboxes whose counts are kept in memory; others are counted again when they are needed


class _Counts:
    """How many messages a mailbox holds, and how many bytes, in all and from each sender."""

    __slots__ = ("senders", "size", "total")

    def __init__(self, senders: dict[bytes, tuple[int, int]]) -> None:
        self.senders = senders
        self.total = sum(number for number, _ in senders.values())
        self.size = sum(size for _, size in senders.values())

    def of(self, sender: bytes) -> tuple[int, int]:
        return self.senders.get(sender, (0, 0))

    def add(self, sender: bytes, size: int) -> None:
        self.total += 1
        self.size += size
        number, held = self.of(sender)
        self.senders[sender] = (number + 1, held + size)

    def take(self, sender: bytes, size: int) -> None:
        self.total -= 1
        self.size -= size
        number, held = self.of(sender)
        if number > 1:
            self.senders[sender] = (number - 1, held - size)
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
        self._max_bytes = mailbox_bytes(max_messages)
        self._share_bytes = sender_share(self._max_bytes)
        # Of each mailbox, what is written to somebody and what is distributed are counted apart.
        self._counts: OrderedDict[tuple[int, bool], _Counts] = OrderedDict()
        self._ids: OrderedDict[bytes, int] = OrderedDict()
        self._tally = Tally(0)

    def open(self) -> None:
        super().open()
        with self._reading() as connection:
            self._tally = Tally.of(connection)

    def _rolled_back(self) -> None:
        self._counts.clear()
        self._ids.clear()
        self._tally.drop()

    def volume(self) -> Volume:
        with self._reading() as connection:
            tally = self._tally
            tally.step(connection)
            (channels,) = connection.execute("SELECT count(*) FROM channels").fetchone()
            return Volume(
                tally.messages,
                tally.size,
                tally.mailboxes,
                tally.deepest,
                channels,
                *self._sizes(),
                complete=tally.complete,
            )

    def _sizes(self) -> tuple[int, int]:
        """The bytes of the database, and of the log beside it."""
        beside = self.path.with_name(f"{self.path.name}-wal")
        try:
            return self.path.stat().st_size, beside.stat().st_size if beside.exists() else 0
        except OSError as error:
            raise Unavailable(f"The database's size cannot be read: {error.strerror}.") from error

    # ------------------------------------------------------------ the server's own values

    def get(self, name: str) -> bytes | None:
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM server WHERE name = ?", (name,)).fetchone()
        if row is not None and not isinstance(row[0], bytes):
            raise StoreError(f"In {self.path} the value {name!r} is no bytes; restore a backup.")
        return None if row is None else bytes(row[0])

    def put(self, name: str, value: bytes) -> None:
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO server (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )

    def clear_copies(self, now: int) -> list[str]:
        try:
            found = copies(self.path)
            names = [copy.name for copy in found]
            seen = "\n".join(names).encode()
            kept = self.get(_COPIES) or b""
            if kept[8:] != seen:
                self.put(_COPIES, now.to_bytes(8, "big") + seen)
                return []
            if not found or now - int.from_bytes(kept[:8], "big") < COPY_LIFE:
                return []
            for copy in found:
                copy.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"The copies of the database cannot be removed: {error.strerror}.") from error
        return names

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
        self._tally.keep()
        return results

    # Many rows in one statement: each step of a statement gives up the interpreter's lock, and while the loop
    # is busy it takes milliseconds to get it back.

    def _delete(self, connection: sqlite3.Connection, taken: Sequence[Taken]) -> None:
        marks, seqs = ", ".join("?" * len(taken)), [one.seq for one in taken]
        # What counts is the row, not what was sent again under its id. In one text, thus in one step.
        (text,) = connection.execute(
            "SELECT group_concat(seq || ' ' || mailbox || ' ' || length(payload) || ' ' ||"  # noqa: S608
            f" (channel IS NOT NULL)) FROM messages WHERE seq IN ({marks})",
            seqs,
        ).fetchone()
        connection.execute(f"DELETE FROM messages WHERE seq IN ({marks})", seqs)  # noqa: S608 - marks only
        senders = {one.seq: one.sender for one in taken}
        for row in text.split(",") if text is not None else ():  # what had expired is none
            seq, mailbox, size, distributed = map(int, row.split())
            self._tally.take(seq, mailbox, size)
            self._forget(mailbox, senders[seq], size, bool(distributed))

    def _admit(self, connection: sqlite3.Connection, message: NewMessage) -> int | tuple[int | Refused]:
        """The mailbox that has room for a message, where it counts from now on; or what comes instead."""
        mailbox = self._id(connection, message.recipient)
        if mailbox is None:
            return (Refused.UNKNOWN,)
        counts = self._count(connection, mailbox, message.channel is not None)
        size = len(message.payload)
        if not self._room(counts, message.sender, size):
            # Only now, because it is rare: what is stored already needs no room.
            seq = self._find(connection, mailbox, message)
            return (Refused.FULL if seq is None else seq,)
        counts.add(message.sender, size)
        return mailbox

    def _room(self, counts: _Counts, sender: bytes, size: int) -> bool:
        """Whether a payload of `size` bytes fits; the first of a mailbox and of a sender is never too large
        for it.
        """
        number, held = counts.of(sender)
        return (
            counts.total < self._max_messages
            and (counts.size + size <= self._max_bytes or not counts.total)
            and number < self._share
            and (held + size <= self._share_bytes or not number)
        )

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
            for back, (place, mailbox, message) in enumerate(reversed(chosen)):
                results[place] = last - back
                self._tally.add(last - back, mailbox, len(message.payload))
            return
        for place, mailbox, message in chosen:  # some were there already
            seq = self._find(connection, mailbox, message)
            results[place] = seq or Refused.FULL
            self._tally.add(seq or 0, mailbox, len(message.payload))
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
                " RETURNING seq, mailbox, sender, delivery, length(payload), channel IS NOT NULL",
                (limit, arrived),
            ).fetchall()
            gone = []
            for seq, mailbox, sender, delivery, size, distributed in rows:
                self._tally.take(seq, mailbox, size)
                self._forget(mailbox, sender, size, bool(distributed))
                owner = connection.execute("SELECT identity FROM devices WHERE id = ?", (mailbox,)).fetchone()
                gone.append(Gone(owner[0], sender, delivery))
        self._tally.keep()
        with self._reading() as connection:
            give_back(connection, GIVEN_BACK)
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
                "SELECT sender, count(*), sum(length(payload)) FROM messages"
                " WHERE mailbox = ? AND (channel IS NOT NULL) = ? GROUP BY sender",
                (mailbox, distributed),
            )
            counts = self._counts[mailbox, distributed] = _Counts(
                {sender: (number, size) for sender, number, size in rows}
            )
            if len(self._counts) > COUNTED:
                self._counts.popitem(last=False)
        else:
            self._counts.move_to_end((mailbox, distributed))
        return counts

    def _forget(self, mailbox: int, sender: bytes, size: int, distributed: bool) -> None:
        counts = self._counts.get((mailbox, distributed))
        if counts is not None:
            counts.take(sender, size)

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
                " SET signed_id = ?, signed_expires = ?, signed_public = ?, signed_signature = ?,"
                " renewed = NULL"
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

    def retire(self, now: int, renewed: int, limit: int) -> list[bytes]:
        with self._transaction() as connection:
            connection.execute(
                "UPDATE devices SET renewed = ? WHERE id IN"
                " (SELECT id FROM devices WHERE renewed IS NULL LIMIT ?)",
                (now, limit),
            )
            rows = connection.execute(
                "SELECT id, identity FROM devices WHERE renewed <= ?"
                " AND NOT EXISTS (SELECT 1 FROM messages WHERE mailbox = devices.id)"
                " ORDER BY renewed LIMIT ?",
                (renewed, limit),
            ).fetchall()
            for device, identity in rows:
                connection.execute("DELETE FROM prekeys WHERE owner = ?", (device,))
                connection.execute("DELETE FROM devices WHERE id = ?", (device,))
                self._ids.pop(identity, None)
                for distributed in (False, True):  # a number may be given to somebody else
                    self._counts.pop((device, distributed), None)
        return [identity for _, identity in rows]

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
