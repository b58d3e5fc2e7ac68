"""Messages of channels: rosters, numbered messages, distributions, invites (docs/PROTOCOL.md, docs/CRYPTO.md
sections 6 and 7).

Statements are the fixed layouts of `mobium.protocol.statement`, carried as they are. Not its concern: what a
statement says, and what a payload holds.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from mobium.protocol import limits
from mobium.protocol.messages.fields import DeliveryId, Id16, Index, Key, Number, Place, RequestId, Signature

__all__ = [
    "Appended",
    "ChannelHead",
    "ChannelMessage",
    "ChannelPost",
    "ChannelState",
    "Channels",
    "CreateChannel",
    "CreateInvite",
    "Distribute",
    "Distribution",
    "Entry",
    "GetChannels",
    "GetHistory",
    "GetMembers",
    "History",
    "Invite",
    "InviteRow",
    "Invites",
    "JoinChannel",
    "LeaveChannel",
    "ListInvites",
    "RevokeInvite",
    "RosterAppend",
    "RosterPage",
]

Statement = Annotated[bytes, msgspec.Meta(min_length=1, max_length=limits.MAX_STATEMENT)]
_Uses = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
_Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


# ---------------------------------------------------------------- rosters


class CreateChannel(msgspec.Struct, frozen=True, tag_field="type", tag="create_channel", omit_defaults=True):
    """Up: the statement that makes a channel. Answered by Appended."""

    statement: Statement
    rid: RequestId | None = None


class JoinChannel(msgspec.Struct, frozen=True, tag_field="type", tag="join_channel", omit_defaults=True):
    """Up: the sender's own join statement; into a private channel with the id of an invite that is in force.
    Answered by Appended.
    """

    statement: Statement
    invite: Id16 | None = None
    rid: RequestId | None = None


class LeaveChannel(msgspec.Struct, frozen=True, tag_field="type", tag="leave_channel", omit_defaults=True):
    """Up: the sender's own leave statement. Answered by Appended."""

    statement: Statement
    rid: RequestId | None = None


class RosterAppend(msgspec.Struct, frozen=True, tag_field="type", tag="roster_append", omit_defaults=True):
    """Up: any other statement. Answered by Appended, or `stale_roster` if it is not on the newest head."""

    statement: Statement
    rid: RequestId | None = None


class Appended(msgspec.Struct, frozen=True, tag_field="type", tag="appended", omit_defaults=True):
    """Down: the statement is committed, as the entry with this number."""

    channel_id: Key
    index: Index
    number: Place
    rid: RequestId | None = None


class GetMembers(msgspec.Struct, frozen=True, tag_field="type", tag="get_members", omit_defaults=True):
    """Up: asks for the statements from index `start` on. Who is no member of a private channel proves that it
    knows the secret: `proof` is the invite key's signature over the login's nonce.
    """

    channel_id: Key
    start: Index = 0
    proof: Signature | None = None
    invite: Id16 | None = None
    rid: RequestId | None = None


class RosterPage(msgspec.Struct, frozen=True, tag_field="type", tag="roster", omit_defaults=True):
    """Down: statements in order, the first of them at index `start`; the newest of all has index `newest`.
    Without `rid` it is one that was just committed, as the entry with this number.
    """

    channel_id: Key
    start: Index
    statements: Annotated[list[Statement], msgspec.Meta(max_length=limits.ROSTER_PAGE)]
    newest: Index
    number: Number
    """The number of the last statement of the page."""
    rid: RequestId | None = None


# ---------------------------------------------------------------- messages


class ChannelPost(msgspec.Struct, frozen=True, tag_field="type", tag="channel_message", omit_defaults=True):
    """Up: an opaque payload for a channel, encrypted by one who knew the roster up to `index`. Answered by
    Accepted with its number, or `stale_roster` if who is a member has changed since.
    """

    id: DeliveryId
    channel_id: Key
    index: Index
    payload: bytes
    rid: RequestId | None = None


class ChannelMessage(msgspec.Struct, frozen=True, tag_field="type", tag="channel_message"):
    """Down: a message that was just committed, to every other member who is connected."""

    channel_id: Key
    number: Number
    sender: Key
    payload: bytes


class ChannelHead(msgspec.Struct, frozen=True, tag_field="type", tag="channel_head"):
    """Down: the channel has come to this number, and not everything before it was sent on this connection."""

    channel_id: Key
    number: Number


