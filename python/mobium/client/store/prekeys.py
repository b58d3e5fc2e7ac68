"""My own prekeys with their private halves, and the handshakes that were seen.

Not its concern: when keys are made, published and deleted (`mobium.client.upkeep`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mobium.crypto.prekeys import PrekeyKind, PrekeyPair, SignedPrekey, UsedPrekeys

if TYPE_CHECKING:
    from mobium.client.store.database import Tx

__all__ = [
    "StoredPrekeys",
    "add",
    "delete_used",
    "forget_seen",
    "held",
    "is_mine",
    "is_seen",
    "newest",
    "note_seen",
    "published",
    "replace_stock",
    "stale_stock",
]

_COLUMNS: Final = "id, expires, public, signature, private"
# Every handshake uses a signed key, and the last-resort one may serve many.
_KEPT: Final = f"kind IN ('{PrekeyKind.SIGNED.value}', '{PrekeyKind.KEM_LAST_RESORT.value}')"
_ONE_TIME: Final = f"kind IN ('{PrekeyKind.ONE_TIME.value}', '{PrekeyKind.KEM_ONE_TIME.value}')"


class StoredPrekeys:
    """The private side, as a responder looks keys up (`mobium.crypto.prekeys.PrekeySource`)."""

    __slots__ = ("_tx",)

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def private(self, kind: PrekeyKind, prekey_id: int, /) -> PrekeyPair | None:
        """The pair of that kind and id, or None."""
        row = self._tx.one(f"SELECT {_COLUMNS} FROM prekey WHERE kind = ? AND id = ?", kind.value, prekey_id)  # noqa: S608
        return None if row is None else PrekeyPair(SignedPrekey(*row[:4]), row[4])


def add(tx: Tx, kind: PrekeyKind, pairs: list[PrekeyPair], host: str, now: int) -> None:
    """Store pairs made for a server, before they are published there."""
    tx.many(
        f"INSERT INTO prekey ({_COLUMNS}, kind, made_at, host) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [
            (pair.prekey.id, pair.prekey.expires, pair.prekey.public, pair.prekey.signature, pair.private,
             kind.value, now, host)
            for pair in pairs
        ],
    )  # fmt: skip


def newest(tx: Tx, kind: PrekeyKind, host: str) -> tuple[SignedPrekey, int] | None:
    """The key of that kind made last for a server, and when it was made."""
    row = tx.one(
        "SELECT id, expires, public, signature, made_at FROM prekey WHERE kind = ? AND host = ?"
        " AND replaced_at IS NULL ORDER BY made_at DESC, published LIMIT 1",
        kind.value, host,
    )  # fmt: skip
    return None if row is None else (SignedPrekey(*row[:4]), row[4])


def is_mine(tx: Tx, kind: PrekeyKind, prekey_id: int, host: str) -> bool:
    """Whether this store holds the key of that kind and id, made for that server."""
    return (
        tx.one("SELECT 1 FROM prekey WHERE kind = ? AND id = ? AND host = ?", kind.value, prekey_id, host)
        is not None
    )


def published(tx: Tx, kind: PrekeyKind, prekey_id: int, host: str, now: int) -> None:
    """The server has taken a signed or last-resort key: those before it are replaced from now on.

    Those after it are not, or a server that names an old key each time would get a new one each time; but for
    those of a clock that was ahead.
    """
    tx.execute("UPDATE prekey SET published = 1 WHERE kind = ? AND id = ?", kind.value, prekey_id)
    tx.execute(
        "UPDATE prekey SET replaced_at = ? WHERE kind = ? AND id != ? AND host = ? AND replaced_at IS NULL"
        " AND (made_at > ? OR made_at <= (SELECT made_at FROM prekey WHERE kind = ? AND id = ?))",
        now, kind.value, prekey_id, host, now, kind.value, prekey_id,
    )  # fmt: skip


def stale_stock(tx: Tx, host: str, before: int, after: int) -> bool:
    """Whether a server may hand out one-time keys made before one moment, or after another one that is yet
    to come.
    """
    row = tx.one(
        f"SELECT 1 FROM prekey WHERE {_ONE_TIME} AND host = ? AND replaced_at IS NULL"  # noqa: S608
        " AND (made_at < ? OR made_at > ?)",
        host, before, after,
    )  # fmt: skip
    return row is not None


def replace_stock(tx: Tx, host: str, fresh: list[int], now: int) -> None:
    """The server has dropped every one-time key but the fresh ones, named by their ids."""
    tx.execute(
        f"UPDATE prekey SET replaced_at = ? WHERE {_ONE_TIME} AND host = ? AND replaced_at IS NULL"  # noqa: S608
        f" AND id NOT IN ({','.join(map(str, fresh))})",
        now, host,
    )  # fmt: skip


def held(tx: Tx) -> int:
    """How many one-time keys are held."""
    return int(tx.value(f"SELECT count(*) FROM prekey WHERE {_ONE_TIME}"))  # noqa: S608


def delete_used(tx: Tx, used: UsedPrekeys) -> None:
    """Delete the one-time keys that a handshake used."""
    for kind, prekey_id in (
        (PrekeyKind.ONE_TIME, used.one_time),
        (PrekeyKind.KEM_ONE_TIME, used.kem_one_time),
    ):
        if prekey_id is not None:
            tx.execute("DELETE FROM prekey WHERE kind = ? AND id = ?", kind.value, prekey_id)


def is_seen(tx: Tx, handshake: bytes) -> bool:
    """Whether a session began with this handshake (32 bytes) before."""
    return tx.one("SELECT 1 FROM seen WHERE handshake = ?", handshake) is not None


def note_seen(tx: Tx, handshake: bytes) -> None:
    """Remember a handshake for as long as a key is held with which it could be used again."""
    newest = tx.value(f"SELECT max(made_at) FROM prekey WHERE {_KEPT}")  # noqa: S608
    tx.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", handshake, newest or 0)


def forget_seen(tx: Tx) -> None:
    """Forget the handshakes of which no signed and no last-resort key is held any more, whatever server they
    were made for.
    """
    tx.execute(f"DELETE FROM seen WHERE newest < (SELECT min(made_at) FROM prekey WHERE {_KEPT})")  # noqa: S608
