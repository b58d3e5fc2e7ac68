"""The closed list of error codes on the wire, each with its sentence, and the close codes.

A code that is not in this list is never sent. Not its concern: when a code applies.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

__all__ = ["CloseCode", "ErrorCode", "sentence"]


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
    ErrorCode.QUEUE_FULL: "The recipient's mailbox is full; the message can be sent again later.",
    ErrorCode.RATE_LIMITED: "Too many requests; try again in a moment.",
    ErrorCode.TOO_MANY_CONNECTIONS: "Too many connections.",
    ErrorCode.TLS_REQUIRED: "This server takes connections over TLS only; use wss://.",
    ErrorCode.STORAGE: "The server cannot write to its disk at the moment; the message was not taken.",
    ErrorCode.SHUTTING_DOWN: "The server is shutting down.",
    ErrorCode.INTERNAL: "The server failed to handle this; its operator finds the reason in its log.",
}


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
