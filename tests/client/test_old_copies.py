"""A profile is put back from a copy, while its owner has left channels and come back without it."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from mobium.client import ChannelChanged, Engine
from mobium.client.join_links import parse_join
from mobium.crypto.group import message_head
from mobium.errors import InvalidInput
from mobium.protocol.messages import Appended, ChannelPost, GetHistory, LeaveChannel
from mobium_server import upkeep
from mobium_server.storage.memory import MemoryStorage
from tests.support.channel_world import ChannelWorld, channel_world, enter, row_of, said, shows, state, texts
from tests.support.clocks import Hands
from tests.support.engines import PATIENCE, Ear, fast_vault, online, tx, until
from tests.support.server import server as real_server


async def copied(town: ChannelWorld, alice: Engine, *, left: bool = False) -> str:
    """Bob was in a channel of Alice's, and left it perhaps; then his profile was copied. Returns its id."""
    async with town.opened("bob") as bob:
        key = await enter(alice, bob)
        await said(alice, "one")
        await shows(bob, ["one"])
        await said(bob, "mine")
        if left:
            await bob.leave("#garden")
        await bob.settled(PATIENCE)
    shutil.copytree(town.path("bob"), town.path("copy"))
    return key


async def comes_back(town: ChannelWorld, alice: Engine, how: str) -> None:
    """Bob leaves, or is made to, comes back and reads on; the copy knows nothing of it."""
    async with town.opened("bob") as bob:
        if how == "left":
            await bob.leave("#garden")
        elif how == "removed":
            await alice.remove("#garden", bob.me)
            await state(bob, "removed")
        elif how == "banned":
            await alice.channels.ban("#garden", bob.me)
            await state(bob, "banned")
            await alice.channels.unban("#garden", bob.me)
        await said(alice, "not for bob")
        await bob.join(await alice.invite("#garden"))
        await said(alice, "two")
        await shows(bob, ["one", "mine", "two"])


async def in_it(town: ChannelWorld, copy: Engine, alice: Engine) -> None:
    """The copy reads what is written once it has a key again, sends, and accuses nobody."""
    seen = [text or "" for text in await texts(copy)]
    chains = await tx(copy, lambda tx: tx.value("SELECT count(*) FROM receiver_chain"))
    town.clock.offset += 11
    online(copy).sync.wake()

    async def answered() -> bool:
        return bool(await tx(copy, lambda tx: tx.value("SELECT count(*) FROM receiver_chain") > chains))

    await until(answered)
    await said(alice, "three")
    await shows(copy, [*seen, "three"])
    assert (await copy.channels.get("#garden")).reason == ""
    await said(copy, "four")
    await shows(alice, ["one", "mine", "not for bob", "two", "three", "four"])
    await shows(copy, [*seen, "three", "four"])
    await copy.settled(PATIENCE)


@pytest.mark.parametrize("how", ["left", "removed", "banned"])
async def test_its_owner_has_left_and_come_back_meanwhile(town: ChannelWorld, how: str) -> None:
    alice = await town.engine("alice")
    await copied(town, alice)
    await comes_back(town, alice, how)
    async with town.opened("copy", connect=False) as copy:
        ear = Ear(copy)
        await copy.connect(town.url)
        await copy.settled(PATIENCE)
        await shows(copy, ["one", "mine", "(closed)"])
        await in_it(town, copy, alice)
        await ear.text("three")
        told = [event.what for event in ear.heard if isinstance(event, ChannelChanged)]
        assert told == ["joined"]


@pytest.mark.parametrize("left", [False, True])
async def test_it_was_out_and_its_owner_has_come_back(town: ChannelWorld, left: bool) -> None:
    """Nobody may be a member for others who is told at home that he is none."""
    alice = await town.engine("alice")
    key = await copied(town, alice, left=left)
    if not left:
        shutil.rmtree(town.path("copy"))
        async with town.opened("bob") as bob:
            await alice.channels.ban("#garden", bob.me)
            await state(bob, "banned")
            await alice.channels.unban("#garden", bob.me)
            await bob.settled(PATIENCE)
        shutil.copytree(town.path("bob"), town.path("copy"))
    await comes_back(town, alice, "was out")
    copy = await town.engine("copy")
    await state(copy, "member")
    await shows(copy, ["one", "mine", "(closed)"])
    await in_it(town, copy, alice)
    await copy.leave("#garden")
    assert (await alice.channels.get("#garden")).members == 1
    await copy.channels.forget("#garden")
    async with town.opened("bob", connect=False) as bob:
        assert (await row_of(bob, key)).state == "member"
    await copy.disconnect()
    await copy.connect(town.url)
    await asyncio.wait_for(online(copy).sync.listed.wait(), PATIENCE)
    assert await copy.channels.list() == []


