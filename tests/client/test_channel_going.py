"""Leaving a channel, forgetting it, coming back, being removed and banned."""

from __future__ import annotations

import asyncio

import pytest

from mobium.client import channel_contents
from mobium.client.entries import Setting
from mobium.client.store import peers
from mobium.client.store.database import Tx
from mobium.errors import InvalidInput, ServerRefused
from mobium.protocol.content import ChainRequest
from tests.support.channel_world import (
    STRANGER,
    ChannelWorld,
    everything,
    members_seen,
    refused,
    said,
    shows,
    state,
    texts,
    told,
)
from tests.support.engines import Ear, inside, online, tx


async def test_whoever_left_reads_on_and_does_nothing_more(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "before")
    await shows(bob, ["before"])
    ears = [Ear(alice), Ear(bob)]
    await bob.leave("#garden")
    for ear in ears:
        event = await told(ear, "left")
        assert (event.actor, event.subject, event.text) == (bob.me, bob.me, "")
    before = await everything(bob)
    for work in (
        bob.send("#garden", "x"), bob.leave("#garden"), bob.members("#garden"), bob.invite("#garden"),
        bob.rename("#garden", "x"), bob.remove("#garden", alice.me), bob.channels.renew("#garden"),
    ):  # fmt: skip
        await refused(bob, work, InvalidInput, "You have left this channel.")
    await said(alice, "after")
    assert await texts(bob) == ["before"]
    assert [line.text for line in await bob.history("#garden") if line.kind == "notice"] == ["joined", "left"]
    assert await everything(bob) == before
    assert await alice.members("#garden") == [
        member for member in await alice.members("#garden") if member.me
    ]
    await bob.channels.forget("#garden")
    assert await bob.channels.list() == []
    with pytest.raises(InvalidInput, match="no channel"):
        await bob.history("#garden")
    left = await everything(bob)
    for table in (
        "channel",
        "statement",
        "member",
        "receiver_chain",
        "sender_chain",
        "handed",
        "gap",
        "closed",
        "post",
    ):
        assert left[table] == [], table
    assert left["message"] == []


async def test_a_forgotten_channel_leaves_no_count_of_its_members(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    core, key = inside(bob), bytes.fromhex((await bob.channels.get("#garden")).id)

    def asked(tx: Tx) -> None:
        peer = peers.by_key(tx, bytes.fromhex(alice.me))
        assert peer is not None
        now = core.now_ms()
        setting = Setting(core.identity, now, core.entropy)
        channel_contents.take(tx, setting, peer, ChainRequest(core.entropy(16), now, key, 7))

    before = (await everything(bob))["meta"]
    await tx(bob, asked)
    assert any("chain requests of" in row for row in (await everything(bob))["meta"])
    await bob.leave("#garden")
    await bob.channels.forget("#garden")
    names = {row.split(",")[0] for row in (await everything(bob))["meta"]}
    assert names <= {row.split(",")[0] for row in before} | {f"('forgotten {key.hex()}'"}


async def test_a_channel_is_left_before_it_is_forgotten(town: ChannelWorld) -> None:
    alice = (await town.gather("alice"))[0]
    await refused(
        alice, alice.channels.forget("#garden"), InvalidInput, "Leave the channel before you forget it."
    )


async def test_a_forgotten_channel_does_not_come_back_with_the_next_connection(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await bob.leave("#garden")
    await bob.channels.forget("#garden")
    await bob.disconnect()
    await bob.connect()
    await asyncio.wait_for(online(bob).sync.listed.wait(), 10)
    assert await bob.channels.list() == []
    await bob.join(await alice.invite("#garden"))
    assert (await bob.channels.get("#garden")).state == "member"


async def test_whoever_comes_back_goes_on_behind_his_new_joining(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "one")
    await shows(bob, ["one"])
    await bob.leave("#garden")
    await members_seen("#garden", 1, alice)
    await said(alice, "two")
    await bob.join(await alice.invite("#garden"))
    await members_seen("#garden", 2, alice, bob)
    await said(alice, "three")
    await shows(bob, ["one", "three"])
    await said(bob, "four")
    await shows(alice, ["one", "two", "three", "four"])


@pytest.mark.parametrize("kind", ["remove", "ban"])
async def test_somebody_is_removed_and_told(town: ChannelWorld, kind: str) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    what, reason = {
        "remove": ("removed", "You were removed from this channel."),
        "ban": ("banned", "You were banned from this channel."),
    }[kind]
    ears = [Ear(one) for one in (alice, bob, carol)]
    await (alice.remove if kind == "remove" else alice.channels.ban)("#garden", bob.me)
    for ear in ears:
        event = await told(ear, what)
        assert (event.actor, event.subject, event.label) == (alice.me, bob.me, "#garden")
    garden = await bob.channels.get("#garden")
    assert (garden.state, garden.reason, garden.role) == (what, reason, None)
    await refused(bob, bob.send("#garden", "x"), InvalidInput, reason)
    assert [line.text for line in await bob.history("#garden")][-1] == what
    for one in (alice, carol):
        await members_seen("#garden", 2, one)
        assert {member.key for member in await one.members("#garden")} == {alice.me, carol.me}
        assert await one.channels.banned("#garden") == ([bob.me] if kind == "ban" else [])
        (line,) = [line for line in await one.history("#garden") if line.text == what]
        assert (line.peer, line.subject) == ("" if one is alice else alice.me, bob.me)


async def test_a_ban_holds_until_it_is_lifted(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    ear = Ear(bob)
    await alice.channels.ban("#garden", STRANGER)
    await alice.channels.ban("#garden", bob.me)
    assert await alice.channels.banned("#garden") == sorted([STRANGER, bob.me])
    await refused(alice, alice.channels.ban("#garden", bob.me), ServerRefused, "bad_statement")
    await state(bob, "banned")
    link = await alice.invite("#garden", uses=0)
    await refused(bob, bob.join(link), ServerRefused, "banned")
    await alice.channels.unban("#garden", bob.me)
    await bob.join(link)
    assert (await told(ear, "joined")).subject == bob.me
    assert await bob.channels.banned("#garden") == [STRANGER]
    assert [line.text for line in await bob.history("#garden")][-2:] == ["banned", "joined"]
