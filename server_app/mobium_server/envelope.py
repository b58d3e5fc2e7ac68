"""One message on its way, who waits for its answer, and one login to which messages are handed: the records
that delivery keeps.

An envelope lives from its arrival until its sender is answered and, if it was handed to a connection, until
that connection acknowledged it or ended. Not its concern: what moves them (`mobium_server.delivery`,
`mobium_server.windows`).
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import NamedTuple, Protocol

from mobium.protocol import codec, limits
from mobium.protocol.codes import ErrorCode, sentence
from mobium.protocol.messages import Accepted, Error, NotTaken
from mobium_server.storage.base import Mailbox

__all__ = ["Asker", "Batch", "Desk", "Envelope", "Outlet", "State", "refusal"]


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

    def relay(self, data: bytes) -> bool:
        """Write bytes that are a whole WebSocket frame already, in order with those of `send`. False: the
        socket does not take them now; it is said when it does.
        """

    def writable(self) -> bool:
        """Whether the socket takes more; if not, it is said when it does."""

    def hold(self) -> None:
        """Stop reading from this connection."""

    def resume(self) -> None:
        """Read again."""


class Envelope:
    """One message on its way."""

    __slots__ = (
        "answers",
        "channel",
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

    def __init__(
        self,
        sender: bytes,
        recipient: bytes,
        delivery: bytes,
        payload: bytes,
        key: bytes,
        channel: bytes | None = None,
    ) -> None:
        self.sender = sender
        self.recipient = recipient
        self.delivery = delivery
        self.channel = channel
        """The channel for which it is a distribution."""
        self.key = key
        self.digest: bytes | None = None
        self.payload = payload
        self.size = len(payload)
        self.seq = 0
        self.state = State.WAITING
        self.answers: list[Asker] = []
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
        # Both are made when they are needed: most connections are idle most of the time.
        self.window: deque[Envelope] | None = None
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


class Asker(NamedTuple):
    """Who sent a message and waits for the answer; `batch` if it came with others in one frame."""

    desk: Desk
    rid: int | None
    batch: Batch | None = None

    def accepted(self, envelope: Envelope) -> bytes | None:
        """The frame that says that it was taken, if it is time for one."""
        if self.batch is None:
            return codec.encode_accepted(envelope.delivery, self.rid)
        return self.batch.settle()

    def refused(self, envelope: Envelope, code: ErrorCode, retry_after: float | None) -> bytes | None:
        """The frame that says that it was not, if it is time for one."""
        if self.batch is None:
            return refusal(envelope.delivery, self.rid, code, retry_after)
        self.batch.failed.append(NotTaken(envelope.recipient, code.value, retry_after))
        return self.batch.settle()


class Batch:
    """Messages that came in one frame under one delivery id and have one answer, when each has its own."""

    __slots__ = ("_delivery", "_left", "_rid", "failed")

    def __init__(self, delivery: bytes, rid: int | None, number: int, failed: list[NotTaken]) -> None:
        self._delivery = delivery
        self._rid = rid
        self._left = number
        self.failed = failed
        """Those that were not taken."""

    def settle(self) -> bytes | None:
        """One more has its answer: the frame, if it was the last."""
        self._left -= 1
        return self.answer() if self._left == 0 else None

    def answer(self) -> bytes:
        """The frame that answers them."""
        return codec.encode(Accepted(self._delivery, self._rid, failed=self.failed))


def refusal(delivery: bytes, rid: int | None, code: ErrorCode, retry_after: float | None = None) -> bytes:
    """The frame that tells a sender that a message was not taken."""
    return codec.encode(Error(code.value, sentence(code), rid, delivery, retry_after))
