"""What every part of an open engine shares: the identity, the store, the clock, entropy.

Not its concern: the network (`mobium.client.online`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mobium.client.store.database import Store
from mobium.crypto.identity import Identity

__all__ = ["Core"]


@dataclass(frozen=True, slots=True)
class Core:
    """`clock` gives unix seconds, `entropy` that many random bytes, `uniform` a random float between two
    bounds.
    """

    identity: Identity
    store: Store
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]
    uniform: Callable[[float, float], float]

    def now(self) -> int:
        """Unix seconds."""
        return int(self.clock())

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return int(self.clock() * 1000)