async def test_it_leaves_what_its_owner_came_back_into(town: ChannelWorld) -> None:
    alice = await town.engine("alice")
    await copied(town, alice)
    await comes_back(town, alice, "left")
    copy = await town.engine("copy")
    with pytest.raises(InvalidInput, match="in this channel already"):
        await copy.join(await alice.invite("#garden"))
    await copy.leave("#garden")
    assert (await copy.channels.get("#garden")).state == "left"
    assert (await alice.channels.get("#garden")).members == 1
    await copy.join(await alice.invite("#garden"))
    await said(alice, "again")
    await shows(copy, ["one", "mine", "(closed)", "again"])


async def test_it_joins_what_its_owner_has_left(town: ChannelWorld) -> None:
    """The link is used before the copy has heard that it is out."""
    alice = await town.engine("alice")
    key = await copied(town, alice)
    async with town.opened("bob") as bob:
        await bob.leave("#garden")
    link = await alice.invite("#garden")
    tap = town.tap("copy")
    tap.up = lambda message: None if isinstance(message, GetHistory) else message
    copy = await town.engine("copy")
    assert (await copy.channels.get("#garden")).state == "member"
    assert (await online(copy).membership.join(parse_join(link))) == (await row_of(copy, key)).id
    tap.honest()
    tap.cut()
    await said(alice, "two")
    await shows(copy, ["one", "mine", "two"])


async def test_the_answer_to_the_leaving_is_lost_and_it_is_left_again(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "one")
    await shows(bob, ["one"])
    tap = town.tap("bob")
    tap.down = lambda message: None if isinstance(message, Appended) else message
    leaving = asyncio.create_task(bob.leave("#garden"))
    await tap.count(LeaveChannel, 1)

    async def gone() -> bool:
        return (await alice.channels.get("#garden")).members == 1

    await until(gone)
    leaving.cancel()
    with suppress(asyncio.CancelledError):
        await leaving
    tap.honest()
    await bob.leave("#garden")
    assert (await bob.channels.get("#garden")).state == "left"
    assert await texts(bob) == ["one"]
    with pytest.raises(InvalidInput, match="have left"):
        await bob.leave("#garden")


async def test_what_its_owner_wrote_has_expired(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server keeps messages for less time than a chain lives: a copy cannot see that its owner wrote."""
    fast_vault(monkeypatch)
    monkeypatch.setattr(upkeep, "INTERVAL", 0.02)
    hands, storage = Hands(), MemoryStorage(1_000)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            real_server(folder / "server", storage=storage, clock=hands.clock(), message_ttl=86_400)
        )
        town = await stack.enter_async_context(channel_world(folder, server.url, hands))
        bob = await town.engine("bob")
        async with town.opened("alice") as alice:
            key = await enter(alice, bob)
            await said(alice, "one")
            await shows(bob, ["one"])
            await alice.settled(PATIENCE)
        shutil.copytree(town.path("alice"), town.path("copy"))
        async with town.opened("alice") as alice:
            await said(alice, "two")
            await said(alice, "three")
        await shows(bob, ["one", "two", "three"])
        hands.ahead = town.clock.offset = 2 * 86_400

        async def expired() -> bool:
            return not storage._channels[bytes.fromhex(key)].posts

        await until(expired)
        copy = await town.engine("copy")
        for text in ("four", "five", "six"):
            await said(copy, text)
        await shows(bob, ["one", "two", "three", "four", "five", "six"])
        heads = [
            message_head(post.payload)
            for name in ("alice", "copy")
            for post in town.tap(name).all(ChannelPost)
        ]
        assert len(heads) == len(set(heads)) == 6
