"""The sending half of channels: one frame of a channel is under way at a time, and the next follows when the
server has answered.

What is stored as encrypted goes out again after a break, in the same bytes under the same delivery id. Not
its concern: what goes out (`mobium.client.posting`), and fetching (`mobium.client.sync`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from mobium.client.bundles import fetch_bundle
from mobium.client.core import Core, Request
from mobium.client.lanes import PASSING, Lanes, Ready
from mobium.client.outbox import begin_session
from mobium.client.pace import Pace
from mobium.client.posting import Prepared, Sender, prepare, settle
from mobium.client.store import chains, posts
from mobium.client.store.database import Tx
from mobium.client.store.peers import Peer
from mobium.errors import CryptoError, NotConnected, ProtocolError, ServerRefused
from mobium.protocol.codes import ErrorCode
from mobium.protocol.cost import request_cost
from mobium.protocol.messages import Accepted, ClientMessage, Error

__all__ = ["Postbox"]

_AT_ONCE: Final = 8  # bundles that are asked for at the same time
# Refusals in a row that may pass until a member is left out, each waited for longer: five minutes in all. One
# who is left out never reads what is sent meanwhile.
_REFUSALS: Final = 6


class Postbox:
    """Sends to channels what the store holds while there is a connection.

    `behind(channels)` is called for channels whose roster must be fetched first. `unseen()` gives the
    channels that were not seen to their end since the login, or None while nobody knows: messages of one's
    own may stand there of which this store, brought back from a copy, knows nothing, and their numbers must
    not be used again. `moved()` is called when less waits.
    """

    def __init__(
        self,
        core: Core,
        host: str,
        pace: Pace,
        send: Callable[[ClientMessage], Awaitable[None]],
        request: Request,
        behind: Callable[[set[int]], None],
        unseen: Callable[[], frozenset[int] | None],
        moved: Callable[[], None],
    ) -> None:
        self._core = core
        self._moved = moved
        self._host = host
        self._pace = pace
        self._send = send
        self._request = request
        self._behind = behind
        self._unseen = unseen
        self._time = asyncio.get_running_loop().time
        self._lanes = Lanes()
        self._wake = asyncio.Event()
        self._answered = asyncio.Event()
        self._answers: list[tuple[bytes, Accepted | Error]] = []
        self._beginning: set[int] = set()
        self._full: set[int] = set()
        self._put_off = Lanes()  # members whose bundles were refused for now; nothing but holds
        self._refusals: Counter[int] = Counter()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._connection = 0
        self._online = False
        self._message_size = 0
        self._next_handout: float | None = None
        self._looked_at = 0.0

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def recall(self) -> None:
        """Who may be written to has changed."""
        self._lanes.recall()
        self._wake.set()

    def go_online(self, message_size: int) -> None:
        """There is a connection: what is unanswered goes out again first."""
        self._message_size = message_size
        self._online = True
        self._wake.set()

    def go_offline(self) -> None:
        """The connection is gone, and with it every answer that was to come."""
        self._connection += 1
        self._online = False
        self._lanes.reset()
        self._full.clear()
        self._put_off.reset()
        self._refusals.clear()
        self._answers.clear()

    @property
    def full(self) -> frozenset[int]:
        """The channels that have no room at the server, as this connection has shown."""
        return frozenset(self._full)

    def answer(self, answer: Accepted | Error) -> None:
        """The server has answered for a delivery id."""
        assert answer.id is not None
        channel = self._lanes.answered(answer.id)
        if channel is None:
            return
        if isinstance(answer, Accepted):
            self._lanes.release(channel)
            self._full.discard(channel)
        elif answer.code == ErrorCode.RATE_LIMITED:
            self._lanes.delay(channel, self._time(), self._pace.refused(answer.retry_after))
        elif answer.code in PASSING:
            self._lanes.hold(channel, self._time(), answer.retry_after)
            if answer.code == ErrorCode.QUEUE_FULL:
                self._full.add(channel)
        self._answers.append((answer.id, answer))
        self._answered.set()
        self._wake.set()

    def hold(self, channel: int, yes: bool) -> None:
        """Whether there is word of a newer roster, which the server does not show: then ask again later."""
        if yes:
            self._lanes.hold(channel, self._time(), None)
        else:
            self._lanes.release(channel)
            self._wake.set()

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
        now, since = self._time(), self._looked_at
        delays = [
            self._lanes.next_change(now, since), self._put_off.next_change(now, since), self._next_handout
        ]  # fmt: skip
        try:
            async with asyncio.timeout(min((d for d in delays if d is not None), default=None)):
                await self._wake.wait()
        except TimeoutError:
            self._lanes.overdue(self._time())
        self._wake.clear()

    async def _send_ready(self) -> None:
        connection = self._connection
        while (ready := self._lanes.next(self._time())) is not None:
            await self._pace.take(request_cost(ready.message))
            again = self._lanes.next(self._time())  # much may have changed while that took
            if again is not ready or connection != self._connection:
                return
            self._lanes.take_off(ready, self._time())
            await self._send(ready.message)

    async def _fill(self, group: asyncio.TaskGroup) -> bool:
        core, connection = self._core, self._connection
        unseen = self._unseen()
        if unseen is None:
            return False
        sender = Sender(core.identity, self._host, self._message_size, core.now_ms(), core.entropy)
        self._looked_at = self._time()
        busy = self._lanes.busy(self._looked_at) | self._lanes.flying() | unseen
        prepared, self._next_handout = await core.store.run(_prepare, sender, busy)
        if connection != self._connection:
            return True
        if prepared.behind:
            self._behind(set(prepared.behind))
        put_off = self._put_off.busy(self._looked_at)
        for peer in prepared.without_session:
            if peer.id not in self._beginning and peer.id not in put_off:
                self._beginning.add(peer.id)
                group.create_task(self._begin(peer))
        for row, channel, frame in prepared.ready:
            self._lanes.add(Ready(row, channel, frame))
        if prepared.failed:
            self._moved()
        return bool(prepared.ready or prepared.failed)

    async def _begin(self, peer: Peer) -> None:
        """Begin a session with a member, or leave him out for a while."""
        core, connection = self._core, self._connection
        try:
            async with self._places:
                if not self._online:
                    return
                await self._pace.take()
                bundle = await fetch_bundle(self._request, peer.ed)
            await core.store.run(begin_session, core.identity, peer.id, bundle, core.now())
            self._refusals.pop(peer.id, None)
            self._put_off.release(peer.id)
        except ServerRefused as error:
            if error.code == ErrorCode.RATE_LIMITED:
                self._pace.refused(error.retry_after)
            elif error.code in PASSING and self._refusals[peer.id] < _REFUSALS:
                if connection == self._connection:
                    self._refusals[peer.id] += 1
                    self._put_off.hold(peer.id, self._time(), error.retry_after)
            else:
                await core.store.run(_leave_out, self._host, peer.id, core.now())
        except NotConnected:
            await asyncio.sleep(1)  # the next connection, or this one if it recovers, tries again
        except (ProtocolError, CryptoError):
            await core.store.run(_leave_out, self._host, peer.id, core.now())
        finally:
            self._beginning.discard(peer.id)
            self._wake.set()
            self._moved()

    async def _settle(self) -> None:
        while True:
            await self._answered.wait()
            self._answered.clear()
            connection, answers = self._connection, self._answers
            self._answers = []
            stale = await self._core.store.run(settle, answers, self._core.now())
            if stale:
                self._behind(stale)
            if connection == self._connection:
                for delivery, _ in answers:
                    self._lanes.settled(delivery)
                self._wake.set()
            self._moved()


def _prepare(tx: Tx, sender: Sender, busy: set[int]) -> tuple[Prepared, float | None]:
    prepared = prepare(tx, sender, busy)
    return prepared, posts.next_handout(tx, sender.now)


def _leave_out(tx: Tx, host: str, peer: int, now: int) -> None:
    """A member cannot be reached by way of a server: the channels there that wait for him go on without him,
    and try again later.
    """
    found = tx.all(
        "SELECT channel.id FROM member JOIN channel ON channel.id = member.channel"
        " WHERE member.peer = ? AND host = ?",
        peer, host,
    )  # fmt: skip
    for (channel,) in found:
        chains.unhand(tx, channel, peer, now)
        waiting = tx.all(
            "SELECT id FROM handout WHERE channel = ? AND peer = ? AND payload IS NULL", channel, peer
        )
        posts.drop_handouts(tx, [row[0] for row in waiting])
