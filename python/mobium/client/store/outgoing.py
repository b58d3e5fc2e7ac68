"""What is to go out: contents that wait, ciphertexts until the server has answered, and what was sent in the
last days.

Not its concern: when something goes out (`mobium.client.outbox`) and what a person sees of it (`messages`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = [
    "Queued",
    "Sent",
    "add",
    "add_sealed",
    "by_delivery",
    "drop",
    "expired",
    "forget",
    "note_sent",
    "of_peer",
    "open_count",
    "seal",
    "take_sent",
    "waiting",
]

SENT_MEMORY: Final = 7 * 86_400  # seconds for which a retry is honoured


class Queued(msgspec.Struct, frozen=True):
    """A row:

    either `plaintext` waits to be encrypted, or `payload` goes out under `delivery` (16 bytes) until
    answered; with `channel` only to the server of that channel.
    """

    id: int
    peer: int
    message: int | None
    plaintext: bytes | None
    delivery: bytes | None
    payload: bytes | None
    channel: int | None


class Sent(msgspec.Struct, frozen=True):
    """What a payload held: the message at that position, or the plaintext of something else, which may
    concern a `channel`; with neither a retry.
    """

    peer: int
    session: int
    message: int | None
    plaintext: bytes | None
    channel: int | None = None


_COLUMNS: Final = "id, peer, message, plaintext, delivery, payload, channel"
_HERE: Final = "(outbox.channel IS NULL OR outbox.channel IN (SELECT id FROM channel WHERE host = ?))"


def add(
    tx: Tx, peer: int, plaintext: bytes, message: int | None, now: int, *, channel: int | None = None
) -> int:
    """Queue a content; one that concerns a channel goes to the server of that channel alone. Returns its
    row.
    """
    return tx.insert(
        "INSERT INTO outbox (peer, message, plaintext, queued_at, channel) VALUES (?, ?, ?, ?, ?)",
        peer,
        message,
        plaintext,
        now,
        channel,
    )


def add_sealed(tx: Tx, peer: int, delivery: bytes, payload: bytes, now: int) -> int:
    """Queue a payload that is encrypted already; returns its row."""
    return tx.insert(
        "INSERT INTO outbox (peer, delivery, payload, queued_at) VALUES (?, ?, ?, ?)",
        peer,
        delivery,
        payload,
        now,
    )


def seal(tx: Tx, row: int, delivery: bytes, payload: bytes) -> None:
    """The content of a row is encrypted: from now on these bytes go out."""
    tx.execute(
        "UPDATE outbox SET plaintext = NULL, delivery = ?, payload = ? WHERE id = ?", delivery, payload, row
    )


def waiting(tx: Tx, host: str, without_peers: Collection[int], limit: int) -> list[Queued]:
    """The first rows for a server in the order of sending, but for those peers, and whom none may reach."""
    rows = tx.all(
        f"SELECT outbox.{_COLUMNS.replace(', ', ', outbox.')} FROM outbox JOIN peer ON peer.id = outbox.peer"  # noqa: S608
        f" WHERE NOT blocked AND trust != 'changed' AND {_HERE}"
        f" AND outbox.peer NOT IN ({','.join(map(str, without_peers))})"
        # What a person wrote goes before receipts and what channels bring along, which may be hundreds.
        " ORDER BY message IS NULL, outbox.id LIMIT ?",
        host,
        limit,
    )
    return [Queued(*row) for row in rows]


def open_count(tx: Tx, host: str, refused: Collection[int]) -> int:
    """How many rows could go out to a server now: nothing is known to be in their way, as it is in that of
    those to the `refused` peers.
    """
    return int(
        tx.value(
            "SELECT count(*) FROM outbox JOIN peer ON peer.id = outbox.peer"  # noqa: S608
            f" WHERE NOT blocked AND trust != 'changed' AND {_HERE}"
            f" AND outbox.peer NOT IN ({','.join(map(str, refused))})",
            host,
        )
    )


def of_peer(tx: Tx, host: str, peer: int) -> list[Queued]:
    """Every row of a peer for a server that is not encrypted yet."""
    rows = tx.all(
        f"SELECT {_COLUMNS} FROM outbox WHERE peer = ? AND payload IS NULL AND {_HERE} ORDER BY id",  # noqa: S608
        peer, host,
    )  # fmt: skip
    return [Queued(*row) for row in rows]


def by_delivery(tx: Tx, delivery: bytes) -> Queued | None:
    """The row that went out under a delivery id (16 bytes)."""
    row = tx.one(f"SELECT {_COLUMNS} FROM outbox WHERE delivery = ?", delivery)  # noqa: S608
    return None if row is None else Queued(*row)


def drop(tx: Tx, row: int) -> None:
    """Delete a row."""
    tx.execute("DELETE FROM outbox WHERE id = ?", row)


def expired(tx: Tx, before: int) -> list[Queued]:
    """The rows that were queued before that unix second; those that were encrypted, and refused ever since,
    are among them.
    """
    rows = tx.all(f"SELECT {_COLUMNS} FROM outbox WHERE queued_at < ?", before)  # noqa: S608
    return [Queued(*row) for row in rows]


def note_sent(tx: Tx, digest: bytes, sent: Sent, now: int) -> None:
    """Remember what the payload with this SHA-256 holds."""
    tx.execute(
        "INSERT OR REPLACE INTO sent (digest, peer, session, message, plaintext, channel, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        digest, sent.peer, sent.session, sent.message, sent.plaintext, sent.channel, now,
    )  # fmt: skip


def take_sent(tx: Tx, digest: bytes, peer: int, now: int) -> Sent | None:
    """What a payload to that peer held, if it was sent in the last 7 days; it is told once."""
    row = tx.one(
        "SELECT peer, session, message, plaintext, channel FROM sent"
        " WHERE digest = ? AND peer = ? AND at > ?",
        digest, peer, now - SENT_MEMORY,
    )  # fmt: skip
    if row is None:
        return None
    tx.execute("DELETE FROM sent WHERE digest = ?", digest)
    return Sent(*row)


def forget(tx: Tx, now: int) -> None:
    """Delete what no retry can ask for any more."""
    tx.execute("DELETE FROM sent WHERE at < ?", now - SENT_MEMORY)
