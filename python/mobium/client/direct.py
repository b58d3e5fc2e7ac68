"""Sessions with one peer inside a transaction: which one encrypts, which one opens, which ones go
(docs/CRYPTO.md section 3).

Every function here computes on values and changes nothing before it has verified; the transaction that called
it commits the next state together with what was decided. Not its concern: what a content means
(`mobium.client.receive`), and the network.
"""

from __future__ import annotations

from typing import Final

import msgspec

from mobium.client.store import messages, peers, prekeys
from mobium.client.store.cache import Held
from mobium.client.store.database import Tx
from mobium.client.store.peers import Peer
from mobium.crypto.identity import Identity
from mobium.crypto.pqxdh import check_sender, read_header
from mobium.crypto.prekeys import Bundle
from mobium.crypto.session import Session
from mobium.errors import DecryptError, IdentityChanged, Invalid

__all__ = ["Opened", "active", "begin", "encrypt", "open_payload", "retire"]

_MAX_SESSIONS: Final = 5  # with one peer
# The peer deletes a replaced signed prekey after 14 days; a session that nobody answered until shortly before
# would soon be one that nobody can.
_UNANSWERED_LIFE: Final = 10 * 86_400


class Opened(msgspec.Struct, frozen=True):
    """A payload's plaintext, and the session that opened it."""

    plaintext: bytes
    peer: Peer
    held: Held


def active(tx: Tx, peer: Peer, now: int) -> Held | None:
    """The session in which to send to a peer, if there is one."""
    usable = [
        held
        for held in tx.sessions.of(tx, peer.id).values()
        if not held.receive_only
        and not (held.session.unanswered and not 0 <= now - held.made_at < _UNANSWERED_LIFE)
    ]
    return max(usable, key=lambda held: held.rank, default=None)


def encrypt(tx: Tx, held: Held, plaintext: bytes, now: int) -> bytes:
    """The payload for a plaintext in that session. Raises PaddingError above the largest bucket."""
    payload, session = held.session.encrypt(plaintext)
    tx.sessions.change(msgspec.structs.replace(held, session=session, used_at=now))
    return payload


def begin(tx: Tx, identity: Identity, peer: Peer, bundle: Bundle, now: int) -> Held:
    """A new session with a peer, which becomes the active one.

    Raises IdentityChanged if the bundle has another X25519 key than the pinned one, CryptoError if it is
    refused.
    """
    session = Session.initiate(identity, bundle, pinned_x=peer.x, now=now)
    if peer.x is None:
        peers.update(tx, peer, x=bundle.x_public)
    held = tx.sessions.add(
        tx, peer.id, session, receive_only=False, rank=_next_rank(tx, peer), now=now, after=0
    )
    _prune(tx, peer, held)
    return held


def open_payload(
    tx: Tx, identity: Identity, sender: bytes, peer: Peer | None, payload: bytes, now: int
) -> Opened:
    """Open what `sender` (32 bytes) sent. A sender not met before becomes a peer of no relation yet.

    Raises IdentityChanged for a validly bound other X25519 key, or a CryptoError: then nothing has changed.
    """
    if payload[:1] == b"\x02":
        return _open_prekey_message(tx, identity, sender, peer, payload, now)
    if payload[:1] != b"\x01":
        raise Invalid("This payload is of no known kind.")
    if peer is None:
        raise _no_session()
    return _open_in_any(tx, peer, payload, now)


def _open_in_any(tx: Tx, peer: Peer, payload: bytes, now: int) -> Opened:
    held_sessions = tx.sessions.of(tx, peer.id).values()
    refused: DecryptError | None = None
    for held in sorted(held_sessions, key=lambda held: (not held.session.knows(payload), -held.rank)):
        try:
            return _open_in(tx, peer, held, payload, now)
        except DecryptError as error:
            # What the session that knows the key says is the reason; the others can only say that it is none
            # of theirs.
            refused = refused or error
    raise refused or _no_session()


def _no_session() -> Invalid:
    return Invalid("There is no session with this sender.")


