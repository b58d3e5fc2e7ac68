"""Receipts: contacts learn, encrypted and in batches, that their messages arrived (docs/PROTOCOL.md, Two
ids).

A random delay of up to 2 seconds hides when exactly a device was reached, and gathers many receipts into one
message. Only accepted contacts get any. Not its concern: noting what is owed (`mobium.client.receive`) and
encrypting (`mobium.client.outbox`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from mobium.client.core import Core
from mobium.client.store import incoming, meta, outgoing
from mobium.client.store.database import Tx
from mobium.protocol import content
from mobium.protocol.content import Receipt

__all__ = ["DELAY", "Receipts"]

DELAY: Final = 2.0  # seconds at most
_IN_ONE: Final = 512  # what one receipt may name, if the server takes so large a message
_ID_SIZE: Final = 18  # bytes of one id in a receipt
_REST: Final = 128  # and of everything else


class Receipts:
    """Queues what is owed, a random moment after `wake`; `queued()` is called when something can go out."""

    def __init__(self, core: Core, delay: float, queued: Callable[[], None]) -> None:
        self._core = core
        self._delay = delay
        self._queued = queued
        self._wake = asyncio.Event()
        self._wake.set()  # what was owed before the start

    def wake(self) -> None:
        """Receipts may be owed."""
        self._wake.set()

    async def run(self) -> None:
        """Queue receipts until cancelled. Raises StoreError."""
        core = self._core
        while True:
            await self._wake.wait()
            await asyncio.sleep(core.uniform(0, self._delay))
            self._wake.clear()
            if await core.store.run(_queue, core.now_ms(), core.entropy):
                self._queued()


def _queue(tx: Tx, now_ms: int, entropy: Callable[[int], bytes]) -> int:
    queued = 0
    most = max(1, min(_IN_ONE, (meta.largest_content(tx) - _REST) // _ID_SIZE))
    for peer in incoming.owed_peers(tx):
        while taken := incoming.take_receipts(tx, peer, most):
            for what, ids in taken.items():
                receipt = content.encode(Receipt(entropy(16), now_ms, what, ids))
                outgoing.add(tx, peer, receipt, None, now_ms // 1000)
                queued += 1
    return queued
