"""What has come in: payloads opened before, contents shown before, payloads that stay closed, receipts that
are owed.

Not its concern: the messages themselves (`messages`) and opening anything (`mobium.client.direct`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from mobium.client.store import meta

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = [
    "MEMORY",
    "RETRY_PAUSE",
    "TOO_MANY_MESSAGES",
    "TOO_MANY_REQUESTS",
    "ask_again",
    "due_retries",
    "first_time",
    "forget",
    "note_asked",
    "note_asked_soon",
    "note_opened",
    "note_unopened",
    "owe_receipt",
    "owed_peers",
    "take_receipts",
    "unasked",
    "was_opened",
]

MEMORY: Final = 30 * 86_400  # seconds that opened payloads and shown contents are remembered
RETRY_AGE: Final = 7 * 86_400  # the other side encrypts again what it sent in that time
RETRY_PAUSE: Final = 3_600  # seconds between two retry sessions with one peer
# Within that time a retry may go in the session that is there: once after so many seconds, once after twice
# as many more, and so on. One that was not needed is not made up for, so that there are never more than seven
# in 3,600 seconds, whenever those begin: an eighth is not honoured, and what it names never asked for again.
_RETRY_SOON: Final = 60
#: Why there was no room for what a stranger wrote: it is asked for once he is a contact.
TOO_MANY_REQUESTS: Final = "too many requests wait already"
TOO_MANY_MESSAGES: Final = "too many messages of a request"
_TURNED_AWAY: Final = f"reason IN ('{TOO_MANY_REQUESTS}', '{TOO_MANY_MESSAGES}')"
_KEPT_UNOPENED: Final = 1_000  # of one peer; a server that invents payloads must not fill the disk
_RECOVERY_PEERS: Final = 50  # strangers asked to send again after a recovery


def was_opened(tx: Tx, digest: bytes) -> bool:
    """Whether a payload with this SHA-256 was opened before."""
    return tx.one("SELECT 1 FROM opened WHERE digest = ?", digest) is not None


def note_opened(tx: Tx, digest: bytes, now: int) -> None:
    """Remember a payload that was opened."""
    tx.execute("INSERT OR IGNORE INTO opened VALUES (?, ?)", digest, now)
    tx.execute("DELETE FROM unopened WHERE digest = ?", digest)


def first_time(tx: Tx, peer: int, content: bytes, now: int) -> bool:
    """Whether a content id (16 bytes) comes from this sender for the first time; from now on it does not.

    What is in the history was shown, however long ago.
    """
    first = tx.execute("INSERT OR IGNORE INTO shown VALUES (?, ?, ?)", peer, content, now) == 1
    held = "SELECT 1 FROM message WHERE content = ? AND peer = ? AND outgoing = 0"
    return first and tx.one(held, content, peer) is None


def note_unopened(
    tx: Tx, digest: bytes, peer: int | None, reason: str, now: int, *, keep: int = _KEPT_UNOPENED
) -> None:
    """Remember a payload that cannot be opened, and the last `keep` of its sender."""
    tx.execute(
        "INSERT OR IGNORE INTO unopened (digest, peer, at, reason) VALUES (?, ?, ?, ?)",
        digest,
        peer,
        now,
        reason,
    )
    tx.execute(
        "DELETE FROM unopened WHERE digest IN"
        " (SELECT digest FROM unopened WHERE peer IS ? ORDER BY seq DESC LIMIT -1 OFFSET ?)",
        peer, keep,
    )  # fmt: skip


def due_retries(tx: Tx, now: int, recovered_until: int) -> list[tuple[int, int]]:
    """(peer, moment from which on it may be asked to send again) for every peer with payloads that nobody
    asked for yet.

    Peers are contacts and fellow members, and for 30 days after a recovery others too, at most 50 of them and
    once each.
    """
    asked = int(tx.value("SELECT count(*) FROM peer WHERE relation = 'unknown' AND retry_at > 0"))
    rows = tx.all(
        "SELECT peer.id, retry_at, CASE WHEN peer.id IN (SELECT peer FROM member) THEN 'contact'"  # noqa: S608
        " ELSE relation END FROM peer WHERE trust != 'changed' AND NOT blocked AND EXISTS"
        " (SELECT 1 FROM unopened WHERE peer = peer.id AND NOT retried AND at > ?"
        f" AND (relation = 'contact' OR NOT {_TURNED_AWAY})) ORDER BY peer.id",
        now - RETRY_AGE,
    )
    due = []
    for peer, retry_at, relation in rows:
        if relation == "contact":
            # A moment in the future comes from a clock that was wrong.
            due.append((peer, retry_at + _retry_pause(tx, peer, retry_at) if 0 < retry_at <= now else 0))
        elif relation == "unknown" and now < recovered_until and not retry_at and asked < _RECOVERY_PEERS:
            asked += 1
            due.append((peer, 0))
    return due


def _retry_pause(tx: Tx, peer: int, retry_at: int) -> int:
    """Seconds after `retry_at` from which on the next retry may go: 1, 3, 7, 15, 31 or 60 minutes, whichever
    follows the last one.
    """
    since = int(meta.get(tx, f"asked of {peer}", 0)) - retry_at
    if not 0 <= since < RETRY_PAUSE:  # it belongs to another hour
        since = 0
    return min(RETRY_PAUSE, _RETRY_SOON * ((1 << (since // _RETRY_SOON + 1).bit_length()) - 1))


def note_asked_soon(tx: Tx, peer: int, now: int) -> None:
    """A retry goes in the session that is there."""
    meta.put(tx, f"asked of {peer}", now)


def unasked(tx: Tx, peer: int, now: int, limit: int) -> list[bytes]:
    """Up to `limit` hashes of a peer's payloads that nobody asked for yet."""
    rows = tx.all(
        "SELECT digest FROM unopened JOIN peer ON peer.id = unopened.peer"  # noqa: S608
        " WHERE unopened.peer = ? AND NOT retried AND at > ?"
        f" AND (relation = 'contact' OR NOT {_TURNED_AWAY}) ORDER BY seq LIMIT ?",
        peer, now - RETRY_AGE, limit,
    )  # fmt: skip
    return [row[0] for row in rows]


