"""The receiving half of a connection: deliveries are stored in batches, then acknowledged by the last one's
tag.

Strictly in order, one transaction for what has come since the last one, and nothing is acknowledged before
its commit (docs/PROTOCOL.md, Delivery 6). Not its concern: what a delivery holds (`mobium.client.receive`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from mobium.client.core import Core
from mobium.client.receive import Arrival, note_refused, receive
from mobium.errors import NotConnected, StoreFault
from mobium.protocol import limits
from mobium.protocol.messages import AckDeliveries, ClientMessage, Delivery

__all__ = ["Inbox"]

# An honest server never has more under way than half of this; another one's frames wait in its own memory.
_MAX_WAITING: Final = 2 * limits.WINDOW_DELIVERIES
_MAX_BYTES: Final = 2 * limits.WINDOW_BYTES


class Inbox:
    """The deliveries of the present connection.

    `stored(key_changed)` is called after each batch.
    """

    def __init__(
        self,
        core: Core,
        send: Callable[[ClientMessage], Awaitable[None]],
        stored: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._core = core
        self._send = send
        self._stored = stored
        self._waiting: deque[Delivery] = deque()
        self._size = 0
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._connection = 0
        self._expected: int | None = None
        self.reset()

    @property
    def drained(self) -> bool:
        """Whether everything that waited on the server at the login has been stored."""
        return self._expected is not None and self._expected <= 0

    def reset(self) -> None:
        """The connection has changed:

        its tags mean nothing any more, and the server will send again what was not acknowledged.
        """
        self._connection += 1
        self._expected = None
        self._waiting.clear()
        self._size = 0
        self._some.clear()
        self._room.set()

    def expect(self, count: int) -> None:
        """The server says how many deliveries wait."""
        self._expected = count

    async def put(self, delivery: Delivery) -> None:
        """Take a delivery; waits while a server that ignores the window is ahead."""
        await self._room.wait()
        self._waiting.append(delivery)
        self._size += len(delivery.payload)
        self._some.set()
        if len(self._waiting) >= _MAX_WAITING or self._size >= _MAX_BYTES:
            self._room.clear()

    async def run(self) -> None:
        """Store and acknowledge until cancelled.

        Raises StoreError; then nothing of the batch was acknowledged.
        """
        while True:
            await self._some.wait()
            batch, connection = self._take(), self._connection
            if not batch:
                continue  # the connection broke before this task had its turn
            arrivals = [Arrival(each.sender, each.payload, each.channel_id) for each in batch]
            key_changed = await self._store(arrivals)
            if connection == self._connection:
                try:
                    await self._send(AckDeliveries(batch[-1].tag))
                except NotConnected:
                    continue
                if self._expected is not None:
                    self._expected -= len(batch)
            await self._stored(key_changed)

    async def _store(self, arrivals: list[Arrival]) -> bool:
        """Store arrivals, together or, if one of them makes that fail, one by one without it: it must not
        stand in the way of all others for ever. Returns whether somebody's identity key has changed.
        """
        core = self._core
        try:
            return await core.store.run(receive, core.identity, arrivals, core.now_ms(), core.entropy)
        except StoreFault:
            if len(arrivals) == 1:
                await core.store.run(note_refused, core.identity, arrivals[0], core.now())
                return False
        return any([await self._store([arrival]) for arrival in arrivals])

    def _take(self) -> list[Delivery]:
        batch: list[Delivery] = []
        size = 0
        while self._waiting and len(batch) < limits.WINDOW_DELIVERIES and size < limits.WINDOW_BYTES:
            delivery = self._waiting.popleft()
            size += len(delivery.payload)
            batch.append(delivery)
        if not self._waiting:
            self._some.clear()
        self._size -= size
        if len(self._waiting) < _MAX_WAITING and self._size < _MAX_BYTES:
            self._room.set()
        return batch
