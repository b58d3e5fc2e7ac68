"""Sender keys of channels: one's own chain and to whom it was handed, others' chains, and what waits for one.

Not its concern: opening and encrypting (`mobium.client.chains`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mobium.client.store.database import Tx

__all__ = [
    "ASK_PAUSE",
    "SECRET",
    "Closed",
    "Own",
    "Receiver",
    "add_closed",
    "add_receiver",
    "closed",
    "drop_closed",
    "drop_own",
    "drop_receiver",
    "drop_receivers",
    "due_requests",
    "early",
    "end_patience",
    "every_receiver",
    "forget",
    "gaps",
    "hand",
    "is_closed",
    "may_have_secret",
    "move_own",
    "note_asked",
    "note_gaps",
    "own",
    "put_earlier",
    "put_own",
    "receiver",
    "secret_patience",
    "settle_own",
    "take_back",
    "unhand",
    "unhanded",
    "update_receiver",
]

_MAX_REPLACED: Final = 5  # chains of one sender in one channel, of which a newer one was used
# And in all: whoever was away may have all of them to use still. A new one is made when somebody leaves.
_MAX_CHAINS: Final = 256
_MAX_GAPS: Final = 2_000  # missing messages of one sender in one channel that are remembered
_MAX_CLOSED: Final = 2_000  # ciphertexts kept in one channel
_MAX_CLOSED_BYTES: Final = 32 << 20
_PATIENCE: Final = 10  # seconds that a chain may be on its way before its sender is asked for it
ASK_PAUSE: Final = 86_400  # seconds between two requests for one chain
SECRET: Final = 0  # in the place of a key id, which never is 0; of nobody (peer 0): since when it is missing
_ASKS: Final = 8  # requests to one member of a channel in that time, as many as are answered
_LEFT_OUT: Final = 600  # seconds after which a member who could not be reached is tried again


class Own(msgspec.Struct, frozen=True):
    """One's own chain: `state` as it is settled, `following` while a message is under way."""

    state: bytes
    following: bytes | None
    made_at: int


class Receiver(msgspec.Struct, frozen=True):
    """Another's chain: `state` as it is, the iteration at which it came, and what it was before that."""

    state: bytes
    begins: int
    earlier: bytes | None


class Closed(msgspec.Struct, frozen=True):
    """A message that could not be opened yet: its row in `message`, and the roster index at its number."""

    message: int
    peer: int
    index: int
    payload: bytes


# ---------------------------------------------------------------- one's own


def own(tx: Tx, channel: int) -> Own | None:
    """One's own chain in a channel."""
    row = tx.one("SELECT state, following, made_at FROM sender_chain WHERE channel = ?", channel)
    return None if row is None else Own(*row)


def put_own(tx: Tx, channel: int, state: bytes, now: int) -> None:
    """Begin a new chain, which nobody was handed."""
    tx.execute("DELETE FROM handed WHERE channel = ?", channel)
    tx.execute(
        "INSERT INTO sender_chain VALUES (?, ?, NULL, ?) ON CONFLICT (channel)"
        " DO UPDATE SET state = excluded.state, following = NULL, made_at = excluded.made_at",
        channel, state, now,
    )  # fmt: skip


def move_own(tx: Tx, channel: int, following: bytes | None) -> None:
    """A message is under way, after which the chain is `following`; or none is, and it stays as it is."""
    tx.execute("UPDATE sender_chain SET following = ? WHERE channel = ?", following, channel)


def settle_own(tx: Tx, channel: int) -> None:
    """The message under way was taken."""
    tx.execute(
        "UPDATE sender_chain SET state = following, following = NULL"
        " WHERE channel = ? AND following IS NOT NULL",
        channel,
    )


def drop_own(tx: Tx, channel: int) -> None:
    """Forget one's own chain: the next message begins another."""
    tx.execute("DELETE FROM sender_chain WHERE channel = ?", channel)
    tx.execute("DELETE FROM handed WHERE channel = ?", channel)


def hand(tx: Tx, channel: int, peers: Iterable[int]) -> None:
    """Note that the chain goes to these members."""
    tx.many("INSERT OR REPLACE INTO handed VALUES (?, ?, 0)", [(channel, peer) for peer in peers])


def unhand(tx: Tx, channel: int, peer: int, failed_at: int) -> None:
    """The chain could not be handed to a member; it is left out for a while."""
    tx.execute("INSERT OR REPLACE INTO handed VALUES (?, ?, ?)", channel, peer, failed_at)


