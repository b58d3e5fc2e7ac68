"""How much may wait in memory for its commit, in all and from one connection: beyond it connections are not
read from.

Not its concern: what waits (`mobium_server.delivery`, `mobium_server.board`).
"""

from __future__ import annotations

from mobium_server.envelope import Desk

__all__ = ["Holding"]

HELD_BYTES = 64 << 20  # payloads that may wait in memory in all, before senders are made to wait
HELD_BY_ONE = 4 << 20  # and those of one connection


class Holding:
    """The payloads whose senders have no answer yet."""

    def __init__(self) -> None:
        self.held = 0
        self.holding: dict[Desk, None] = {}

    def take(self, desk: Desk, size: int) -> None:
        """A payload of `size` bytes from `desk` waits."""
        desk.held += size
        self.held += size
        if (desk.held > HELD_BY_ONE or self.held > HELD_BYTES) and not desk.holding and desk.open:
            desk.holding = True
            self.holding[desk] = None
            desk.outlet.hold()

    def give_back(self, desk: Desk, size: int) -> None:
        """It was answered."""
        desk.held -= size
        self.held -= size
        if self.holding and self.held <= HELD_BYTES // 2:
            for waiting in [one for one in self.holding if one.held <= HELD_BY_ONE // 2]:
                del self.holding[waiting]
                waiting.holding = False
                waiting.outlet.resume()

    def forget(self, desk: Desk) -> None:
        """The connection ended."""
        self.holding.pop(desk, None)
