"""Channels as this profile knows them: their rows, members, and what was heard of rosters.

Not its concern: statements (`rosters`), chains and closed messages (`chains`), what goes out (`posts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec

from mobium.client.store import drafts
from mobium.crypto.invite import invite_key
from mobium.errors import InvalidInput

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = [
    "GONE",
    "ChannelRow",
    "ChannelStatus",
    "absent_names",
    "add",
    "add_member",
    "add_secret",
    "by_id",
    "by_key",
    "by_name",
    "claims",
    "drop_claim",
    "drop_own_secrets",
    "drop_secret",
    "drop_strange_claims",
    "drop_strange_secrets",
    "every",
    "find",
    "forget",
    "forget_counts",
    "forget_secrets",
    "is_fellow",
    "is_member",
    "is_unanswered",
    "member_count",
    "member_names",
    "name_member",
    "note_claim",
    "note_current",
    "note_dispute",
    "note_evidence",
    "note_forgotten",
    "of_host",
    "remove_member",
    "remove_members",
    "secret_of",
    "update",
    "was_forgotten",
    "without_secret",
]

ChannelStatus = Literal["joining", "member", "left", "removed", "banned", "broken"]
Counted = Literal["told", "chain requests of"]
"""What is noted of a member: up to which departure he was told, and how often he has asked for a chain."""
GONE: Final[frozenset[ChannelStatus]] = frozenset(("left", "removed", "banned"))

_COLUMNS: Final = (
    "id, channel, host, private, state, reason, name, topic, secret, cursor, cursor_index, head,"
    " server_index, read_to, drained_at"
)
_CHANGEABLE: Final = frozenset(
    (
        "state", "reason", "name", "name_key", "topic", "secret", "cursor", "cursor_index", "head",
        "server_index", "read_to", "drained_at",
    )
)  # fmt: skip
HEAD_SIZE: Final = 32
_COUNTED: Final[tuple[Counted, ...]] = get_args(Counted)
_MAX_EVIDENCE: Final = 16  # heads of one channel, and as many statements
_EVERY_INDEX: Final = 1 << 32
_MAX_SPARE: Final = 8  # secrets of one peer for a key that is not in force; a hostile member may invent some
_MAX_EARLY: Final = 1_000  # and of all who are no members, as anybody may be while this profile comes in
_MAX_OWN: Final = 64  # of one's own: for statements of which nobody knows whether the server took them


class ChannelRow(msgspec.Struct, frozen=True):
    """A row. `key` is the channel's id (32 bytes), `secret` that of the key in force, once known."""

    id: int
    key: bytes
    host: str
    private: bool
    state: ChannelStatus
    reason: str
    name: str
    topic: str
    secret: bytes | None
    cursor: int
    cursor_index: int
    head: int
    server_index: int
    read_to: int
    drained_at: int

    @property
    def hex(self) -> str:
        """The channel's id in hex."""
        return self.key.hex()

    def __repr__(self) -> str:
        return f"ChannelRow({self.id}, {self.state})"  # the secret is in it


def _row(row: tuple[Any, ...] | None) -> ChannelRow | None:
    if row is None:
        return None
    number, key, host, private, *rest = row
    return ChannelRow(number, key, host, bool(private), *rest)


def find(tx: Tx, channel: int) -> ChannelRow | None:
    """The channel of that row, unless it was forgotten."""
    return _row(tx.one(f"SELECT {_COLUMNS} FROM channel WHERE id = ?", channel))  # noqa: S608


def by_id(tx: Tx, channel: int) -> ChannelRow:
    """The channel of that row. Raises InvalidInput if it was forgotten meanwhile."""
    found = find(tx, channel)
    if found is None:
        raise InvalidInput("This channel was forgotten.")
    return found


def by_key(tx: Tx, key: bytes) -> ChannelRow | None:
    """The channel with this id (32 bytes)."""
    return _row(tx.one(f"SELECT {_COLUMNS} FROM channel WHERE channel = ?", key))  # noqa: S608


def by_name(tx: Tx, name_key: str) -> list[ChannelRow]:
    """The channels whose name compares equal, in the order in which they were met."""
    rows = tx.all(f"SELECT {_COLUMNS} FROM channel WHERE name_key = ? ORDER BY id", name_key)  # noqa: S608
    return [row for row in map(_row, rows) if row is not None]


def every(tx: Tx) -> list[ChannelRow]:
    """All channels, in the order in which they were met."""
    rows = tx.all(f"SELECT {_COLUMNS} FROM channel ORDER BY id")  # noqa: S608
    return [row for row in map(_row, rows) if row is not None]


