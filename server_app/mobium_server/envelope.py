"""One message on its way, and one login to which messages are handed: the records that delivery keeps.

An envelope lives from its arrival until its sender is answered and, if it was handed to a connection, until
that connection acknowledged it or ended. Not its concern: what moves them (`mobium_server.delivery`).
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Protocol

from mobium.protocol import limits
from mobium_server.storage.base import Mailbox

__all__ = ["Desk", "Envelope", "Outlet", "State"]


class State(Enum):
    """Where an envelope is."""

    WAITING = 1
    """In memory, for the next commit."""
    COMMITTING = 2
    """In the transaction that is being written."""
    STORED = 3
    """A row; here only while it is in a connection's window."""
    REFUSED = 4
    """Its sender was told that it was not taken; here only while it is in a connection's window."""
    DONE = 5
    """Acknowledged by its recipient, or dropped."""


class Outlet(Protocol):
    """What delivery needs of a connection."""

    def send(self, frame: bytes) -> None:
        """Write a frame soon; frames written together leave together."""

    def writable(self) -> bool:
        """Whether the socket takes more."""

    def hold(self) -> None:
        """Stop reading from this connection."""

    def resume(self) -> None:
        """Read again."""


class Envelope:
    """One message on its way."""

    __slots__ = (
        "answers",
        "delivery",
        "desk",
        "digest",
        "key",
        "payload",
        "recipient",
        "sender",
        "seq",
        "size",
        "state",
    )

    def __init__(self, sender: bytes, recipient: bytes, delivery: bytes, payload: bytes, key: bytes) -> None:
        self.sender = sender
        self.recipient = recipient
        self.delivery = delivery
        self.key = key
        self.digest: bytes | None = None
        self.payload = payload
        self.size = len(payload)
        self.seq = 0
        self.state = State.WAITING
        self.answers: list[tuple[Desk, int | None]] = []
        self.desk: Desk | None = None
        """The connection in whose window it is."""

    @property
    def queued(self) -> bool:
        """Whether it is still to be handed over from memory: not yet a row, and in no window."""
        return self.desk is None and (self.state is State.WAITING or self.state is State.COMMITTING)


class Desk:
    """A login on one connection: what was handed to it, and what waits for it."""

    __slots__ = (
        "acknowledged",
        "behind",
        "blocked",
        "cursor",
        "held",
        "holding",
        "identity",
        "known",
        "loading",
        "open",
        "outlet",
        "queue",
        "tag",
        "window",
        "window_bytes",
    )

    def __init__(self, identity: bytes, outlet: Outlet, mailbox: Mailbox) -> None:
        self.identity = identity
        self.outlet = outlet
        self.known = mailbox.known
        """Whether the identity has published prekeys, so that it can be written to."""
        self.open = True
        self.tag = 0
        self.acknowledged = 0
        self.window: deque[Envelope] | None = (
            None  # made when needed: most connections are idle most of the time
        )
        self.window_bytes = 0
        self.queue: deque[Envelope] | None = None
        self.cursor = 0
        """Rows up to this one were handed to this connection."""
        self.behind = mailbox.waiting > 0
        """There may be rows above the cursor that were not handed to this connection."""
        self.loading = False
        self.blocked = False
        """The next row does not fit into the window before something is acknowledged."""
        self.held = 0
        """Bytes that this connection sent and that still wait for an answer."""
        self.holding = False

    def room_for(self, size: int) -> bool:
        """Whether a payload of `size` bytes may be handed over now: always one, then 64 or 1 MiB."""
        if not self.window:
            return True
        return len(self.window) < limits.WINDOW_DELIVERIES and self.window_bytes + size <= limits.WINDOW_BYTES
