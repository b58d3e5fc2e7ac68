"""The sending half of a connection: contents are encrypted when they can go out, and sent until the server
has answered.

One transaction stores the ciphertext with the session's next state, then it is sent; after a break or a
restart the same bytes go again under the same delivery id, in the order of queueing (docs/PROTOCOL.md,
Delivery 7). Up to 32 are under way at once, at the server's pace. Not its concern: what the contents mean,
and deciding what to send.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import msgspec

from mobium.client import direct
from mobium.client.bundles import fetch_bundle
from mobium.client.core import Core
from mobium.client.pace import Pace
from mobium.client.store import messages, outgoing, peers
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
)
from mobium.protocol.codes import ErrorCode, sentence
from mobium.protocol.messages import ClientMessage, Error, Limits, SendMessage, ServerMessage

__all__ = ["Outbox", "begin_session", "explain"]

_UNDER_WAY: Final = (
    32  # enough for a long line at the server's pace, few enough that little is out of order after a refusal
)
_BATCH: Final = 16  # encrypted in one transaction
_ANSWER_TIME: Final = 30.0  # seconds after which an unanswered message is sent again
_FIRST_HOLD: Final = 5.0  # seconds that a peer's messages wait after a refusal that may pass; doubled up to
_LONGEST_HOLD: Final = 300.0

_PASSING: Final = frozenset(
    (
        ErrorCode.QUEUE_FULL,
        ErrorCode.RATE_LIMITED,
        ErrorCode.STORAGE,
        ErrorCode.SHUTTING_DOWN,
        ErrorCode.INTERNAL,
    )
)


class _Ready(msgspec.Struct, frozen=True):
    row: int
    peer: int
    message: SendMessage


class _Prepared(msgspec.Struct):
    ready: list[_Ready] = []
    without_session: list[Peer] = []


class _UnderWay(msgspec.Struct, frozen=True):
    row: int
    peer: int
    since: float


class _Hold(msgspec.Struct):
    until: float
    seconds: float


class Outbox:
    """Sends what the store holds while there is a connection."""

    def __init__(
        self,
        core: Core,
        send: Callable[[ClientMessage], Awaitable[None]],
        request: Callable[[ClientMessage], Awaitable[ServerMessage]],
    ) -> None:
        self._core = core
        self._send = send
        self._request = request
        self._time = asyncio.get_running_loop().time
        self._pace = Pace(self._time)
        self._wake = asyncio.Event()
        self._answered = asyncio.Event()
        self._answers: list[tuple[bytes, Error | None]] = []
        self._under_way: dict[bytes, _UnderWay] = {}
        self._holds: dict[int, _Hold] = {}
        self._beginning: set[int] = set()
        self._connection = 0
        self._online = False

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def go_online(self, limits: Limits) -> None:
        """There is a connection: what is unanswered goes out again first."""
        self._pace.limit(limits.rate, limits.burst)
        self._online = True
        self.wake()

    def go_offline(self) -> None:
        """The connection is gone, and with it every answer that was to come."""
        self._connection += 1
        self._online = False
        self._under_way.clear()
        self._answers.clear()
        self._holds.clear()

    def answer(self, delivery: bytes, error: Error | None) -> None:
        """The server has answered for a delivery id: taken, or refused."""
        self._answers.append((delivery, error))
        self._answered.set()

    async def run(self) -> None:
        """Send and settle until cancelled. Raises StoreError."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._settle())
            while True:
                await self._something_to_do()
                if self._online:
                    try:
                        await self._send_waiting(group)
                    except NotConnected:
                        continue

    async def _something_to_do(self) -> None:
        ends = [hold.until for hold in self._holds.values()]
        ends += [flight.since + _ANSWER_TIME for flight in self._under_way.values()]
        delay = max(0.05, min(ends) - self._time()) if ends else None
        try:
            async with asyncio.timeout(delay):
                await self._wake.wait()
        except TimeoutError:
            late = self._time() - _ANSWER_TIME
            self._under_way = {key: flight for key, flight in self._under_way.items() if flight.since > late}
        self._wake.clear()

    async def _send_waiting(self, group: asyncio.TaskGroup) -> None:
        core = self._core
        while self._online and (room := _UNDER_WAY - len(self._under_way)) > 0:
            connection = self._connection
            held = {peer for peer in self._holds if not self._may_send(peer)} | self._beginning
            rows = {flight.row for flight in self._under_way.values()}
            prepared = await core.store.run(_prepare, rows, held, min(room, _BATCH), core.now(), core.entropy)
            for peer in prepared.without_session:
                self._beginning.add(peer.id)
                group.create_task(self._begin(peer))
            if not prepared.ready and not prepared.without_session:
                return
            for ready in prepared.ready:
                await self._pace.take()
                if connection != self._connection:
                    return
                if not self._may_send(ready.peer):
                    continue  # refused meanwhile: it follows those before it
                self._under_way[ready.message.id] = _UnderWay(ready.row, ready.peer, self._time())
                await self._send(ready.message)

    def _may_send(self, peer: int) -> bool:
        """Whether something may go to a peer now: after a refusal one message at a time, or order would be
        lost, until one is taken.
        """
        hold = self._holds.get(peer)
        if hold is None:
            return True
        return hold.until <= self._time() and all(flight.peer != peer for flight in self._under_way.values())

    async def _settle(self) -> None:
        while True:
            await self._answered.wait()
            self._answered.clear()
            connection, answers = self._connection, self._answers
            self._answers = []
            await self._core.store.run(_settle, answers)
            if connection != self._connection:
                continue
            for delivery, error in answers:
                flight = self._under_way.pop(delivery, None)
                if flight is not None:
                    self._learn(flight.peer, error)
            self.wake()

    def _learn(self, peer: int, error: Error | None) -> None:
        if error is None:
            self._holds.pop(peer, None)
        elif error.code == ErrorCode.RATE_LIMITED:
            seconds = min(error.retry_after or 1.0, _LONGEST_HOLD)
            self._pace.pause(seconds)
            self._holds[peer] = _Hold(self._time() + seconds, seconds)
        elif error.code in _PASSING:
            self._hold(peer, error.retry_after)

    def _hold(self, peer: int, retry_after: float | None) -> None:
        hold = self._holds.get(peer)
        now = self._time()
        if hold is not None and hold.until > now:
            return  # the refusals of one round count once
        seconds = _FIRST_HOLD if hold is None else min(2 * hold.seconds, _LONGEST_HOLD)
        self._holds[peer] = _Hold(now + max(seconds, min(retry_after or 0, _LONGEST_HOLD)), seconds)

    async def _begin(self, peer: Peer) -> None:
        """Fetch a bundle and begin a session, so that what waits for this peer can be encrypted."""
        core = self._core
        try:
            bundle = await fetch_bundle(self._request, peer.ed)
            await core.store.run(begin_session, core.identity, peer.id, bundle, core.now())
        except ServerRefused as error:
            if error.code in (ErrorCode.UNKNOWN_RECIPIENT, ErrorCode.NO_PREKEYS):
                await core.store.run(_fail_waiting, peer.id, error.code, explain(error.code))
            elif error.code == ErrorCode.RATE_LIMITED:
                self._pace.pause(min(error.retry_after or 1.0, _LONGEST_HOLD))
            else:
                self._hold(peer.id, error.retry_after)
        except NotConnected:
            pass  # the next connection tries again
        except ProtocolError:
            self._hold(peer.id, None)
        except CryptoError as error:
            await core.store.run(_fail_waiting, peer.id, "bad_keys", str(error))
        finally:
            self._beginning.discard(peer.id)
            self.wake()