def of_host(tx: Tx, host: str, *states: ChannelStatus) -> list[ChannelRow]:
    """The channels that a server keeps, in these states."""
    wanted = ",".join("?" for _ in states)
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM channel WHERE host = ? AND state IN ({wanted}) ORDER BY id",  # noqa: S608
        host, *states,
    )  # fmt: skip
    return [row for row in map(_row, rows) if row is not None]


def add(tx: Tx, key: bytes, host: str, private: bool, secret: bytes | None, now: int) -> ChannelRow:
    """A new row, in the state "joining"."""
    return by_id(
        tx,
        tx.insert(
            "INSERT INTO channel (channel, host, private, state, secret, added_at)"
            " VALUES (?, ?, ?, 'joining', ?, ?)",
            key, host, private, secret, now,
        ),
    )  # fmt: skip


def update(tx: Tx, channel: int, **values: object) -> ChannelRow:
    """Change columns of a row; returns the row as it is now."""
    if not values.keys() <= _CHANGEABLE:
        raise ValueError(f"not columns of a channel: {values.keys() - _CHANGEABLE}")
    assignments = ", ".join(f"{name} = ?" for name in values)
    tx.execute(f"UPDATE channel SET {assignments} WHERE id = ?", *values.values(), channel)  # noqa: S608
    return by_id(tx, channel)


def note_current(tx: Tx, host: str, now: int) -> None:
    """A server has nothing more to tell of its channels, but of those that are known to have gone on."""
    tx.execute(
        "UPDATE channel SET drained_at = ? WHERE host = ? AND state = 'member' AND cursor >= head", now, host
    )


def forget(tx: Tx, channel: int) -> None:
    """Delete a channel with everything that is kept of it."""
    row = find(tx, channel)
    if row is not None:
        drafts.put(tx, f"#{row.hex}", "")
    tx.execute("DELETE FROM closed WHERE channel = ?", channel)
    for table in (
        "statement", "member", "claim", "evidence", "spare_secret", "sender_chain", "handed",
        "receiver_chain", "gap", "asked", "post", "handout", "outbox", "message",
    ):  # fmt: skip
        tx.execute(f"DELETE FROM {table} WHERE channel = ?", channel)  # noqa: S608
    for kept in (_absent_name(channel, "*"), *(member_count(what, channel, "*") for what in _COUNTED)):
        tx.execute("DELETE FROM meta WHERE name GLOB ?", kept)
    tx.execute("DELETE FROM channel WHERE id = ?", channel)


# ---------------------------------------------------------------- members


def add_member(tx: Tx, channel: int, peer: int) -> None:
    """A peer is a member."""
    tx.execute("INSERT OR IGNORE INTO member (channel, peer) VALUES (?, ?)", channel, peer)
    # If he could not be handed the chain when he had just left, that says nothing of now.
    tx.execute("DELETE FROM handed WHERE channel = ? AND peer = ? AND failed_at > 0", channel, peer)
    absent = _absent_name(channel, peer)
    name = tx.value("SELECT value FROM meta WHERE name = ?", absent)
    if name is not None:
        tx.execute("DELETE FROM meta WHERE name = ?", absent)
        name_member(tx, channel, peer, name)


def remove_member(tx: Tx, channel: int, peer: int) -> None:
    """A peer is no member any more; how it called itself is kept for the history."""
    name = tx.value("SELECT name FROM member WHERE channel = ? AND peer = ?", channel, peer)
    if name:
        tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", _absent_name(channel, peer), name)
    tx.execute("DELETE FROM member WHERE channel = ? AND peer = ?", channel, peer)


def remove_members(tx: Tx, channel: int) -> None:
    """This profile has left: nobody is a fellow member there. Names are kept as `remove_member` does."""
    for (peer,) in tx.all("SELECT peer FROM member WHERE channel = ? AND name != ''", channel):
        remove_member(tx, channel, peer)
    tx.execute("DELETE FROM member WHERE channel = ?", channel)


def name_member(tx: Tx, channel: int, peer: int, name: str) -> None:
    """Note how a member calls itself, also one of whose joining this profile has not heard yet."""
    if not tx.execute("UPDATE member SET name = ? WHERE channel = ? AND peer = ?", name, channel, peer):
        tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", _absent_name(channel, peer), name)


def _absent_name(channel: int, peer: int | Literal["*"]) -> str:
    return f"name in {channel} of {peer}"


def member_count(what: Counted, channel: int | Literal["*"], peer: int | Literal["*"]) -> str:
    """Under which name `meta` has a number about a member of a channel; "*" stands for any."""
    return f"{what} {channel} {peer}"


