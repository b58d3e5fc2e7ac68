"""What a request, and a page that answers it, count as against the rates: the server counts it, and a client
paces itself by the same number (docs/PROTOCOL.md, Limits).

Not its concern: the rates themselves, and what media frames count as (`mobium.protocol.limits`).
"""

from __future__ import annotations

from mobium.protocol.limits import COST_BYTES, COST_ENTRIES, COST_KEYS, message_cost, signal_cost
from mobium.protocol.messages import (
    ChannelPost,
    Channels,
    ClientMessage,
    Distribute,
    History,
    PublishPrekeys,
    RosterPage,
    SendMessage,
    SendSignal,
    ServerMessage,
)

__all__ = ["answer_cost", "request_cost"]

_ONE_PAYLOAD = (SendMessage, ChannelPost)  # a tuple: `isinstance` would make a union anew for every request


def request_cost(message: ClientMessage) -> int:
    """How many requests a message counts as: one, or what its payloads count as."""
    if isinstance(message, _ONE_PAYLOAD):
        return message_cost(len(message.payload))
    if isinstance(message, SendSignal):
        return signal_cost(len(message.payload))
    if isinstance(message, Distribute):
        return sum(message_cost(len(one.payload)) for one in message.distributions)
    if isinstance(message, PublishPrekeys):
        keys = (*message.one_time, *message.kem_one_time, message.signed, message.last_resort)
        size = sum(len(key.public) + len(key.signature) for key in keys if key is not None)
        return max(message_cost(size), (len(message.one_time) + len(message.kem_one_time)) // COST_KEYS)
    return 1


def answer_cost(message: ServerMessage) -> int:
    """How many requests an answer counts as, beside the one that asked for it: a page of entries or
    statements one for every whole 64 KiB of them, or for every 100 if that is more; a page of channels one
    for every 100; anything else none.
    """
    if isinstance(message, History):
        sizes = [len(entry.statement or entry.payload or b"") for entry in message.entries]
    elif isinstance(message, RosterPage):
        sizes = [len(statement) for statement in message.statements]
    elif isinstance(message, Channels):
        return len(message.channels) // COST_ENTRIES
    else:
        return 0
    return max(sum(sizes) // COST_BYTES, len(sizes) // COST_ENTRIES)
