"""Conversations put into a profile's store as if they had taken place, without a server.

Not its concern: engines (tests/support/engines.py).
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence

from mobium.client.names import nickname_key
from mobium.client.store import messages, peers
from mobium.client.store.database import Tx

__all__ = ["Said", "key_of", "pin", "say"]

Said = tuple[bool, str, float]
"""Whether it is one's own, the text, and how many minutes ago."""


def key_of(name: str) -> str:
    """A key for somebody who is never talked to."""
    return hashlib.sha256(name.encode()).hexdigest()


def say(tx: Tx, name: str, said: Sequence[Said], read: bool = True, contact: bool = True) -> None:
    """Put a conversation into the store, as if it had taken place."""
    now = time.time()
    ed = bytes.fromhex(key_of(name))
    peer = peers.by_key(tx, ed) or peers.add(tx, ed, "contact" if contact else "request", int(now))
    if contact:
        peer = peers.update(tx, peer, nickname=name, nickname_key=nickname_key(name))
    for own, text, ago in said:
        at = int((now - ago * 60) * 1000)
        content = os.urandom(16)
        if own:
            position = messages.add_outgoing(tx, peer.id, content, text, at)
            messages.set_state(tx, position, "delivered")
        else:
            messages.add_incoming(tx, peer.id, content, "text", text, at, at)
    if read:
        found = peers.by_key(tx, ed)
        assert found is not None
        peers.update(tx, found, read_to=messages.last_position(tx, peer.id))


def pin(tx: Tx, name: str, trust: str) -> None:
    """There was an exchange with somebody; `trust` "changed" has another key waiting."""
    peer = peers.by_key(tx, bytes.fromhex(key_of(name)))
    assert peer is not None
    offered = bytes(range(32, 64)) if trust == "changed" else None
    peers.update(tx, peer, x=bytes(range(32)), offered_x=offered, trust=trust)