def forget_counts(tx: Tx, peer: int) -> None:
    """Delete what was counted of a peer in any channel."""
    for what in _COUNTED:
        tx.execute("DELETE FROM meta WHERE name GLOB ?", member_count(what, "*", peer))


def member_names(tx: Tx, channel: int) -> dict[bytes, str]:
    """How members call themselves, by identity."""
    rows = tx.all("SELECT ed, name FROM member JOIN peer ON peer.id = peer WHERE channel = ?", channel)
    return {row[0]: row[1] for row in rows}


def absent_names(tx: Tx, channel: int) -> dict[bytes, str]:
    """How those called themselves who are no members any more, by identity."""
    prefix = _absent_name(channel, 0)[:-1]
    rows = tx.all(
        "SELECT ed, meta.value FROM meta JOIN peer ON peer.id = CAST(substr(meta.name, ?) AS INTEGER)"
        " WHERE meta.name GLOB ?",
        len(prefix) + 1, f"{prefix}*",
    )  # fmt: skip
    return {row[0]: row[1] for row in rows}


def is_member(tx: Tx, channel: int, peer: int) -> bool:
    """Whether a peer is a member of a channel, as far as its roster is known."""
    return tx.one("SELECT 1 FROM member WHERE channel = ? AND peer = ?", channel, peer) is not None


def is_fellow(tx: Tx, peer: int) -> bool:
    """Whether a peer is a member of any channel of this profile."""
    return tx.one("SELECT 1 FROM member WHERE peer = ?", peer) is not None


# ---------------------------------------------------------------- what was heard of rosters


def note_claim(tx: Tx, channel: int, peer: int, index: int, head: bytes) -> None:
    """A member speaks of a statement that was not seen here; its furthest word counts."""
    tx.execute(
        "INSERT INTO claim VALUES (?, ?, ?, ?) ON CONFLICT (channel, peer)"
        " DO UPDATE SET idx = excluded.idx, head = excluded.head WHERE excluded.idx > idx",
        channel, index, head, peer,
    )  # fmt: skip


def note_dispute(tx: Tx, channel: int, peer: int, index: int, head: bytes, known: int) -> None:
    """A member contradicts the roster, which is known up to the index `known`: that outweighs what the same
    member said of statements yet to come, which then follow on the other roster.
    """
    tx.execute(
        "INSERT INTO claim VALUES (?, ?, ?, ?) ON CONFLICT (channel, peer)"
        " DO UPDATE SET idx = excluded.idx, head = excluded.head WHERE excluded.idx > idx OR idx > ?",
        channel, index, head, peer, known,
    )  # fmt: skip


def claims(tx: Tx, channel: int) -> list[tuple[int, bytes, int]]:
    """(index, head, peer) of every claim of a member, the lowest index first. Anybody may claim anything:
    what one who is no member says neither holds a channel up nor breaks it.
    """
    rows = tx.all(
        "SELECT idx, head, peer FROM claim JOIN member USING (channel, peer) WHERE channel = ? ORDER BY idx",
        channel,
    )
    return [(row[0], row[1], row[2]) for row in rows]


def drop_claim(tx: Tx, channel: int, peer: int, upto: int | None = None) -> None:
    """What a member has said, up to an index if one is given, is as it is here; or it counts no more."""
    tx.execute(
        "DELETE FROM claim WHERE channel = ? AND peer = ? AND idx <= ?",
        channel, peer, _EVERY_INDEX if upto is None else upto,
    )  # fmt: skip


def drop_strange_claims(tx: Tx, channel: int, upto: int) -> None:
    """Forget what those have said, up to an index, who are no members there."""
    tx.execute(
        "DELETE FROM claim WHERE channel = ? AND idx <= ?"
        " AND peer NOT IN (SELECT peer FROM member WHERE channel = ?)",
        channel, upto, channel,
    )  # fmt: skip


def note_evidence(tx: Tx, channel: int, index: int, mine: bytes, other: bytes, now: int) -> None:
    """Keep two statements, or heads, of one index; the first few, since who lies can do so without end."""
    tx.execute(
        "INSERT INTO evidence SELECT ?, ?, ?, ?, ? WHERE"
        " NOT EXISTS (SELECT 1 FROM evidence WHERE channel = ? AND idx = ? AND other = ?)"
        # Heads, which anybody invents, take no room of statements, which somebody has signed.
        " AND (SELECT count(*) FROM evidence WHERE channel = ? AND (length(other) = 32) = ?) < ?",
        channel, index, mine, other, now, channel, index, other, channel, len(other) == HEAD_SIZE,
        _MAX_EVIDENCE,
    )  # fmt: skip


