"""What a request counts as against the rates: the server counts it, and a client paces itself by the same
number (docs/PROTOCOL.md, Limits).

Not its concern: the rates themselves, and what media frames count as (`mobium.protocol.limits`).
"""

from __future__ import annotations

from mobium.protocol.limits import message_cost, signal_cost
from mobium.protocol.messages import (
    ChannelPost,
    ClientMessage,
    Distribute,
    PublishPrekeys,
    SendMessage,
    SendSignal,
)

__all__ = ["request_cost"]


def request_cost(message: ClientMessage) -> int:
    """How many requests a message counts as: one, or what its payloads count as."""
    if isinstance(message, SendMessage | ChannelPost):
        return message_cost(len(message.payload))
    if isinstance(message, SendSignal):
        return signal_cost(len(message.payload))
    if isinstance(message, Distribute):
        return sum(message_cost(len(one.payload)) for one in message.distributions)
    if isinstance(message, PublishPrekeys):
        keys = (*message.one_time, *message.kem_one_time, message.signed, message.last_resort)
        return message_cost(sum(len(key.public) + len(key.signature) for key in keys if key is not None))
    return 1
