"""Asking members of channels for what is missing: sender keys, and the secret in force (docs/CRYPTO.md
sections 6 and 7).

Not its concern: the answers (`mobium.client.channel_contents`), and when to look (`mobium.client.sync`).
"""

from __future__ import annotations

from typing import Final

from mobium.client.rosters import Entropy, roster_of
from mobium.client.store import chains, channels, outgoing
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.protocol import content
from mobium.protocol.content import ChainRequest
from mobium.protocol.roster import Role, Roster, parse

__all__ = ["ask"]

_ANY_KEY: Final = 1  # the answer is the chain as it is now and the secret, whatever is named


def ask(tx: Tx, me: bytes, host: str, now_ms: int, entropy: Entropy, caught_up: bool) -> float | None:
    """Ask by way of a server for what was missing for a while; returns the seconds until there may be more.

    A secret is missing only where everything was read that would bring it (`caught_up`).
    """
    now = now_ms // 1000
    due, soonest = chains.due_requests(tx, host, now)
    moments = [] if soonest is None else [soonest]
    for channel, peer, key_id in due:
        row = channels.by_id(tx, channel)
        chains.note_asked(tx, channel, peer, key_id, now)
        _request(tx, row, peer, key_id, now_ms, entropy)
    chains.end_patience(tx)
    for row in channels.without_secret(tx, host) if caught_up else []:
        roster = roster_of(tx, row)
        wait = chains.secret_patience(tx, row.id, now)
        if roster.role(me) is None or roster.index < row.server_index:
            continue
        if wait:
            moments.append(wait)
            continue
        for peer in chains.may_have_secret(tx, row.id, now, _likely(tx, row, roster)):
            chains.note_asked(tx, row.id, peer, chains.SECRET, now)
            _request(tx, row, peer, _ANY_KEY, now_ms, entropy)
        moments.append(chains.ASK_PAUSE)
    return float(min(moments)) if moments else None


def _likely(tx: Tx, row: ChannelRow, roster: Roster) -> list[bytes]:
    """Who has set the secret, then owner and admins."""
    raw = tx.value("SELECT raw FROM statement WHERE channel = ? AND idx = ?", row.id, roster.secret_index)
    first = [parse(raw).actor]
    for role in (Role.OWNER, Role.ADMIN):
        first += [ed for ed, held in roster.members.items() if held is role]
    return first


def _request(tx: Tx, row: ChannelRow, peer: int, key_id: int, now_ms: int, entropy: Entropy) -> None:
    request = content.encode(ChainRequest(entropy(16), now_ms, row.key, key_id))
    outgoing.add(tx, peer, request, None, now_ms // 1000, channel=row.id)
