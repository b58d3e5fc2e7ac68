"""What every part of an open engine shares: the identity, the store, the clock, entropy.

Not its concern: the network (`mobium.client.online`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mobium.client.store.database import Store
from mobium.crypto.identity import Identity
from mobium.errors import StoreError
from mobium.protocol.messages import ClientMessage, ServerMessage

__all__ = ["Core", "Request"]

Request = Callable[[ClientMessage], Awaitable[ServerMessage]]
"""Asks the server, and gives its answer. Raises ServerRefused, NotConnected."""


class Core:
    """`clock` gives unix seconds, `entropy` that many random bytes, `uniform` a random float in bounds."""

    __slots__ = ("_identity", "clock", "entropy", "store", "uniform")

    def __init__(
        self,
        identity: Identity,
        store: Store,
        clock: Callable[[], float],
        entropy: Callable[[int], bytes],
        uniform: Callable[[float, float], float],
    ) -> None:
        self._identity: Identity | None = identity
        self.store = store
        self.clock = clock
        self.entropy = entropy
        self.uniform = uniform

    @property
    def identity(self) -> Identity:
        """The identity. Raises StoreError once it was let go."""
        if self._identity is None:
            raise StoreError("The profile is locked.")
        return self._identity

    def forget(self) -> None:
        """Let the identity go: the profile is locked."""
        self._identity = None

    def now(self) -> int:
        """Unix seconds."""
        return int(self.clock())

    def now_ms(self) -> int:
        """Unix milliseconds."""
        return int(self.clock() * 1000)
