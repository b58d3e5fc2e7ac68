"""Voice rooms where what the server says is looked at in another order than it was said, or all at once."""

from __future__ import annotations

import asyncio
import math
import os

import pytest

from mobium.client import VoiceChanged, VoiceRoom
from mobium.crypto.media import MediaKind
from mobium.protocol.content import MediaRequest
from mobium.protocol.messages import ClientMessage, Error, JoinVoice, ServerMessage, Speaker, VoiceState
from tests.support.channel_world import ChannelWorld
from tests.support.engines import PATIENCE, Ear, online, until
from tests.support.voice_rooms import Hearing, enters, hears, see


async def test_who_enters_behind_the_answer_is_not_overlooked(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server tells right behind the answer may be looked at before it, where one read has both."""
    anna, ben = await town.gather("anna", "ben")
    connection = online(anna)
    request = connection.request

    async def both() -> bool:
        return len(await anna.rooms.people("#garden")) == 2

    async def late(message: ClientMessage) -> ServerMessage:
        answer = await request(message)
        if isinstance(message, JoinVoice):
            entered.append(await enters(ben))
            await until(both)
        return answer

    entered: list[tuple[VoiceRoom, Hearing]] = []
    monkeypatch.setattr(connection, "request", late)
    ours = await enters(anna)
    await see(ours, *entered)
    await hears(ours[0], entered[0][1])
    await hears(entered[0][0], ours[1])


async def test_what_is_told_next_is_not_forgotten_for_what_was(town: ChannelWorld) -> None:
    """A room with somebody unknown is told again when a roster changes, and never in the place of news."""
    anna, ben = await town.gather("anna", "ben")
    ear = Ear(anna)
    key = bytes.fromhex((await anna.channels.get("#garden")).id)
    unknown, known = Speaker(b"u" * 32, 1), Speaker(bytes.fromhex(ben.me), 2)
    anna.rooms.told(VoiceState(key, 7, [unknown]))
    assert (await ear.next(VoiceChanged)).people == ()

    async def noted() -> bool:
        return key in anna.rooms._partly

    await until(noted)
    anna.rooms.told(VoiceState(key, 7, [unknown, known]))
    anna.rooms.look_again()
    assert (await ear.next(VoiceChanged)).people == (ben.me,)
    assert await anna.rooms.people("#garden") == [ben.me]


async def test_what_comes_just_as_a_room_fails_ends_no_connection(town: ChannelWorld) -> None:
    """Nothing can be begun in it any more, such as handing a key to whoever asks at that moment."""
    anna, ben = await town.gather("anna", "ben")
    ours, others = await enters(anna), await enters(ben)
    await see(ours, others)
    room = ours[0]
    asked = MediaRequest(os.urandom(16), 0, room.key, room._number, MediaKind.VOICE, "key")

    async def fails() -> None:
        raise KeyError("of ours")

    room.start(fails())
    async with asyncio.timeout(PATIENCE):
        while room.state == "in":
            room.heard(bytes.fromhex(ben.me), asked)
            room._answered.clear()
            await asyncio.sleep(0)
    assert room.reason
    await hears((await enters(anna))[0], others[1])


@pytest.mark.parametrize("pause", [math.nan, math.inf, 1e9, -1.0])
async def test_a_server_that_names_no_sensible_pause_is_asked_again(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch, pause: float
) -> None:
    monkeypatch.setattr("mobium.client.voice_room._LONGEST_RETRY", 0.2)
    (anna,) = await town.gather("anna")
    tap = town.tap("anna")

    def refuse(message: ClientMessage) -> ClientMessage | None:
        if not isinstance(message, JoinVoice):
            return message
        tap.honest()
        tap.say(Error("rate_limited", "", message.rid, None, pause))
        return None

    tap.up = refuse
    async with asyncio.timeout(PATIENCE):
        room, _ = await enters(anna)
    assert room.state == "in"


@pytest.mark.parametrize("how", ["broken", "given up"])
async def test_who_left_while_there_was_no_connection_is_told_to_have_gone(
    town: ChannelWorld, how: str
) -> None:
    """A login tells of rooms with somebody in them alone."""
    anna, ben, cleo = await town.gather("anna", "ben", "cleo")
    ear, others = Ear(anna), Ear(cleo)
    room, _ = await enters(ben)
    await others.next(VoiceChanged, lambda event: bool(event.people))
    assert (await ear.next(VoiceChanged, lambda event: bool(event.people))).people == (ben.me,)
    tap = town.tap("anna")
    if how == "given up":
        await anna.disconnect()
        assert (await ear.next(VoiceChanged)).people == ()
        return
    tap.refuses = True
    tap.cut()
    await room.leave()
    await others.next(VoiceChanged, lambda event: not event.people)  # so that nobody is told of that any more
    tap.refuses = False
    assert (await ear.next(VoiceChanged)).people == ()
    again, _ = await enters(ben)
    assert (await ear.next(VoiceChanged)).people == (ben.me,)
    tap.cut()  # and whoever stays is told again
    assert (await ear.next(VoiceChanged, lambda event: bool(event.people))).people == (ben.me,)
    assert again.state == "in"
