"""What members say to each other about a channel, pairwise: sender keys, secrets, heads, requests
(docs/CRYPTO.md sections 6 and 7).

Each is believed only as far as the roster says. Not its concern: opening it (`mobium.client.receive`).
"""

from __future__ import annotations

from typing import Final

from mobium.client import chains as opening
from mobium.client.entries import Setting, open_waiting
from mobium.client.rosters import heard_head, roster_of, take_secret
from mobium.client.store import chains, channels, meta, outgoing, posts
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.client.store.peers import Peer
from mobium.protocol import content
from mobium.protocol.content import ChainRequest, ChannelSecret, Distribution, RosterHead

__all__ = ["About", "take", "take_distribution"]

About = ChannelSecret | RosterHead | ChainRequest

_ANSWERS: Final = 8  # requests of one member for one's chain that are answered in a day


def take(tx: Tx, setting: Setting, peer: Peer, received: About) -> None:
    """Take what a fellow member says; from anybody else it is nothing, but for a secret."""
    row = channels.by_key(tx, received.channel_id)
    if row is None or row.state not in ("joining", "member"):
        return
    if isinstance(received, ChannelSecret):
        # Whoever says it: the statement tells whether it is true. A mailbox is read before the statements
        # that let him in, he may have left by the time it comes, and nobody says it twice.
        if row.state == "joining":
            channels.add_secret(tx, row.id, received.secret, peer.id, setting.now_ms // 1000)
        else:
            take_secret(tx, row, peer.id, received.secret, setting.now_ms)
    elif row.state != "member" or roster_of(tx, row).role(peer.ed) is None:
        return
    elif isinstance(received, RosterHead):
        heard_head(tx, row, peer.id, received.index, received.head, setting.now_ms)
    else:
        _answer(tx, setting, row, peer)


def take_distribution(tx: Tx, setting: Setting, peer: Peer, key: bytes, received: Distribution) -> None:
    """Take a sender key that came for the channel `key` (32 bytes), and open what waited for it."""
    row = channels.by_key(tx, key)
    if row is None:
        return
    kept = opening.accept_distribution(tx, row, peer, received.data, setting.now_ms)
    if kept is None or row.state == "joining":
        return
    open_waiting(tx, setting, channels.by_id(tx, row.id), peer, kept.key_id)
    if kept.spent:
        chains.drop_receiver(tx, row.id, peer.id, kept.key_id)
    else:
        opening.end_earlier(tx, row, peer, kept.key_id)


def _answer(tx: Tx, setting: Setting, row: ChannelRow, peer: Peer) -> None:
    """Hand one's chain, as it is now, to a member who has not got it."""
    name = channels.member_count("chain requests of", row.id, peer.id)
    day = setting.now_ms // 86_400_000
    last, count = divmod(meta.get(tx, name, 0), _ANSWERS + 1)
    count = count + 1 if last == day else 1
    if count > _ANSWERS:
        return
    meta.put(tx, name, day * (_ANSWERS + 1) + count)
    if row.private and row.secret is not None:
        # Whoever asks may have been brought back from words alone, and then lacks the secret too.
        told = ChannelSecret(setting.entropy(16), setting.now_ms, row.key, row.secret)
        outgoing.add(tx, peer.id, content.encode(told), None, setting.now_ms // 1000, channel=row.id)
    chain = opening.settled_chain(tx, row)
    if chain is None:
        return
    post = posts.first(tx, row.id)
    if (
        post is not None
        and post.payload is not None
        and not roster_of(tx, row).was_member(peer.ed, post.index)
    ):
        # The message under way is not for him, and if it is refused its number is used again for one that is:
        # he gets the chain with the next message.
        chains.take_back(tx, row.id, peer.id)
        return
    data = chain.distribution(meta.own_name(tx))
    given = Distribution(setting.entropy(16), setting.now_ms, data)
    posts.add_handout(tx, row.id, peer.id, content.encode(given), setting.now_ms // 1000)
    chains.hand(tx, row.id, [peer.id])
