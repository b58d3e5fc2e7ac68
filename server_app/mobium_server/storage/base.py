"""What a storage does for the server, as small synchronous units of work. Each method is one transaction: all
of it or nothing.

A storage is used by one thread at a time (`mobium_server.storage.worker`). Not its concern: who is online,
what is forwarded, when a commit is due (`mobium_server.delivery`), and the limits on handing out prekeys
(`mobium_server.limits`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple, Protocol

from mobium.errors import StoreError
from mobium.protocol.limits import KEM_ONE_TIME_STOCK, ONE_TIME_STOCK

__all__ = [
    "DEVICE",
    "KEPT",
    "BadPrekeys",
    "Bundle",
    "Gone",
    "Kind",
    "Mailbox",
    "NewMessage",
    "Page",
    "Prekey",
    "Publication",
    "Refused",
    "Row",
    "Stock",
    "Storage",
    "Taken",
    "Unavailable",
    "sender_share",
]

DEVICE = 1  # mailboxes and prekeys are keyed by identity and device number; today every identity has device 1


class Unavailable(StoreError):
    """The storage cannot do it at the moment (disk full, database locked); nothing was changed, and it can be
    tried again.
    """


class BadPrekeys(StoreError):
    """The prekeys contradict each other, or what is stored; nothing was changed."""


class Refused(Enum):
    """Why a message was not stored."""

    UNKNOWN = "unknown"
    """Its recipient has never published prekeys."""
    FULL = "full"
    """The mailbox, or the sender's share of it, is full."""


class NewMessage(NamedTuple):
    """A message to be stored. Keys have 32 bytes, the delivery id 16."""

    recipient: bytes
    sender: bytes
    delivery: bytes
    payload: bytes


class Taken(NamedTuple):
    """A stored message that its recipient has acknowledged."""

    seq: int
    recipient: bytes
    sender: bytes


class Row(NamedTuple):
    """A stored message. `seq` is its place in the order of rows, and is never used again."""

    seq: int
    sender: bytes
    delivery: bytes
    payload: bytes


class Page(NamedTuple):
    """Stored messages of one mailbox in order. `end`: nothing follows the last of them."""

    rows: list[Row]
    end: bool


class Gone(NamedTuple):
    """A message that expired."""

    recipient: bytes
    sender: bytes
    delivery: bytes


class Mailbox(NamedTuple):
    """What a login needs to know. `known`: the identity has published prekeys."""

    known: bool
    waiting: int


class Kind(IntEnum):
    """The kinds of one-time prekeys."""

    ONE_TIME = 1
    KEM_ONE_TIME = 2


# So many of a kind are kept; a client appends to its stock, so this is twice the stock. The oldest beyond it
# are dropped.
KEPT = {Kind.ONE_TIME: 2 * ONE_TIME_STOCK, Kind.KEM_ONE_TIME: 2 * KEM_ONE_TIME_STOCK}


class Prekey(NamedTuple):
    """A signed public prekey, as published. `expires` is in seconds since 1970."""

    id: int
    expires: int
    public: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Publication:
    """What an identity publishes at once; with `reset` everything it published before goes."""

    x_public: bytes
    binding: bytes
    signed: Prekey | None = None
    last_resort: Prekey | None = None
    one_time: Sequence[Prekey] = field(default_factory=tuple)
    kem_one_time: Sequence[Prekey] = field(default_factory=tuple)
    reset: bool = False


class Stock(NamedTuple):
    """How many one-time prekeys an identity has left, and the ids of the two keys in force (0: none)."""

    one_time: int
    kem_one_time: int
    signed_id: int
    last_resort_id: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """What begins a session with somebody. `kem_one_time` is None where the last-resort key serves."""

    x_public: bytes
    binding: bytes
    signed: Prekey
    last_resort: Prekey
    one_time: Prekey | None
    kem_one_time: Prekey | None


def sender_share(max_messages: int) -> int:
    """How much of a mailbox of `max_messages` one sender may fill: a tenth, so that a stranger cannot lock
    friends out.
    """
    return max(1, max_messages // 10)


class Storage(Protocol):
    """The contract. Any method may raise Unavailable, and has then changed nothing."""

    def open(self) -> None:
        """Make ready. Raises StoreError with a sentence if that cannot be."""

    def close(self) -> None:
        """Finish all writing and let go. Closing twice is allowed."""

    def get(self, name: str) -> bytes | None:
        """A value of the server itself."""

    def put(self, name: str, value: bytes) -> None:
        """Keep a value of the server itself."""

    def apply(self, inserts: Sequence[NewMessage], deletes: Sequence[Taken], now: int) -> list[int | Refused]:
        """Delete rows, then store messages (each recipient, sender and delivery id once) that arrived at
        `now` on the server's clock: one transaction, durable on return.

        For each message its row number, or why it was refused. A message whose recipient, sender and delivery
        id are stored already gets the number of that row.
        """

    def mailbox(self, identity: bytes) -> Mailbox:
        """What waits for an identity."""

    def page(self, identity: bytes, after: int, max_rows: int, max_bytes: int) -> Page:
        """The first rows above `after`: at most `max_rows`, and none after the payloads reached `max_bytes`;
        always at least one, if there is one.
        """

    def expire(self, arrived: int, limit: int) -> list[Gone]:
        """Delete messages that arrived at or before `arrived` on the server's clock, looking at the `limit`
        oldest rows; as many come back as were looked at if there may be more.
        """

    def publish(self, identity: bytes, publication: Publication, now: int) -> Stock:
        """Store prekeys and forget expired one-time ones (`now` in seconds since 1970). Raises BadPrekeys."""

    def bundle(self, identity: bytes, one_time: bool, now: int) -> Bundle | None:
        """The keys to begin a session, or None if the identity published none. A one-time key is deleted by
        the statement that hands it out.
        """

    def stock(self, identity: bytes, now: int) -> Stock:
        """What is left of an identity's prekeys."""
