"""The lines of a channel: numbered messages and changes, what is closed, and one's own before they have a
number.

They lie in the table of all messages. Not its concern: direct conversations (`messages`), and ciphertexts
that wait for a chain (`chains`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mobium.client.events import MessageStateChanged, from_ms
from mobium.client.store import chains
from mobium.client.store.messages import COLUMNS, FROM, GAP_PATIENCE, Message, read_message

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = [
    "add",
    "add_own",
    "at",
    "drop",
    "history",
    "last_place",
    "latest",
    "number_own",
    "numbers",
    "own_at",
    "own_queued",
    "place",
    "reveal",
    "unread",
]

_PLACE: Final = "coalesce(message.number, 1099511627776 + message.id)"
_END: Final = 1 << 62
_KINDS_READ: Final = "('text', 'unknown', 'closed')"


def add(
    tx: Tx,
    channel: int,
    number: int,
    peer: int,
    content_id: bytes,
    kind: str,
    text: str,
    sent_ms: int,
    now_ms: int,
    *,
    subject: bytes | None = None,
) -> int:
    """A line of somebody (peer 0: oneself) at a number; returns its row."""
    return tx.insert(
        "INSERT INTO message (peer, content, outgoing, kind, text, sent_ms, at_ms, state, channel, number,"
        " subject) VALUES (?, ?, 0, ?, ?, ?, ?, 'received', ?, ?, ?)",
        peer, content_id, kind, text, sent_ms, now_ms, channel, number, subject,
    )  # fmt: skip


def add_own(tx: Tx, channel: int, content_id: bytes, text: str, now_ms: int) -> int:
    """A message of one's own, queued; returns its row."""
    return tx.insert(
        "INSERT INTO message (peer, content, outgoing, kind, text, sent_ms, at_ms, state, channel)"
        " VALUES (0, ?, 1, 'text', ?, ?, ?, 'queued', ?)",
        content_id, text, now_ms, now_ms, channel,
    )  # fmt: skip


def number_own(tx: Tx, row: int, number: int | None) -> None:
    """The server has taken a message of one's own, at this number if it still knows."""
    found = tx.one("SELECT state, content FROM message WHERE id = ? AND outgoing = 1", row)
    if found is None:
        return
    if number is not None:
        tx.execute("UPDATE OR IGNORE message SET number = ? WHERE id = ?", number, row)
    if found[0] != "sent":
        tx.execute("UPDATE message SET state = 'sent', code = '', reason = '' WHERE id = ?", row)
        tx.emit(MessageStateChanged(found[1].hex(), "sent"))


def reveal(tx: Tx, row: int, content_id: bytes, kind: str, text: str, sent_ms: int) -> None:
    """What was closed can be read."""
    tx.execute(
        "UPDATE message SET content = ?, kind = ?, text = ?, sent_ms = ? WHERE id = ?",
        content_id, kind, text, sent_ms, row,
    )  # fmt: skip


def drop(tx: Tx, row: int) -> None:
    """Delete a line: what it holds stands elsewhere already."""
    tx.execute("DELETE FROM message WHERE id = ?", row)


def place(tx: Tx, row: int) -> tuple[int, bytes | None]:
    """The number of a line, and what it is about."""
    found = tx.one("SELECT number, text FROM message WHERE id = ?", row)
    return (0, None) if found is None else (found[0] or 0, found[1])


def at(tx: Tx, channel: int, number: int) -> bool:
    """Whether there is a line at a number."""
    return tx.one("SELECT 1 FROM message WHERE channel = ? AND number = ?", channel, number) is not None


def numbers(tx: Tx, channel: int, after: int, upto: int) -> list[int]:
    """The numbers behind `after`, up to `upto`, at which there are lines."""
    rows = tx.all(
        "SELECT number FROM message WHERE channel = ? AND number > ? AND number <= ?", channel, after, upto
    )
    return [row[0] for row in rows]


def own_at(tx: Tx, channel: int, number: int) -> bool:
    """Whether a message of one's own stands at a number."""
    found = tx.one("SELECT outgoing FROM message WHERE channel = ? AND number = ?", channel, number)
    return found is not None and found[0] == 1


def own_queued(tx: Tx, channel: int) -> list[int]:
    """The rows of one's own messages that wait to go out."""
    rows = tx.all("SELECT id FROM message WHERE channel = ? AND outgoing = 1 AND state = 'queued'", channel)
    return [row[0] for row in rows]


def last_place(tx: Tx, channel: int) -> int:
    """The number of the last line that has one, 0 if none has."""
    return int(tx.value("SELECT coalesce(max(number), 0) FROM message WHERE channel = ?", channel))


def history(tx: Tx, channel: int, before: int | None, limit: int, drained_at: int) -> list[Message]:
    """The last `limit` lines before position `before`, oldest first, with what is missing between them.

    The position is the number; what has none yet stands at the end.
    """
    end = _END if before is None else before
    columns = COLUMNS.replace("message.id", _PLACE, 1)
    rows = tx.all(
        f"SELECT {columns} FROM {FROM}"  # noqa: S608
        f" WHERE message.channel = ? AND {_PLACE} < ? ORDER BY {_PLACE} DESC LIMIT ?",
        channel, end, limit,
    )  # fmt: skip
    found = [read_message(row) for row in reversed(rows)]
    first = found[0].position if len(found) == limit else 0
    key = tx.value("SELECT channel FROM channel WHERE id = ?", channel)
    for after, count, since, ed in chains.gaps(tx, channel, first, end, drained_at - GAP_PATIENCE):
        at = from_ms(since * 1000)
        found.append(
            Message(
                after, "", ed.hex(), False, "missing", None, at, at, "received",
                missing=count, channel=key.hex(),
            )
        )  # fmt: skip
    found.sort(key=lambda message: (message.position, message.missing > 0))
    return found


def latest(tx: Tx) -> dict[str, Message]:
    """The last message of each channel (hex) that has any; changes of a channel are none."""
    last = (
        f"SELECT id FROM message AS one WHERE one.channel = channel.id AND one.kind IN {_KINDS_READ}"  # noqa: S608
        " ORDER BY coalesce(one.number, 1099511627776 + one.id) DESC LIMIT 1"
    )
    columns = COLUMNS.replace("message.id", _PLACE, 1)
    rows = tx.all(
        f"SELECT {columns} FROM {FROM} WHERE message.id IN (SELECT ({last}) FROM channel)"  # noqa: S608
    )
    found = [read_message(row) for row in rows]
    return {message.channel: message for message in found if message.channel is not None}


def unread(tx: Tx, channel: int, read_to: int) -> int:
    """How many lines of others behind a number are there to be read."""
    return int(
        tx.value(
            f"SELECT count(*) FROM message WHERE channel = ? AND number > ? AND outgoing = 0"  # noqa: S608
            f" AND kind IN {_KINDS_READ}",
            channel, read_to,
        )
    )  # fmt: skip
