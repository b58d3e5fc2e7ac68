"""Channels as a program uses them: every method, what it refuses, and what members are told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from mobium.client import Channel, ChannelChanged, Engine, channel_contents
from mobium.client.entries import Setting
from mobium.client.store import channels, peers
from mobium.client.store.database import Tx
from mobium.errors import InvalidInput, NotConnected, ServerRefused
from mobium.protocol.content import ChainRequest
from mobium.protocol.messages import Appended, Channels, ClientMessage, GetMembers, RosterAppend
from mobium.protocol.messages import Error as WireError
from tests.support.channel_world import (
    ChannelWorld,
    everything,
    members_seen,
    refused,
    row_of,
    said,
    shows,
    state,
    still,
    texts,
)
from tests.support.engines import PATIENCE, Ear, inside, online, tx, until

STRANGER = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


async def told(ear: Ear, what: str) -> ChannelChanged:
    return await ear.next(ChannelChanged, lambda event: event.what == what)


# ---------------------------------------------------------------- how old it is


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
    alice = await town.engine("alice")
    await refused(alice, alice.create_channel(name), InvalidInput, "channel's name")
    await alice.create_channel("garden")
    await refused(alice, alice.rename("#garden", name), InvalidInput, "channel's name")
    town.tap("alice").sent.clear()
    assert town.tap("alice").sent == []


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
    await until(lambda: _role(carol, bob, "admin"))
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


async def _role(one: Engine, other: Engine, role: str) -> bool:
    found = [member for member in await one.members("#garden") if member.key == other.me]
    return [member.role for member in found] == [role]


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


# ---------------------------------------------------------------- going


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


# ---------------------------------------------------------------- names and secrets


async def test_name_and_topic_reach_everybody(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    ears = [Ear(alice), Ear(bob)]
    await alice.rename("#garden", "orchard")
    await alice.channels.set_topic("#orchard", "apples")
    for one, ear in zip((alice, bob), ears, strict=True):
        event = await told(ear, "renamed")
        assert (event.label, event.text, event.actor) == ("#orchard", "orchard", alice.me)
        assert (await told(ear, "topic")).text == "apples"
        orchard = await one.channels.get("#orchard")
        assert (orchard.name, orchard.topic) == ("orchard", "apples")
        assert [line.text for line in await one.history("#orchard")][-2:] == [
            "renamed orchard",
            "topic apples",
        ]
    await alice.channels.set_topic("#orchard", "")
    assert (await told(ears[1], "topic")).text == ""
    assert (await bob.channels.get("#orchard")).topic == ""
    with pytest.raises(InvalidInput):
        await alice.send("#garden", "x")


@pytest.mark.parametrize("private", [True, False])
async def test_a_new_secret_is_handed_to_every_member_and_to_nobody_else(
    town: ChannelWorld, private: bool
) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol", private=private)
    first = (await row_of(bob, (await bob.channels.get("#garden")).id)).secret
    ears = [Ear(bob), Ear(carol)]
    await alice.channels.renew("#garden")
    assert (await told(ears[0], "secret")).actor == alice.me
    garden = (await alice.channels.get("#garden")).id

    async def same() -> bool:
        secrets = [(await row_of(one, garden)).secret for one in (alice, bob, carol)]
        return secrets[0] is not None and len(set(secrets)) == 1

    await until(same)
    assert (await row_of(alice, garden)).secret != first
    await alice.remove("#garden", bob.me)
    await state(bob, "removed")
    await until(lambda: _equal_secrets(garden, alice, carol))
    if private:
        assert (await row_of(bob, garden)).secret != (await row_of(alice, garden)).secret
    await alice.set_role("#garden", carol.me, "admin")
    await told(ears[1], "role")
    dora = await town.engine("dora")
    assert (await dora.join(await carol.invite("#garden"))).name == "garden"


async def _equal_secrets(channel: str, *engines: Engine) -> bool:
    secrets = {(await row_of(one, channel)).secret for one in engines}
    return len(secrets) == 1 and None not in secrets


async def test_without_the_secret_nobody_invites_or_sets_a_topic(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    garden = (await alice.channels.get("#garden")).id
    await alice.set_role("#garden", bob.me, "admin")
    await until(lambda: _role(bob, bob, "admin"))

    def lose(tx: Tx) -> None:
        found = channels.by_key(tx, bytes.fromhex(garden))
        assert found is not None
        channels.update(tx, found.id, secret=None)

    await tx(bob, lose)
    for work in (bob.invite("#garden"), bob.channels.set_topic("#garden", "x")):
        await refused(bob, work, InvalidInput, "The channel's secret has not reached you yet")
    await bob.channels.renew("#garden")  # a new one can be drawn without the old one
    await until(lambda: _equal_secrets(garden, alice, bob))
    await bob.invite("#garden")


# ---------------------------------------------------------------- invites


async def test_invites_are_listed_and_revoked(town: ChannelWorld) -> None:
    alice, _ = await town.gather("alice", "bob")
    everlasting = await alice.channels.invites("#garden")
    assert [(invite.uses, invite.expires is None, invite.made_by) for invite in everlasting] == [
        (None, False, alice.me)
    ]
    link = await alice.invite("#garden", uses=3, ttl=0)
    (invite,) = [invite for invite in await alice.channels.invites("#garden") if invite.uses == 3]
    assert invite.expires is None
    dora = await town.engine("dora")
    await dora.join(link)
    assert 2 in [one.uses for one in await alice.channels.invites("#garden")]
    for wrong in ("", "zz", "00" * 15, "garden", "mobium://join/x"):
        await refused(alice, alice.channels.revoke("#garden", wrong), InvalidInput, "")
    await refused(alice, alice.channels.revoke("#garden", "00" * 16), ServerRefused, "bad_invite")
    rest = await alice.channels.revoke("#garden", invite.id)
    assert [one.id for one in rest] == [everlasting[0].id]
    for uses, ttl in ((-1, 0), (10_001, 0), (1, -1), (1, 2**41)):
        await refused(alice, alice.invite("#garden", uses, ttl), InvalidInput, "An invite is for")


async def test_an_open_channel_has_no_invites_to_list(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob", private=False)
    await refused(alice, alice.channels.invites("#garden"), ServerRefused, "forbidden")
    assert await bob.invite("#garden") == await alice.invite("#garden"), "every member can pass the link on"


async def test_another_server_does_not_hear_of_a_channel(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    other = town.url.replace("127.0.0.1", "localhost")
    await alice.connect(other)
    town.tap("alice").sent.clear()
    for work in (
        alice.rename("#garden", "x"), alice.leave("#garden"), alice.remove("#garden", bob.me),
        alice.invite("#garden"), alice.channels.invites("#garden"),
        alice.channels.revoke("#garden", "00" * 16),
    ):  # fmt: skip
        await refused(alice, work, InvalidInput, "on another server")
    waiting = await alice.send("#garden", "later")
    await asyncio.sleep(0.05)
    assert (await alice.message(waiting)).state == "queued"
    named = bytes.fromhex((await alice.channels.get("#garden")).id)
    assert not any(getattr(frame, "channel_id", b"") == named for frame in town.tap("alice").sent)
    await alice.connect(town.url)
    await shows(bob, ["later"])


# ---------------------------------------------------------------- statements that cross


async def test_a_statement_that_comes_too_late_is_signed_anew(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await alice.set_role("#garden", bob.me, "admin")
    await until(lambda: _role(bob, bob, "admin"))
    await asyncio.gather(*(one.channels.renew("#garden") for one in (alice, bob, alice, bob)))
    garden = (await alice.channels.list())[0].id
    await until(lambda: _equal_secrets(garden, alice, bob))
    for one in (alice, bob):
        notices = [line.text for line in await one.history("#garden")]
        assert notices.count("secret") == 4
    assert [row for one in (alice, bob) for row in await tx(one, _own_spare)] == []


def _own_spare(tx: Tx) -> list[Any]:
    return tx.all("SELECT * FROM spare_secret WHERE peer = 0")


async def test_after_eight_stale_answers_it_is_given_up(town: ChannelWorld) -> None:
    alice, _ = await town.gather("alice", "bob")
    tap = town.tap("alice")
    await still(alice)
    tap.sent.clear()

    def stale(message: ClientMessage) -> ClientMessage | None:
        if not isinstance(message, RosterAppend):
            return message
        tap.say(WireError("stale_roster", "", message.rid))
        tap.tried += 1
        return None

    tap.up = stale
    with pytest.raises(ServerRefused) as caught:
        await alice.channels.renew("#garden")
    assert caught.value.code == "stale_roster"
    assert tap.tried == 8
    assert len(tap.all(GetMembers)) == 7
    assert (await alice.channels.get("#garden")).state == "member"
    # What a server refuses it may have taken: until another statement is there, the secrets are kept.
    assert len((await everything(alice))["spare_secret"]) == 8
    tap.honest()
    await alice.rename("#garden", "orchard")
    assert (await everything(alice))["spare_secret"] == []


async def test_the_answer_to_a_change_is_lost_and_the_change_is_not(town: ChannelWorld) -> None:
    """The secret was kept before the server had the statement, so everybody still gets it."""
    alice, bob = await town.gather("alice", "bob")
    garden = (await alice.channels.get("#garden")).id
    tap = town.tap("alice")
    tap.down = lambda message: None if isinstance(message, Appended) else message
    task = asyncio.create_task(alice.channels.renew("#garden"))
    ear = Ear(bob)
    await told(ear, "secret")
    tap.cut()
    with pytest.raises(NotConnected):
        await task
    tap.honest()
    await until(lambda: _equal_secrets(garden, alice, bob))
    notices = [line.text for line in await alice.history("#garden")]
    assert notices == ["created", "joined", "secret"]


async def test_the_answer_to_the_making_is_lost_and_the_channel_is_there(town: ChannelWorld) -> None:
    alice = await town.engine("alice")
    tap = town.tap("alice")
    tap.down = lambda message: None if isinstance(message, Appended) else message
    task = asyncio.create_task(alice.create_channel("garden"))
    await asyncio.sleep(0.05)
    assert (await alice.channels.list())[0].state == "joining"
    tap.honest()
    tap.cut()
    with pytest.raises(NotConnected):
        await task

    async def there() -> bool:
        return [(one.label, one.state) for one in await alice.channels.list()] == [("#garden", "member")]

    await until(there)
    bob = await town.engine("bob")
    await bob.join(await alice.invite("#garden"))
    await members_seen("#garden", 2, alice)
    await said(alice, "hello")
    await shows(bob, ["hello"])


@pytest.mark.parametrize("again", [False, True])
async def test_the_answer_to_a_joining_is_lost_and_the_joiner_is_in(town: ChannelWorld, again: bool) -> None:
    alice, bob = await town.people("alice", "bob")
    garden = f"#{(await alice.create_channel('garden')).id}"
    link = await alice.invite("#garden", uses=0)
    if again:
        await bob.join(link)
        await said(alice, "first")
        await shows(bob, ["first"])
        await bob.leave("#garden")
        await members_seen("#garden", 1, alice)
    tap = town.tap("bob")
    tap.down = lambda message: None if isinstance(message, Appended) else message
    task = asyncio.create_task(bob.join(link))
    await members_seen("#garden", 2, alice)
    await said(alice, "meanwhile")
    tap.honest()
    tap.cut()
    with pytest.raises(NotConnected):
        await task
    await state(bob, "member", garden)
    await shows(bob, ["first", "meanwhile"] if again else ["meanwhile"])
    await said(bob, "here")
    await shows(alice, ["first", "meanwhile", "here"] if again else ["meanwhile", "here"])


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
