"""What a storage does for the server, as small synchronous units of work. Each method is one transaction: all
of it or nothing.

A storage is used by one thread at a time (`mobium_server.storage.worker`). Not its concern: who is online,
what is forwarded, when a commit is due (`mobium_server.delivery`, `mobium_server.board`), what a statement
says (`mobium_server.channels`), and the limits on handing out prekeys (`mobium_server.limits`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple, Protocol

from mobium.errors import StoreError
from mobium.protocol.limits import KEM_ONE_TIME_STOCK, MAX_INVITES, ONE_TIME_STOCK

__all__ = [
    "DEVICE",
    "KEPT",
    "SIGNING_KEY",
    "BadPrekeys",
    "Bounds",
    "Bundle",
    "ChannelStorage",
    "Gone",
    "GonePost",
    "HeldInvite",
    "HistoryPage",
    "Kind",
    "Line",
    "Mailbox",
    "NewInvite",
    "NewMessage",
    "NewPost",
    "NewStatement",
    "Page",
    "Posted",
    "Prekey",
    "Publication",
    "Refused",
    "Row",
    "State",
    "StatementRow",
    "Stock",
    "Storage",
    "Taken",
    "Unavailable",
    "Volume",
    "mailbox_bytes",
    "sender_share",
]

DEVICE = 1  # mailboxes and prekeys are keyed by identity and device number; today every identity has device 1

SIGNING_KEY = "signing key"  # the name of the server's own value by which clients know it


class Unavailable(StoreError):
    """The storage cannot do it at the moment (disk full, database locked); nothing was changed, and it can be
    tried again.
    """


class BadPrekeys(StoreError):
    """The prekeys contradict each other, or what is stored; nothing was changed."""


class Refused(Enum):
    """Why something was not stored or not shown; nothing was changed."""

    UNKNOWN = "unknown"
    """The recipient has never published prekeys, or there is no such channel."""
    FULL = "full"
    """The mailbox, or the sender's share of it, or the channel is full."""
    NOT_MEMBER = "not a member"
    STALE = "stale"
    """It does not follow on the newest statement, or who is a member has changed since."""
    TOO_MANY = "too many"
    """The identity is in as many channels, or the channel has as many invites, as may be."""
    BAD_INVITE = "bad invite"
    """There is no such invite any more."""
    INVITE_EXPIRED = "invite expired"
    INVITE_USED = "invite used"


class NewMessage(NamedTuple):
    """A message to be stored. Keys have 32 bytes, the delivery id 16. With `channel` it is a distribution for
    that channel.
    """

    recipient: bytes
    sender: bytes
    delivery: bytes
    payload: bytes
    channel: bytes | None = None


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
    channel: bytes | None = None


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
    """What a login needs to know. `known`: the identity has published prekeys; `channels`: of which it is a
    member.
    """

    known: bool
    waiting: int
    channels: tuple[bytes, ...] = ()


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


# ---------------------------------------------------------------- channels


class Bounds(NamedTuple):
    """How much a storage takes for channels."""

    memberships: int = 500
    """Channels of one identity."""
    posts: int = 100_000
    """Messages of one channel."""
    posts_bytes: int = 1 << 30
    """And the bytes of their payloads: most have 512, so this only bounds what large ones take from the
    disk."""
    invites: int = MAX_INVITES
    """Invites of one channel that are in force."""


@dataclass(frozen=True, slots=True)
class NewStatement:
    """A statement that was found good. Index 0 begins the channel. `joins` and `leaves`: who becomes a
    member, and who ceases to be one. `membership`: messages from before it are refused from now on. `rekeys`:
    it ends all invites.
    """

    channel: bytes
    index: int
    statement: bytes
    joins: bytes | None = None
    leaves: bytes | None = None
    membership: bool = False
    rekeys: bool = False


class StatementRow(NamedTuple):
    """A stored statement, and its number in the channel's sequence."""

    number: int
    statement: bytes


@dataclass(frozen=True, slots=True)
class NewPost:
    """A channel message to be stored. `index`: the roster index up to which its sender knew who reads it."""

    channel: bytes
    sender: bytes
    delivery: bytes
    index: int
    payload: bytes


class Posted(NamedTuple):
    """The number that a channel message has. `new`: it was given just now."""

    number: int
    new: bool


class GonePost(NamedTuple):
    """A channel message that expired."""

    channel: bytes
    sender: bytes
    delivery: bytes


class Line(NamedTuple):
    """One place of a channel's sequence: a message, or a statement (then there is no sender)."""

    number: int
    sender: bytes | None
    payload: bytes


class HistoryPage(NamedTuple):
    """Places of a channel in order. Up to `upto` nothing is left out; `head` is the newest number that the
    asker may see.
    """

    lines: list[Line]
    upto: int
    head: int