def take_back(tx: Tx, channel: int, peer: int) -> None:
    """The chain is to be handed to a member again, before the next message."""
    tx.execute("DELETE FROM handed WHERE channel = ? AND peer = ?", channel, peer)


def unhanded(tx: Tx, channel: int, now: int) -> list[int]:
    """The members to whom the chain is to be handed and may be, in the order in which they were met."""
    rows = tx.all(
        "SELECT member.peer FROM member JOIN peer ON peer.id = member.peer"
        " LEFT JOIN handed ON handed.channel = member.channel AND handed.peer = member.peer"
        " WHERE member.channel = ? AND NOT blocked AND trust != 'changed'"
        " AND (handed.peer IS NULL OR (failed_at > 0 AND NOT failed_at BETWEEN ? AND ?))"
        " ORDER BY member.peer",
        channel, now - _LEFT_OUT, now,
    )  # fmt: skip
    return [row[0] for row in rows]


# ---------------------------------------------------------------- others'


def receiver(tx: Tx, channel: int, peer: int, key_id: int) -> Receiver | None:
    """Another's chain."""
    row = tx.one(
        "SELECT state, begins, earlier FROM receiver_chain WHERE channel = ? AND peer = ? AND key_id = ?",
        channel, peer, key_id,
    )  # fmt: skip
    return None if row is None else Receiver(*row)


def add_receiver(
    tx: Tx, channel: int, peer: int, key_id: int, state: bytes, begins: int, roster_index: int, now: int
) -> bool:
    """Keep another's new chain, or beside it what that chain was before the iteration at which it came here;
    False if neither is new.
    """
    added = tx.execute(
        "INSERT INTO receiver_chain (channel, peer, key_id, state, begins, roster_index, made_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (channel, peer, key_id) DO UPDATE SET earlier = excluded.state"
        " WHERE excluded.begins < begins AND earlier IS NULL AND excluded.roster_index = roster_index",
        channel, peer, key_id, state, begins, roster_index, now,
    )  # fmt: skip
    for which, most in (("AND replaced_at IS NOT NULL", _MAX_REPLACED), ("", _MAX_CHAINS)):
        beyond = tx.all(
            f"SELECT key_id FROM receiver_chain WHERE channel = ? AND peer = ? {which}"  # noqa: S608
            " ORDER BY made_at DESC, roster_index DESC LIMIT -1 OFFSET ?",
            channel, peer, most,
        )  # fmt: skip
        for (old,) in beyond:
            drop_receiver(tx, channel, peer, old)
    return added == 1


def early(tx: Tx, channel: int) -> int:
    """How many chains there are of those who are no members."""
    return int(
        tx.value(
            "SELECT count(*) FROM receiver_chain WHERE channel = ? AND peer NOT IN"
            " (SELECT peer FROM member WHERE channel = ?)",
            channel, channel,
        )
    )  # fmt: skip


def update_receiver(tx: Tx, channel: int, peer: int, key_id: int, state: bytes, now: int) -> None:
    """The chain has opened a message: those made before it are replaced from now on, and what was written
    before this chain began was read.
    """
    tx.execute(
        "UPDATE receiver_chain SET state = ?, earlier = NULL WHERE channel = ? AND peer = ? AND key_id = ?",
        state, channel, peer, key_id,
    )  # fmt: skip
    # Several may have come in one second, and in the order of the rosters under which they were made.
    tx.execute(
        "UPDATE receiver_chain SET replaced_at = ? WHERE channel = ? AND peer = ? AND key_id != ?"
        " AND replaced_at IS NULL AND (made_at, roster_index) < (SELECT made_at, roster_index"
        " FROM receiver_chain WHERE channel = ? AND peer = ? AND key_id = ?)",
        now, channel, peer, key_id, channel, peer, key_id,
    )  # fmt: skip


def put_earlier(tx: Tx, channel: int, peer: int, key_id: int, state: bytes | None) -> None:
    """What the chain was has opened a message; or with None nothing more is to be opened with it."""
    tx.execute(
        "UPDATE receiver_chain SET earlier = ? WHERE channel = ? AND peer = ? AND key_id = ?",
        state, channel, peer, key_id,
    )  # fmt: skip


def every_receiver(tx: Tx, channel: int) -> list[tuple[int, int, int]]:
    """(peer, key id, roster index) of all others' chains."""
    rows = tx.all("SELECT peer, key_id, roster_index FROM receiver_chain WHERE channel = ?", channel)
    return [(row[0], row[1], row[2]) for row in rows]


