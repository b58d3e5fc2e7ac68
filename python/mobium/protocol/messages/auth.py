"""Messages of the login (docs/CRYPTO.md section 9)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mobium.protocol.messages.fields import Key, Nonce, Signature

__all__ = ["Auth", "AuthChallenge", "AuthSuccess", "Limits"]

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Limits(msgspec.Struct, frozen=True):
    """What the server allows this connection, so that a client never runs into it."""

    message_size: _Count
    """Largest padded ciphertext, bytes."""
    offline_messages: _Count
    """Messages in one mailbox."""
    message_ttl: _Count
    """Seconds until a message that was not fetched expires."""
    rate: float
    """Requests a second, 0 for unlimited."""
    burst: _Count
    """Requests at once."""
    ping_interval: float
    """Seconds between the server's pings."""
    media_rate: float = 80.0
    """Media frames a second, 0 for unlimited."""
    media_burst: _Count = 150
    """Media frames at once."""


class AuthChallenge(msgspec.Struct, frozen=True, tag_field="type", tag="auth_challenge"):
    """The first frame on every connection, from the server."""

    nonce: Nonce
    server_key: Key
    versions: Annotated[list[int], msgspec.Meta(max_length=16)]


class Auth(msgspec.Struct, frozen=True, tag_field="type", tag="auth"):
    """The client's answer."""

    pubkey: Key
    x25519_pub: Key
    binding: Signature
    nonce: Nonce
    host: Annotated[str, msgspec.Meta(min_length=3, max_length=262)]
    version: int
    device: Annotated[int, msgspec.Meta(ge=1, le=1)]
    """Device number; today every identity has device 1."""
    signature: Signature


class AuthSuccess(msgspec.Struct, frozen=True, tag_field="type", tag="auth_success"):
    """The server's proof that it holds `server_key`; a client believes nothing before it has verified it."""

    offline_count: _Count
    """Deliveries that wait in the mailbox."""
    limits: Limits
    signature: Signature
