"""One batch of deliveries in one transaction: open, decide, store (docs/PROTOCOL.md, Delivery 6;
docs/CRYPTO.md section 3).

Nothing here fails for what a sender or a server sends: what cannot be opened is recorded, and what follows is
handled. Not its concern: the connection, and acknowledging, which comes after the commit
(`mobium.client.inbox`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from mobium.client import channel_contents, direct
from mobium.client.direct import Opened
from mobium.client.entries import Setting
from mobium.client.events import ContactKeyChanged, MessageReceived, from_ms
from mobium.client.maintenance import forget_strangers
from mobium.client.store import channels, incoming, messages, meta, outgoing, peers, posts
from mobium.client.store.database import Tx
from mobium.client.store.peers import Peer
from mobium.crypto.identity import Identity
from mobium.errors import CryptoError, IdentityChanged, ProtocolError
from mobium.protocol import content
from mobium.protocol.content import Distribution, Receipt, Retry, Signals, Text, Unknown
from mobium.protocol.limits import KEY_SIZE

__all__ = ["OTHER_FRAME", "RECOVERY_TIME", "Arrival", "is_stored", "note_refused", "receive"]

RECOVERY_TIME: Final = 30 * 86_400  # seconds after a recovery in which old peers are asked to send again
# By an honest server this cannot be. Opened as it is, it would be gone without a trace.
OTHER_FRAME: Final = "it came in another frame than it was sent in"
_CLASSES: Final = ("message", "sender_key_distribution")
_MAX_OF_REQUEST: Final = 200  # messages of one stranger before the user has answered
_MAX_BYTES_OF_REQUEST: Final = 4 << 20  # and their text, lest fifty strangers fill a disk
# Fewer retries of one peer than this are honoured in an hour. An honest one asks seven times at most; another
# one could have everything that was sent to it sent again for ever.
_MAX_RETRIES: Final = 8


class Arrival(msgspec.Struct, frozen=True):
    """A delivery: who sent it, the payload, and for a distribution the channel that it is for."""

    sender: bytes
    payload: bytes
    channel: bytes | None = None


def receive(
    tx: Tx,
    identity: Identity,
    arrivals: Sequence[Arrival],
    now_ms: int,
    entropy: Callable[[int], bytes] = os.urandom,
) -> bool:
    """Handle arrivals in order; returns whether somebody's identity key has changed."""
    setting = Setting(identity, now_ms, entropy)
    for arrival in arrivals:
        _receive_one(tx, setting, arrival)
    return any(isinstance(event, ContactKeyChanged) for event in tx.events)


def note_refused(tx: Tx, identity: Identity, arrival: Arrival, now: int) -> None:
    """Record an arrival that could not be stored, as one that could not be opened."""
    peer, digest = peers.by_key(tx, arrival.sender), hashlib.sha256(arrival.payload).digest()
    if peer is None and arrival.sender != identity.public:  # to be asked, should he become a contact
        peer = peers.add(tx, arrival.sender, "unknown", now)
    incoming.note_unopened(tx, digest, None if peer is None else peer.id, "it could not be stored", now)
    forget_strangers(tx)


def _receive_one(tx: Tx, setting: Setting, arrival: Arrival) -> None:
    identity, sender, payload = setting.identity, arrival.sender, arrival.payload
    now = setting.now_ms // 1000
    digest = hashlib.sha256(payload).digest()
    if incoming.was_opened(tx, digest):
        return
    peer = peers.by_key(tx, sender)
    if peer is not None and peer.blocked:
        return
    full = _stranger_limit(tx, peer)
    if full and not _is_fellow(tx, peer):  # whose sender keys must come through; a text is turned away below
        _turn_away(tx, identity, sender, peer, digest, full, now)
        return
    try:
        opened = direct.open_payload(tx, identity, sender, peer, payload, now)
    except IdentityChanged as error:
        if peer is not None:
            peers.offer_x(tx, peer, error.x_public)
            incoming.note_unopened(tx, digest, peer.id, "the identity key has changed", now)
    except CryptoError as error:
        known = _recovering(tx, identity, sender, peer, now)
        incoming.note_unopened(tx, digest, None if known is None else known.id, str(error), now)
    else:
        incoming.note_opened(tx, digest, now)
        reason = _dispatch(tx, setting, opened, arrival.channel, full)
        if reason and reason == full:
            _turn_away(tx, identity, sender, opened.peer, digest, full, now)
        elif reason:
            incoming.note_unopened(tx, digest, opened.peer.id, reason, now)
    if peer is None:
        forget_strangers(tx)


def _stranger_limit(tx: Tx, peer: Peer | None) -> str:
    """Why a stranger's message is not taken, or nothing."""
    if peer is None or peer.relation == "unknown":
        if peers.waiting(tx, "request") >= peers.MAX_REQUESTS:
            return incoming.TOO_MANY_REQUESTS
    elif peer.relation == "request":
        number, size = messages.held(tx, peer.id)
        if number >= _MAX_OF_REQUEST or size >= _MAX_BYTES_OF_REQUEST:
            return incoming.TOO_MANY_MESSAGES
    return ""


def _is_fellow(tx: Tx, peer: Peer | None) -> bool:
    return peer is not None and channels.is_fellow(tx, peer.id)


def _turn_away(
    tx: Tx, identity: Identity, sender: bytes, peer: Peer | None, digest: bytes, reason: str, now: int
) -> None:
    """Note a payload for which there is no room together with its sender: it is asked for when the user makes
    that sender a contact, and not before, since a stranger gets no sign of life.

    A server can invent senders. They count among the strangers who have sent no text.
    """
    if peer is None and sender != identity.public:
        peer = peers.add(tx, sender, "unknown", now)
    known = None if peer is None else peer.id
    incoming.note_unopened(tx, digest, known, reason, now, keep=_MAX_OF_REQUEST)
    forget_strangers(tx)


