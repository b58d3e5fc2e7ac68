"""Peers: everybody whose key this profile has met, with the pinned key, what the user thinks of them, and the
nickname.

Not its concern: which nicknames are allowed (`mobium.client.names`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from mobium.client.events import ContactKeyChanged

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = [
    "MAX_REQUESTS",
    "MAX_UNKNOWN",
    "Peer",
    "Relation",
    "Trust",
    "add",
    "by_id",
    "by_key",
    "by_nickname",
    "every",
    "find",
    "forget_unknown",
    "offer_x",
    "unknown_beyond",
    "update",
    "waiting",
]

Trust = Literal["unverified", "verified", "changed"]
Relation = Literal["contact", "request", "unknown"]

MAX_REQUESTS: Final = 50  # strangers who wait for an answer; a flood of identities cannot fill the profile
MAX_UNKNOWN: Final = 200  # strangers who sent something else than a text, or whom a recovery must ask again

_COLUMNS: Final = "id, ed, x, offered_x, trust, relation, blocked, nickname, added_at, retry_at, read_to"
_CHANGEABLE: Final = frozenset(
    ("x", "offered_x", "trust", "relation", "blocked", "nickname", "nickname_key", "retry_at", "read_to")
)


class Peer(msgspec.Struct, frozen=True):
    """A row:

    `ed` is the identity (32 bytes), `x` its pinned X25519 key, `offered_x` the one that came instead.
    """

    id: int
    ed: bytes
    x: bytes | None
    offered_x: bytes | None
    trust: Trust
    relation: Relation
    blocked: bool
    nickname: str | None
    added_at: int
    retry_at: int
    read_to: int

    @property
    def key(self) -> str:
        """The identity in hex."""
        return self.ed.hex()

    @property
    def accepted(self) -> bool:
        """Whether the user wants to hear from this peer, and the peer may know it."""
        return self.relation == "contact" and not self.blocked


def _peer(row: tuple[Any, ...] | None) -> Peer | None:
    if row is None:
        return None
    peer_id, ed, x, offered_x, trust, relation, blocked, *rest = row
    return Peer(peer_id, ed, x, offered_x, trust, relation, bool(blocked), rest[0], rest[1], rest[2], rest[3])


def by_key(tx: Tx, ed: bytes) -> Peer | None:
    """The peer with this identity (32 bytes)."""
    return _peer(tx.one(f"SELECT {_COLUMNS} FROM peer WHERE ed = ?", ed))  # noqa: S608


def find(tx: Tx, peer_id: int) -> Peer | None:
    """The peer of that row, unless it was forgotten."""
    return _peer(tx.one(f"SELECT {_COLUMNS} FROM peer WHERE id = ?", peer_id))  # noqa: S608


def by_id(tx: Tx, peer_id: int) -> Peer:
    """The peer of that row."""
    peer = find(tx, peer_id)
    assert peer is not None
    return peer


def by_nickname(tx: Tx, nickname_key: str) -> Peer | None:
    """The peer whose nickname compares equal."""
    return _peer(tx.one(f"SELECT {_COLUMNS} FROM peer WHERE nickname_key = ?", nickname_key))  # noqa: S608


def every(tx: Tx, *relations: Relation) -> list[Peer]:
    """All peers of these relations, in the order in which they were met."""
    wanted = ",".join("?" for _ in relations)
    rows = tx.all(f"SELECT {_COLUMNS} FROM peer WHERE relation IN ({wanted}) ORDER BY id", *relations)  # noqa: S608
    return [peer for peer in map(_peer, rows) if peer is not None]


def add(tx: Tx, ed: bytes, relation: Relation, now: int, x: bytes | None = None) -> Peer:
    """A new row."""
    return by_id(
        tx,
        tx.insert("INSERT INTO peer (ed, x, relation, added_at) VALUES (?, ?, ?, ?)", ed, x, relation, now),
    )


def update(tx: Tx, peer: Peer, **values: object) -> Peer:
    """Change columns of a row; returns the row as it is now."""
    if not values.keys() <= _CHANGEABLE:
        raise ValueError(f"not columns of a peer: {values.keys() - _CHANGEABLE}")
    assignments = ", ".join(f"{name} = ?" for name in values)
    tx.execute(f"UPDATE peer SET {assignments} WHERE id = ?", *values.values(), peer.id)  # noqa: S608
    return by_id(tx, peer.id)


def offer_x(tx: Tx, peer: Peer, x: bytes) -> Peer:
    """Note that a peer's identity came with another validly bound X25519 key than the pinned one
    (docs/CRYPTO.md section 1).
    """
    if peer.trust == "changed" and peer.offered_x == x:
        return peer
    tx.emit(ContactKeyChanged(peer.key))
    return update(tx, peer, trust="changed", offered_x=x)


def waiting(tx: Tx, relation: Relation) -> int:
    """How many peers of a relation there are that are not blocked."""
    return int(tx.value("SELECT count(*) FROM peer WHERE relation = ? AND NOT blocked", relation))


def unknown_beyond(tx: Tx, limit: int) -> list[int]:
    """The strangers beyond so many who wrote no text, those met first; whoever was asked to send again since
    a recovery goes last.
    """
    rows = tx.all(
        "SELECT id FROM peer WHERE relation = 'unknown' AND NOT blocked AND nickname IS NULL"
        " AND id NOT IN (SELECT peer FROM outbox) AND id NOT IN (SELECT peer FROM member)"
        " ORDER BY retry_at = 0, id DESC LIMIT -1 OFFSET ?",
        limit,
    )
    return [row[0] for row in rows]


def forget_unknown(tx: Tx) -> None:
    """Delete the rows of strangers of whom nothing is kept any more."""
    tx.execute(
        "DELETE FROM peer WHERE relation = 'unknown' AND NOT blocked AND nickname IS NULL"
        " AND id NOT IN (SELECT peer FROM session) AND id NOT IN (SELECT peer FROM outbox)"
        " AND id NOT IN (SELECT peer FROM unopened WHERE peer IS NOT NULL)"
        " AND id NOT IN (SELECT peer FROM member) AND id NOT IN (SELECT peer FROM message)"
    )
