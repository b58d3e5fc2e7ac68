"""The sending half of a connection: contents are encrypted when they can go out, and sent until the server
has answered.

One transaction stores the ciphertext with the session's next state, then it is sent; after a break or a
restart the same bytes go again under the same delivery id, in the order of queueing (docs/PROTOCOL.md,
Delivery 7). Not its concern: what the contents mean, deciding what to send, and who is next
(`mobium.client.lanes`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import msgspec

from mobium.client import direct
from mobium.client.bundles import fetch_bundle
from mobium.client.core import Core, Request
from mobium.client.lanes import PASSING, Lanes, Ready
from mobium.client.pace import Pace
from mobium.client.store import incoming, messages, outgoing, peers
from mobium.client.store.database import Tx
from mobium.client.store.outgoing import Queued, Sent
from mobium.client.store.peers import Peer
from mobium.crypto.identity import Identity
from mobium.crypto.prekeys import Bundle
from mobium.errors import (
    CryptoError,
    IdentityChanged,
    NotConnected,
    ProtocolError,
    ServerRefused,
)
from mobium.protocol import limits as sizes
from mobium.protocol.codes import ErrorCode, explain
from mobium.protocol.cost import request_cost
from mobium.protocol.messages import ClientMessage, Error, Limits, SendMessage

__all__ = ["Outbox", "begin_session"]

_BATCH: Final = 16  # encrypted in one transaction

# Nobody to write to yet: whoever was given a key may be the first of the two to connect.
_ABSENT: Final = frozenset((ErrorCode.UNKNOWN_RECIPIENT, ErrorCode.NO_PREKEYS))
_WAITS_FOR_OTHERS: Final = _ABSENT | {ErrorCode.QUEUE_FULL}
_WHY_ABSENT: Final = (
    "Nobody with this key has connected to this server yet; it goes out when they do. "
    "If they say that they have, compare the key and the server."
)


class _Prepared(msgspec.Struct):
    ready: list[Ready] = []
    without_session: list[Peer] = []
    failed: int = 0


class Outbox:
    """Sends what the store holds while there is a connection. `moved()` is called when less waits."""

    def __init__(
        self,
        core: Core,
        host: str,
        pace: Pace,
        send: Callable[[ClientMessage], Awaitable[None]],
        request: Request,
        moved: Callable[[], None],
    ) -> None:
        self._core = core
        self._host = host
        self._moved = moved
        self._send = send
        self._request = request
        self._time = asyncio.get_running_loop().time
        self._pace = pace
        self._lanes = Lanes()
        self._wake = asyncio.Event()
        self._answered = asyncio.Event()
        self._answers: list[tuple[bytes, Error | None]] = []
        self._beginning: set[int] = set()
        self._absent: set[int] = set()  # peers without a bundle, whose lanes are held
        self._refused: set[int] = set()  # peers who cannot be written to, as this connection has shown
        self._connection = self._recalls = 0
        self._online = False
        self._message_size = 0
        self._looked_at = 0.0

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def recall(self) -> None:
        """There may be somebody to whom nothing may go any more, or may go again."""
        self._recalls += 1
        self._lanes.recall()
        self._wake.set()

    def go_online(self, limits: Limits) -> None:
        """There is a connection: what is unanswered goes out again first."""
        self._message_size = limits.message_size
        self._online = True
        self._wake.set()

    def go_offline(self) -> None:
        """The connection is gone, and with it every answer that was to come."""
        self._connection += 1
        self._online = False
        self._lanes.reset()
        self._absent.clear()
        self._refused.clear()
        self._answers.clear()

    @property
    def refused(self) -> frozenset[int]:
        """The peers to whom nothing goes out before somebody else does something: who have not connected
        here yet, or whose mailbox is full. What another connection has shown of them says nothing of now.
        """
        return frozenset(self._refused)

    def answer(self, delivery: bytes, error: Error | None) -> None:
        """The server has answered for a delivery id: taken, or refused."""
        peer = self._lanes.answered(delivery)
        if peer is None:
            return
        if error is None:
            self._release(peer)
        elif error.code == ErrorCode.RATE_LIMITED:
            self._lanes.delay(peer, self._time(), self._pace.refused(error.retry_after))
        elif error.code in PASSING or error.code in _ABSENT:
            self._lanes.hold(peer, self._time(), error.retry_after)
            if error.code in _WAITS_FOR_OTHERS:
                self._refused.add(peer)
        self._answers.append((delivery, error))
        self._answered.set()
        self._wake.set()

    def _release(self, peer: int) -> None:
        self._lanes.release(peer)
        self._refused.discard(peer)

    async def run(self) -> None:
        """Send and settle until cancelled. Raises StoreError."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._settle())
            while True:
                await self._something_to_do()
                try:
                    while self._online:
                        await self._send_ready()
                        if not await self._fill(group):
                            break
                except NotConnected:
                    continue

    async def _something_to_do(self) -> None:
        try:
            async with asyncio.timeout(self._lanes.next_change(self._time(), self._looked_at)):
                await self._wake.wait()
        except TimeoutError:
            self._lanes.overdue(self._time())
        self._wake.clear()

    async def _send_ready(self) -> None:
        """Send what may go now."""
        connection = self._connection
        while (first := self._lanes.next(self._time())) is not None:
            cost = request_cost(first.message)
            await self._pace.take(cost)
            ready = self._lanes.next(self._time())  # much may have changed while that took
            if ready is None or connection != self._connection:
                return
            if request_cost(ready.message) > cost:
                continue
            self._lanes.take_off(ready, self._time())
            await self._send(ready.message)

    async def _fill(self, group: asyncio.TaskGroup) -> bool:
        """Take what waits from the store, encrypted; returns whether there was anything."""
        core, moment = self._core, (self._connection, self._recalls)
        if self._absent:  # whoever has written meanwhile is there, and can be written to
            for peer_id in await core.store.run(_met, frozenset(self._absent), core.now()):
                self._absent.discard(peer_id)
                self._release(peer_id)
        self._looked_at = self._time()
        # Nothing behind what may still be refused: the refusal could come, and pass, before this returns.
        busy = self._lanes.busy(self._looked_at) | self._lanes.flying() | self._beginning
        prepared = await core.store.run(
            _prepare, self._host, busy, _BATCH, self._message_size, core.now(), core.entropy
        )
        if moment != (self._connection, self._recalls):
            return True  # what was true then may not be now
        for peer in prepared.without_session:
            self._beginning.add(peer.id)
            group.create_task(self._begin(peer))
        for ready in prepared.ready:
            self._lanes.add(ready)
        if prepared.failed:
            self._moved()
        return bool(prepared.ready or prepared.without_session or prepared.failed)

    async def _settle(self) -> None:
        while True:
            await self._answered.wait()
            self._answered.clear()
            connection, answers = self._connection, self._answers
            self._answers = []
            await self._core.store.run(_settle, answers)
            if connection == self._connection:
                for delivery, _ in answers:
                    self._lanes.settled(delivery)
                self._wake.set()
            self._moved()

    async def _begin(self, peer: Peer) -> None:
        """Fetch a bundle and begin a session, so that what waits for this peer can be encrypted."""
        core, connection = self._core, self._connection
        try:
            await self._pace.take()  # a request counts as a message does
            bundle = await fetch_bundle(self._request, peer.ed)
            await core.store.run(begin_session, core.identity, peer.id, bundle, core.now())
        except ServerRefused as error:
            if error.code in _ABSENT:
                self._lanes.hold(peer.id, self._time(), error.retry_after)
                self._absent.add(peer.id)
                await core.store.run(_await_peer, self._host, peer.id, error.code)
                if connection == self._connection:
                    self._refused.add(peer.id)
            elif error.code == ErrorCode.RATE_LIMITED:
                self._lanes.delay(peer.id, self._time(), self._pace.refused(error.retry_after))
            else:
                self._lanes.hold(peer.id, self._time(), error.retry_after)
        except NotConnected:
            # The next connection tries again. One that gave no answer, or is ending, is not asked at once.
            if connection == self._connection:
                self._lanes.hold(peer.id, self._time(), None)
        except ProtocolError:
            self._lanes.hold(peer.id, self._time(), None)
        except CryptoError as error:
            await core.store.run(_fail_waiting, self._host, peer.id, "bad_keys", str(error))
        finally:
            self._beginning.discard(peer.id)
            self._wake.set()
            self._moved()