def _recovering(tx: Tx, identity: Identity, sender: bytes, peer: Peer | None, now: int) -> Peer | None:
    """The peer to note an unopened payload for.

    An identity recovered on an empty machine knows nobody, while old peers go on in sessions, and with
    prekeys, that are lost: for 30 days such a sender is noted as one who may be asked once to send again.
    """
    if peer is not None or now >= meta.get(tx, "recovered_at", 0) + RECOVERY_TIME:
        return peer
    if sender == identity.public:
        return None
    return peers.add(tx, sender, "unknown", now)


def _dispatch(tx: Tx, setting: Setting, opened: Opened, channel: bytes | None, full: str) -> str:
    """Act on a content, and return nothing; or why nothing was done. `full` says why no text is shown."""
    peer, now_ms = opened.peer, setting.now_ms
    here, elsewhere = _CLASSES if channel is None else _CLASSES[::-1]
    try:
        received = content.decode(opened.plaintext, here)
    except ProtocolError:
        # This peer encrypted it. If it is no content, there is nothing to show, and nothing to ask for.
        return OTHER_FRAME if _is_content(opened.plaintext, elsewhere) else ""
    if full and isinstance(received, Text | Unknown):
        return full
    if channel is not None:
        if isinstance(received, Distribution):
            if received.data[1 : 1 + KEY_SIZE] != channel:
                return OTHER_FRAME  # it names its channel itself
            channel_contents.take_distribution(tx, setting, peer, channel, received)
    elif isinstance(received, Text):
        _show(tx, peer, received.id, "text", received.text, received.sent, now_ms)
    elif isinstance(received, Unknown):
        _show(tx, peer, received.id, "unknown", received.kind, received.sent, now_ms)
    elif isinstance(received, Receipt):
        _take_receipt(tx, peer, received)
    elif isinstance(received, Retry):
        _send_again(tx, peer, received, opened, now_ms // 1000)
    elif isinstance(received, Signals):
        tx.sessions.void(tx, peer.id, received.keys)
    elif isinstance(received, channel_contents.About):
        channel_contents.take(tx, setting, peer, received)
    return ""


def is_stored(plaintext: bytes) -> bool:
    """Whether a plaintext is a content that a server keeps until it is received, which no signal is."""
    return any(_is_content(plaintext, each) for each in _CLASSES)


def _is_content(plaintext: bytes, delivery_class: str) -> bool:
    try:
        content.decode(plaintext, delivery_class)
    except ProtocolError:
        return False
    return True


def _show(tx: Tx, peer: Peer, content_id: bytes, kind: str, text: str, sent_ms: int, now_ms: int) -> None:
    if not incoming.first_time(tx, peer.id, content_id, now_ms // 1000):
        return
    if peer.relation == "unknown":
        peer = peers.update(tx, peer, relation="request")
    messages.add_incoming(tx, peer.id, content_id, kind, text, sent_ms, now_ms)
    request = peer.relation != "contact"
    if not request and kind == "text":
        incoming.owe_receipt(tx, peer.id, content_id, "delivered", now_ms // 1000)
    shown = text if kind == "text" else None
    tx.emit(MessageReceived(content_id.hex(), peer.key, None, shown, from_ms(sent_ms), request))


def _take_receipt(tx: Tx, peer: Peer, receipt: Receipt) -> None:
    for content_id in receipt.ids:
        message = messages.find_outgoing(tx, content_id, peer.id)
        if message is not None:
            messages.set_state(tx, message.position, "read" if receipt.what == "read" else "delivered")


def _send_again(tx: Tx, peer: Peer, retry: Retry, opened: Opened, now: int) -> None:
    """Queue the contents of payloads that the peer could not open, under their old content ids."""
    if not _may_ask(tx, peer, now):
        return
    found = [outgoing.take_sent(tx, digest, peer.id, now) for digest in retry.hashes]
    asked = [sent for sent in found if sent is not None]
    for sent in sorted(asked, key=lambda sent: sent.message or 0):  # as they were written
        if sent.message is None and sent.plaintext is None:
            incoming.ask_again(tx, peer.id)
            continue
        plaintext = sent.plaintext if sent.message is None else messages.plaintext(tx, sent.message)
        if plaintext is None:
            continue
        if sent.channel is not None and _is_content(plaintext, _CLASSES[1]):
            posts.add_handout(tx, sent.channel, peer.id, plaintext, now)
        else:
            outgoing.add(tx, peer.id, plaintext, sent.message, now, channel=sent.channel)
    named = {sent.session for sent in asked}
    if len(asked) < len(found):
        # Of signals nobody knows any more in which session they went: no session counts that was never
        # answered.
        named |= {held.id for held in tx.sessions.of(tx, peer.id).values() if held.session.unanswered}
    if named:
        direct.retire(tx, peer, named, opened.held)


def _may_ask(tx: Tx, peer: Peer, now: int) -> bool:
    """Whether a peer has asked rarely enough in this hour; counts this time."""
    name, hour = f"retries of {peer.id}", now // 3_600
    last, count = divmod(meta.get(tx, name, 0), _MAX_RETRIES)
    count = count + 1 if last == hour else 1
    if count >= _MAX_RETRIES:
        return False
    meta.put(tx, name, hour * _MAX_RETRIES + count)
    return True
