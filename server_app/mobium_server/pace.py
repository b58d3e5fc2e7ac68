"""When the storage is written to, how much at once, and when a sender is told to try again: what delivery and
channels have in common.

Not its concern: what is written (`mobium_server.delivery`, `mobium_server.board`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = [
    "BATCH",
    "BATCH_BYTES",
    "FULL_AFTER",
    "RETRY_AFTER",
    "TICK",
    "TIDY",
    "Cancel",
    "Later",
]

# seconds between two commits: a card sees at most 200 writes a second, a sender waits no longer than this
TICK = 0.005
BATCH = 512  # messages that do not wait for the tick
BATCH_BYTES = 4 << 20  # payload bytes in one transaction, so that none takes long
TIDY = 0.25  # seconds that acknowledged rows wait to be deleted together, if no message is stored meanwhile
RETRY_AFTER = 2.0  # what a sender is told when the storage fails, seconds
FULL_AFTER = 60.0  # and when a mailbox, a channel or the disk is full


class Cancel(Protocol):
    """A timer that can be called off."""

    def cancel(self) -> None:
        """Call it off."""


Later = Callable[[float, Callable[[], None]], Cancel]
