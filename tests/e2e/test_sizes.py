"""Padding buckets and the server's limit agree: what fits arrives, and one byte more moves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mobium.client.transport import dial
from mobium.errors import InvalidInput
from mobium.protocol import content
from mobium.protocol.content import ChannelText, Text
from mobium.protocol.limits import BUCKET_SIZES, largest_content
from tests.support.channel_world import calm, enter, refused, shows
from tests.support.engines import Ear, World
from tests.support.server import server

NOW = 1_800_000_000_000
HEAD = (0xFFFFFFFF, bytes(32))


def longest(message_size: int, *, channel: bool) -> str:
    """The longest text whose content fits the largest bucket within a server's limit, in two-byte letters
    but for one.
    """

    def size(text: str) -> int:
        made = ChannelText(bytes(16), NOW, text, HEAD) if channel else Text(bytes(16), NOW, text)
        return len(content.encode(made))

    text, largest = "", largest_content(message_size)
    step = 1 << (largest.bit_length() - 1)
    while step:
        while size(text + "é" * step) <= largest:
            text += "é" * step
        step //= 2
    return text + "x" * (largest - size(text))


@pytest.mark.parametrize("message_size", [512, 3_000, 65_536])
async def test_what_fits_arrives_and_one_byte_more_moves_nothing(folder: Path, message_size: int) -> None:
    """3,000 is no bucket: the largest below it counts."""
    largest = max(bucket for bucket in BUCKET_SIZES if bucket <= message_size)
    async with server(folder, max_message_size=message_size) as one, World(folder, dial, one.url) as world:
        alice, bob = await world.pair()
        await enter(alice, bob)
        await calm(alice, bob)
        texts = {name: longest(message_size, channel=name == "#garden") for name in ("Bob", "#garden")}
        counters = one.listener.counters
        before = (counters.messages, counters.posts)
        for name, text in texts.items():
            assert len(text.encode()) > largest // 2
            await refused(alice, alice.send(name, text + "x"), InvalidInput, "The message is too large")
        assert (counters.messages, counters.posts) == before
        ear = Ear(bob)
        await alice.send("Bob", texts["Bob"])
        await ear.text(texts["Bob"])
        await alice.send("#garden", texts["#garden"])
        await shows(bob, [texts["#garden"]])
        assert counters.malformed == 0
