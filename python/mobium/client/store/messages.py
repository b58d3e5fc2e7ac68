"""Messages as a person sees them: stored once, in the order of arrival, each with its state.

Not its concern: ciphertext and delivery ids (`outgoing`), and which contents were shown before (`incoming`).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mobium.client.events import MessageState, MessageStateChanged, from_ms
from mobium.protocol import content
from mobium.protocol.content import Text

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = [
    "COLUMNS",
    "FROM",
    "GAP_PATIENCE",
    "Conversation",
    "Message",
    "add_incoming",
    "add_outgoing",
    "conversations",
    "find_outgoing",
    "held",
    "history",
    "last_position",
    "page",
    "plaintext",
    "queued",
    "read_message",
    "received_contents",
    "set_state",
    "unread",
]

# From each state, those it may turn into; "queued" to itself changes the reason alone.
_NEXT: Final[dict[str, frozenset[str]]] = {
    "queued": frozenset(("queued", "sent", "delivered", "read", "failed", "expired")),
    "sent": frozenset(("delivered", "read", "failed")),
    "delivered": frozenset(("read",)),
    "read": frozenset(),
    "failed": frozenset(("queued", "delivered", "read")),
    "expired": frozenset(("queued", "delivered", "read")),
}
_SHOWN: Final = frozenset(("text", "notice"))  # kinds whose text may be shown as it is
GAP_PATIENCE: Final = 600  # seconds that a missing number may still be on its way

COLUMNS: Final = (
    "message.id, content, ed, outgoing, kind, text, sent_ms, at_ms, state, reason, code,"
    " (SELECT channel FROM channel WHERE channel.id = message.channel), subject"
)
# What one writes to a channel goes to nobody in particular: its peer is 0.
FROM: Final = "message LEFT JOIN peer ON peer.id = peer"


class Message(msgspec.Struct, frozen=True):
    """One line of a conversation.

    `kind` is "text"; "unknown" for what a newer version of mobium can show; "missing", where `missing`
    numbers of the sender have not arrived; in a channel also "closed", for what cannot be read, or not yet,
    and "notice" for a change of the channel, which `text` names as ChannelChanged does and which concerns
    `subject`. `text` is None for the others. `peer` is the other side, and in a channel who wrote it, or
    empty for oneself. `channel` is the channel's id in hex. `position` orders a conversation and is what
    `history` pages by. `sent_at` is the sender's word, `at` this machine's.
    """

    position: int
    id: str
    peer: str
    outgoing: bool
    kind: str
    text: str | None
    sent_at: datetime
    at: datetime
    state: MessageState
    reason: str = ""
    code: str = ""
    missing: int = 0
    channel: str | None = None
    subject: str = ""


class Conversation(msgspec.Struct, frozen=True):
    """A peer with whom there are messages: the last one, and how many were not read."""

    peer: str
    nickname: str | None
    request: bool
    blocked: bool
    unread: int
    last: Message


def read_message(row: tuple[Any, ...]) -> Message:
    """The message of a row of `COLUMNS`."""
    position, content_id, ed, outgoing, kind, text, sent_ms, at_ms, state, reason, code, channel, subject = (
        row
    )
    return Message(
        position, content_id.hex(), "" if ed is None else ed.hex(), bool(outgoing), kind,
        text if kind in _SHOWN else None, from_ms(sent_ms), from_ms(at_ms), state, reason, code,
        channel=None if channel is None else channel.hex(), subject="" if subject is None else subject.hex(),
    )  # fmt: skip


def add_incoming(
    tx: Tx, peer: int, content_id: bytes, kind: str, text: str, sent_ms: int, now_ms: int
) -> int:
    """A received message; returns its position."""
    return tx.insert(
        "INSERT INTO message (peer, content, outgoing, kind, text, sent_ms, at_ms, state)"
        " VALUES (?, ?, 0, ?, ?, ?, ?, 'received')",
        peer, content_id, kind, text, sent_ms, now_ms,
    )  # fmt: skip


def add_outgoing(tx: Tx, peer: int, content_id: bytes, text: str, now_ms: int) -> int:
    """A message of one's own, queued; returns its position."""
    return tx.insert(
        "INSERT INTO message (peer, content, outgoing, kind, text, sent_ms, at_ms, state)"
        " VALUES (?, ?, 1, 'text', ?, ?, ?, 'queued')",
        peer, content_id, text, now_ms, now_ms,
    )  # fmt: skip


def set_state(tx: Tx, position: int, state: MessageState, code: str = "", reason: str = "") -> bool:
    """Move a message of one's own to another state, if it may go there; tells it if it did."""
    row = tx.one("SELECT state, reason, content FROM message WHERE id = ? AND outgoing = 1", position)
    if row is None or state not in _NEXT[row[0]] or (state, reason) == row[:2]:
        return False
    tx.execute(
        "UPDATE message SET state = ?, code = ?, reason = ? WHERE id = ?", state, code, reason, position
    )
    tx.emit(MessageStateChanged(row[2].hex(), state, reason))
    return True


