"""A server that answers something else than what it was asked, or about another channel: one sentence, and
nothing that it says is believed; once it answers rightly everything is as if it always had.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import UnionType
from typing import Any

import msgspec
import pytest

from mobium.client import Engine
from mobium.client import sync as syncing
from mobium.errors import ProtocolError
from mobium.protocol.content import MediaRequest
from mobium.protocol.messages import (
    ClientMessage,
    CreateChannel,
    CreateInvite,
    Entry,
    GetChannels,
    GetHistory,
    GetMembers,
    GetPrekeyCount,
    History,
    JoinChannel,
    LeaveChannel,
    ListInvites,
    Pong,
    RosterAppend,
    SendSignal,
    ServerMessage,
)
from tests.support.channel_world import (
    ChannelWorld,
    Tap,
    enter,
    members_seen,
    refused,
    said,
    shows,
    state,
    texts,
)
from tests.support.engines import PATIENCE, online, until

pytestmark = pytest.mark.once

OTHER = b"o" * 32
"""A channel that nobody asked about."""


def something_else(answer: ServerMessage) -> ServerMessage:
    return Pong(_rid(answer))


def another_channel(answer: ServerMessage) -> ServerMessage:
    assert hasattr(answer, "channel_id")
    return msgspec.structs.replace(answer, channel_id=OTHER)


Wrong = Callable[[ServerMessage], ServerMessage]
BOTH = pytest.mark.parametrize("wrong", [something_else, another_channel])


def _rid(message: ClientMessage | ServerMessage) -> int | None:
    return getattr(message, "rid", None)


def answers(tap: Tap, question: type[Any] | UnionType, wrong: Wrong = something_else) -> Callable[[], int]:
    """Every answer to a kind of question is a wrong one, until the tap is honest; how many there were."""
    asked: set[int | None] = set()
    given = 0

    def up(message: ClientMessage) -> ClientMessage:
        if isinstance(message, question):
            asked.add(_rid(message))
        return message

    def down(message: ServerMessage) -> ServerMessage:
        nonlocal given
        if _rid(message) is None or _rid(message) not in asked:
            return message
        given += 1
        return wrong(message)

    tap.up, tap.down = up, down
    return lambda: given


# ---------------------------------------------------------------- questions that change nothing


QUESTIONS: dict[str, tuple[type[Any], Callable[[Engine], Coroutine[Any, Any, object]], str]] = {
    "an invite": (CreateInvite, lambda one: one.invite("#garden"), "about invites"),
    "the invites": (ListInvites, lambda one: one.channels.invites("#garden"), "about invites"),
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_what_was_asked_for_is_not_there(town: ChannelWorld, question: str) -> None:
    (alice,) = await town.gather("alice")
    kind, ask, says = QUESTIONS[question]
    given = answers(town.tap("alice"), kind)
    await refused(alice, ask(alice), ProtocolError, f"{says} with something else")
    assert given() == 1
    town.tap("alice").honest()
    await ask(alice)


async def test_an_invite_into_another_channel_becomes_no_link(town: ChannelWorld) -> None:
    (alice,) = await town.gather("alice")
    answers(town.tap("alice"), CreateInvite, another_channel)
    await refused(alice, alice.invite("#garden"), ProtocolError, "about invites with something else")


def from_elsewhere(answer: ServerMessage) -> ServerMessage:
    assert hasattr(answer, "start")
    return msgspec.structs.replace(answer, start=answer.start + 1)


@pytest.mark.parametrize("wrong", [something_else, from_elsewhere])
async def test_nobody_joins_by_members_that_were_not_asked_for(town: ChannelWorld, wrong: Wrong) -> None:
    alice, bob = await town.people("alice", "bob")
    await enter(alice)
    link = await alice.invite("#garden")
    answers(town.tap("bob"), GetMembers, wrong)
    await refused(bob, bob.join(link), ProtocolError, "about members with something else")
    assert await bob.channels.list() == []
    town.tap("bob").honest()
    await bob.join(link)
    await members_seen("#garden", 2, alice, bob)


# ---------------------------------------------------------------- statements, which it takes all the same


async def fails(work: Coroutine[Any, Any, object]) -> None:
    with pytest.raises(ProtocolError) as caught:
        await work
    assert str(caught.value) == "The server answered a statement with something else."


@BOTH
async def test_a_change_that_was_answered_wrongly_is_seen_when_it_is_in_force(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch, wrong: Wrong
) -> None:
    monkeypatch.setattr(syncing, "_RETRY", 0.05)
    (alice,) = await town.gather("alice")
    answers(town.tap("alice"), RosterAppend, wrong)
    await fails(alice.channels.set_topic("#garden", "beans"))
    town.tap("alice").honest()

    async def there() -> bool:
        return (await alice.channels.get("#garden")).topic == "beans"

    await until(there)
    await alice.channels.set_topic("#garden", "peas")


@BOTH
async def test_whoever_left_with_a_wrong_answer_is_out(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch, wrong: Wrong
) -> None:
    monkeypatch.setattr(syncing, "_RETRY", 0.05)
    alice, bob = await town.gather("alice", "bob")
    answers(town.tap("bob"), LeaveChannel, wrong)
    await fails(bob.channels.leave("#garden"))
    town.tap("bob").honest()
    await state(bob, "left")
    await members_seen("#garden", 1, alice)


@BOTH
@pytest.mark.parametrize("kind", [CreateChannel, JoinChannel])
async def test_whoever_came_in_with_a_wrong_answer_is_in_after_the_next_login(
    town: ChannelWorld, kind: type[Any], wrong: Wrong
) -> None:
    alice, bob = await town.people("alice", "bob")
    given = answers(town.tap("bob"), kind, wrong)
    if kind is CreateChannel:
        await fails(bob.create_channel("garden"))
    else:
        await enter(alice)
        await fails(bob.join(await alice.invite("#garden")))
    assert given() == 1
    town.tap("bob").honest()
    town.tap("bob").cut()

    async def inside() -> bool:
        return [(one.name, one.state) for one in await bob.channels.list()] == [("garden", "member")]

    await until(inside)
    await said(bob, "hello")


def empty(answer: ServerMessage) -> ServerMessage:
    assert isinstance(answer, History)
    return msgspec.structs.replace(answer, entries=[])


def another_beginning(answer: ServerMessage) -> ServerMessage:
    assert isinstance(answer, History)
    entries = [Entry(one.number, one.sender, one.payload, b"statement") for one in answer.entries]
    return msgspec.structs.replace(answer, entries=entries)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (something_else, "about a channel with something else"),
        (empty, "about a channel with something else"),
        (another_beginning, "another place of your joining"),
    ],
)
async def test_nobody_begins_to_read_at_another_place_than_where_he_joined(
    town: ChannelWorld, wrong: Wrong, says: str
) -> None:
    """The answer to the first try was a wrong one, and the second asks where it came in."""
    alice, bob = await town.people("alice", "bob")
    await enter(alice)
    link = await alice.invite("#garden", uses=2)
    answers(town.tap("bob"), JoinChannel)
    await fails(bob.join(link))
    answers(town.tap("bob"), GetHistory, wrong)
    await refused(bob, bob.join(link), ProtocolError, says)
    town.tap("bob").honest()
    await bob.join(link)
    await members_seen("#garden", 2, alice, bob)
    await said(alice, "hello")
    await shows(bob, ["hello"])


# ---------------------------------------------------------------- what nobody waits for


@pytest.mark.parametrize(
    ("question", "wrong"),
    [
        (GetChannels, something_else),
        (GetHistory, something_else),
        (GetHistory, another_channel),
        (GetHistory | GetMembers, something_else),
        (GetHistory | GetMembers, another_channel),
    ],
)
async def test_what_was_missed_comes_once_the_server_answers(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch, question: type[Any] | UnionType, wrong: Wrong
) -> None:
    """The newest roster is asked for by itself too, since nothing may go out on an older one."""
    monkeypatch.setattr(syncing, "_RETRY", 0.05)
    alice, bob = await town.gather("alice", "bob")
    (carol,) = await town.people("carol")
    await said(alice, "before")
    await shows(bob, ["before"])
    await bob.disconnect()
    await carol.join(await alice.invite("#garden"))
    await members_seen("#garden", 3, alice, carol)
    await said(alice, "missed")
    asked = len(town.tap("bob").all(GetMembers))
    given = answers(town.tap("bob"), question, wrong)
    await bob.connect()

    async def often() -> bool:
        return given() >= 3

    await until(often)
    assert await texts(bob) == ["before"]
    if isinstance(question, UnionType):
        await town.tap("bob").count(GetMembers, asked + 1)
        before = given()

        async def again() -> bool:
            return given() >= before + 2

        await until(again)
        assert (await bob.channels.get("#garden")).members == 2
    assert bob.connection == "online"
    town.tap("bob").honest()
    await shows(bob, ["before", "missed"])
    await members_seen("#garden", 3, bob)
    await said(bob, "hello")
    await bob.settled(PATIENCE)


async def test_keys_are_published_once_the_server_says_how_many_it_has(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.online._UPKEEP_RETRY", 0.05)
    (alice,) = await town.people("alice")
    given = answers(town.tap("bob"), GetPrekeyCount)
    bob = await town.engine("bob")

    async def there() -> bool:
        return given() >= 3

    await until(there)
    with pytest.raises(ProtocolError, match="about prekeys with something else"):
        await online(bob).upkeep.run_once(65_536)
    assert bob.connection == "online"
    assert not online(bob).published.is_set()
    town.tap("bob").honest()
    await asyncio.wait_for(online(bob).published.wait(), PATIENCE)
    message = await alice.send(bob.me, "hello")
    assert await alice.wait(message, "sent", PATIENCE) == "sent"


async def test_a_signal_that_was_answered_with_something_else_is_not_said_to_have_been_heard(
    town: ChannelWorld,
) -> None:
    alice, bob = await town.people("alice", "bob")
    for one, other in ((alice, bob), (bob, alice)):
        await one.contacts.add(other.me)
    answers(town.tap("alice"), SendSignal)
    signal = MediaRequest(bytes(16), 1, bytes(32), 1, 1, "key")
    with pytest.raises(ProtocolError, match="a signal with something else"):
        await online(alice).signals.send(bytes.fromhex(bob.me), signal)
    town.tap("alice").honest()
    assert await online(alice).signals.send(bytes.fromhex(bob.me), signal)