def note_forgotten(tx: Tx, key: bytes, unanswered: str | None = None) -> None:
    """Nothing is to be known of a channel (32 bytes) any more, even if a server lists it. `unanswered` is the
    host that has not said yet whether this identity is in.
    """
    tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", f"forgotten {key.hex()}", unanswered or 1)


def is_unanswered(tx: Tx, key: bytes, host: str) -> bool:
    """Whether this host had not said whether this identity is in a channel that was forgotten."""
    return (
        tx.one("SELECT 1 FROM meta WHERE name = ? AND value = ?", f"forgotten {key.hex()}", host) is not None
    )


def was_forgotten(tx: Tx, key: bytes) -> bool:
    """Whether a channel was forgotten, or is none of this profile's."""
    return tx.one("SELECT 1 FROM meta WHERE name = ?", f"forgotten {key.hex()}") is not None


# ---------------------------------------------------------------- secrets for keys that are not in force


def add_secret(tx: Tx, channel: int, secret: bytes, peer: int, now: int, *, index: int = 0) -> None:
    """Keep a secret (32 bytes) whose key may come into force: of a peer's, or with 0 one's own, drawn for the
    statement `index`.
    """
    if peer and not is_member(tx, channel, peer) and _early_secrets(tx, channel) >= _MAX_EARLY:
        return
    tx.execute(
        "INSERT OR IGNORE INTO spare_secret (channel, peer, secret, key, idx, at) VALUES (?, ?, ?, ?, ?, ?)",
        channel, peer, secret, invite_key(secret).public, index, now,
    )  # fmt: skip
    # By arrival: the mailbox of whoever was away comes within a second, and clocks are set back.
    tx.execute(
        "DELETE FROM spare_secret WHERE seq IN (SELECT seq FROM spare_secret WHERE channel = ? AND peer = ?"
        " ORDER BY seq DESC LIMIT -1 OFFSET ?)",
        channel, peer, _MAX_SPARE if peer else _MAX_OWN,
    )  # fmt: skip


def _early_secrets(tx: Tx, channel: int) -> int:
    """How many secrets there are of those who are no members."""
    return int(
        tx.value(
            "SELECT count(*) FROM spare_secret WHERE channel = ? AND peer != 0 AND peer NOT IN"
            " (SELECT peer FROM member WHERE channel = ?)",
            channel, channel,
        )
    )  # fmt: skip


def secret_of(tx: Tx, channel: int, key: bytes) -> tuple[bytes, bool] | None:
    """The kept secret that makes this public invite key (32 bytes), and whether it is one's own."""
    row = tx.one(
        "SELECT secret, peer = 0 FROM spare_secret WHERE channel = ? AND key = ? ORDER BY peer != 0 LIMIT 1",
        channel, key,
    )  # fmt: skip
    return None if row is None else (row[0], bool(row[1]))


def drop_secret(tx: Tx, channel: int, secret: bytes) -> None:
    """A kept secret is in force."""
    tx.execute("DELETE FROM spare_secret WHERE channel = ? AND secret = ?", channel, secret)


def drop_own_secrets(tx: Tx, channel: int, upto: int) -> None:
    """The statements up to this index are there: a secret drawn for one of them is in force, or never is."""
    tx.execute("DELETE FROM spare_secret WHERE channel = ? AND peer = 0 AND idx <= ?", channel, upto)


def drop_strange_secrets(tx: Tx, channel: int) -> None:
    """The roster of a channel is known: let go of the secrets of those who are no members."""
    tx.execute(
        "DELETE FROM spare_secret WHERE channel = ? AND peer != 0"
        " AND peer NOT IN (SELECT peer FROM member WHERE channel = ?)",
        channel, channel,
    )  # fmt: skip


def without_secret(tx: Tx, host: str) -> list[ChannelRow]:
    """The private channels of a server whose secret in force is not known."""
    rows = of_host(tx, host, "member")
    return [row for row in rows if row.private and row.secret is None]


def forget_secrets(tx: Tx, before: int) -> None:
    """Delete the secrets from before that unix second of those who are no members. Not as they depart:
    whoever reads of that from a mailbox may have others of theirs, who are back by now.
    """
    tx.execute(
        "DELETE FROM spare_secret WHERE at < ? AND peer != 0 AND NOT EXISTS (SELECT 1 FROM member"
        " WHERE member.channel = spare_secret.channel AND member.peer = spare_secret.peer)",
        before,
    )
