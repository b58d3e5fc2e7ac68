"""Channels as a program uses them: making them, what one may do there, their members, how old they are."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest

from mobium.client import Channel, ChannelChanged, Engine
from mobium.errors import InvalidInput, NotConnected, ServerRefused
from mobium.protocol.messages import Channels, CreateChannel, RosterAppend
from tests.support.channel_world import ChannelWorld, has_role, refused, row_of, said, shows, told
from tests.support.engines import PATIENCE, Ear, inside, online, until


async def test_a_connection_that_told_nothing_of_channels_makes_them_no_younger(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await bob.settled(PATIENCE)
    before = (await bob.channels.get("#garden")).as_of
    await bob.disconnect()
    await alice.remove("#garden", bob.me)
    town.clock.offset = 3 * 86_400
    tap = town.tap("bob")
    tap.down = lambda message: None if isinstance(message, Channels) else message
    await bob.connect()
    assert online(bob).drained
    await bob.disconnect()
    assert (await bob.channels.get("#garden")).as_of == before
    tap.honest()


async def test_a_connection_that_lasts_makes_channels_younger(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.online._UPKEEP_INTERVAL", 0.05)
    _, bob = await town.gather("alice", "bob")
    await bob.settled(PATIENCE)
    town.clock.offset = 3 * 86_400

    async def younger() -> bool:
        as_of = (await bob.channels.get("#garden")).as_of
        return as_of is not None and abs(as_of.timestamp() - inside(bob).now()) < 60

    await until(younger)


# ---------------------------------------------------------------- making one


async def test_a_channel_that_was_made_is_shown_as_it_is(town: ChannelWorld) -> None:
    alice = await town.engine("alice")
    ear = Ear(alice)
    garden = await alice.create_channel("  Ｇarden é ", topic="beans, and peas")
    assert garden == Channel(
        garden.id, "#Ｇarden é", "Ｇarden é", "beans, and peas", True, "member", "", "owner", 1, 0,
        online(alice).address.host, garden.as_of,
    )  # fmt: skip
    assert garden.as_of is not None
    assert abs(garden.as_of.timestamp() - inside(alice).now()) < 60
    assert len(bytes.fromhex(garden.id)) == 32
    assert await alice.channels.list() == [garden]
    assert await alice.channels.get(f"#{garden.id}") == garden
    event = await told(ear, "created")
    assert event == ChannelChanged(garden.id, garden.label, "created", alice.me, alice.me, "")
    (line,) = await alice.history(garden.label)
    assert (line.position, line.kind, line.text, line.peer, line.subject) == (
        1,
        "notice",
        "created",
        "",
        alice.me,
    )
    (member,) = await alice.members(garden.label)
    assert (member.key, member.nickname, member.name, member.role, member.trust, member.me) == (
        alice.me, None, "", "owner", "unverified", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["", "   ", "#garden", "x" * 65, "ẍ" * 64, "a\nb", "a\u202eb", "a\u200bb", "a  b", "f" * 64, "mobium://x",
     "\u0301a", "\ud800", "a\0"],
)  # fmt: skip
async def test_a_name_that_could_mislead_is_refused(town: ChannelWorld, name: str) -> None:
    alice, tap = await town.engine("alice"), town.tap("alice")
    await refused(alice, alice.create_channel(name), InvalidInput, "channel's name")
    assert tap.all(CreateChannel) == []
    await alice.create_channel("garden")
    await refused(alice, alice.rename("#garden", name), InvalidInput, "channel's name")
    assert tap.all(RosterAppend) == []


@pytest.mark.parametrize("topic", ["x" * 381, "a\nb", "a\u2066b", "é" * 191, "\ud800"])
async def test_a_topic_that_could_mislead_is_refused(town: ChannelWorld, topic: str) -> None:
    alice = await town.engine("alice")
    await refused(alice, alice.create_channel("garden", topic=topic), InvalidInput, "channel's topic")
    await alice.create_channel("garden", topic="x" * 380)
    await refused(alice, alice.channels.set_topic("#garden", topic), InvalidInput, "channel's topic")


async def test_a_channel_that_the_server_refuses_was_never_there(town: ChannelWorld) -> None:
    alice = await town.engine("alice")
    for _ in range(20):
        await alice.create_channel("garden")
    await refused(alice, alice.create_channel("one more"), ServerRefused, "rate_limited")


async def test_all_that_needs_a_connection_says_so(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await alice.disconnect()
    for work in (
        alice.create_channel("orchard"), alice.invite("#garden"), alice.leave("#garden"),
        alice.remove("#garden", bob.me), alice.set_role("#garden", bob.me, "admin"),
        alice.rename("#garden", "orchard"), alice.channels.set_topic("#garden", "x"),
        alice.channels.ban("#garden", bob.me), alice.channels.unban("#garden", bob.me),
        alice.channels.renew("#garden"), alice.channels.invites("#garden"),
        alice.channels.revoke("#garden", "00" * 16),
    ):  # fmt: skip
        await refused(alice, work, NotConnected, "There is no connection to the server, and this needs one.")
    assert (await alice.channels.get("#garden")).members == 2
    assert len(await alice.members("#garden")) == 2
    assert await alice.channels.banned("#garden") == []
    assert [line.kind for line in await alice.history("#garden")] == ["notice", "notice"]


# ---------------------------------------------------------------- who may what


async def test_what_a_member_may_not_do_is_refused_here(town: ChannelWorld) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    dora = await town.engine("dora")
    await alice.set_role("#garden", bob.me, "admin")
    await until(lambda: has_role(carol, bob, "admin"))
    for name in ("alice", "bob", "carol"):
        town.tap(name).sent.clear()

    async def code(one: Engine, work: Coroutine[Any, Any, object], wanted: str) -> None:
        await refused(one, work, ServerRefused, wanted)

    for work in (
        carol.remove("#garden", bob.me), carol.channels.ban("#garden", dora.me),
        carol.set_role("#garden", bob.me, "member"), carol.rename("#garden", "x"),
        carol.channels.set_topic("#garden", "x"), carol.channels.renew("#garden"),
        carol.channels.unban("#garden", dora.me),
    ):  # fmt: skip
        await code(carol, work, "forbidden")
    await code(bob, bob.remove("#garden", alice.me), "forbidden")
    await code(bob, bob.channels.ban("#garden", alice.me), "forbidden")
    await code(bob, bob.set_role("#garden", carol.me, "admin"), "forbidden")
    await code(alice, alice.leave("#garden"), "forbidden")
    await code(alice, alice.remove("#garden", dora.me), "not_a_member")
    await code(alice, alice.set_role("#garden", dora.me, "admin"), "not_a_member")
    await refused(alice, alice.remove("#garden", alice.me), InvalidInput, "This is yourself")
    await refused(alice, alice.channels.ban("#garden", alice.me), InvalidInput, "This is yourself")
    await refused(alice, alice.set_role("#garden", alice.me, "admin"), InvalidInput, "This is yourself")
    await code(alice, alice.set_role("#garden", bob.me, "admin"), "bad_statement")
    await code(alice, alice.channels.unban("#garden", dora.me), "bad_statement")
    for wrong in ("nobody", "12", "", b"x", "#garden"):
        await refused(alice, alice.remove("#garden", wrong), InvalidInput, "")
    await refused(alice, alice.set_role("#garden", bob.me, "king"), InvalidInput, "A role is")  # type: ignore[arg-type]
    assert not any(town.tap(name).all(RosterAppend) for name in ("alice", "bob", "carol")), (
        "nothing was tried"
    )
    await code(carol, carol.invite("#garden"), "forbidden")
    await code(carol, carol.channels.invites("#garden"), "forbidden")


async def test_roles_are_given_taken_and_handed_over(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await alice.contacts.add(bob.me, "Bob")
    ear = Ear(bob)
    await alice.set_role("#garden", "bob", "admin")
    event = await told(ear, "role")
    assert (event.actor, event.subject, event.text) == (alice.me, bob.me, "admin")
    assert (await bob.channels.get("#garden")).role == "admin"
    await alice.set_role("#garden", bob.me, "owner")
    assert (await told(ear, "role")).text == "owner"
    assert [(await one.channels.get("#garden")).role for one in (alice, bob)] == ["admin", "owner"]
    assert [member.role for member in await bob.members("#garden")] == ["admin", "owner"]
    await alice.leave("#garden")
    await told(ear, "left")
    await bob.leave("#garden")
    for one in (alice, bob):
        garden = await one.channels.get("#garden")
        assert (garden.state, garden.reason, garden.role) == ("left", "You have left this channel.", None)


# ---------------------------------------------------------------- members


async def test_members_have_the_nickname_that_is_mine_and_the_name_that_is_theirs(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await alice.contacts.add(bob.me, "Bobby")
    await bob.set_name("  Bob the gardener ")
    assert await bob.name() == "Bob the gardener"
    for wrong in ("#bob", "a\nb", "x" * 65, "\u202ebob"):
        await refused(bob, bob.set_name(wrong), InvalidInput, "nickname")
    await said(bob, "hello")
    await shows(alice, ["hello"])
    members = {member.key: member for member in await alice.members("#garden")}
    assert (members[bob.me].nickname, members[bob.me].name) == ("Bobby", "Bob the gardener")
    assert (await bob.members("#garden"))[1].name == "Bob the gardener"
    assert (await bob.members("#garden"))[1].me
    await bob.set_name("")
    assert await bob.name() == ""


async def test_whoever_is_only_a_fellow_member_is_no_contact_and_no_request(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(bob, "hello")
    await shows(alice, ["hello"])
    assert await alice.contacts.list() == await alice.contacts.requests() == []
    assert await alice.conversations() == []
    assert await alice.unread() == {}


async def test_what_is_exported_holds_the_channels(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    sent = await said(alice, "hello")
    await shows(bob, ["hello"])
    garden = await bob.channels.get("#garden")
    exported = [line async for line in bob.export()]
    (channel,) = [line for line in exported if line["type"] == "channel"]
    assert channel == {
        "type": "channel", "id": garden.id, "name": "garden", "topic": "", "private": True, "state": "member",
        "role": "member", "server": garden.host,
    }  # fmt: skip
    messages = [line for line in exported if line["type"] == "message"]
    assert [(line["kind"], line["text"], line["channel"], line["peer"]) for line in messages] == [
        ("notice", "joined", garden.id, ""), ("text", "hello", garden.id, alice.me)
    ]  # fmt: skip
    assert messages[1]["id"] == sent
    secret = (await row_of(bob, garden.id)).secret
    assert secret is not None
    assert secret.hex() not in repr(exported)