def _open_in(tx: Tx, peer: Peer, held: Held, payload: bytes, now: int) -> Opened:
    plaintext, session = held.session.decrypt(payload, now=now)
    added, _ = session.changes(held.session)
    if added:
        after = messages.last_position(tx, peer.id)
        for record in added:
            tx.sessions.place(held, record, after)
    highest = max(other.rank for other in tx.sessions.of(tx, peer.id).values())
    rank = held.rank if held.receive_only or held.rank == highest else highest + 1
    advanced = msgspec.structs.replace(held, session=session, rank=rank, used_at=now)
    tx.sessions.change(advanced)
    return Opened(plaintext, peer, advanced)


def _open_prekey_message(
    tx: Tx, identity: Identity, sender: bytes, peer: Peer | None, payload: bytes, now: int
) -> Opened:
    header = read_header(payload)
    pinned = None if peer is None else peer.x
    check_sender(identity, header, sender=sender, pinned_x=pinned)
    if peer is not None:
        for held in tx.sessions.of(tx, peer.id).values():
            if held.session.handshake == header.handshake:
                return _open_in(tx, peer, held, payload, now)
        if peer.trust == "changed" and peer.offered_x is not None:
            raise IdentityChanged(sender, peer.offered_x)
    if prekeys.is_seen(tx, header.handshake):
        raise Invalid("This handshake was used before.")
    plaintext, session, used = Session.accept(
        identity, prekeys.StoredPrekeys(tx), payload, sender=sender, pinned_x=pinned, now=now
    )
    if peer is None:
        peer = peers.add(tx, sender, "unknown", now)
    if peer.x is None:
        peer = peers.update(tx, peer, x=header.x)
    prekeys.delete_used(tx, used)
    prekeys.note_seen(tx, header.handshake)
    return Opened(plaintext, peer, _admit(tx, identity, peer, session, now))


def _admit(tx: Tx, identity: Identity, peer: Peer, session: Session, now: int) -> Held:
    """Store a session that the peer began, and decide which one stays if both began one at the same time."""
    mine = [
        held
        for held in tx.sessions.of(tx, peer.id).values()
        if held.session.unanswered and not held.receive_only
    ]
    stays_mine = bool(mine) and identity.public < peer.ed
    if not stays_mine:
        for held in mine:
            tx.sessions.change(msgspec.structs.replace(held, receive_only=True))
    held = tx.sessions.add(
        tx,
        peer.id,
        session,
        receive_only=stays_mine,
        rank=_next_rank(tx, peer),
        now=now,
        after=messages.last_position(tx, peer.id),
    )
    _prune(tx, peer, held)
    return held


def retire(tx: Tx, peer: Peer, named: set[int], came_in: Held) -> None:
    """The peer says, in the session `came_in`, that it cannot open what was sent in the sessions `named`.

    They send no more. If that leaves none to send in, the one in which the peer said so takes their place:
    without this rule, somebody who began a session, lost it, and begins another one would have the other side
    go on in the one that only that side still has.
    """
    held_sessions = tx.sessions.of(tx, peer.id)
    for held in list(held_sessions.values()):
        if held.id in named and held.id != came_in.id and not held.receive_only:
            tx.sessions.change(msgspec.structs.replace(held, receive_only=True))
    if all(held.receive_only for held in held_sessions.values()):
        tx.sessions.change(msgspec.structs.replace(held_sessions[came_in.id], receive_only=False))


def _next_rank(tx: Tx, peer: Peer) -> int:
    return 1 + max((held.rank for held in tx.sessions.of(tx, peer.id).values()), default=0)


def _prune(tx: Tx, peer: Peer, newest: Held) -> None:
    """Delete the sessions beyond 5 that were used longest ago; never the newest."""
    others = [held for held in tx.sessions.of(tx, peer.id).values() if held.id != newest.id]
    others.sort(key=lambda held: (held.used_at, held.rank), reverse=True)
    for held in others[_MAX_SESSIONS - 1 :]:
        tx.sessions.remove(tx, held)