def drop_receiver(tx: Tx, channel: int, peer: int, key_id: int) -> None:
    """Delete another's chain, and what was missing of it."""
    for table in ("receiver_chain", "gap"):
        tx.execute(
            f"DELETE FROM {table} WHERE channel = ? AND peer = ? AND key_id = ?",  # noqa: S608
            channel, peer, key_id,
        )  # fmt: skip


def drop_receivers(tx: Tx, channel: int, peer: int, before: int) -> None:
    """Delete a sender's chains from before a roster index: by that statement it left."""
    tx.execute(
        "DELETE FROM gap WHERE channel = ? AND peer = ? AND key_id IN (SELECT key_id FROM receiver_chain"
        " WHERE channel = ? AND peer = ? AND roster_index < ?)",
        channel, peer, channel, peer, before,
    )  # fmt: skip
    tx.execute(
        "DELETE FROM receiver_chain WHERE channel = ? AND peer = ? AND roster_index < ?",
        channel, peer, before,
    )  # fmt: skip


def note_gaps(
    tx: Tx, channel: int, peer: int, key_id: int, missing: Iterable[int], used: int, after: int, now: int
) -> None:
    """The message `used` has come, and those in `missing` before it have not."""
    tx.many(
        "INSERT OR IGNORE INTO gap VALUES (?, ?, ?, ?, ?, ?)",
        [(channel, peer, key_id, iteration, after, now) for iteration in missing],
    )
    tx.execute(
        "DELETE FROM gap WHERE (channel, peer, key_id, iteration) IN (SELECT channel, peer, key_id, iteration"
        " FROM gap WHERE channel = ? AND peer = ? ORDER BY after DESC, iteration DESC LIMIT -1 OFFSET ?)",
        channel, peer, _MAX_GAPS,
    )  # fmt: skip
    tx.execute(
        "DELETE FROM gap WHERE channel = ? AND peer = ? AND key_id = ? AND iteration = ?",
        channel, peer, key_id, used,
    )  # fmt: skip


def gaps(tx: Tx, channel: int, first: int, before: int, until: int) -> list[tuple[int, int, int, bytes]]:
    """(number behind which, how many, since when, sender) of messages missing since before `until`."""
    rows = tx.all(
        "SELECT after, count(*), min(at), ed FROM gap JOIN peer ON peer.id = peer WHERE channel = ?"
        " AND after >= ? AND after < ? AND at <= ? GROUP BY after, peer ORDER BY after",
        channel, first, before, until,
    )  # fmt: skip
    return [(row[0], row[1], row[2], row[3]) for row in rows]


# ---------------------------------------------------------------- what waits for a chain


def add_closed(
    tx: Tx, channel: int, message: int, peer: int, key_id: int, index: int, payload: bytes, now: int
) -> None:
    """Keep a ciphertext whose chain has not arrived."""
    tx.execute(
        "INSERT INTO closed VALUES (?, ?, ?, ?, ?, ?, ?)", message, channel, peer, key_id, index, payload, now
    )
    tx.execute(
        "DELETE FROM closed WHERE message IN"
        " (SELECT message FROM closed WHERE channel = ? ORDER BY message DESC LIMIT -1 OFFSET ?)",
        channel, _MAX_CLOSED,
    )  # fmt: skip
    if tx.value("SELECT sum(length(payload)) FROM closed WHERE channel = ?", channel) > _MAX_CLOSED_BYTES:
        tx.execute(
            "DELETE FROM closed WHERE message IN (SELECT message FROM"
            " (SELECT message, sum(length(payload)) OVER (ORDER BY message DESC) AS bytes FROM closed"
            " WHERE channel = ?) WHERE bytes > ?)",
            channel, _MAX_CLOSED_BYTES,
        )  # fmt: skip


def is_closed(tx: Tx, channel: int, peer: int, key_id: int, payload: bytes) -> bool:
    """Whether a ciphertext waits for its chain already."""
    return (
        tx.one(
            "SELECT 1 FROM closed WHERE channel = ? AND peer = ? AND key_id = ? AND payload = ?",
            channel, peer, key_id, payload,
        )
        is not None
    )  # fmt: skip


def closed(tx: Tx, channel: int, peer: int, key_id: int) -> list[Closed]:
    """What waits for a chain, in order."""
    rows = tx.all(
        "SELECT message, peer, idx, payload FROM closed WHERE channel = ? AND peer = ? AND key_id = ?"
        " ORDER BY message",
        channel, peer, key_id,
    )  # fmt: skip
    return [Closed(*row) for row in rows]


def drop_closed(tx: Tx, message: int) -> None:
    """A ciphertext waits no more: it was opened, or never can be."""
    tx.execute("DELETE FROM closed WHERE message = ?", message)