class GetHistory(msgspec.Struct, frozen=True, tag_field="type", tag="get_history", omit_defaults=True):
    """Up: asks for the entries behind the number `after`."""

    channel_id: Key
    after: Number
    limit: Annotated[int, msgspec.Meta(ge=1, le=limits.HISTORY_PAGE)] = limits.HISTORY_PAGE
    rid: RequestId | None = None


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One place of a channel's sequence: a message of `sender`, or a statement."""

    number: Number
    sender: Key | None = None
    payload: bytes = b""
    statement: Annotated[bytes, msgspec.Meta(max_length=limits.MAX_STATEMENT)] = b""


class History(msgspec.Struct, frozen=True, tag_field="type", tag="history", omit_defaults=True):
    """Down: entries in order. Numbers between them that are missing have expired. `head` is the newest number
    that the asker may see, and `upto` the number up to which nothing is left out here.
    """

    channel_id: Key
    entries: Annotated[list[Entry], msgspec.Meta(max_length=limits.HISTORY_PAGE)]
    upto: Number
    head: Number
    rid: RequestId | None = None


class GetChannels(msgspec.Struct, frozen=True, tag_field="type", tag="get_channels", omit_defaults=True):
    """Up: asks for the channels of which the sender is, or was, a member: those behind `after` in the order
    of their ids.
    """

    after: Key | None = None
    rid: RequestId | None = None


class ChannelState(msgspec.Struct, frozen=True):
    """How far a channel has come, as the asker may see it: its newest number and roster index."""

    channel_id: Key
    number: Number
    index: Index


class Channels(msgspec.Struct, frozen=True, tag_field="type", tag="channels", omit_defaults=True):
    """Down: channels in the order of their ids; more follow if the list is full."""

    channels: Annotated[list[ChannelState], msgspec.Meta(max_length=limits.CHANNELS_PAGE)]
    rid: RequestId | None = None


# ---------------------------------------------------------------- sender keys


class Distribution(msgspec.Struct, frozen=True):
    """A pairwise payload that carries a sender key to one member."""

    recipient: Key
    payload: bytes


class Distribute(
    msgspec.Struct, frozen=True, tag_field="type", tag="sender_key_distribution", omit_defaults=True
):
    """Up: pairwise payloads to members of a channel, all under one delivery id; each counts as a request.
    Delivered as `message` with `channel_id`. Answered by Accepted, which names those that were not taken.
    """

    id: DeliveryId
    channel_id: Key
    distributions: Annotated[
        list[Distribution], msgspec.Meta(min_length=1, max_length=limits.DISTRIBUTION_BATCH)
    ]
    rid: RequestId | None = None


# ---------------------------------------------------------------- invites


class CreateInvite(msgspec.Struct, frozen=True, tag_field="type", tag="create_invite", omit_defaults=True):
    """Up: a new invite into a private channel, for `uses` joins (0: no limit) within `ttl` seconds (0: no
    end). Answered by Invite.
    """

    channel_id: Key
    uses: _Uses
    ttl: _Seconds
    rid: RequestId | None = None


class Invite(msgspec.Struct, frozen=True, tag_field="type", tag="invite", omit_defaults=True):
    """Down: the invite that was made. `expires` is in seconds since 1970, 0 for never."""

    channel_id: Key
    id: Id16
    uses: _Uses
    expires: _Seconds
    rid: RequestId | None = None


class ListInvites(msgspec.Struct, frozen=True, tag_field="type", tag="list_invites", omit_defaults=True):
    """Up: asks for the invites in force. Answered by Invites."""

    channel_id: Key
    rid: RequestId | None = None


class RevokeInvite(msgspec.Struct, frozen=True, tag_field="type", tag="revoke_invite", omit_defaults=True):
    """Up: ends an invite. Answered by Invites, with those that are left."""

    channel_id: Key
    id: Id16
    rid: RequestId | None = None


class InviteRow(msgspec.Struct, frozen=True):
    """An invite in force: `uses` are left (0: no limit); `expires` in seconds since 1970, 0 for never."""

    id: Id16
    uses: _Uses
    expires: _Seconds
    made_by: Key


class Invites(msgspec.Struct, frozen=True, tag_field="type", tag="invites", omit_defaults=True):
    """Down: the invites of a channel that are in force, oldest first."""

    channel_id: Key
    invites: Annotated[list[InviteRow], msgspec.Meta(max_length=limits.MAX_INVITES)]
    rid: RequestId | None = None
