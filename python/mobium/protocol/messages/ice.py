"""Messages that tell a client which STUN and TURN servers to use for calls (docs/PROTOCOL.md).

Not its concern: calls, and how the credentials are made (the server's `ice`).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from mobium.protocol.messages.fields import RequestId

__all__ = ["GetIceConfig", "IceConfig", "IceServer"]

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class GetIceConfig(msgspec.Struct, frozen=True, tag_field="type", tag="get_ice_config", omit_defaults=True):
    """Up: asks for the servers that help two clients to reach each other. Answered by IceConfig."""

    rid: RequestId | None = None


class IceServer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A STUN server (RFC 7064), or a TURN server (RFC 7065) with the credentials for it."""

    urls: Annotated[list[_Text], msgspec.Meta(min_length=1, max_length=8)]
    username: _Text | None = None
    credential: _Text | None = None

    def __repr__(self) -> str:
        return f"IceServer(urls={self.urls!r})"  # credentials do not belong into a log


class IceConfig(msgspec.Struct, frozen=True, tag_field="type", tag="ice_config", omit_defaults=True):
    """Down: the servers, none if the operator named none. The credentials work for `ttl` more seconds, by the
    server's clock; 0 where there are none.
    """

    servers: Annotated[list[IceServer], msgspec.Meta(max_length=8)]
    ttl: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    rid: RequestId | None = None
