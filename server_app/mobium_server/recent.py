"""The answers to delivery ids whose rows are gone: keyed hashes, for ten minutes, so that nobody can read who
wrote to whom.

Not its concern: when something is remembered (`mobium_server.delivery`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from hashlib import blake2b

__all__ = ["Recent"]

MEMORY = 600.0  # how long the answer to a delivery id is remembered after its row is gone, seconds
MEMORY_STEPS = 4
MEMORY_MOST = 500_000  # hashes remembered at most (about 80 MB); beyond it the oldest go first


class Recent:
    """The answers to delivery ids whose rows are gone: keyed hashes, for ten minutes, so that nobody can read
    who wrote to whom.
    """

    def __init__(self, steady: Callable[[], float], secret: bytes | None = None) -> None:
        self._steady = steady
        self._secret = os.urandom(32) if secret is None else secret
        self._steps: deque[tuple[float, set[bytes]]] = deque([(steady(), set())])
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, digest: bytes) -> None:
        """Remember that the delivery with this digest was acknowledged."""
        began, newest = self._steps[-1]
        if self._steady() - began >= MEMORY / MEMORY_STEPS:
            newest = self._turn()
        if digest not in newest:
            newest.add(digest)
            self._count += 1
            if self._count > MEMORY_MOST:
                self._drop()

    def __contains__(self, digest: bytes) -> bool:
        if not self._count:
            return False
        if self._steady() - self._steps[-1][0] >= MEMORY / MEMORY_STEPS:
            self._turn()
        for _, step in self._steps:  # noqa: SIM110 - a generator costs more than what it looks up
            if digest in step:
                return True
        return False

    def digest(self, key: bytes) -> bytes:
        """What is remembered of a sender, recipient and delivery id: 16 bytes that say nothing."""
        return blake2b(key, digest_size=16, key=self._secret).digest()

    def _turn(self) -> set[bytes]:
        now = self._steady()
        self._steps.append((now, set()))
        # A step ends where the next begins, and everything in it must stay for the whole time.
        while len(self._steps) > 1 and now - self._steps[1][0] >= MEMORY:
            self._drop()
        return self._steps[-1][1]

    def _drop(self) -> None:
        _, oldest = self._steps.popleft()
        self._count -= len(oldest)
        if not self._steps:
            self._steps.append((self._steady(), set()))
