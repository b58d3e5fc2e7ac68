"""Live sessions between transactions: read once, changed as values, written once a transaction, kept only
after the commit.

Not its concern: which session is used for what (`mobium.client.direct`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import msgspec

from mobium.crypto.session import Session

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = ["Held", "SessionCache"]

# Peers whose sessions stay in memory; a conversation of the day is among them.
_KEPT_PEERS: Final = 128

NOWHERE: Final = -1
"""Behind which no message stands: the place of a skipped number that was no message."""


class Held(msgspec.Struct, frozen=True):
    """A session as it is stored.

    `rank` grows; the highest one that is not `receive_only` is the active one.
    """

    id: int
    peer: int
    session: Session
    receive_only: bool
    rank: int
    made_at: int
    used_at: int


class SessionCache:
    """The sessions of the peers last used, and what the present transaction has made of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, dict[int, Held]] = OrderedDict()
        self._working: dict[int, dict[int, Held]] = {}
        self._added: dict[int, Held] = {}
        self._places: dict[tuple[int, bytes], int] = {}

    def of(self, tx: Tx, peer: int) -> dict[int, Held]:
        """The sessions with a peer, by id; belongs to the present transaction."""
        working = self._working.get(peer)
        if working is None:
            kept = self._kept.get(peer)
            working = _read(tx, peer) if kept is None else dict(kept)
            if kept is None:
                self._kept[peer] = dict(working)
            self._working[peer] = working
        return working

    def add(
        self, tx: Tx, peer: int, session: Session, *, receive_only: bool, rank: int, now: int, after: int
    ) -> Held:
        """Store a new session. Numbers that its first message skipped would stand behind message `after`."""
        working = self.of(tx, peer)
        session_id = tx.insert(
            "INSERT INTO session (peer, handshake, head, receive_only, rank, made_at, used_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            peer, session.handshake, session.head(), receive_only, rank, now, now,
        )  # fmt: skip
        if session.header is not None:
            tx.execute("INSERT INTO session_header VALUES (?, ?)", session_id, session.header)
        skipped = session.skipped()
        if skipped:
            places = {(session_id, record[:36]): after for record in skipped}
            _write_skipped(tx, session_id, skipped, [], places)
        held = Held(session_id, peer, session, receive_only, rank, now, now)
        working[session_id] = self._added[session_id] = held
        return held

    def change(self, held: Held) -> None:
        """Put `held` in the place of the one with its id."""
        self._working[held.peer][held.id] = held

    def place(self, held: Held, record: bytes, after: int) -> None:
        """Note that the number of a skipped `record` would stand behind message `after`."""
        self._places[(held.id, record[:36])] = after

    def void(self, tx: Tx, peer: int, keys: Collection[bytes]) -> None:
        """Numbers of sessions with a peer, as ratchet_public ‖ n(u32), were no messages: they do not count as
        missing. What comes under them all the same is opened.
        """
        sessions = list(self.of(tx, peer))
        for session in sessions:
            tx.many(
                "UPDATE skipped SET after = ? WHERE session = ? AND key = ?",
                [(NOWHERE, session, key) for key in keys],
            )
        voided = {(session, key) for session in sessions for key in keys}
        self._places.update(dict.fromkeys(voided & self._places.keys(), NOWHERE))

    def remove(self, tx: Tx, held: Held) -> None:
        """Delete a session and its keys."""
        self._working[held.peer].pop(held.id, None)
        for table in ("session_header", "skipped"):
            tx.execute(f"DELETE FROM {table} WHERE session = ?", held.id)  # noqa: S608
        tx.execute("DELETE FROM session WHERE id = ?", held.id)

    def write(self, tx: Tx) -> None:
        """Write what the transaction changed, just before its commit."""
        for peer, working in self._working.items():
            kept = self._kept.get(peer, {})
            for session_id, held in working.items():
                before = kept.get(session_id) or self._added[session_id]
                if before is not held:
                    self._write_one(tx, before, held)

    def _write_one(self, tx: Tx, before: Held, held: Held) -> None:
        tx.execute(
            "UPDATE session SET head = ?, receive_only = ?, rank = ?, used_at = ? WHERE id = ?",
            held.session.head(), held.receive_only, held.rank, held.used_at, held.id,
        )  # fmt: skip
        if held.session.header is None and before.session.header is not None:
            tx.execute("DELETE FROM session_header WHERE session = ?", held.id)
        added, removed = held.session.changes(before.session)
        if added or removed:
            _write_skipped(tx, held.id, added, removed, self._places)

    def keep(self) -> None:
        """The transaction is committed."""
        for peer, working in self._working.items():
            self._kept[peer] = working
            self._kept.move_to_end(peer)
        self.discard()
        while len(self._kept) > _KEPT_PEERS:
            self._kept.popitem(last=False)

    def discard(self) -> None:
        """The transaction is over; what was committed before it stands."""
        self._working = {}
        self._added = {}
        self._places = {}

    def clear(self) -> None:
        """Forget every session, for a locked profile or after rows were changed behind the cache."""
        self._kept.clear()
        self.discard()


def _read(tx: Tx, peer: int) -> dict[int, Held]:
    rows = tx.all(
        "SELECT id, head, receive_only, rank, made_at, used_at, header"
        " FROM session LEFT JOIN session_header ON session = id WHERE peer = ?",
        peer,
    )
    found = {}
    for session_id, head, receive_only, rank, made_at, used_at, header in rows:
        skipped = [
            row[0] for row in tx.all("SELECT record FROM skipped WHERE session = ? ORDER BY seq", session_id)
        ]
        session = Session.from_parts(head, header, skipped)
        found[session_id] = Held(session_id, peer, session, bool(receive_only), rank, made_at, used_at)
    return found


def _write_skipped(
    tx: Tx, session: int, added: list[bytes], removed: list[bytes], places: dict[tuple[int, bytes], int]
) -> None:
    # A sender who uses a ratchet key again can make a key come anew that went in the same transaction.
    gone = [*removed, *(record[:36] for record in added)]
    tx.many("DELETE FROM skipped WHERE session = ? AND key = ?", [(session, key) for key in gone])
    tx.many(
        "INSERT INTO skipped (session, key, record, stored_at, after) VALUES (?, ?, ?, ?, ?)",
        [
            (
                session,
                record[:36],
                record,
                int.from_bytes(record[68:76], "big"),
                places.get((session, record[:36]), 0),
            )
            for record in added
        ],
    )
