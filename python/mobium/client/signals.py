"""Signals: what is said at once or not at all, inside the sessions of direct messages (docs/PROTOCOL.md,
Content).

A signal is stored nowhere and not sent again, so its number of the ratchet may never arrive; it is named to
the recipient afterwards, in a message. Only contacts, and members of a common channel, are listened to. Not
its concern: what calls and voice rooms make of a signal (`mobium.client.calls`, `mobium.client.rooms`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from weakref import WeakValueDictionary

from mobium.client import direct, receive
from mobium.client.bundles import fetch_bundle
from mobium.client.core import Core, Request
from mobium.client.outbox import begin_session
from mobium.client.store import channels, incoming, outgoing, peers, signals
from mobium.client.store.database import Tx
from mobium.client.store.peers import Peer
from mobium.crypto.identity import Identity
from mobium.crypto.pqxdh import HEADER_SIZE, PREKEY_MESSAGE
from mobium.errors import CryptoError, IdentityChanged, InvalidInput, ProtocolError, ServerRefused, StoreFault
from mobium.protocol import content
from mobium.protocol.codes import ErrorCode
from mobium.protocol.content import Call, MediaKey, MediaRequest
from mobium.protocol.messages import Forwarded, SendSignal, Signal

__all__ = ["Said", "Signals"]

Said = Call | MediaKey | MediaRequest
"""What a signal can say."""

_WAITING: Final = 256  # signals that wait to be opened; what lies behind them is lost, as signals may be
_REST: Final = 30  # seconds after a signal to somebody, until its number is named, and those after it
_ON_ITS_WAY: Final = 5  # seconds for which a signal may arrive still, which it could not once it is named
_LOOK: Final = 20.0


class Signals:
    """The signals of the present connection.

    `request` asks the server; `heard(sender, said)` is called for each signal that was opened, and must not
    wait; `queued()` when something was put into the outbox, or stayed closed.
    """

    def __init__(
        self,
        core: Core,
        request: Request,
        heard: Callable[[bytes, Said], None],
        queued: Callable[[], None],
    ) -> None:
        self._core = core
        self._request = request
        self._heard = heard
        self._queued = queued
        self._waiting: deque[Signal] = deque()
        self._some = asyncio.Event()
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    def put(self, signal: Signal) -> None:
        """A signal has come."""
        if len(self._waiting) < _WAITING:
            self._waiting.append(signal)
            self._some.set()

    def reset(self) -> None:
        """The connection has changed: what was not opened yet is of no use any more."""
        self._waiting.clear()

    async def send(self, recipient: bytes, said: Said) -> bool:
        """Say something to an identity (32 bytes), behind what was said to it before; returns whether it was
        online.

        Raises InvalidInput for somebody unknown, blocked, or with a changed key; NotConnected, ServerRefused,
        ProtocolError, CryptoError for keys that do not verify.
        """
        turn = self._turns.setdefault(recipient, asyncio.Lock())
        async with turn:  # and not longer: whoever comes next is sealed, and so asks, behind this one
            payload = await self._sealed(recipient, said)
        try:
            answer = await self._request(SendSignal(recipient, payload))
        except ServerRefused as error:
            if error.code == ErrorCode.OFFLINE:
                return False
            raise
        if not isinstance(answer, Forwarded):
            raise ProtocolError("The server answered a signal with something else.")
        return True

    async def _sealed(self, recipient: bytes, said: Said) -> bytes:
        core = self._core
        plaintext = content.encode(said)
        payload = await core.store.run(_seal, recipient, plaintext, core.now())
        if payload is None:
            bundle = await fetch_bundle(self._request, recipient)
            peer = await core.store.run(_peer, recipient)
            await core.store.run(begin_session, core.identity, peer.id, bundle, core.now())
            payload = await core.store.run(_seal, recipient, plaintext, core.now())
        if payload is None:
            raise CryptoError("No session with this identity could be begun.")
        return payload

    async def run(self) -> None:
        """Open what comes, and name what was said, until cancelled. Raises StoreError."""
        time = asyncio.get_running_loop().time
        look = time() + _LOOK
        while True:
            self._some.clear()
            if not self._waiting:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(look):
                        await self._some.wait()
            if time() >= look:  # however much comes meanwhile
                await self._name()
                look = time() + _LOOK
            if self._waiting:
                await self._open(self._waiting.popleft())

    async def _open(self, signal: Signal) -> None:
        core = self._core
        try:
            said, closed = await core.store.run(_open, core.identity, signal, core.now())
        except StoreFault:
            return  # one signal, which may be lost at any time
        if said is not None:
            self._heard(signal.sender, said)
        elif closed:
            self._queued()

    async def _name(self) -> None:
        core = self._core
        if await core.store.run(_name, core.now(), core.now_ms(), core.entropy):
            self._queued()


def _peer(tx: Tx, recipient: bytes) -> Peer:
    """Whoever may be spoken to. Raises InvalidInput."""
    peer = peers.by_key(tx, recipient)
    if peer is None or not _is_known(tx, peer):
        raise InvalidInput("Only contacts and members of a common channel can be called.")
    if peer.blocked:
        raise InvalidInput("This contact is blocked; unblock it first.")
    if peer.trust == "changed":
        raise InvalidInput(
            "The key of this contact has changed; compare the safety numbers and accept it first."
        )
    return peer


def _is_known(tx: Tx, peer: Peer) -> bool:
    return peer.relation == "contact" or channels.is_fellow(tx, peer.id)


def _seal(tx: Tx, recipient: bytes, plaintext: bytes, now: int) -> bytes | None:
    """The payload; None without a session."""
    peer = _peer(tx, recipient)
    session = direct.active(tx, peer, now)
    if session is None:
        return None
    payload = direct.encrypt(tx, session, plaintext, now)
    start = HEADER_SIZE if payload[0] == PREKEY_MESSAGE else 0
    header = payload[start : start + 41]  # version ‖ ratchet_public ‖ pn ‖ n
    signals.note(tx, peer.id, header[1:33] + header[37:41], now)
    return payload


def _open(tx: Tx, identity: Identity, signal: Signal, now: int) -> tuple[Said | None, bool]:
    """What a signal says, if anything; and whether it stayed closed, so that its sender is to be asked."""
    peer = peers.by_key(tx, signal.sender)
    if peer is None or peer.blocked or not _is_known(tx, peer):
        return None, False
    digest = hashlib.sha256(signal.payload).digest()
    if incoming.was_opened(tx, digest):
        return None, False
    try:
        opened = direct.open_payload(tx, identity, signal.sender, peer, signal.payload, now)
    except IdentityChanged as error:
        peers.offer_x(tx, peer, error.x_public)
        return None, False
    except CryptoError as error:
        return None, _note_closed(tx, peer, digest, str(error), now)
    incoming.note_opened(tx, digest, now)
    try:
        said = content.decode(opened.plaintext, "voice_signal")
    except ProtocolError:
        misplaced = receive.is_stored(opened.plaintext)
        if misplaced:  # by an honest server this cannot be, and it would be gone without a trace
            incoming.note_unopened(tx, digest, peer.id, receive.OTHER_FRAME, now)
        return None, misplaced
    return (said if isinstance(said, Said) else None), False


def _note_closed(tx: Tx, peer: Peer, digest: bytes, reason: str, now: int) -> bool:
    """Have the sender asked, in a session that works, which what it says next then comes in.

    It has the signal no more. One that waits to be asked for is enough, and takes no message's place.
    """
    if incoming.unasked(tx, peer.id, now, 1):
        return False
    incoming.note_unopened(tx, digest, peer.id, reason, now)
    return True


def _name(tx: Tx, now: int, now_ms: int, entropy: Callable[[int], bytes]) -> int:
    """Queue what names the numbers of signals; returns how many contents that makes."""
    due = signals.take(tx, now - _REST, now - min(_REST, _ON_ITS_WAY))
    for peer, keys in due:
        outgoing.add(tx, peer, content.encode(content.Signals(entropy(16), now_ms, keys)), None, now)
    return len(due)
