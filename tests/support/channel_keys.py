"""Which sender keys an engine handed out, and in which chains it spoke, as its wire shows.

Not its concern: the world around it (channel_world).
"""

from __future__ import annotations

from mobium.client import Engine
from mobium.crypto.group import message_head
from mobium.protocol.messages import ChannelPost, Distribute
from tests.support.channel_world import Tap, row_of

__all__ = ["garden_of", "handed", "heads", "keys"]


def handed(tap: Tap) -> list[str]:
    """To whom sender keys went, in order."""
    return [part.recipient.hex() for frame in tap.all(Distribute) for part in frame.distributions]


def heads(tap: Tap) -> list[tuple[int, int]]:
    """(key id, iteration) of every message that was sent."""
    return [message_head(frame.payload) for frame in tap.all(ChannelPost)]


def keys(tap: Tap) -> list[int]:
    """The chains in which messages were sent, each once, in order."""
    return list(dict.fromkeys(key for key, _ in heads(tap)))


async def garden_of(engine: Engine) -> int:
    return (await row_of(engine, (await engine.channels.get("#garden")).id)).id