def begin_session(tx: Tx, identity: Identity, peer_id: int, bundle: Bundle, now: int) -> None:
    """Begin a session with a peer unless one can send by now.

    A changed identity key is noted. Raises CryptoError.
    """
    peer = peers.find(tx, peer_id)
    if peer is None:  # a stranger who was forgotten while his bundle was on its way
        return
    if peer.trust == "changed" or direct.active(tx, peer, now) is not None:
        return
    try:
        direct.begin(tx, identity, peer, bundle, now)
    except IdentityChanged as error:
        peers.offer_x(tx, peer, error.x_public)
        for message in messages.queued(tx, peer.id):
            messages.set_state(tx, message, "queued", "key_changed", str(error))


def _prepare(
    tx: Tx,
    host: str,
    busy: Collection[int],
    limit: int,
    message_size: int,
    now: int,
    entropy: Callable[[int], bytes],
) -> _Prepared:
    """The next rows that can go out to peers that are not `busy`, encrypted; and the peers to whom something
    would go if there were a session.

    What is larger than this server takes fails here: it would close the connection over it, each time anew.
    """
    prepared = _Prepared()
    known: dict[int, Peer] = {}
    for row in outgoing.waiting(tx, host, busy, limit):
        peer = known.setdefault(row.peer, peers.by_id(tx, row.peer))
        if peer in prepared.without_session:
            continue
        if not _fits(row, message_size):
            prepared.failed += 1
            _fail(tx, row, ErrorCode.TOO_LARGE, explain(ErrorCode.TOO_LARGE))
            continue
        delivery, payload = row.delivery, row.payload
        if delivery is None or payload is None:
            session = direct.active(tx, peer, now)
            if session is None:
                prepared.without_session.append(peer)
                continue
            assert row.plaintext is not None
            delivery, payload = entropy(16), direct.encrypt(tx, session, row.plaintext, now)
            outgoing.seal(tx, row.id, delivery, payload)
            kept = None if row.message is not None else row.plaintext
            sent = Sent(peer.id, session.id, row.message, kept, row.channel)
            outgoing.note_sent(tx, hashlib.sha256(payload).digest(), sent, now)
        later = row.message is None
        prepared.ready.append(Ready(row.id, row.peer, SendMessage(delivery, peer.ed, payload), later))
    return prepared