def due_requests(tx: Tx, host: str, now: int) -> tuple[list[tuple[int, int, int]], float | None]:
    """(channel, peer, key id) of the chains that are to be asked for now by way of a server, and the seconds
    until there may be others.
    """
    rows = tx.all(
        "SELECT closed.channel, closed.peer, closed.key_id, min(closed.at), asked.at FROM closed"
        " JOIN channel ON channel.id = closed.channel AND channel.state = 'member' AND host = ?"
        " JOIN member ON member.channel = closed.channel AND member.peer = closed.peer"
        " JOIN peer ON peer.id = closed.peer AND NOT blocked AND trust != 'changed'"
        # What lies before a chain that has come is not to be had by asking for it again.
        " LEFT JOIN receiver_chain ON receiver_chain.channel = closed.channel"
        " AND receiver_chain.peer = closed.peer AND receiver_chain.key_id = closed.key_id"
        " LEFT JOIN asked ON asked.channel = closed.channel AND asked.peer = closed.peer"
        " AND asked.key_id = closed.key_id WHERE receiver_chain.key_id IS NULL"
        " GROUP BY closed.channel, closed.peer, closed.key_id",
        host,
    )
    asked = Counter(
        (row[0], row[1])
        for row in tx.all("SELECT channel, peer FROM asked WHERE at BETWEEN ? AND ?", now - ASK_PAUSE, now)
    )
    due, soonest = [], None
    for channel, peer, key_id, since, asked_at in rows:
        # A moment in the future comes from a clock that was wrong.
        moment = min(since, now) + _PATIENCE
        if asked_at is not None and asked_at <= now:
            moment = max(moment, asked_at + ASK_PAUSE)
        if moment <= now and asked[channel, peer] < _ASKS:
            asked[channel, peer] += 1  # a server can invent as many messages of anybody as it likes
            due.append((channel, peer, key_id))
        elif moment <= now:
            continue
        else:
            soonest = moment - now if soonest is None else min(soonest, moment - now)
    return due, None if soonest is None else float(soonest)


def secret_patience(tx: Tx, channel: int, now: int) -> int:
    """Seconds until somebody may be asked for the secret of a channel, which is missing."""
    since = tx.value("SELECT at FROM asked WHERE channel = ? AND peer = 0", channel)
    if since is None or since > now:
        note_asked(tx, channel, 0, SECRET, now)
        since = now
    return max(0, int(since) + _PATIENCE - now)


def end_patience(tx: Tx) -> None:
    """Where the secret is known by now, none is missing since any moment."""
    tx.execute(
        "DELETE FROM asked WHERE peer = 0 AND channel IN (SELECT id FROM channel WHERE secret IS NOT NULL)"
    )


def may_have_secret(tx: Tx, channel: int, now: int, likely: Sequence[bytes]) -> list[int]:
    """The members who are to be asked for the secret of a channel now: so many in a day, and each once. Those
    first who are likely to know it (identities of 32 bytes), then those who were asked longest ago.
    """
    order = {ed: place for place, ed in reversed(list(enumerate(likely)))}
    rows = tx.all(
        "SELECT peer.id, ed, coalesce(asked.at, 0) FROM member JOIN peer ON peer.id = member.peer"
        " LEFT JOIN asked ON asked.channel = member.channel AND asked.peer = member.peer AND key_id = ?"
        " WHERE member.channel = ? AND NOT blocked AND trust != 'changed'",
        SECRET, channel,
    )  # fmt: skip
    recent = {row[0] for row in rows if now - ASK_PAUSE < row[2] <= now}
    rows.sort(key=lambda row: (order.get(row[1], len(order)), row[2], row[0]))
    return [row[0] for row in rows if row[0] not in recent][: max(0, _ASKS - len(recent))]


def note_asked(tx: Tx, channel: int, peer: int, key_id: int, now: int) -> None:
    """A member is being asked for its chain, or with SECRET for the channel's secret."""
    tx.execute("INSERT OR REPLACE INTO asked VALUES (?, ?, ?, ?)", channel, peer, key_id, now)


def forget(tx: Tx, now: int, life: int) -> None:
    """Delete the chains that were replaced `life` seconds ago, and what waits for one in vain for so long."""
    tx.execute("DELETE FROM receiver_chain WHERE replaced_at < ?", now - life)
    tx.execute(
        "DELETE FROM gap WHERE (channel, peer, key_id) NOT IN"
        " (SELECT channel, peer, key_id FROM receiver_chain)"
    )
    tx.execute("DELETE FROM closed WHERE at < ?", now - life)
    tx.execute("DELETE FROM asked WHERE at < ?", now - life)
