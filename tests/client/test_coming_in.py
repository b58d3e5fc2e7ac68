"""Coming into a channel, broken off at each place: nobody begins too early, and no member is a ghost."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest

from mobium.client import Engine
from mobium.client.upkeep import Upkeep
from mobium.errors import InvalidInput, NotConnected
from mobium.protocol.messages import (
    Appended,
    Channels,
    ChannelState,
    ClientMessage,
    Entry,
    GetHistory,
    GetMembers,
    History,
    JoinChannel,
    LeaveChannel,
    RosterPage,
    ServerMessage,
)
from mobium_server.storage.memory import MemoryStorage
from tests.support.channel_world import ChannelWorld, enter, members_seen, row_of, said, shows, state, texts
from tests.support.engines import PASSWORD, PATIENCE, online, tx, until
from tests.support.server import server as real_server


async def begun(town: ChannelWorld, bob: Engine, link: str) -> None:
    """Bob's join has reached the server, and he was cancelled before the answer, which is lost."""
    tap, answered = town.tap("bob"), asyncio.Event()

    def lose(message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, Appended):
            answered.set()
            return None
        return message

    tap.down = lose
    joining = asyncio.create_task(bob.join(link))
    await asyncio.wait_for(answered.wait(), PATIENCE)
    joining.cancel()
    with suppress(asyncio.CancelledError):
        await joining
    tap.honest()


# ---------------------------------------------------------------- brought back from words


@pytest.mark.parametrize("by_link", [False, True])
async def test_a_recovery_that_breaks_off_reads_from_the_newest_statement(
    town: ChannelWorld, by_link: bool
) -> None:
    words = await town.create("alice")
    async with town.opened("alice") as alice:
        bob = await town.engine("bob")
        key = await enter(alice, bob)
        for number in range(6):
            await said(bob, f"old {number}")
        await bob.settled(PATIENCE)
        await alice.channels.set_topic("#garden", "beans")
        link = await alice.invite("#garden")
        await alice.settled(PATIENCE)
    await Engine.recover(town.path("again"), PASSWORD, words)
    tap = town.tap("again")

    def up(message: ClientMessage) -> ClientMessage | None:
        """The second page is asked for once it is known that one is in, and before one is."""
        if isinstance(message, GetMembers):
            tap.tried += 1
            if tap.tried == 2:
                asyncio.get_running_loop().call_soon(tap.cut)
                return None
        return message

    if by_link:
        tap.down = lambda message: Channels([], message.rid) if isinstance(message, Channels) else message
    else:
        tap.up = up
    again = await town.engine("again")
    if by_link:
        tap.up = up
        with suppress(NotConnected):
            await again.join(link)
        tap.honest()
        tap.cut()
    await state_of(again, key, "member")
    await again.settled(PATIENCE)
    assert tap.tried >= 2
    assert await texts(again, f"#{key}") == []
    await said(bob, "new")
    await shows(again, ["(closed)"], f"#{key}")


async def state_of(engine: Engine, key: str, wanted: str) -> None:
    async def so() -> bool:
        return [(found.id, found.state) for found in await engine.channels.list()] == [(key, wanted)]

    await until(so)


# ---------------------------------------------------------------- before anybody can write to one


