"""Changes to a channel: names, secrets, invites, and statements that cross or whose answers are lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mobium.client.store import channels
from mobium.client.store.database import Tx
from mobium.errors import InvalidInput, NotConnected, ServerRefused
from mobium.protocol.messages import Appended, ClientMessage, GetMembers, RosterAppend
from mobium.protocol.messages import Error as WireError
from tests.support.channel_world import (
    ChannelWorld,
    equal_secrets,
    everything,
    has_role,
    members_seen,
    refused,
    row_of,
    said,
    shows,
    state,
    still,
    told,
)
from tests.support.engines import Ear, tx, until


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

    await until(lambda: equal_secrets(garden, alice, bob, carol))
    assert (await row_of(alice, garden)).secret != first
    await alice.remove("#garden", bob.me)
    await state(bob, "removed")
    await until(lambda: equal_secrets(garden, alice, carol))
    if private:
        assert (await row_of(bob, garden)).secret != (await row_of(alice, garden)).secret
    await alice.set_role("#garden", carol.me, "admin")
    await told(ears[1], "role")
    dora = await town.engine("dora")
    assert (await dora.join(await carol.invite("#garden"))).name == "garden"


async def test_without_the_secret_nobody_invites_or_sets_a_topic(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    garden = (await alice.channels.get("#garden")).id
    await alice.set_role("#garden", bob.me, "admin")
    await until(lambda: has_role(bob, bob, "admin"))

    def lose(tx: Tx) -> None:
        found = channels.by_key(tx, bytes.fromhex(garden))
        assert found is not None
        channels.update(tx, found.id, secret=None)

    await tx(bob, lose)
    for work in (bob.invite("#garden"), bob.channels.set_topic("#garden", "x")):
        await refused(bob, work, InvalidInput, "The channel's secret has not reached you yet")
    await bob.channels.renew("#garden")  # a new one can be drawn without the old one
    await until(lambda: equal_secrets(garden, alice, bob))
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
    await until(lambda: has_role(bob, bob, "admin"))
    await asyncio.gather(*(one.channels.renew("#garden") for one in (alice, bob, alice, bob)))
    garden = (await alice.channels.list())[0].id
    await until(lambda: equal_secrets(garden, alice, bob))
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
    await until(lambda: equal_secrets(garden, alice, bob))
    notices = [line.text for line in await alice.history("#garden")]
    assert notices == ["created", "joined", "secret"]


async def test_the_answer_to_the_making_is_lost_and_the_channel_is_there(town: ChannelWorld) -> None:
    alice = await town.engine("alice")
    tap = town.tap("alice")
    tap.down = lambda message: None if isinstance(message, Appended) else message
    task = asyncio.create_task(alice.create_channel("garden"))

    async def begun() -> bool:
        return [one.state for one in await alice.channels.list()] == ["joining"]

    await until(begun)
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
