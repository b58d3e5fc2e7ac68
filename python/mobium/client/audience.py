"""Who in a voice room may be handed media keys, inside a transaction (docs/CRYPTO.md section 8).

Not its concern: keys, and the room (`mobium.client.voice_room`).
"""

from __future__ import annotations

from mobium.client.rosters import roster_of
from mobium.client.store import channels, peers
from mobium.client.store.database import Tx

__all__ = ["allowed"]


def allowed(tx: Tx, key: bytes, shown: frozenset[bytes]) -> tuple[frozenset[bytes] | None, bool]:
    """Who of those shown may be handed keys, None where this profile is no member; and whether the roster is
    the newest of which there is word.
    """
    row = channels.by_key(tx, key)
    if row is None or row.state != "member":
        return None, False
    roster = roster_of(tx, row)
    found = set()
    for identity in shown:
        peer = peers.by_key(tx, identity)
        if (
            roster.role(identity) is not None
            and peer is not None
            and not peer.blocked
            and peer.trust != "changed"
        ):
            found.add(identity)
    settled = roster.index >= row.server_index and not channels.claims(tx, row.id)
    return frozenset(found), settled
