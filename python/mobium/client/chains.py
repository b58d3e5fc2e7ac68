"""Sender keys inside a transaction: what opens a channel's messages, and what encrypts one's own
(docs/CRYPTO.md section 6).

Not its concern: where a message stands (`mobium.client.entries`) and when something goes out
(`mobium.client.posting`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from mobium.client.names import MAX_NICKNAME
from mobium.client.rosters import heard_head, roster_of
from mobium.client.store import chains, channels, peers, posts
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.client.store.peers import Peer
from mobium.crypto.group import ReceiverKey, SenderKey, message_head
from mobium.errors import CryptoError, DecryptError, ProtocolError
from mobium.protocol import content
from mobium.protocol.content import ChannelText, Unknown
from mobium.protocol.roster import Roster
from mobium.text import cleaned

__all__ = [
    "Kept",
    "NoChain",
    "Opened",
    "accept_distribution",
    "end_earlier",
    "open_message",
    "own_chain",
    "settled_chain",
    "sift_early",
    "withhold_chains",
]

_LONGEST: Final = 1_000  # messages of one chain
_LIFE: Final = 7 * 86_400  # seconds that one's own chain serves
# Chains of people of whom the roster does not know yet. Whoever was away reads his mailbox first, and each
# departure meanwhile has made another one of everybody.
_EARLY: Final = 1_000


class NoChain(DecryptError):
    """The chain of this message has not arrived, or no further back than behind it. `key_id` names it."""

    def __init__(self, key_id: int) -> None:
        super().__init__("The sender key of this message has not arrived yet.")
        self.key_id = key_id


class Opened(msgspec.Struct, frozen=True):
    """A message's content, its place in its chain, and the iterations before it that did not come; `late` if
    one that was written after it came before it.
    """

    key_id: int
    iteration: int
    missing: range
    late: bool
    content: ChannelText | Unknown


def open_message(tx: Tx, row: ChannelRow, peer: Peer, payload: bytes, now: int) -> Opened:
    """Open a channel message of a peer, and store the chain's next state.

    Raises NoChain or another DecryptError, after which nothing has changed, and ProtocolError for what is no
    content though this peer encrypted it.
    """
    key_id, iteration = message_head(payload)
    held = chains.receiver(tx, row.id, peer.id, key_id)
    if held is None or (iteration < held.begins and held.earlier is None):
        raise NoChain(key_id)
    if iteration < held.begins and held.earlier is not None:
        chain = ReceiverKey.from_bytes(held.earlier)
        plaintext, following = chain.decrypt(payload)
        chains.put_earlier(tx, row.id, peer.id, key_id, following.to_bytes())
    else:
        chain = ReceiverKey.from_bytes(held.state)
        plaintext, following = chain.decrypt(payload)
        chains.update_receiver(tx, row.id, peer.id, key_id, following.to_bytes(), now)
    received = content.decode(plaintext, "channel_message")
    if not isinstance(received, ChannelText | Unknown):
        raise ProtocolError("The content came in a frame of another class.")
    late = iteration < chain.iteration
    return Opened(key_id, iteration, range(chain.iteration, iteration), late, received)


class Kept(NamedTuple):
    """A chain that was handed out. `spent`: nothing that is yet to come may be opened with it, since its
    sender or this profile has left; but what waits for it was written before.
    """

    key_id: int
    spent: bool


def accept_distribution(tx: Tx, row: ChannelRow, peer: Peer, data: bytes, now_ms: int) -> Kept | None:
    """Keep the chain that a member hands out, if it is a new one, or goes further back than the one that is
    known: that came as an answer, and this as what was sent first. What is known stays as it is.

    What is no distribution of this channel, or of somebody who is no member as far as he himself can know, is
    passed over. While this profile comes in, the roster is not known yet: then `sift_early` looks later.
    """
    try:
        chain = ReceiverKey.from_distribution(data, row.key, sender=peer.ed)
    except CryptoError:
        return None
    if not channels.is_member(tx, row.id, peer.id) and chains.early(tx, row.id) >= _EARLY:
        return None
    spent = row.state in channels.GONE
    if row.state == "joining":
        channels.note_claim(tx, row.id, peer.id, chain.roster_index, chain.roster_hash)
    else:
        roster = roster_of(tx, row)
        if not _was_in(roster, peer.ed, chain.roster_index):
            return None
        if not spent:
            spent = _is_spent(row, roster, peer.ed, chain.roster_index)
            heard_head(tx, row, peer.id, chain.roster_index, chain.roster_hash, now_ms)
        elif chain.roster_index >= row.cursor_index:
            return None  # it was made after this profile left
        if chain.roster_index <= roster.index and roster.heads[chain.roster_index] != chain.roster_hash:
            return None
    known = chains.receiver(tx, row.id, peer.id, chain.key_id) is not None
    if not chains.add_receiver(
        tx, row.id, peer.id, chain.key_id, chain.to_bytes(), chain.iteration, chain.roster_index,
        now_ms // 1000,
    ):  # fmt: skip
        return None
    if not known and (name := cleaned(chain.nickname)[:MAX_NICKNAME]):
        channels.name_member(tx, row.id, peer.id, name)
    return Kept(chain.key_id, spent)


def end_earlier(tx: Tx, row: ChannelRow, peer: Peer, key_id: int) -> None:
    """What waited for a chain was opened. What it was before it came is needed no more once it was used: then
    everything before it was read, and whoever steals the disk could open all of it again.
    """
    held = chains.receiver(tx, row.id, peer.id, key_id)
    if held is None or held.earlier is None:
        return
    if ReceiverKey.from_bytes(held.state).iteration > held.begins:
        chains.put_earlier(tx, row.id, peer.id, key_id, None)


def sift_early(tx: Tx, row: ChannelRow, roster: Roster) -> None:
    """The roster of a channel is known now: let go of the chains that came before, of those who could not
    hand out any.
    """
    for peer_id, key_id, index in chains.every_receiver(tx, row.id):
        peer = peers.find(tx, peer_id)
        ed = b"" if peer is None else peer.ed  # a stranger who was forgotten meanwhile was no member
        if not _was_in(roster, ed, index) or _is_spent(row, roster, ed, index):
            chains.drop_receiver(tx, row.id, peer_id, key_id)


def _was_in(roster: Roster, ed: bytes, index: int) -> bool:
    """Whether somebody was a member at the index of a chain, as far as it is known here."""
    return index > roster.index or roster.was_member(ed, index)


def _is_spent(row: ChannelRow, roster: Roster, ed: bytes, index: int) -> bool:
    """Whether somebody has left since the index of a chain, where this profile reads: what he sends under it
    from there on is refused.
    """
    departed = roster.departed(ed)
    return departed is not None and index < departed <= row.cursor_index


def own_chain(tx: Tx, me: bytes, row: ChannelRow, roster: Roster, now: int) -> SenderKey:
    """One's own chain for the next message: a new one if there is none, it is used up or old, or somebody has
    left since it was made.
    """
    held = chains.own(tx, row.id)
    if held is not None:
        chain = SenderKey.from_bytes(held.state)
        if (
            chain.iteration < _LONGEST
            and 0 <= now - held.made_at < _LIFE
            and roster.last_departure <= chain.roster_index
            and chain.sender == me
        ):
            return chain
    chain = SenderKey.create(row.key, me, roster.index, roster.head)
    chains.put_own(tx, row.id, chain.to_bytes(), now)
    return chain


def settled_chain(tx: Tx, row: ChannelRow) -> SenderKey | None:
    """One's own chain, before a message that is under way; None if there is none, or it is used up."""
    held = chains.own(tx, row.id)
    chain = None if held is None else SenderKey.from_bytes(held.state)
    return chain if chain is not None and chain.iteration < _LONGEST else None


def withhold_chains(tx: Tx, peer: int) -> None:
    """One's own chains that were on their way to somebody are not to reach him; should he get any again, it
    is with the next message.
    """
    for channel in posts.drop_handouts_to(tx, peer):
        chains.take_back(tx, channel, peer)
