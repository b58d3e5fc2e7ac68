"""What is to go out to channels: messages, and the sender keys that their readers need first.

Not its concern: when something goes out (`mobium.client.postbox`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = [
    "Handout",
    "Post",
    "add",
    "add_handout",
    "batches",
    "by_delivery",
    "delay_handout",
    "drop",
    "drop_handouts",
    "drop_handouts_of",
    "drop_handouts_to",
    "expired",
    "first",
    "forget_handouts",
    "handed_out",
    "next_handout",
    "of_channel",
    "open_count",
    "open_handouts",
    "seal",
    "seal_handout",
    "unseal",
    "with_work",
]


class Post(msgspec.Struct, frozen=True):
    """A message for a channel: `payload` under `delivery` (16 bytes) once it is encrypted."""

    id: int
    channel: int
    message: int
    delivery: bytes | None
    index: int
    payload: bytes | None


class Handout(msgspec.Struct, frozen=True):
    """A sender key for one member: `plaintext` waits to be encrypted, or `payload` goes out."""

    id: int
    channel: int
    peer: int
    plaintext: bytes | None
    delivery: bytes | None
    payload: bytes | None


_POST: Final = "id, channel, message, delivery, idx, payload"
_HANDOUT: Final = "id, channel, peer, plaintext, delivery, payload"


def add(tx: Tx, channel: int, message: int, now: int) -> int:
    """Queue a message; returns its row."""
    return tx.insert("INSERT INTO post (channel, message, queued_at) VALUES (?, ?, ?)", channel, message, now)


def first(tx: Tx, channel: int) -> Post | None:
    """The message that goes out next."""
    row = tx.one(f"SELECT {_POST} FROM post WHERE channel = ? ORDER BY id LIMIT 1", channel)  # noqa: S608
    return None if row is None else Post(*row)


def by_delivery(tx: Tx, delivery: bytes) -> Post | None:
    """The message that went out under a delivery id (16 bytes)."""
    row = tx.one(f"SELECT {_POST} FROM post WHERE delivery = ?", delivery)  # noqa: S608
    return None if row is None else Post(*row)


def of_channel(tx: Tx, channel: int) -> list[Post]:
    """Every message that waits for a channel."""
    rows = tx.all(f"SELECT {_POST} FROM post WHERE channel = ? ORDER BY id", channel)  # noqa: S608
    return [Post(*row) for row in rows]


def expired(tx: Tx, before: int) -> list[Post]:
    """The messages that were queued before that unix second."""
    return [Post(*row) for row in tx.all(f"SELECT {_POST} FROM post WHERE queued_at < ?", before)]  # noqa: S608


def seal(tx: Tx, row: int, delivery: bytes, index: int, payload: bytes) -> None:
    """A message is encrypted, with the roster at `index`."""
    tx.execute(
        "UPDATE post SET delivery = ?, idx = ?, payload = ? WHERE id = ?", delivery, index, payload, row
    )


def unseal(tx: Tx, row: int) -> None:
    """What was encrypted was refused, and is encrypted anew."""
    tx.execute("UPDATE post SET delivery = NULL, payload = NULL WHERE id = ?", row)


def drop(tx: Tx, row: int) -> None:
    """Delete a message."""
    tx.execute("DELETE FROM post WHERE id = ?", row)


def with_work(tx: Tx, host: str, busy: Collection[int], now: int) -> list[int]:
    """The channels of a server in which something may go out, but for the busy ones."""
    rows = tx.all(
        "SELECT id FROM channel WHERE host = ? AND state = 'member' AND (id IN (SELECT channel FROM post)"
        " OR id IN (SELECT channel FROM handout WHERE not_before <= ?)) ORDER BY id",
        host, now,
    )  # fmt: skip
    return [row[0] for row in rows if row[0] not in busy]


def open_count(tx: Tx, host: str, held: Collection[int], now: int) -> int:
    """How many messages and sender keys could go out to a server now: nothing is known to be in their way, as
    it is in the `held` channels.
    """
    member = (  # a channel whose roster somebody contradicts is held up
        "channel IN (SELECT id FROM channel WHERE host = ? AND state = 'member'"  # noqa: S608
        f" AND id NOT IN ({','.join(map(str, held))})"
        " AND id NOT IN (SELECT claim.channel FROM claim JOIN member USING (channel, peer)))"
    )
    messages = tx.value(f"SELECT count(*) FROM post WHERE {member}", host)  # noqa: S608
    keys = tx.value(
        f"SELECT count(*) FROM handout JOIN peer ON peer.id = handout.peer"  # noqa: S608
        f" WHERE {member} AND not_before <= ? AND NOT blocked AND trust != 'changed'",
        host,
        now,
    )
    return int(messages) + int(keys)


# ---------------------------------------------------------------- sender keys


def add_handout(tx: Tx, channel: int, peer: int, plaintext: bytes, now: int) -> None:
    """Queue a sender key for one member."""
    tx.execute(
        "INSERT INTO handout (channel, peer, plaintext, queued_at) VALUES (?, ?, ?, ?)",
        channel, peer, plaintext, now,
    )  # fmt: skip


def seal_handout(tx: Tx, row: int, delivery: bytes, payload: bytes) -> None:
    """A sender key is encrypted; it goes out under a delivery id that others may share."""
    tx.execute(
        "UPDATE handout SET plaintext = NULL, delivery = ?, payload = ? WHERE id = ?", delivery, payload, row
    )


def open_handouts(tx: Tx, channel: int, now: int, limit: int) -> list[Handout]:
    """The sender keys that wait to be encrypted, for members whom they may reach; of several for one member
    the oldest, since no frame holds two.
    """
    rows = tx.all(
        f"SELECT {', '.join(f'handout.{name}' for name in _HANDOUT.split(', '))} FROM handout"  # noqa: S608
        " JOIN peer ON peer.id = handout.peer WHERE channel = ? AND payload IS NULL AND not_before <= ?"
        " AND NOT blocked AND trust != 'changed' AND handout.id IN (SELECT min(id) FROM handout"
        " WHERE channel = ? AND payload IS NULL GROUP BY peer) ORDER BY handout.id LIMIT ?",
        channel, now, channel, limit,
    )  # fmt: skip
    return [Handout(*row) for row in rows]


def batches(tx: Tx, channel: int, now: int) -> list[tuple[bytes, list[Handout]]]:
    """What was encrypted and is not answered, by delivery id, oldest first."""
    rows = tx.all(
        f"SELECT {_HANDOUT} FROM handout"  # noqa: S608
        " WHERE channel = ? AND payload IS NOT NULL AND not_before <= ? ORDER BY id",
        channel, now,
    )  # fmt: skip
    found: dict[bytes, list[Handout]] = {}
    for row in rows:
        handout = Handout(*row)
        assert handout.delivery is not None
        found.setdefault(handout.delivery, []).append(handout)
    return list(found.items())


def handed_out(tx: Tx, delivery: bytes) -> list[Handout]:
    """The sender keys that went out under a delivery id."""
    return [
        Handout(*row)
        for row in tx.all(f"SELECT {_HANDOUT} FROM handout WHERE delivery = ?", delivery)  # noqa: S608
    ]


def delay_handout(tx: Tx, row: int, until: int) -> None:
    """A sender key was refused for now."""
    tx.execute("UPDATE handout SET not_before = ? WHERE id = ?", until, row)


def drop_handouts(tx: Tx, rows: Iterable[int]) -> None:
    """Delete sender keys that were taken, or that nobody needs."""
    tx.many("DELETE FROM handout WHERE id = ?", [(row,) for row in rows])


def drop_handouts_of(tx: Tx, channel: int, peer: int) -> None:
    """Delete the sender keys for somebody who has left."""
    tx.execute("DELETE FROM handout WHERE channel = ? AND peer = ?", channel, peer)


def drop_handouts_to(tx: Tx, peer: int) -> list[int]:
    """Delete the sender keys for somebody, in every channel; returns those in which there were some."""
    found = [row[0] for row in tx.all("SELECT DISTINCT channel FROM handout WHERE peer = ?", peer)]
    tx.execute("DELETE FROM handout WHERE peer = ?", peer)
    return found


def forget_handouts(tx: Tx, before: int) -> None:
    """Delete the sender keys that were queued before that unix second."""
    tx.execute("DELETE FROM handout WHERE queued_at < ?", before)


def next_handout(tx: Tx, now: int) -> int | None:
    """Seconds until a sender key that was refused may go out again."""
    moment = tx.value("SELECT min(not_before) FROM handout WHERE not_before > ?", now)
    return None if moment is None else int(moment) - now