@dataclass(frozen=True, slots=True)
class State:
    """How far a channel has come, as somebody may see it."""

    channel: bytes
    number: int
    index: int


class NewInvite(NamedTuple):
    """An invite for `uses` joins (0: no limit) until `expires` (seconds since 1970; 0: no end)."""

    id: bytes
    uses: int
    expires: int
    made_by: bytes


class HeldInvite(NamedTuple):
    """An invite in force; `uses` are left (0: no limit)."""

    id: bytes
    uses: int
    expires: int
    made_by: bytes


class Volume(NamedTuple):
    """How much a storage holds, as figures that speak of nobody."""

    messages: int
    """Messages that wait in mailboxes; distributions are among them."""
    message_bytes: int
    mailboxes: int
    """Mailboxes in which something waits."""
    deepest: int
    """The messages in the fullest of them."""
    channels: int
    database_bytes: int
    log_bytes: int
    """What lies beside the database until the next checkpoint."""
    complete: bool = True
    """What was there at the start is counted; if not, the next call counts more of it."""


class ChannelStorage(Protocol):
    """The part of the contract that is about channels."""

    def place(self, new: NewStatement, invite: bytes | None, now: int) -> int | Refused:
        """Store a statement that follows on the newest one, and what it changes: one transaction, durable on
        return. A join with `invite` takes one of its uses (`now` in seconds since 1970). Returns its number.
        """

    def statements(
        self, channel: bytes, start: int, end: int, max_rows: int, max_bytes: int
    ) -> list[StatementRow]:
        """The statements with the indices `start` to `end`: at most `max_rows` and `max_bytes`, but always
        one, if there is one.
        """

    def post(self, posts: Sequence[NewPost], now: int) -> list[Posted | Refused]:
        """Store channel messages that arrived at `now` on the server's clock, and number them in this order:
        one transaction, durable on return. One that is stored already keeps the number it has.
        """

    def history(
        self, channel: bytes, identity: bytes, after: int, max_rows: int, max_bytes: int
    ) -> HistoryPage | Refused:
        """What `identity` may see behind the number `after`: from its newest join on, and if it has left up
        to the statement by which it left; at most `max_rows` and `max_bytes`, but always one, if there is
        one.
        """

    def channels(self, identity: bytes, after: bytes, limit: int) -> list[State]:
        """Every channel of which an identity is or was a member, in the order of their ids."""

    def expire_posts(self, arrived: int, limit: int) -> list[GonePost]:
        """Delete channel messages, as `Storage.expire` deletes others."""

    def invite(self, channel: bytes, invite: bytes, now: int) -> Refused | None:
        """Why an invite is not in force; None if it is."""

    def make_invite(self, channel: bytes, new: NewInvite, now: int) -> Refused | None:
        """Store an invite, unless there are as many in force as may be."""

    def invites(self, channel: bytes, now: int) -> list[HeldInvite]:
        """The invites in force, oldest first."""

    def revoke_invite(self, channel: bytes, invite: bytes) -> bool:
        """Delete an invite; False if there was none."""


def mailbox_bytes(max_messages: int) -> int:
    """How many bytes of payloads a mailbox of `max_messages` keeps: 64 KiB a message. Most have 512 bytes, so
    this only bounds what large ones take from the disk.
    """
    return max_messages << 16


def sender_share(whole: int) -> int:
    """How much of a mailbox, in messages or bytes, one sender may fill: a tenth, so that a stranger cannot
    lock friends out; but always one message. Distributions count by themselves, by the same measures.
    """
    return max(1, whole // 10)


class Storage(ChannelStorage, Protocol):
    """The contract. Any method may raise Unavailable, and has then changed nothing."""

    def open(self) -> None:
        """Make ready. Raises StoreError with a sentence if that cannot be."""

    def close(self) -> None:
        """Finish all writing and let go. Closing twice is allowed."""

    def checkpoint(self) -> None:
        """Leave everything in the one file that is copied, and nothing that was deleted in any other."""

    def clear_copies(self, now: int) -> list[str]:
        """Remove the copies made before migrations once they have been there for 30 days (`now` on the
        server's clock); their names.
        """

    def volume(self) -> Volume:
        """How much it holds, in little time."""

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
        """What waits for an identity, and the channels that it reads."""

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

    def retire(self, now: int, renewed: int, limit: int) -> list[bytes]:
        """Forget identities, at most `limit`, that published their last signed prekey at or before `renewed`
        and for whom nothing waits; who they were. A publication counts from the first call after it, which
        was at `now`, both on the server's clock.
        """

    def bundle(self, identity: bytes, one_time: bool, now: int) -> Bundle | None:
        """The keys to begin a session, or None if the identity published none. A one-time key is deleted by
        the statement that hands it out.
        """

    def stock(self, identity: bytes, now: int) -> Stock:
        """What is left of an identity's prekeys."""
