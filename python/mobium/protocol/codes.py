"""The closed list of error codes on the wire, each with its sentence, and the close codes.

A code that is not in this list is never sent. Not its concern: when a code applies.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

__all__ = ["CloseCode", "ErrorCode", "explain", "sentence"]


class ErrorCode(StrEnum):
    """What an `error` frame may say."""

    MALFORMED = "malformed"
    UNKNOWN_TYPE = "unknown_type"
    NOT_AUTHENTICATED = "not_authenticated"
    AUTH_FAILED = "auth_failed"
    WRONG_HOST = "wrong_host"
    UNSUPPORTED_VERSION = "unsupported_version"
    TOO_LARGE = "too_large"
    BAD_SIZE = "bad_size"
    UNKNOWN_RECIPIENT = "unknown_recipient"
    NO_PREKEYS = "no_prekeys"
    BAD_PREKEYS = "bad_prekeys"
    QUEUE_FULL = "queue_full"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    TLS_REQUIRED = "tls_required"
    STORAGE = "storage"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL = "internal"
    UNKNOWN_CHANNEL = "unknown_channel"
    NOT_A_MEMBER = "not_a_member"
    FORBIDDEN = "forbidden"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - a code
    BAD_INVITE = "bad_invite"
    INVITE_EXPIRED = "invite_expired"
    INVITE_USED = "invite_used"
    BANNED = "banned"
    CHANNEL_FULL = "channel_full"
    ALREADY_MEMBER = "already_member"
    STALE_ROSTER = "stale_roster"
    BAD_STATEMENT = "bad_statement"
    TOO_MANY_CHANNELS = "too_many_channels"
    TOO_MANY_INVITES = "too_many_invites"
    OFFLINE = "offline"
    ROOM_FULL = "room_full"
    NOT_IN_ROOM = "not_in_room"


_SENTENCES = {
    ErrorCode.MALFORMED: "The frame is malformed.",
    ErrorCode.UNKNOWN_TYPE: "This server does not know that type of frame.",
    ErrorCode.NOT_AUTHENTICATED: "Log in first.",
    ErrorCode.AUTH_FAILED: "The login was refused: its signature does not verify.",
    ErrorCode.WRONG_HOST: (
        "The server is not known by the name that was dialled; its operator can add it to SC_PUBLIC_HOSTS."
    ),
    ErrorCode.UNSUPPORTED_VERSION: (
        "Client and server speak no common version of the protocol; update the older one."
    ),
    ErrorCode.TOO_LARGE: "The message is larger than this server allows.",
    ErrorCode.BAD_SIZE: "The payload does not have the size of a padded message.",
    ErrorCode.UNKNOWN_RECIPIENT: "Nobody with this key has used this server yet.",
    ErrorCode.NO_PREKEYS: (
        "This contact has published no keys on this server yet, so no conversation can begin."
    ),
    ErrorCode.BAD_PREKEYS: "The prekeys were refused.",
    ErrorCode.QUEUE_FULL: "The recipient's mailbox is full, or the channel is; it can be sent again later.",
    ErrorCode.RATE_LIMITED: "Too many requests; try again in a moment.",
    ErrorCode.TOO_MANY_CONNECTIONS: "Too many connections.",
    ErrorCode.TLS_REQUIRED: "This server takes connections over TLS only; use wss://.",
    ErrorCode.STORAGE: "The server cannot write to its disk at the moment; the message was not taken.",
    ErrorCode.SHUTTING_DOWN: "The server is shutting down.",
    ErrorCode.INTERNAL: "The server failed to handle this; its operator finds the reason in its log.",
    ErrorCode.UNKNOWN_CHANNEL: "This server has no such channel; check that the link was copied whole.",
    ErrorCode.NOT_A_MEMBER: "Only members of the channel can do this, or have it done to them.",
    ErrorCode.FORBIDDEN: "Your role in the channel does not allow this; ask its owner or an admin.",
    ErrorCode.WRONG_SECRET: (
        "The invitation's secret is not the one in force: it was replaced; ask for a new link."
    ),
    ErrorCode.BAD_INVITE: "The invitation is unknown or was revoked; ask for a new link.",
    ErrorCode.INVITE_EXPIRED: "The invitation has expired; ask for a new link.",
    ErrorCode.INVITE_USED: "The invitation was used as often as it may be; ask for a new link.",
    ErrorCode.BANNED: "You are banned from this channel; its owner or an admin can lift that.",
    ErrorCode.CHANNEL_FULL: "The channel has as many members as a channel may have.",
    ErrorCode.ALREADY_MEMBER: "You are a member of this channel already.",
    ErrorCode.STALE_ROSTER: "The channel has changed meanwhile; fetch its roster and try again.",
    ErrorCode.BAD_STATEMENT: "The channel statement is malformed, unsigned by its actor, or without effect.",
    ErrorCode.TOO_MANY_CHANNELS: "You are in as many channels as this server allows; leave one first.",
    ErrorCode.TOO_MANY_INVITES: "The channel has as many invitations as it may have; revoke one first.",
    ErrorCode.OFFLINE: "The recipient is not online at the moment.",
    ErrorCode.ROOM_FULL: "The voice room has as many people as it may have.",
    ErrorCode.NOT_IN_ROOM: "You are not in the voice room of this channel.",
}


def explain(code: str) -> str:
    """A sentence for a wire code, our own: what a server writes is not shown to people."""
    try:
        return sentence(ErrorCode(code))
    except ValueError:
        return "The server refused the message."


def sentence(code: ErrorCode) -> str:
    """The human sentence of `code`."""
    return _SENTENCES[code]


class CloseCode(IntEnum):
    """WebSocket close codes of mobium, beside the standard ones."""

    SHUTTING_DOWN = 1001
    PROTOCOL = 4400
    AUTH = 4401
    IDLE = 4408
    REPLACED = 4409
    TOO_MANY_CONNECTIONS = 4429