def find_outgoing(tx: Tx, content_id: bytes, peer: int | None = None) -> Message | None:
    """The message of one's own with this content id (16 bytes), to that peer if one is named."""
    row = tx.one(
        f"SELECT {COLUMNS} FROM {FROM} WHERE content = ? AND outgoing = 1"  # noqa: S608
        " AND (? IS NULL OR peer = ?)",
        content_id, peer, peer,
    )  # fmt: skip
    return None if row is None else read_message(row)


def held(tx: Tx, peer: int) -> tuple[int, int]:
    """How many messages there are with a peer, and the bytes of their text."""
    row = tx.one(
        "SELECT count(*), coalesce(sum(length(CAST(text AS BLOB))), 0) FROM message"
        " WHERE peer = ? AND channel IS NULL",
        peer,
    )
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


def plaintext(tx: Tx, position: int) -> bytes | None:
    """The content of a message of one's own, as it is encrypted: always under its first content id."""
    row = tx.one("SELECT content, sent_ms, text FROM message WHERE id = ? AND outgoing = 1", position)
    return None if row is None else content.encode(Text(*row))


def received_contents(tx: Tx, peer: int, after: int = 0, upto: int = 2**62) -> list[bytes]:
    """The content ids of the texts that a peer has sent, behind one position and up to another."""
    rows = tx.all(
        "SELECT content FROM message"
        " WHERE peer = ? AND outgoing = 0 AND kind = 'text' AND id > ? AND id <= ? AND channel IS NULL",
        peer, after, upto,
    )  # fmt: skip
    return [row[0] for row in rows]


def queued(tx: Tx, peer: int) -> list[int]:
    """The positions of the messages that wait to go to a peer."""
    rows = tx.all("SELECT id FROM message WHERE peer = ? AND state = 'queued' AND channel IS NULL", peer)
    return [row[0] for row in rows]


def last_position(tx: Tx, peer: int) -> int:
    """The position of the last message with a peer, 0 if there is none."""
    return int(tx.value("SELECT coalesce(max(id), 0) FROM message WHERE peer = ? AND channel IS NULL", peer))


def history(tx: Tx, peer: int, before: int | None, limit: int, drained_at: int) -> list[Message]:
    """The last `limit` messages with a peer before position `before`, oldest first, with what is missing
    between them.
    """
    rows = tx.all(
        f"SELECT {COLUMNS} FROM {FROM} WHERE peer = ? AND message.channel IS NULL AND message.id < ?"  # noqa: S608
        " ORDER BY message.id DESC LIMIT ?",
        peer, 2**62 if before is None else before, limit,
    )  # fmt: skip
    found = [read_message(row) for row in reversed(rows)]
    first = found[0].position if len(found) == limit else 0
    gaps = tx.all(
        "SELECT after, count(*), min(stored_at), ed"
        " FROM skipped JOIN session ON session.id = session JOIN peer ON peer.id = session.peer"
        " WHERE session.peer = ? AND after >= ? AND after < ? AND stored_at <= ? GROUP BY after",
        peer, first, 2**62 if before is None else before, drained_at - GAP_PATIENCE,
    )  # fmt: skip
    for after, count, stored_at, ed in gaps:
        at = from_ms(stored_at * 1000)
        found.append(Message(after, "", ed.hex(), False, "missing", None, at, at, "received", missing=count))
    # Behind the message at the same position.
    found.sort(key=lambda message: (message.position, message.missing > 0))
    return found


def page(tx: Tx, after: int, limit: int) -> list[Message]:
    """The next `limit` messages of all conversations behind position `after`."""
    rows = tx.all(
        f"SELECT {COLUMNS} FROM {FROM}"  # noqa: S608
        " WHERE message.id > ? ORDER BY message.id LIMIT ?",
        after, limit,
    )  # fmt: skip
    return [read_message(row) for row in rows]


def conversations(tx: Tx) -> list[Conversation]:
    """Everybody with whom there are messages, the latest first."""
    rows = tx.all(
        f"SELECT nickname, relation, blocked, {COLUMNS} FROM message JOIN peer ON peer.id = peer"  # noqa: S608
        " WHERE message.id IN (SELECT max(id) FROM message WHERE channel IS NULL GROUP BY peer)"
        " ORDER BY message.id DESC"
    )
    counts = dict(unread(tx))
    return [
        Conversation(
            last.peer, nickname, relation != "contact", bool(blocked), counts.get(last.peer, 0), last
        )
        for nickname, relation, blocked, *row in rows
        for last in (read_message(tuple(row)),)
    ]


def unread(tx: Tx) -> list[tuple[str, int]]:
    """How many received messages of each peer (hex) were not read, where there are some."""
    rows = tx.all(
        "SELECT ed, count(*) FROM message JOIN peer ON peer.id = peer"
        " WHERE outgoing = 0 AND channel IS NULL AND message.id > read_to GROUP BY peer.id"
    )
    return [(ed.hex(), count) for ed, count in rows]
