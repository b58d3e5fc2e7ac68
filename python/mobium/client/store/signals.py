"""The numbers of the ratchet that went into signals: they are named to the recipient afterwards, so that none
of them counts as a message that is missing.

Not its concern: what a signal says, and sending it (`mobium.client.signals`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = ["MOST", "note", "take"]

MOST: Final = 256
"""Numbers that are named at once."""


def note(tx: Tx, peer: int, key: bytes, now: int) -> None:
    """A number, as ratchet_public ‖ n(u32), was used for a signal to a peer."""
    tx.execute("INSERT OR IGNORE INTO signal VALUES (?, ?, ?)", peer, key, now)


def take(tx: Tx, before: int, until: int) -> list[tuple[int, list[bytes]]]:
    """(peer, numbers up to `until`) of those to whom one is of `before`, or who have MOST; they are noted no
    more.
    """
    due: list[tuple[int, list[bytes]]] = []
    rows = tx.all("SELECT peer FROM signal GROUP BY peer HAVING min(at) <= ? OR count(*) >= ?", before, MOST)
    for (peer,) in rows:
        found = tx.all(
            "SELECT key FROM signal WHERE peer = ? AND at <= ? ORDER BY at, key LIMIT ?", peer, until, MOST
        )
        if not found:
            continue
        keys = [row[0] for row in found]
        tx.many("DELETE FROM signal WHERE peer = ? AND key = ?", [(peer, key) for key in keys])
        due.append((peer, keys))
    return due
