"""Messages of direct delivery: what is sent, delivered and acknowledged on both hops."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mobium.protocol import limits
from mobium.protocol.messages.fields import DeliveryId, Key, Number, RequestId, Tag

__all__ = ["Accepted", "AckDeliveries", "Delivery", "NotTaken", "SendMessage"]


class SendMessage(msgspec.Struct, frozen=True, tag_field="type", tag="message", omit_defaults=True):
    """Up: an opaque payload for a recipient. `id` is the delivery id; sent again with the same bytes
    until it is answered.
    """

    id: DeliveryId
    recipient: Key
    payload: bytes
    rid: RequestId | None = None


class Delivery(msgspec.Struct, frozen=True, tag_field="type", tag="message", omit_defaults=True):
    """Down: an opaque payload from a sender. `tag` counts from 1 on every connection; with `channel_id` it
    came as a distribution for that channel.
    """

    tag: Tag
    id: DeliveryId
    sender: Key
    payload: bytes
    channel_id: Key | None = None


class AckDeliveries(msgspec.Struct, frozen=True, tag_field="type", tag="ack"):
    """Up: every delivery on this connection up to `tag` is stored by the client."""

    tag: Tag


class NotTaken(msgspec.Struct, frozen=True, omit_defaults=True):
    """A recipient whose part of a batch was refused, and why."""

    recipient: Key
    code: Annotated[str, msgspec.Meta(max_length=64)]
    retry_after: float | None = None


class Accepted(msgspec.Struct, frozen=True, tag_field="type", tag="ack", omit_defaults=True):
    """Down: the message with this delivery id was acknowledged by its recipient, or is committed durably; in
    a channel as the entry with this number. Of a batch, all but those in `failed`.
    """

    id: DeliveryId
    rid: RequestId | None = None
    number: Number | None = None
    failed: Annotated[list[NotTaken], msgspec.Meta(max_length=limits.DISTRIBUTION_BATCH)] = []
