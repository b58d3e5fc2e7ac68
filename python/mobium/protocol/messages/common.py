"""Messages of no one subject: errors, ping and pong, and what the server says about itself."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mobium.protocol.messages.auth import Limits
from mobium.protocol.messages.fields import DeliveryId, RequestId

__all__ = ["Error", "GetInfo", "Info", "Ping", "Pong"]


class Error(msgspec.Struct, frozen=True, tag_field="type", tag="error", omit_defaults=True):
    """The server's refusal: a code of the closed list, its sentence and, where waiting helps,
    `retry_after` seconds.
    """

    code: Annotated[str, msgspec.Meta(max_length=64)]
    text: Annotated[str, msgspec.Meta(max_length=1_024)]
    rid: RequestId | None = None
    id: DeliveryId | None = None
    retry_after: float | None = None


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping", omit_defaults=True):
    """Asks for a pong."""

    rid: RequestId | None = None


class Pong(msgspec.Struct, frozen=True, tag_field="type", tag="pong", omit_defaults=True):
    """Answers a ping."""

    rid: RequestId | None = None


class GetInfo(msgspec.Struct, frozen=True, tag_field="type", tag="info", omit_defaults=True):
    """Asks what the server is."""

    rid: RequestId | None = None


class Info(msgspec.Struct, frozen=True, tag_field="type", tag="info", omit_defaults=True):
    """What the server is: the same as `/info` over HTTP."""

    name: str
    version: str
    versions: list[int]
    capabilities: list[str]
    limits: Limits
    rid: RequestId | None = None
