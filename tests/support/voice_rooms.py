"""Engines in a voice room, and what each hears of it.

Not its concern: the channel that the room belongs to (channel_world.py), devices and sound (sound.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mobium.client import Engine, VoiceListener, VoiceRoom
from tests.support.engines import until


class Hearing(VoiceListener):
    """What is heard in a room."""

    def __init__(self) -> None:
        self.packets: list[tuple[str, bytes]] = []
        self.pictures: list[tuple[str, bytes]] = []
        self.there: Sequence[str] = ()
        self.wanted = 0
        self.over: str | None = None
        self.room: VoiceRoom | None = None

    def voice(self, speaker: str, key: int, number: int, packet: bytes) -> None:
        self.packets.append((speaker, packet))

    def fragment(self, speaker: str, body: bytes) -> None:
        assert self.room is not None
        self.room.open_picture(speaker, body)

    def picture(self, speaker: str, key: int, number: int, picture: bytes) -> None:
        self.pictures.append((speaker, picture))

    def people(self, people: Sequence[str]) -> None:
        self.there = people

    def picture_wanted(self, viewer: str) -> None:
        self.wanted += 1

    def left(self, reason: str) -> None:
        self.over = reason


async def enters(engine: Engine) -> tuple[VoiceRoom, Hearing]:
    hearing = Hearing()
    hearing.room = await engine.rooms.join("#garden", hearing)
    return hearing.room, hearing


async def all_in(*engines: Engine) -> list[tuple[VoiceRoom, Hearing]]:
    found = [await enters(engine) for engine in engines]
    await see(*found)
    return found


async def see(*found: tuple[VoiceRoom, Hearing]) -> None:
    """Wait until each sees all others."""

    async def there() -> bool:
        return all(len(hearing.there) == len(found) - 1 for _, hearing in found)

    await until(there)


async def hears(room: VoiceRoom, *ears: Hearing) -> None:
    """Wait until what is said in a room from now on is heard by all of these."""
    before = [len(ear.packets) for ear in ears]
    number = 0

    async def heard() -> bool:
        nonlocal number
        number += 1
        room.say(f"word {number}".encode())
        await asyncio.sleep(0.02)
        return all(len(ear.packets) > count for ear, count in zip(ears, before, strict=True))

    await until(heard)