def explain(code: str) -> str:
    """A sentence for a wire code, our own: what a server writes is not shown to people."""
    try:
        return sentence(ErrorCode(code))
    except ValueError:
        return "The server refused the message."


def begin_session(tx: Tx, identity: Identity, peer_id: int, bundle: Bundle, now: int) -> None:
    """Begin a session with a peer unless one can send by now.

    A changed identity key is noted. Raises CryptoError.
    """
    peer = peers.by_id(tx, peer_id)
    if peer.trust == "changed" or direct.active(tx, peer, now) is not None:
        return
    try:
        direct.begin(tx, identity, peer, bundle, now)
    except IdentityChanged as error:
        peers.offer_x(tx, peer, error.x_public)
        for row in outgoing.of_peer(tx, peer.id):
            if row.message is not None:
                messages.set_state(tx, row.message, "queued", "key_changed", str(error))


def _prepare(
    tx: Tx,
    under_way: Collection[int],
    held: Collection[int],
    limit: int,
    now: int,
    entropy: Callable[[int], bytes],
) -> _Prepared:
    """The next rows that can go out, encrypted; and the peers to whom something would go if there were a
    session.
    """
    prepared = _Prepared()
    known: dict[int, Peer] = {}
    for row in outgoing.waiting(tx, under_way, held, limit):
        peer = known.setdefault(row.peer, peers.by_id(tx, row.peer))
        if peer in prepared.without_session:
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
            sent = Sent(peer.id, session.id, row.message, kept)
            outgoing.note_sent(tx, hashlib.sha256(payload).digest(), sent, now)
        prepared.ready.append(_Ready(row.id, row.peer, SendMessage(delivery, peer.ed, payload)))
    return prepared


def _settle(tx: Tx, answers: list[tuple[bytes, Error | None]]) -> None:
    for delivery, error in answers:
        row = outgoing.by_delivery(tx, delivery)
        if row is None:
            continue
        if error is None or error.code not in _PASSING:
            outgoing.drop(tx, row.id)
        if row.message is None:
            continue
        if error is None:
            messages.set_state(tx, row.message, "sent")
        elif error.code == ErrorCode.QUEUE_FULL:
            messages.set_state(tx, row.message, "queued", error.code, explain(error.code))
        elif error.code not in _PASSING:
            messages.set_state(tx, row.message, "failed", error.code, explain(error.code))


def _fail_waiting(tx: Tx, peer_id: int, code: str, reason: str) -> None:
    """Nothing that waits for this peer can go out: each message says why, and can be retried."""
    for row in outgoing.of_peer(tx, peer_id):
        outgoing.drop(tx, row.id)
        if row.message is not None:
            messages.set_state(tx, row.message, "failed", code, reason)