def _fits(row: Queued, message_size: int) -> bool:
    if row.payload is not None:
        return sizes.direct_payload_ok(len(row.payload), message_size)
    return row.plaintext is not None and len(row.plaintext) <= sizes.largest_content(message_size)


def _settle(tx: Tx, answers: list[tuple[bytes, Error | None]]) -> None:
    for delivery, error in answers:
        row = outgoing.by_delivery(tx, delivery)
        if row is None:
            continue
        if error is None:
            outgoing.drop(tx, row.id)
            if row.message is not None:
                messages.set_state(tx, row.message, "sent")
        elif error.code in _ABSENT and row.message is not None:
            _tell_why(tx, row.peer, error.code, _WHY_ABSENT)
        elif error.code not in PASSING:
            _fail(tx, row, error.code, explain(error.code))
        elif error.code == ErrorCode.QUEUE_FULL:
            _tell_why(tx, row.peer, error.code, explain(error.code))


def _met(tx: Tx, absent: Collection[int], now: int) -> list[int]:
    """Those of the `absent` with whom there is a session now, or who were forgotten."""
    found = ((peer_id, peers.find(tx, peer_id)) for peer_id in absent)
    return [peer_id for peer_id, peer in found if peer is None or direct.active(tx, peer, now) is not None]


def _await_peer(tx: Tx, host: str, peer_id: int, code: str) -> None:
    """Nobody is there yet: what a person wrote waits, in order; the rest will have lost its sense by then."""
    for row in outgoing.of_peer(tx, host, peer_id):
        if row.message is None:
            _fail(tx, row, code, _WHY_ABSENT)
    _tell_why(tx, peer_id, code, _WHY_ABSENT)


def _tell_why(tx: Tx, peer_id: int, code: str, reason: str) -> None:
    """What waits behind a message waits for the same reason."""
    for message in messages.queued(tx, peer_id):
        messages.set_state(tx, message, "queued", code, reason)


def _fail_waiting(tx: Tx, host: str, peer_id: int, code: str, reason: str) -> None:
    """Nothing that waits for this peer can go out to a server: each message says why, and can be retried."""
    for row in outgoing.of_peer(tx, host, peer_id):
        _fail(tx, row, code, reason)


def _fail(tx: Tx, row: Queued, code: str, reason: str) -> None:
    outgoing.drop(tx, row.id)
    if row.message is None:
        incoming.ask_again(tx, row.peer, row.id)
    else:
        messages.set_state(tx, row.message, "failed", code, reason)
