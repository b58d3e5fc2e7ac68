"""Messages of direct delivery: what is sent, delivered and acknowledged on both hops."""

from __future__ import annotations

import msgspec

from mobium.protocol.messages.fields import DeliveryId, Key, RequestId, Tag

__all__ = ["Accepted", "AckDeliveries", "Delivery", "SendMessage"]


class SendMessage(msgspec.Struct, frozen=True, tag_field="type", tag="message", omit_defaults=True):
    """Up: an opaque payload for a recipient. `id` is the delivery id; sent again with the same bytes
    until it is answered.
    """

    id: DeliveryId
    recipient: Key
    payload: bytes
    rid: RequestId | None = None


class Delivery(msgspec.Struct, frozen=True, tag_field="type", tag="message"):
    """Down: an opaque payload from a sender. `tag` counts from 1 on every connection."""

    tag: Tag
    id: DeliveryId
    sender: Key
    payload: bytes


class AckDeliveries(msgspec.Struct, frozen=True, tag_field="type", tag="ack"):
    """Up: every delivery on this connection up to `tag` is stored by the client."""

    tag: Tag


class Accepted(msgspec.Struct, frozen=True, tag_field="type", tag="ack", omit_defaults=True):
    """Down: the message with this delivery id was acknowledged by its recipient, or is committed durably."""

    id: DeliveryId
    rid: RequestId | None = None
