"""What time does to a profile: memories end, sessions and keys that nobody needs go, messages that never went
out expire.

Not its concern: what only a server can settle (`mobium.client.upkeep`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from mobium.client.store import (
    chains,
    channels,
    drafts,
    incoming,
    messages,
    meta,
    outgoing,
    peers,
    posts,
    prekeys,
)
from mobium.client.store.database import Tx
from mobium.crypto.prekeys import PrekeyKind

__all__ = ["INTERVAL", "forget_peer", "forget_strangers", "maintain"]

INTERVAL: Final = 3_600.0  # seconds between two runs
_DAY: Final = 86_400
_SESSION_LIFE: Final = 30 * _DAY  # of a session that is not used, and of a skipped key
_CHAIN_LIFE: Final = 7 * _DAY
_KEPT_KEYS: Final = 14 * _DAY  # after the server has acknowledged the successor
_ONE_TIME_LIFE: Final = 90 * _DAY  # 60 until initiators refuse it, and the longest a message is under way
_JUMP: Final = 2 * _DAY
_OF_PEERS: Final = ("retries of ", "asked of ")  # single values of a peer, by the number of its row


def maintain(tx: Tx, now: int) -> None:
    """One run. A clock that has jumped deletes nothing at first: only what two runs in a row agree upon
    counts, whether an hour lies between them or the weeks in which the profile was not open.
    """
    last = meta.get(tx, "maintained_at", now)
    meta.put(tx, "maintained_at", now)
    if now < last:
        return
    if now - last > _JUMP:
        now = last  # at least so late it was at both
    incoming.forget(tx, now)
    outgoing.forget(tx, now)
    _end_sessions(tx, now)
    _forget_unknown(tx)
    _end_prekeys(tx, now)
    _end_chains(tx, now)
    _expire_messages(tx, now)


def _end_sessions(tx: Tx, now: int) -> None:
    before = max(0, now - _SESSION_LIFE)
    for (peer,) in tx.all("SELECT DISTINCT peer FROM session WHERE used_at < ?", before):
        for held in list(tx.sessions.of(tx, peer).values()):
            if held.used_at < before:
                tx.sessions.remove(tx, held)
    # By the session, not by its rows alone: one in memory would go on using them.
    for peer, session in tx.all(
        "SELECT DISTINCT session.peer, session.id FROM skipped JOIN session ON session.id = skipped.session"
        " WHERE stored_at < ?",
        before,
    ):
        held = tx.sessions.of(tx, peer)[session]
        tx.sessions.change(msgspec.structs.replace(held, session=held.session.expire(before)))


def _end_prekeys(tx: Tx, now: int) -> None:
    """A replaced private key goes when its time is over and the mailbox has been empty since the successor
    was acknowledged.
    """
    ended = tx.all(
        "SELECT kind, prekey.id FROM prekey JOIN server ON server.host = prekey.host"
        " WHERE replaced_at < ? AND drained_at > replaced_at",
        now - _KEPT_KEYS,
    )
    for kind, prekey_id in ended:
        tx.execute("DELETE FROM prekey WHERE kind = ? AND id = ?", kind, prekey_id)
    # On a server that was left, nothing is ever replaced: there the others go as one-time keys do.
    tx.execute(
        "DELETE FROM prekey WHERE made_at < ? AND (kind IN (?, ?) OR host IS NOT ?)",
        now - _ONE_TIME_LIFE, PrekeyKind.ONE_TIME.value, PrekeyKind.KEM_ONE_TIME.value,
        meta.get(tx, "server"),
    )  # fmt: skip
    prekeys.forget_seen(tx)


def _end_chains(tx: Tx, now: int) -> None:
    """What was sent under an older chain is there for the messages' life; then nobody needs the chain."""
    server = meta.current_server(tx)
    life = meta.MESSAGE_TTL if server is None else server.message_ttl
    chains.forget(tx, now, max(life, _CHAIN_LIFE))
    posts.forget_handouts(tx, now - _CHAIN_LIFE)
    channels.forget_secrets(tx, now - _CHAIN_LIFE)


def _expire_messages(tx: Tx, now: int) -> None:
    server = meta.current_server(tx)
    life = meta.MESSAGE_TTL if server is None else server.message_ttl
    days = max(1, life // _DAY)
    late = f"It could not be sent within {days} days; send it again if it still matters."
    for post in posts.expired(tx, now - life):
        posts.drop(tx, post.id)
        if post.payload is not None:
            chains.drop_own(tx, post.channel)  # nobody knows whether it was taken
        messages.set_state(tx, post.message, "expired", "expired", late)
    for row in outgoing.expired(tx, now - life):
        outgoing.drop(tx, row.id)
        if row.message is None:
            incoming.ask_again(tx, row.peer, row.id)
        else:
            messages.set_state(tx, row.message, "expired", "expired", late)


def forget_peer(tx: Tx, peer_id: int) -> None:
    """Delete what is kept of a stranger whom the user does not want to know:

    messages, sessions, what is owed.
    """
    if not channels.is_fellow(tx, peer_id):  # in whose channels the sessions are still needed
        for held in list(tx.sessions.of(tx, peer_id).values()):
            tx.sessions.remove(tx, held)
        for table in ("handout", "handed", "receiver_chain", "gap", "claim", "asked", "spare_secret"):
            tx.execute(f"DELETE FROM {table} WHERE peer = ?", peer_id)  # noqa: S608
        channels.forget_counts(tx, peer_id)
        for name in _OF_PEERS:
            meta.drop(tx, f"{name}{peer_id}")
    tx.execute("DELETE FROM message WHERE peer = ? AND channel IS NULL", peer_id)
    for table in ("outbox", "receipt", "unopened", "signal"):
        tx.execute(f"DELETE FROM {table} WHERE peer = ?", peer_id)  # noqa: S608
    peer = peers.by_id(tx, peer_id)
    drafts.put(tx, peer.key, "")
    peers.update(tx, peer, relation="unknown")


def forget_strangers(tx: Tx) -> None:
    """Let go of strangers who wrote no text, beyond 200 of them.

    Nobody sees them, so nobody could decline them: they must not keep out one who has something to say.
    """
    beyond = peers.unknown_beyond(tx, peers.MAX_UNKNOWN)
    for peer_id in beyond:
        forget_peer(tx, peer_id)
    if beyond:
        _forget_unknown(tx)


def _forget_unknown(tx: Tx) -> None:
    peers.forget_unknown(tx)
    for name in _OF_PEERS:  # of somebody who has left the last channel, say
        tx.execute(
            "DELETE FROM meta WHERE name GLOB ?"
            " AND CAST(substr(name, ?) AS INTEGER) NOT IN (SELECT id FROM peer)",
            f"{name}*", len(name) + 1,
        )  # fmt: skip
