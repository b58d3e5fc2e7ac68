"""A server that asks for a long pause is given it, but nobody waits for that who goes, or connects anew."""

from __future__ import annotations

import asyncio

import pytest

from mobium.client import Engine
from mobium.errors import NotConnected
from mobium.protocol.messages import ClientMessage, LeaveVoice, SendMessage
from mobium.protocol.messages import Error as WireError
from tests.support.channel_world import ChannelWorld
from tests.support.engines import PATIENCE, online, until
from tests.support.voice_rooms import enters, see

pytestmark = pytest.mark.once


async def paused(town: ChannelWorld, engine: Engine, name: str, other: Engine) -> str:
    """Have the server ask for five minutes; returns the message for which it did."""
    tap = town.tap(name)

    def up(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, SendMessage):
            tap.say(WireError("rate_limited", "", message.rid, message.id, 300.0))
            return None
        return message

    async def asked() -> bool:
        return online(engine)._pace._not_before > asyncio.get_running_loop().time() + 200

    tap.up = up
    sent = await engine.send(other.me, "hello")
    await until(asked)
    tap.honest()
    return sent


async def waiting(engine: Engine) -> None:
    """Wait until something of an engine's waits for the end of the pause."""

    async def so() -> bool:
        return online(engine)._pace._turn.locked()

    await until(so)


async def test_a_new_connection_begins_without_the_pause(town: ChannelWorld) -> None:
    anna, ben = await town.people("anna", "ben")
    sent = await paused(town, anna, "anna", ben)
    asking = asyncio.create_task(anna.create_channel("garden"))  # waits, and others would behind it
    await waiting(anna)
    assert not asking.done()
    town.tap("anna").cut()
    await anna.wait(sent, "sent", PATIENCE)
    await asking


async def test_who_waits_for_the_end_of_a_pause_is_told_that_there_is_no_connection(
    town: ChannelWorld,
) -> None:
    anna, ben = await town.people("anna", "ben")
    await paused(town, anna, "anna", ben)
    asking = asyncio.create_task(anna.create_channel("garden"))
    await waiting(anna)
    await anna.disconnect()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(NotConnected):
            await asking


@pytest.mark.parametrize("why", ["paused", "unanswered"])
async def test_leaving_a_voice_room_waits_for_no_server(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    anna, ben = await town.gather("anna", "ben")
    ours, others = await enters(anna), await enters(ben)
    await see(ours, others)
    if why == "paused":
        await paused(town, anna, "anna", ben)
    else:
        town.tap("anna").up = lambda message: None if isinstance(message, LeaveVoice) else message
    monkeypatch.setattr("mobium.client.voice_room._ANSWER", 0.1)
    async with asyncio.timeout(PATIENCE):
        await ours[0].leave()


async def test_an_engine_that_is_closed_waits_for_no_pause(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for what it does by itself either, as the leaving of a room that was lost."""
    monkeypatch.setattr("mobium.client.voice_room._ANSWER", 300.0)
    async with asyncio.timeout(2 * PATIENCE):
        ben = await town.engine("ben")
        async with town.opened("anna") as anna:
            await anna.create_channel("garden")
            room, _ = await enters(anna)
            await paused(town, anna, "anna", ben)
            anna.rooms.let_go(room)
            await waiting(anna)
    assert room.state == "left"
