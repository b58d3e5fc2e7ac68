"""A15, as far as the server sees it: media frames made by someone outside the room are dropped and counted
(docs/PROTOCOL.md, Realtime). What the keys prevent beyond that is tried with the clients.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from mobium.protocol.media_frames import SCREEN, VOICE, MediaDown, MediaUp, to_client, to_server
from mobium.protocol.roster import Kind
from mobium_server import app
from mobium_server.frames import header
from mobium_server.voice import Participant, Voice
from tests.support.channels import Room, append, begin
from tests.support.server import Client, client, server
from tests.support.voice import come, gathered, go, heard, number_of, people, say, show, voice

pytestmark = pytest.mark.once


class Scene:
    """Anna and Ben in the voice room of their channel, and Mallory, who is not."""

    def __init__(self, running: app.Server, anna: Client, ben: Client, mallory: Client) -> None:
        self.running = running
        self.anna = anna
        self.ben = ben
        self.mallory = mallory
        self.room: Room
        self.number = 0

    async def unharmed(self, outside: int) -> None:
        """Nobody heard anything, so many frames were counted, and the next honest one is heard."""
        assert await heard(self.anna) == await heard(self.ben) == []
        assert self.running.hub.counters.media_outside == outside
        await say(self.anna, self.number, b"still")
        frame = await self.ben.hear()
        state = self.running.hub.voice.state(self.room.id)
        assert frame == MediaDown(VOICE, self.number, number_of(state, self.anna), voice(b"still"))


@contextlib.asynccontextmanager
async def scene_in(folder: Path) -> AsyncIterator[Scene]:
    async with (
        server(folder) as running,
        people(running.url, 2) as (anna, ben),
        client(running.url) as mallory,
    ):
        scene = Scene(running, anna, ben, mallory)
        scene.room, scene.number = await gathered([anna, ben])
        yield scene


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_in(tmp_path) as one:
        yield one


async def talks(scene: Scene, who: Client) -> int:
    """Frames of both kinds into the room; returns how many."""
    await say(who, scene.number, b"from outside")
    await show(who, scene.number, b"from outside")
    await who.settled()
    return 2


async def a_stranger(scene: Scene) -> int:
    return await talks(scene, scene.mallory)


async def who_is_in_another_room(scene: Scene) -> int:
    own = await begin(scene.mallory)
    assert (await come(scene.mallory, own)).room != scene.number
    return await talks(scene, scene.mallory)


async def who_guesses_numbers(scene: Scene) -> int:
    own = await begin(scene.mallory)
    mine = (await come(scene.mallory, own)).room
    numbers = [number for number in range(40) if number != mine]
    for number in (*numbers, 0x8000, 0xFFFF):
        await say(scene.mallory, number, b"from outside")
    await scene.mallory.settled()
    return len(numbers) + 2


async def who_has_left(scene: Scene) -> int:
    await go(scene.ben, scene.room)
    sent = await talks(scene, scene.ben)
    assert (await come(scene.ben, scene.room)).room == scene.number
    return sent


OUTSIDERS: list[Callable[[Scene], Awaitable[int]]] = [
    a_stranger,
    who_is_in_another_room,
    who_guesses_numbers,
    who_has_left,
]


@pytest.mark.parametrize("outsider", OUTSIDERS)
async def test_frames_from_outside_are_dropped_and_counted(
    scene: Scene, outsider: Callable[[Scene], Awaitable[int]]
) -> None:
    await scene.unharmed(await outsider(scene))


async def test_a_newer_login_is_outside_until_it_enters(scene: Scene) -> None:
    async with client(scene.running.url, scene.ben.person, publish=False) as again:
        sent = await talks(scene, again)
        await come(again, scene.room)
        scene.ben = again
        await scene.unharmed(sent)


async def test_who_was_removed_talks_to_nobody(scene: Scene) -> None:
    async with people(scene.running.url, 3) as everybody:
        anna, ben, carl = everybody
        scene.anna, scene.ben = anna, ben
        scene.room, scene.number = await gathered(everybody)
        await append(anna, scene.room, scene.room.keyed(anna.person, Kind.REMOVE, carl.public))
        await scene.unharmed(await talks(scene, carl))
        assert await heard(carl) == []


async def test_before_the_login_a_frame_ends_the_connection(scene: Scene) -> None:
    async with connect(scene.running.url, compression=None) as socket:
        await socket.recv()
        await socket.send(to_server(VOICE, scene.number, voice(b"from outside")))
        await socket.wait_closed()
        assert socket.close_code == 4401
    await scene.unharmed(0)


async def test_nobody_chooses_whose_number_a_frame_carries(scene: Scene) -> None:
    state = scene.running.hub.voice.state(scene.room.id)
    anna, ben = number_of(state, scene.anna), number_of(state, scene.ben)
    # As if it came from the server: what would be Anna's number is part of what Ben says.
    await scene.ben.send_raw(to_client(SCREEN, scene.number, anna, b"picture"))
    frame = await scene.anna.hear()
    assert frame == MediaDown(SCREEN, scene.number, ben, anna.to_bytes(2, "big") + b"picture")


async def test_without_the_look_at_the_room_a_stranger_is_heard(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unguarded(voices: Voice, _one: Participant | None, frame: MediaUp) -> bool:
        data = to_client(frame.kind, frame.room, 1, frame.body)
        for room in voices._rooms.values():
            if room.number == frame.room:
                for other in room.people.values():
                    other.line.relay_media(frame.kind, header(len(data)) + data)
        return True

    monkeypatch.setattr(Voice, "relay", unguarded)  # the defence, off
    await talks(scene, scene.mallory)
    assert (await scene.ben.hear()).body == voice(b"from outside")