async def test_whoever_has_just_connected_for_the_first_time_joins_with_prekeys(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window does not wait for them, and whoever is pasted a link may be faster."""
    alice = await town.engine("alice")
    await enter(alice)
    link = await alice.invite("#garden")
    bob = await town.engine("bob", connect=False)
    made, honest = asyncio.Event(), Upkeep.run_once

    async def slow(upkeep: Upkeep, message_size: int) -> None:
        await made.wait()
        await honest(upkeep, message_size)

    monkeypatch.setattr(Upkeep, "run_once", slow)
    await bob.connect(town.url, wait=False)

    async def there() -> bool:
        return online(bob).link.online

    await until(there)
    joining = asyncio.create_task(bob.join(link))
    done, _ = await asyncio.wait({joining}, timeout=0.3)
    assert not done
    made.set()
    await joining
    await said(alice, "hello")
    await shows(bob, ["hello"])


# ---------------------------------------------------------------- another server


async def test_a_join_under_way_at_one_server_is_not_answered_by_another(town: ChannelWorld) -> None:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(
            real_server(town.folder / "other", storage=MemoryStorage(1_000))
        )
        alice, bob = await town.people("alice", "bob")
        key = await enter(alice)
        await begun(town, bob, await alice.invite("#garden"))
        await bob.disconnect()
        raws = await tx(
            alice, lambda tx: [row[0] for row in tx.all("SELECT raw FROM statement ORDER BY idx")]
        )
        channel, far, tap = bytes.fromhex(key), 10**9, town.tap("bob")

        def up(message: ClientMessage) -> ClientMessage | None:
            if isinstance(message, GetMembers):
                tap.say(RosterPage(channel, message.start, raws[message.start :], 1, far, message.rid))
            elif isinstance(message, GetHistory):
                entries = [Entry(far, statement=raws[1])] if message.after < far else []
                tap.say(History(channel, entries, far, far, message.rid))
            else:
                return message
            return None

        def down(message: ServerMessage) -> ServerMessage:
            if isinstance(message, Channels):
                return Channels([ChannelState(channel, far, 1)], message.rid)
            return message

        tap.up, tap.down = up, down
        await bob.connect(other.url)
        await asyncio.wait_for(online(bob).sync.listed.wait(), PATIENCE)
        assert (await bob.channels.get(f"#{key}")).state == "joining"
        tap.honest()
        await bob.connect(town.url)
        await state_of(bob, key, "member")
        await said(alice, "hello")
        await shows(bob, ["hello"])


# ---------------------------------------------------------------- forgotten on the way


async def gone(alice: Engine, bob: Engine, key: str) -> None:
    """Nobody sees Bob as a member, and he can still come in."""
    await members_seen("#garden", 1, alice)
    assert await bob.channels.list() == []
    await bob.disconnect()
    await bob.connect()
    await asyncio.wait_for(online(bob).sync.listed.wait(), PATIENCE)
    assert await bob.channels.list() == []
    assert (await bob.join(await alice.invite("#garden"))).state == "member"
    await said(alice, "hello")
    await shows(bob, ["hello"])
    await bob.leave("#garden")
    assert (await row_of(bob, key)).state == "left"


async def test_it_is_forgotten_before_the_answer_comes(town: ChannelWorld) -> None:
    alice, bob = await town.people("alice", "bob")
    key = await enter(alice)
    link, tap, held = await alice.invite("#garden"), town.tap("bob"), asyncio.Event()
    answers: list[ServerMessage] = []

    def hold(message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, Appended) and not answers:
            answers.append(message)
            held.set()
            return None
        return message

    tap.down = hold
    joining = asyncio.create_task(bob.join(link))
    await asyncio.wait_for(held.wait(), PATIENCE)
    await bob.channels.forget(f"#{key}")
    tap.say(answers[0])
    with pytest.raises(InvalidInput, match="forgotten"):
        await joining
    await gone(alice, bob, key)


async def test_it_is_forgotten_when_the_answer_is_lost(town: ChannelWorld) -> None:
    alice, bob = await town.people("alice", "bob")
    key = await enter(alice)
    await begun(town, bob, await alice.invite("#garden"))
    await state(bob, "joining", f"#{key}")
    await bob.channels.forget(f"#{key}")
    await gone(alice, bob, key)


async def test_it_is_forgotten_without_a_connection(town: ChannelWorld) -> None:
    alice, bob = await town.people("alice", "bob")
    key = await enter(alice)
    await begun(town, bob, await alice.invite("#garden"))
    await bob.disconnect()
    await bob.channels.forget(f"#{key}")
    assert (await alice.channels.get("#garden")).members == 2
    tap = town.tap("bob")
    assert len(tap.all(JoinChannel)) == 1
    await bob.connect()
    await tap.count(LeaveChannel, 1)
    await gone(alice, bob, key)
    await bob.channels.forget("#garden")
    await bob.disconnect()
    asked = len(tap.all(GetMembers))
    await bob.connect()
    await asyncio.wait_for(online(bob).sync.listed.wait(), PATIENCE)
    assert len(tap.all(GetMembers)) == asked
