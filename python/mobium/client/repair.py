"""What could not be opened is asked for again: one new session an hour, and in it a retry; what stays closed
within that hour is asked for in the session that is there, less and less often (docs/CRYPTO.md section 3).

The store knows what is due, so a crash forgets nothing, and a retry that never went out makes it due again.
Not its concern: recording what stayed closed and honouring the retries of others (`mobium.client.receive`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from mobium.client import direct
from mobium.client.bundles import fetch_bundle
from mobium.client.core import Core, Request
from mobium.client.receive import RECOVERY_TIME
from mobium.client.store import incoming, meta, outgoing, peers
from mobium.client.store.cache import Held
from mobium.client.store.database import Tx
from mobium.client.store.outgoing import Sent
from mobium.client.store.peers import Peer
from mobium.crypto.identity import Identity
from mobium.crypto.prekeys import Bundle
from mobium.errors import (
    CryptoError,
    IdentityChanged,
    NotConnected,
    ProtocolError,
    ServerRefused,
    StoreFault,
)
from mobium.protocol import content
from mobium.protocol.content import Retry

__all__ = ["Repair"]

_LONGEST_SLEEP: Final = 3_600.0
_LOOK: Final = 60.0  # seconds until what was just asked for, or could not be, is looked at again
# What else waits on the server belongs into the same retry, since there are few an hour; a server that counts
# wrongly is not waited for longer than this, in seconds.
_PATIENCE: Final = 30.0
_IN_ONE: Final = 512  # hashes in one retry, if the server takes so large a message
_HASH_SIZE: Final = 34  # bytes of one in a retry
_REST: Final = 128  # and of everything else


class Repair:
    """Asks again while there is a connection and, by `drained()`, nothing more waits on the server.

    What goes in the session that is there needs none: without one it waits in the outbox.

    `queued()` is called when something can go out.
    """

    def __init__(
        self, core: Core, request: Request, queued: Callable[[], None], drained: Callable[[], bool]
    ) -> None:
        self._core = core
        self._request = request
        self._queued = queued
        self._drained = drained
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something may have stayed closed, or there is a connection again."""
        self._wake.set()

    async def run(self) -> None:
        """Ask again until cancelled. Raises StoreError."""
        time = asyncio.get_running_loop().time
        delay, patient_until = _LONGEST_SLEEP, 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._wake.wait()
                    patient_until = patient_until or time() + _PATIENCE
            self._wake.clear()
            # However often it is woken meanwhile.
            if not self._drained() and (delay := patient_until - time()) > 0:
                continue
            delay, patient_until = _LONGEST_SLEEP, 0.0
            for peer, at in await self._core.store.run(_due, self._core.now()):
                wait = at - self._core.now()
                if wait <= 0:
                    await self._ask(peer)
                    delay = min(delay, _LOOK)
                else:
                    delay = min(delay, float(wait))

    async def _ask(self, peer_id: int) -> None:
        core = self._core
        try:
            peer = await core.store.run(peers.find, peer_id)
            if peer is None:
                return  # a stranger who was forgotten meanwhile
            if await core.store.run(_ask_soon, peer_id, core.now_ms(), core.entropy):
                self._queued()
                return
            bundle = await fetch_bundle(self._request, peer.ed)
            await core.store.run(_begin_retry, core.identity, peer_id, bundle, core.now_ms(), core.entropy)
        except NotConnected:
            return  # the next connection wakes us
        except (ServerRefused, ProtocolError, CryptoError, StoreFault):
            await core.store.run(_note_failed, peer_id, core.now())
        else:
            self._queued()


def _due(tx: Tx, now: int) -> list[tuple[int, int]]:
    return incoming.due_retries(tx, now, meta.get(tx, "recovered_at", 0) + RECOVERY_TIME)


def _note_failed(tx: Tx, peer_id: int, now: int) -> None:
    """A new session is tried again in an hour, which what fails within the hour does not put off."""
    peer = peers.find(tx, peer_id)
    if peer is None:
        return
    if _within_the_hour(peer, now):
        incoming.note_asked_soon(tx, peer.id, now)
    else:
        peers.update(tx, peer, retry_at=now)


def _within_the_hour(peer: Peer, now: int) -> bool:
    return peer.retry_at > 0 and 0 <= now - peer.retry_at < incoming.RETRY_PAUSE


def _begin_retry(
    tx: Tx, identity: Identity, peer_id: int, bundle: Bundle, now_ms: int, entropy: Callable[[int], bytes]
) -> None:
    now = now_ms // 1000
    peer = peers.find(tx, peer_id)
    if peer is None or peer.trust == "changed" or peer.blocked:
        return
    try:
        session = direct.begin(tx, identity, peer, bundle, now)
    except IdentityChanged as error:
        peers.offer_x(tx, peer, error.x_public)
        return
    peers.update(tx, peer, retry_at=now)
    _retry(tx, peer, session, now_ms, entropy)


def _ask_soon(tx: Tx, peer_id: int, now_ms: int, entropy: Callable[[int], bytes]) -> bool:
    """Ask in the session that is there; whether it is too early for a new one.

    A peer who sent something in a session that is lost while a retry was on its way to him has heard of it by
    now, and answers in the new one.
    """
    now = now_ms // 1000
    peer = peers.find(tx, peer_id)
    if peer is None or peer.trust == "changed" or peer.blocked:
        return True
    if not _within_the_hour(peer, now):
        return False
    held = direct.active(tx, peer, now)
    if held is not None and not held.session.unanswered:
        incoming.note_asked_soon(tx, peer.id, now)
        _retry(tx, peer, held, now_ms, entropy)
    return True


def _retry(tx: Tx, peer: Peer, session: Held, now_ms: int, entropy: Callable[[int], bytes]) -> None:
    """Queue a retry for what a peer was not asked for yet, if there is anything."""
    now = now_ms // 1000
    most = max(1, min(_IN_ONE, (meta.largest_content(tx) - _REST) // _HASH_SIZE))
    if hashes := incoming.unasked(tx, peer.id, now, most):
        retry = content.encode(Retry(entropy(16), now_ms, hashes))
        payload = direct.encrypt(tx, session, retry, now)
        # Should the peer have lost this session, too, it says so of this payload.
        sent = Sent(peer.id, session.id, None, None)
        outgoing.note_sent(tx, hashlib.sha256(payload).digest(), sent, now)
        incoming.note_asked(tx, hashes, outgoing.add_sealed(tx, peer.id, entropy(16), payload, now))
