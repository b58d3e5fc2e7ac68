"""The list of channels: what an old one, an incomplete one and one for an empty machine come to."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from mobium.client import Engine
from mobium.client.store import incoming
from mobium.errors import InvalidInput
from mobium.protocol.messages import Channels, ClientMessage, GetChannels, GetMembers
from mobium.protocol.messages import Error as WireError
from tests.client.syncing import Held, closed_without_chain, has
from tests.support.channel_world import ChannelWorld, enter, members_seen, said, shows
from tests.support.engines import PASSWORD, inside, online, tx, until


async def test_an_old_list_of_channels_does_not_break_what_is_newer(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked for before, and comes after what has happened meanwhile."""
    monkeypatch.setattr("mobium.client.channels._PATIENCE", 0.1)  # nothing comes while it is held
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")
    held = Held(tap, Channels)
    tap.cut()
    await tap.count(GetChannels, 2)
    await until(lambda: _truth(held.kept))
    await alice.channels.set_topic("#garden", "beans")
    orchard = await alice.create_channel("orchard")
    held.let_go()
    await asyncio.wait_for(online(alice).sync.listed.wait(), 10)
    await said(alice, "hello")
    await shows(bob, ["hello"])
    for channel in ("#garden", "#orchard"):
        found = await alice.channels.get(channel)
        assert (found.state, found.reason) == ("member", "")
    assert orchard.state == "member"


async def _truth(found: list[Any]) -> bool:
    return bool(found)


async def test_a_channel_that_the_server_hides_is_told(town: ChannelWorld) -> None:
    alice, _ = await town.gather("alice", "bob")
    tap = town.tap("alice")
    tap.down = lambda message: Channels([], message.rid) if isinstance(message, Channels) else message
    tap.cut()

    async def told() -> bool:
        return (await alice.channels.get("#garden")).reason != ""

    await until(told)
    assert (await alice.channels.get("#garden")).reason == "The server does not list this channel any more."
    tap.honest()
    tap.cut()

    async def forgiven() -> bool:
        return (await alice.channels.get("#garden")).reason == ""

    await until(forgiven)


# ---------------------------------------------------------------- an empty machine


async def asked_for_again(town: ChannelWorld, engine: Engine) -> None:
    """Wait for the chains as `answered` does, but not the minutes until something is asked for once more.

    Whose key is the smaller one answers in the session that is lost until he has heard of it. What comes of
    that behind the first retry is asked for with the next one.
    """
    began = town.clock.offset

    async def so() -> bool:
        due = await tx(engine, incoming.due_retries, inside(engine).now(), 0)
        if soonest := min((at for _, at in due), default=0):
            town.clock.offset = max(town.clock.offset, soonest - time.time() + 1)
            online(engine).repair.wake()
        return await closed_without_chain(engine) == 0

    await until(so)
    assert town.clock.offset - began < incoming.RETRY_PAUSE


async def test_channels_come_back_from_the_words_and_the_rest_with_a_message(
    town: ChannelWorld,
) -> None:
    words = await town.create("alice")
    async with town.opened("alice") as alice:
        bob, carol = await town.people("bob", "carol")
        garden = await alice.create_channel("garden", topic="beans")
        link = await alice.invite("#garden", uses=0)
        for one in (bob, carol):
            await one.join(link)
        await members_seen("#garden", 3, alice, bob, carol)
        await said(bob, "before")
        await shows(alice, ["before"])
        open_one = await alice.create_channel("open", private=False)
        left = await enter(bob, alice, name="left")
        await alice.leave(f"#{left}")
    await Engine.recover(town.path("again"), PASSWORD, words)
    again = await town.engine("again")
    await asyncio.wait_for(online(again).sync.listed.wait(), 10)

    async def back() -> bool:
        return [one.state for one in await again.channels.list()] == ["member", "member"]

    await until(back)
    labels = {channel.label for channel in await again.channels.list()}
    assert labels == {f"#{garden.id}", "#open"}
    assert open_one.id == (await again.channels.get("#open")).id
    assert [member.role for member in await again.members(f"#{garden.id}")] == ["owner", "member", "member"]
    await shows(again, ["(closed)"], f"#{garden.id}")
    with pytest.raises(InvalidInput, match="secret has not reached you"):
        await again.invite(f"#{garden.id}")
    await said(bob, "after")
    await shows(again, ["(closed)", "(closed)"], f"#{garden.id}")
    town.clock.offset = 11
    online(again).sync.wake()

    async def named() -> bool:
        found = await again.channels.get(f"#{garden.id}")
        return (found.name, found.topic) == ("garden", "beans")

    await until(named)
    await asked_for_again(town, again)
    await said(bob, "and open")
    await until(lambda: has(again, "and open"))
    await said(again, "hello again")
    for one in (bob, carol):
        await until(lambda one=one: has(one, "hello again"))  # type: ignore[misc]
    assert await again.invite("#garden")


async def test_one_channel_that_cannot_be_entered_stands_in_no_other_ones_way(town: ChannelWorld) -> None:
    words = await town.create("alice")
    async with town.opened("alice") as alice:
        first = await alice.create_channel("first", private=False)
        await alice.create_channel("second", private=False)
    await Engine.recover(town.path("again"), PASSWORD, words)
    tap = town.tap("again")

    def up(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, GetMembers) and message.channel_id.hex() == first.id:
            tap.say(WireError("not_a_member", "", message.rid))
            return None
        return message

    tap.up = up
    again = await town.engine("again")

    async def back() -> bool:
        return [one.label for one in await again.channels.list()] == ["#second"]

    await until(back)
    await said(again, "hello", "#second")
