"""A channel that the server cannot read, as with a damaged page of its database, is in no other one's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mobium.client import Engine
from mobium.client import sync as syncing
from mobium.protocol.messages import ClientMessage, GetHistory, GetMembers
from mobium.protocol.messages import Error as WireError
from tests.support.channel_world import ChannelWorld, Tap, enter, said, shows
from tests.support.engines import PASSWORD, PATIENCE, until

pytestmark = pytest.mark.once

NAMES = ("garden", "shed")


def unreadable(tap: Tap, channel: str, code: str = "storage") -> Callable[[], int]:
    """The server refuses what is asked about a channel for now, each time; how often that was."""
    asked = 0

    def up(message: ClientMessage) -> ClientMessage | None:
        nonlocal asked
        if isinstance(message, GetHistory | GetMembers) and message.channel_id.hex() == channel:
            asked += 1
            tap.say(WireError(code, "", message.rid, None, 2.0))
            return None
        return message

    tap.up = up
    return lambda: asked


@pytest.mark.parametrize("bad", NAMES)
async def test_the_others_are_read_and_written_to(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    """Rosters too, without which nothing goes out, though histories are fetched before them."""
    monkeypatch.setattr(syncing, "_RETRY", 0.05)
    alice, bob, carol = await town.people("alice", "bob", "carol")
    ids = {name: await enter(alice, bob, name=name) for name in NAMES}
    await bob.disconnect()
    for name in NAMES:
        await carol.join(await alice.invite(f"#{name}"))
        await said(alice, "hello", f"#{name}")
    tap = town.tap("bob")
    asked = unreadable(tap, ids[bad])
    await bob.connect()
    good = next(f"#{name}" for name in NAMES if name != bad)
    await shows(bob, ["hello"], good)
    await said(bob, "hello to you", good)
    await bob.settled(PATIENCE)  # what cannot be had is not waited for
    assert asked() >= syncing._TRIES
    tap.honest()
    await shows(bob, ["hello"], f"#{bad}")  # once it can be read again
    await said(bob, "hello to you", f"#{bad}")


async def test_it_is_asked_for_less_and_less(town: ChannelWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syncing, "_RETRY", 0.01)
    alice, bob = await town.gather("alice", "bob")
    await bob.disconnect()
    await said(alice, "hello")
    asked = unreadable(town.tap("bob"), (await alice.channels.get("#garden")).id)
    began = asyncio.get_running_loop().time()
    await bob.connect()

    async def often() -> bool:
        return asked() >= 6

    await until(often)
    assert asyncio.get_running_loop().time() - began >= 0.01 * (1 + 2 + 4 + 8 + 16)


async def test_a_channel_that_cannot_be_entered_for_now_keeps_nobody_out_of_the_others(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "_RETRY", 0.05)
    words = await town.create("alice")
    async with town.opened("alice") as alice:
        ids = {name: (await alice.create_channel(name, private=False)).id for name in NAMES}
    await Engine.recover(town.path("again"), PASSWORD, words)
    tap = town.tap("again")
    asked = unreadable(tap, ids["garden"])
    again = await town.engine("again")

    async def back(*labels: str) -> bool:
        return {one.label for one in await again.channels.list()} == set(labels)

    await until(lambda: back("#shed"))
    await said(again, "hello", "#shed")
    assert asked() == syncing._TRIES
    tap.honest()
    tap.cut()
    await until(lambda: back("#garden", "#shed"))
