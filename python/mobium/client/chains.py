"""Sender keys inside a transaction: what opens a channel's messages, and what encrypts one's own
(docs/CRYPTO.md section 6).

Not its concern: where a message stands (`mobium.client.entries`) and when something goes out
(`mobium.client.posting`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from mobium.client.rosters import heard_head, roster_of
from mobium.client.store import chains, channels
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.client.store.peers import Peer
from mobium.crypto.group import ReceiverKey, SenderKey, message_head
from mobium.errors import CryptoError, DecryptError, ProtocolError
from mobium.protocol import content
from mobium.protocol.content import ChannelText, Unknown
from mobium.protocol.roster import Roster
from mobium.text import cleaned

__all__ = ["NoChain", "Opened", "accept_distribution", "distribution", "open_message", "own_chain"]

_LONGEST: Final = 1_000  # messages of one chain
_LIFE: Final = 7 * 86_400  # seconds that one's own chain serves
_LONGEST_NAME: Final = 64  # code points of what a member calls itself


class NoChain(DecryptError):
    """The chain of this message has not arrived. `key_id` names it."""

    def __init__(self, key_id: int) -> None:
        super().__init__("The sender key of this message has not arrived yet.")
        self.key_id = key_id


class Opened(msgspec.Struct, frozen=True):
    """A message's content, its place in its chain, and the iterations before it that did not come."""

    key_id: int
    iteration: int
    missing: range
    content: ChannelText | Unknown


def open_message(tx: Tx, row: ChannelRow, peer: Peer, payload: bytes, now: int) -> Opened:
    """Open a channel message of a peer, and store the chain's next state.

    Raises NoChain or another DecryptError, after which nothing has changed, and ProtocolError for what is no
    content though this peer encrypted it.
    """
    key_id, iteration = message_head(payload)
    state = chains.receiver(tx, row.id, peer.id, key_id)
    if state is None:
        raise NoChain(key_id)
    chain = ReceiverKey.from_bytes(state)
    plaintext, following = chain.decrypt(payload)
    chains.update_receiver(tx, row.id, peer.id, key_id, following.to_bytes(), now)
    received = content.decode(plaintext, "channel_message")
    if not isinstance(received, ChannelText | Unknown):
        raise ProtocolError("The content came in a frame of another class.")
    return Opened(key_id, iteration, range(chain.iteration, iteration), received)


def accept_distribution(tx: Tx, row: ChannelRow, peer: Peer, data: bytes, now_ms: int) -> int | None:
    """Keep the chain that a member hands out; returns its key id if it is a new one.

    What is no distribution of this channel, or of somebody who is no member as far as he himself can know, is
    passed over.
    """
    try:
        chain = ReceiverKey.from_distribution(data, row.key, sender=peer.ed)
    except CryptoError:
        return None
    roster = roster_of(tx, row)
    index = chain.roster_index
    if not roster.was_member(peer.ed, min(index, roster.index)) and index <= roster.index:
        return None
    departed = roster.departed(peer.ed)
    if departed is not None and index < departed:
        return None  # from before he left: what he sends under it is refused
    row = heard_head(tx, row, peer.id, index, chain.roster_hash, now_ms)
    if row.state == "broken":
        return None
    if not chains.add_receiver(tx, row.id, peer.id, chain.key_id, chain.to_bytes(), index, now_ms // 1000):
        return None
    if name := cleaned(chain.nickname)[:_LONGEST_NAME]:
        channels.name_member(tx, row.id, peer.id, name)
    return chain.key_id


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


def distribution(tx: Tx, row: ChannelRow, name: str, chain: SenderKey | None = None) -> bytes | None:
    """What hands one's own chain out as it is now, beyond a message under way. None if there is none."""
    if chain is None:
        held = chains.own(tx, row.id)
        if held is None:
            return None
        chain = SenderKey.from_bytes(held.state if held.following is None else held.following)
    if chain.iteration >= _LONGEST:
        return None
    return chain.distribution(name)
