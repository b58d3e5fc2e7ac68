"""A19, a room of real engines that is flooded with frames as a client makes them, by one who is in it and by
one who is not: whoever speaks there is heard without a gap, and little of the flood comes to who listens.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed

from mobium.client.transport import TransportClosed
from mobium.crypto.media import MediaKind, pad_voice
from mobium.protocol.media_frames import VOICE, MediaUp, to_client, to_server
from mobium_server.frames import header
from mobium_server.limits import Rate, Rates
from mobium_server.voice import Participant, Voice
from tests.attacks.voice_rooms import Seat, speaks, town_in
from tests.support.engines import until
from tests.support.server import client

FLOOD = 6_000
"""Frames: two minutes of a voice."""
WORDS = 50
MEDIA = Rate(80, 150)
STRANGER = 4_711
"""The number that nobody's frames carry."""


class Result(NamedTuple):
    """What has come to somebody who listens."""

    frames: int
    """All media frames that the server has passed on."""
    words: list[bytes]
    """What somebody else has said meanwhile and was heard, in order."""


def word(number: int) -> bytes:
    """Something to say."""
    return b"word %d" % number


async def flooded(folder: Path, *, inside: bool) -> Result:
    """Anna speaks to Ben for a second and more; Mallory, who is in the room or not, floods it."""
    async with town_in(folder, rate_general=Rate(30, 60), rate_media=MEDIA) as town:
        names = ("anna", "ben", "mallory")
        people = await town.gather(*names)
        anna, ben, mallory = (Seat(town, name, one) for name, one in zip(names, people, strict=True))
        for others, seat in enumerate((anna, ben, mallory)):
            await seat.enter(others)
        await anna.sees(2)
        await speaks(anna, b"before", ben, mallory)
        await speaks(mallory, b"before", ben)
        number, count = ben.room._number, 0
        come = town.tap("ben").come

        def counted(data: bytes) -> Any:
            nonlocal count
            count += data[:1] == b"\1"
            return come(data)

        town.tap("ben").come = counted  # type: ignore[method-assign]
        own = mallory.room._own[MediaKind.VOICE]
        frames = [to_server(VOICE, number, own.seal(pad_voice(b"flood"))) for _ in range(FLOOD)]

        async def flood() -> None:
            line = town.tap("mallory")._line
            assert line is not None
            if inside:
                with contextlib.suppress(TransportClosed):
                    for frame in frames:
                        await line._inner.send(frame)
                return
            async with client(town.url) as stranger:
                with contextlib.suppress(ConnectionClosed):
                    for frame in frames:
                        await stranger.send_raw(frame)
                    await stranger.settled()

        async with asyncio.TaskGroup() as group:
            group.create_task(flood())
            for said in range(WORDS):
                anna.room.say(word(said))
                await asyncio.sleep(0.02)
        await speaks(anna, b"at last", ben, times=1)

        async def over() -> bool:
            before = count
            await asyncio.sleep(0.2)
            anna.room.say(b"still")
            return count - before <= 2

        await until(over)
        return Result(count, [one for one in ben.words() if one.startswith(b"word")])


@pytest.mark.parametrize("inside", [True, False])
async def test_a_flooded_room_hears_who_speaks_and_little_of_the_flood(folder: Path, inside: bool) -> None:
    result = await flooded(folder, inside=inside)
    print(f"{result.frames} of {FLOOD} frames came")
    assert result.words == [word(number) for number in range(WORDS)]
    # The burst, what a rate lets through in some seconds, and what Anna has said.
    assert result.frames < FLOOD / 4


async def test_without_the_rate_an_insider_s_flood_comes_to_everybody(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(ask: Callable[..., float]) -> Callable[..., float]:
        def unlimited(rates: Rates, *arguments: Any) -> float:
            media = (MEDIA.per_second, 10 * MEDIA.per_second)
            return 0.0 if rates._rate.per_second in media else ask(rates, *arguments)

        return unlimited

    monkeypatch.setattr(Rates, "take", off(Rates.take))  # the defence, off
    monkeypatch.setattr(Rates, "wait", off(Rates.wait))
    assert (await flooded(folder, inside=True)).frames > FLOOD / 2


async def test_without_the_look_at_who_is_in_an_outsider_s_flood_comes_to_everybody(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = Voice.relay

    def open_to_all(voice: Voice, one: Participant | None, frame: MediaUp) -> bool:
        if one is not None:
            return relay(voice, one, frame)
        data = to_client(frame.kind, frame.room, STRANGER, frame.body)
        for room in voice._rooms.values():
            for other in room.people.values():
                other.line.relay_media(frame.kind, header(len(data)) + data)
        return True

    monkeypatch.setattr(Voice, "relay", open_to_all)  # the defence, off
    result = await flooded(folder, inside=False)
    assert result.frames > FLOOD / 2
