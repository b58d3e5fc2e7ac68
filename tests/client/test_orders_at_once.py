"""One program, or an impatient person, gives an order while the one before it is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest

from mobium.client import Channel, Engine
from mobium.errors import InvalidInput
from mobium.protocol.messages import Appended, ClientMessage, JoinChannel, ServerMessage
from tests.support.channel_world import ChannelWorld, enter, members_seen, row_of, said, shows, state
from tests.support.engines import PATIENCE, online, until

pytestmark = pytest.mark.once


async def in_once(bob: Engine, link: str, alice: Engine) -> None:
    """The link is used twice at once, and Bob is in."""
    outcome = await asyncio.gather(bob.join(link), bob.join(link), return_exceptions=True)
    came = [found for found in outcome if isinstance(found, Channel)]
    assert [(found.state, found.label) for found in came] == [("member", "#garden")], outcome
    (other,) = [found for found in outcome if not isinstance(found, Channel)]
    assert isinstance(other, InvalidInput), outcome
    assert [found.state for found in await bob.channels.list()] == ["member"]
    assert (await alice.channels.get("#garden")).members == 2


@pytest.mark.parametrize("private", [True, False])
async def test_the_same_link_is_used_twice_at_once(town: ChannelWorld, private: bool) -> None:
    alice, bob = await town.people("alice", "bob")
    await enter(alice, private=private)
    await in_once(bob, await alice.invite("#garden", uses=0), alice)
    await said(alice, "hello")
    await shows(bob, ["hello"])


async def test_who_has_left_comes_back_twice_at_once(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "one")
    await shows(bob, ["one"])
    await bob.leave("#garden")
    await in_once(bob, await alice.invite("#garden", uses=0), alice)
    await said(alice, "two")
    await shows(bob, ["one", "two"])
    await said(bob, "three")
    await shows(alice, ["one", "two", "three"])


@pytest.mark.parametrize("uses", [1, 0])
async def test_an_earlier_joining_arrives_with_the_second(town: ChannelWorld, uses: int) -> None:
    """It was given up as lost, and the server reads it just before the one that was sent after it."""
    alice, bob = await town.people("alice", "bob")
    await enter(alice)
    link = await alice.invite("#garden", uses=uses)
    slow: list[JoinChannel] = []
    begun = asyncio.Event()
    tap = town.tap("bob")

    def hold(message: ClientMessage) -> ClientMessage | None:
        if not isinstance(message, JoinChannel):
            return message
        slow.append(message)
        begun.set()
        return None

    tap.up = hold
    first = asyncio.create_task(bob.join(link))
    await asyncio.wait_for(begun.wait(), PATIENCE)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    await state(bob, "joining", f"#{(await alice.channels.get('#garden')).id}")
    begun.clear()
    second = asyncio.create_task(bob.join(link))
    await asyncio.wait_for(begun.wait(), PATIENCE)
    tap.honest()
    for joining in slow:
        await online(bob).link.send(joining)
    assert (await second).state == "member"
    assert [found.label for found in await bob.channels.list()] == ["#garden"]
    assert await bob.channels.members("#garden") != []
    await said(alice, "hello")
    await shows(bob, ["hello"])


async def test_many_changes_at_once(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    topics = [f"topic {number}" for number in range(12)]
    await asyncio.gather(*(alice.channels.set_topic("#garden", topic) for topic in topics))
    assert (await alice.channels.get("#garden")).topic in topics
    noted = [line.text or "" for line in await alice.history("#garden") if line.kind == "notice"]
    assert sorted(noted[-12:]) == sorted(f"topic {topic}" for topic in topics)
    await bob.settled(10)
    assert (await bob.channels.get("#garden")).topic == (await alice.channels.get("#garden")).topic


# ---------------------------------------------------------------- an order whose outcome nobody waited for


async def given_up(town: ChannelWorld, name: str, order: Coroutine[Any, Any, object]) -> None:
    """The server has the order, its answer is lost, and the caller has given up; the connection lasts."""
    tap, answered = town.tap(name), asyncio.Event()

    def lose(message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, Appended):
            answered.set()
            return None
        return message

    tap.down = lose
    ordering = asyncio.create_task(order)
    await asyncio.wait_for(answered.wait(), PATIENCE)
    ordering.cancel()
    with suppress(asyncio.CancelledError):
        await ordering
    tap.honest()


async def test_a_removal_that_was_given_up_is_seen_on_the_same_connection(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.sync._RETRY", 0.1)
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    key = (await alice.channels.get("#garden")).id
    await given_up(town, "alice", alice.remove("#garden", carol.me))
    await members_seen("#garden", 2, alice, bob)

    async def known() -> bool:
        return (await row_of(bob, key)).secret == (await row_of(alice, key)).secret

    await until(known)  # nobody but Alice can hand the new secret on
    await state(carol, "removed")


async def test_a_departure_that_was_given_up_is_seen_on_the_same_connection(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.sync._RETRY", 0.1)
    alice, bob = await town.gather("alice", "bob")
    await given_up(town, "bob", bob.leave("#garden"))
    await state(bob, "left")
    await members_seen("#garden", 1, alice)
