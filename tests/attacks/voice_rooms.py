"""Real engines in a voice room of a real server, of whose frames a hostile one has kept copies.

Not its concern: what is attacked (test_a14_rooms, test_a15_rooms).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mobium.client import Engine, VoiceRoom
from mobium.protocol.media_frames import VOICE, MediaDown, read_down, to_client
from mobium_server.storage.memory import MemoryStorage
from tests.support.channel_world import ChannelWorld, channel_world
from tests.support.clocks import Hands
from tests.support.engines import until
from tests.support.server import server
from tests.support.voice_rooms import Hearing

__all__ = ["Seat", "speaks", "town_in"]


@asynccontextmanager
async def town_in(folder: Path, **settings: Any) -> AsyncIterator[ChannelWorld]:
    """A real server in this process, and engines on it whose wires are tapped."""
    hands = Hands()
    async with (
        server(folder / "server", storage=MemoryStorage(1_000), clock=hands.clock(), **settings) as running,
        channel_world(folder, running.url, hands) as world,
    ):
        yield world


class Seat:
    """Somebody in the room, what he hears, and the server's hand on his wire."""

    def __init__(self, town: ChannelWorld, name: str, engine: Engine) -> None:
        self.engine = engine
        self.ear = Hearing()
        self.tap = town.tap(name)
        self.room: VoiceRoom

    async def enter(self, others: int) -> None:
        """Enter, and see so many others."""
        self.ear.room = self.room = await self.engine.rooms.join("#garden", self.ear)
        await self.sees(others)

    async def sees(self, others: int) -> None:
        """Wait until so many others are there."""

        async def there() -> bool:
            return len(self.ear.there) == others

        await until(there)

    def number_of(self, other: Seat) -> int:
        """The number under which the server says that somebody speaks."""
        [number] = [number for number, key in self.room._speakers.items() if key.hex() == other.engine.me]
        return number

    def kept(self, speaker: Seat) -> list[MediaDown]:
        """What the server has passed on here of somebody's voice."""
        number = self.number_of(speaker)
        frames = [read_down(data) for data in self.tap.media]
        return [frame for frame in frames if (frame.kind, frame.speaker) == (VOICE, number)]

    def is_sent(self, body: bytes, speaker: int, kind: int = VOICE) -> None:
        """The server sends a frame here that nobody has just sent."""
        self.tap.inject(to_client(kind, self.room._number, speaker, body))

    def words(self) -> list[bytes]:
        """What was heard, whoever is said to have spoken."""
        return [packet for _, packet in self.ear.packets]


async def speaks(speaker: Seat, word: bytes, *listeners: Seat, times: int = 10) -> None:
    """Say a word so often, and then until each of these has heard it as often at least."""
    said = 0

    async def heard() -> bool:
        nonlocal said
        said += 1
        speaker.room.say(word)
        await asyncio.sleep(0.02)
        return said >= times and all(each.words().count(word) >= times for each in listeners)

    await until(heard)