def note_asked(tx: Tx, digests: Iterable[bytes], row: int) -> None:
    """These payloads are asked for in the retry that waits in that row of the outbox, never 0."""
    tx.many("UPDATE unopened SET retried = ? WHERE digest = ?", [(row, digest) for digest in digests])


def ask_again(tx: Tx, peer: int, row: int | None = None) -> None:
    """What waited for a peer in that row of the outbox never goes out; if it was a retry, another is due.

    Without a row: the peer could not open a retry. Nobody keeps which payloads it named, lest a server that
    invents payloads has lists of them kept, so all that stayed closed are asked for once more.
    """
    tx.execute("UPDATE unopened SET retried = 0 WHERE peer = ? AND retried = ifnull(?, retried)", peer, row)


def owe_receipt(tx: Tx, peer: int, content: bytes, what: str, now: int) -> None:
    """A content of that peer was delivered or read, and the peer may know it."""
    tx.execute("INSERT OR IGNORE INTO receipt VALUES (?, ?, ?, ?)", peer, content, what, now)


def owed_peers(tx: Tx) -> list[int]:
    """The peers to whom receipts are owed and may go."""
    rows = tx.all(
        "SELECT DISTINCT peer FROM receipt JOIN peer ON peer.id = peer"
        " WHERE relation = 'contact' AND NOT blocked AND trust != 'changed'"
    )
    return [row[0] for row in rows]


def take_receipts(tx: Tx, peer: int, limit: int) -> dict[str, list[bytes]]:
    """Up to `limit` content ids for each of "delivered" and "read"; they are owed no more."""
    taken: dict[str, list[bytes]] = {}
    for what in ("delivered", "read"):
        rows = tx.all("SELECT content FROM receipt WHERE peer = ? AND what = ? LIMIT ?", peer, what, limit)
        if rows:
            taken[what] = [row[0] for row in rows]
            tx.many(
                "DELETE FROM receipt WHERE peer = ? AND what = ? AND content = ?",
                [(peer, what, content) for content in taken[what]],
            )
    return taken


def forget(tx: Tx, now: int) -> None:
    """Delete what need not be remembered any more."""
    tx.execute("DELETE FROM opened WHERE at < ?", now - MEMORY)
    tx.execute("DELETE FROM shown WHERE at < ?", now - MEMORY)
    tx.execute("DELETE FROM unopened WHERE at < ?", now - MEMORY)
    tx.execute("DELETE FROM receipt WHERE at < ?", now - MEMORY)
