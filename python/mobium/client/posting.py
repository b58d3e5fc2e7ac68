"""The one rule for sending to a channel, inside a transaction (docs/CRYPTO.md section 6).

The roster is verified to its newest known head; there is a chain that nobody who left has; every member was
handed it; then the message is encrypted, and stored with what it decided before it leaves. Not its concern:
the network, and who is next (`mobium.client.postbox`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Final

import msgspec

from mobium.client import chains as making
from mobium.client import direct
from mobium.client.entries import own_taken, pass_own
from mobium.client.lanes import PASSING
from mobium.client.rosters import Entropy, roster_of
from mobium.client.store import chains, channels, messages, meta, outgoing, peers, posts
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.client.store.outgoing import Sent
from mobium.client.store.peers import Peer
from mobium.client.store.posts import Handout, Post
from mobium.crypto.group import SenderKey
from mobium.crypto.identity import Identity
from mobium.protocol import content, limits
from mobium.protocol.codes import ErrorCode, explain, sentence
from mobium.protocol.content import ChannelText
from mobium.protocol.content import Distribution as DistributionContent
from mobium.protocol.messages import Accepted, ChannelPost, Distribute, Distribution, Error
from mobium.protocol.roster import Roster

__all__ = ["Prepared", "Sender", "prepare", "settle"]

_KEPT: Final = PASSING | {ErrorCode.STALE_ROSTER}  # refusals after which a sender key goes out again
_REST: Final = 512  # bytes of a batch that are no payloads
_BEGINNINGS: Final = 64  # sessions that are begun at once for one channel
_WAITING: Final = 4_000  # sender keys that are looked at; there are not many more than members
_HANDOUT_PAUSE: Final = 60  # seconds after which a member whose mailbox is full is tried again


class Prepared(msgspec.Struct):
    """What may go out now, one frame for each channel; whose bundles are needed; which rosters are behind."""

    ready: list[tuple[int, int, ChannelPost | Distribute]] = []
    """(row, channel, frame)"""
    without_session: list[Peer] = []
    behind: list[int] = []
    failed: int = 0


class Sender(msgspec.Struct, frozen=True):
    """Who sends, to which server, and what it takes."""

    identity: Identity
    host: str
    message_size: int
    now_ms: int
    entropy: Entropy

    @property
    def now(self) -> int:
        """Unix seconds."""
        return self.now_ms // 1000


def prepare(tx: Tx, sender: Sender, busy: Collection[int]) -> Prepared:
    """The next frame of every channel that is not busy, encrypted and stored."""
    prepared = Prepared()
    for channel in posts.with_work(tx, sender.host, busy, sender.now):
        row = channels.by_id(tx, channel)
        roster = roster_of(tx, row)
        if roster.role(sender.identity.public) is None:
            continue  # what waits is told when the entries up to the departure were read
        if row.server_index > roster.index or channels.claims(tx, channel):
            prepared.behind.append(channel)  # nothing leaves before the newest known head is verified
            continue
        frame = _next_frame(tx, sender, row, roster, prepared)
        if frame is not None:
            prepared.ready.append(frame)
    return prepared


def _next_frame(
    tx: Tx, sender: Sender, row: ChannelRow, roster: Roster, prepared: Prepared
) -> tuple[int, int, ChannelPost | Distribute] | None:
    unanswered = posts.batches(tx, row.id, sender.now)
    if unanswered:
        delivery, handouts = unanswered[0]
        return handouts[0].id, row.id, _batch(tx, row, delivery, handouts)
    asked = _hand_out(tx, sender, row, prepared)
    if asked is not None:
        return asked
    post = _first(tx, sender, row, prepared)
    if post is None:
        return None
    if post.payload is not None and post.delivery is not None:
        if post.index >= roster.last_departure:
            return post.id, row.id, ChannelPost(post.delivery, row.key, post.index, post.payload)
        if row.cursor_index < roster.last_departure:
            return None  # whether the server took it before that stands in the entries that are to come
        # It did not. Whoever has left could read this if a server kept it for him.
        posts.unseal(tx, post.id)
        chains.move_own(tx, row.id, None)
    chain = making.own_chain(tx, sender.identity.public, row, roster, sender.now)
    missing = chains.unhanded(tx, row.id, sender.now)
    batch = _distribute(tx, sender, row, chain, missing)
    if batch is not None:
        return batch
    if missing:  # nobody is left with a session: the others get the chain when they have one, or are left out
        prepared.without_session += [peers.by_id(tx, peer) for peer in missing[:_BEGINNINGS]]
        return None
    return _seal(tx, sender, row, roster, chain, post)


def _first(tx: Tx, sender: Sender, row: ChannelRow, prepared: Prepared) -> Post | None:
    """The message that is next; one that this server never takes fails here."""
    while (post := posts.first(tx, row.id)) is not None:
        if post.payload is not None:
            fits = limits.channel_payload_ok(len(post.payload), sender.message_size)
        else:
            plaintext = _plaintext(tx, post, roster_of(tx, row))
            fits = plaintext is not None and len(plaintext) <= limits.largest_content(sender.message_size)
        if fits:
            return post
        prepared.failed += 1
        posts.drop(tx, post.id)
        chains.drop_own(tx, row.id)
        messages.set_state(tx, post.message, "failed", ErrorCode.TOO_LARGE, sentence(ErrorCode.TOO_LARGE))
    return None


def _plaintext(tx: Tx, post: Post, roster: Roster) -> bytes | None:
    row = tx.one("SELECT content, sent_ms, text FROM message WHERE id = ?", post.message)
    if row is None:
        return None
    content_id, sent_ms, text = row
    return content.encode(ChannelText(content_id, sent_ms, text, (roster.index, roster.head)))


def _seal(
    tx: Tx, sender: Sender, row: ChannelRow, roster: Roster, chain: SenderKey, post: Post
) -> tuple[int, int, ChannelPost]:
    plaintext = _plaintext(tx, post, roster)
    assert plaintext is not None
    payload, following = chain.encrypt(plaintext)
    chains.move_own(tx, row.id, following.to_bytes())
    delivery = sender.entropy(limits.DELIVERY_ID_SIZE)
    posts.seal(tx, post.id, delivery, roster.index, payload)
    return post.id, row.id, ChannelPost(delivery, row.key, roster.index, payload)


# ---------------------------------------------------------------- sender keys


def _distribute(
    tx: Tx, sender: Sender, row: ChannelRow, chain: SenderKey, missing: list[int]
) -> tuple[int, int, Distribute] | None:
    """Hand the chain to as many members as one frame holds, of those with whom there is a session."""
    if not missing:
        return None
    data = chain.distribution(meta.own_name(tx))
    chosen: list[Peer] = []
    room = _room(sender)
    met = {peer for (peer,) in tx.all("SELECT DISTINCT peer FROM session")}  # so that few rows are looked at
    for peer in (peers.by_id(tx, number) for number in missing if number in met):
        if len(chosen) == room:
            break
        if direct.active(tx, peer, sender.now) is not None:
            chosen.append(peer)
    if not chosen:
        return None
    for peer in chosen:
        given = DistributionContent(sender.entropy(16), sender.now_ms, data)
        posts.add_handout(tx, row.id, peer.id, content.encode(given), sender.now)
    chains.hand(tx, row.id, [peer.id for peer in chosen])
    # Others may wait who have no session yet, because they have asked.
    waiting = posts.open_handouts(tx, row.id, sender.now, _WAITING)
    meant = {peer.id for peer in chosen}
    return _seal_handouts(tx, sender, row, [handout for handout in waiting if handout.peer in meant][:room])


def _hand_out(
    tx: Tx, sender: Sender, row: ChannelRow, prepared: Prepared
) -> tuple[int, int, Distribute] | None:
    """Sender keys that members have asked for."""
    waiting = posts.open_handouts(tx, row.id, sender.now, _room(sender))
    ready = []
    for handout in waiting:
        peer = peers.by_id(tx, handout.peer)
        if not roster_of(tx, row).role(peer.ed):
            posts.drop_handouts(tx, [handout.id])
        elif direct.active(tx, peer, sender.now) is None:
            prepared.without_session.append(peer)
        else:
            ready.append(handout)
    return _seal_handouts(tx, sender, row, ready) if ready else None


def _seal_handouts(
    tx: Tx, sender: Sender, row: ChannelRow, handouts: list[Handout]
) -> tuple[int, int, Distribute]:
    delivery = sender.entropy(limits.DELIVERY_ID_SIZE)
    for handout in handouts:
        peer = peers.by_id(tx, handout.peer)
        session = direct.active(tx, peer, sender.now)
        assert session is not None
        assert handout.plaintext is not None
        payload = direct.encrypt(tx, session, handout.plaintext, sender.now)
        posts.seal_handout(tx, handout.id, delivery, payload)
        sent = Sent(peer.id, session.id, None, handout.plaintext, row.id)
        outgoing.note_sent(tx, hashlib.sha256(payload).digest(), sent, sender.now)
    return handouts[0].id, row.id, _batch(tx, row, delivery, posts.handed_out(tx, delivery))


def _batch(tx: Tx, row: ChannelRow, delivery: bytes, handouts: list[Handout]) -> Distribute:
    parts = [
        Distribution(peers.by_id(tx, handout.peer).ed, handout.payload)
        for handout in handouts
        if handout.payload is not None
    ]
    return Distribute(delivery, row.key, parts)


def _room(sender: Sender) -> int:
    """How many sender keys a frame to this server holds, even in first messages."""
    largest = limits.BUCKET_SIZES[0] + limits.PREKEY_OVERHEAD + 64
    fits = (sender.message_size + limits.FRAME_OVERHEAD - _REST) // largest
    return max(1, min(limits.DISTRIBUTION_BATCH, fits))


# ---------------------------------------------------------------- answers


def settle(tx: Tx, answers: Collection[tuple[bytes, Accepted | Error]], now: int) -> set[int]:
    """Store what the server has answered; returns the channels whose roster it calls stale."""
    stale: set[int] = set()
    for delivery, answer in answers:
        post = posts.by_delivery(tx, delivery)
        if post is not None:
            _settle_post(tx, post, answer, stale, now)
        for handout in posts.handed_out(tx, delivery):
            _settle_handout(tx, handout, answer, now, stale)
    return stale


def _settle_post(tx: Tx, post: Post, answer: Accepted | Error, stale: set[int], now: int) -> None:
    if isinstance(answer, Accepted):
        number = answer.number
        own_taken(tx, post.channel, post, number, now)
        row = channels.by_id(tx, post.channel)
        if number is None:
            return  # it was taken so long ago that its entry has expired
        pass_own(tx, channels.update(tx, row.id, head=max(row.head, number)))
        return
    code = answer.code
    if code in (ErrorCode.STALE_ROSTER, ErrorCode.NOT_A_MEMBER):
        stale.add(post.channel)
    if code == ErrorCode.STALE_ROSTER:
        # There is a newer statement, then, and nothing leaves before it was seen.
        row = channels.by_id(tx, post.channel)
        channels.update(tx, row.id, server_index=max(row.server_index, post.index + 1))
        # Somebody has come or gone: it is encrypted anew for who is in now. The number of the chain is used
        # again, under another salt, since nobody was shown what was refused.
        posts.unseal(tx, post.id)
        chains.move_own(tx, post.channel, None)
    elif code not in PASSING:
        posts.drop(tx, post.id)
        # The server has the ciphertext all the same: nobody who comes later may get the key of its number.
        chains.drop_own(tx, post.channel)
        messages.set_state(tx, post.message, "failed", code, explain(code))
    elif code == ErrorCode.QUEUE_FULL:
        messages.set_state(tx, post.message, "queued", code, explain(code))


def _settle_handout(tx: Tx, handout: Handout, answer: Accepted | Error, now: int, stale: set[int]) -> None:
    if isinstance(answer, Accepted):
        peer = peers.find(tx, handout.peer)
        failed = {each.recipient: each.code for each in answer.failed}
        code = "" if peer is None else failed.get(peer.ed, "")
    else:
        code = answer.code
    if code == ErrorCode.NOT_A_MEMBER:
        stale.add(handout.channel)
    if not code:
        posts.drop_handouts(tx, [handout.id])
    elif code in _KEPT:
        if isinstance(answer, Accepted):  # the others are served; this one must not hold up the channel
            posts.delay_handout(tx, handout.id, now + _HANDOUT_PAUSE)
    else:
        posts.drop_handouts(tx, [handout.id])
        chains.unhand(tx, handout.channel, handout.peer, now)
