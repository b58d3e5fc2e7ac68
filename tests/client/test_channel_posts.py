"""Sending to channels: every message goes out once, in order, whatever the server and the network do
(docs/CRYPTO.md section 6). Not its concern: who is handed the sender key (test_channel_keys).
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from mobium.client import ChannelChanged, Engine
from mobium.client.maintenance import maintain
from mobium.client.rosters import break_channel
from mobium.client.store import channels
from mobium.client.store.database import Tx
from mobium.errors import InvalidInput, MobiumError, ServerRefused
from mobium.protocol.messages import (
    Accepted,
    ChannelPost,
    Channels,
    ChannelState,
    ClientMessage,
    Distribute,
    Error,
    GetHistory,
    RosterPage,
    ServerMessage,
)
from tests.client.syncing import has
from tests.support.channel_keys import garden_of, handed, heads, keys
from tests.support.channel_world import ChannelWorld, Tap, members_seen, refused, said, shows, state, texts
from tests.support.engines import Ear, inside, online, tx, until


async def state_of(engine: Engine, message: str, wanted: str) -> None:
    async def there() -> bool:
        return (await engine.message(message)).state == wanted

    await until(there)


# ---------------------------------------------------------------- refusals, breaks, lost answers


async def test_a_stale_roster_in_the_middle_costs_nobody_a_message(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "one")
    tap = town.tap("alice")
    tap.down = lambda message: None if isinstance(message, RosterPage) and message.rid is None else message
    dora = await town.engine("dora")
    await dora.join(await alice.invite("#garden"))
    tap.sent.clear()
    await said(alice, "two")
    assert len(tap.all(ChannelPost)) == 2
    assert handed(tap) == [dora.me]
    assert len({frame.id for frame in tap.all(ChannelPost)}) == 2, "it is another message, under another id"
    await said(alice, "three")
    await shows(bob, ["one", "two", "three"])
    await shows(dora, ["two", "three"])
    await shows(alice, ["one", "two", "three"])
    assert [line.kind for line in await alice.history("#garden")] == [
        "notice", "notice", "text", "notice", "text", "text",
    ]  # fmt: skip


async def test_a_server_that_calls_every_roster_stale_is_not_believed_for_ever(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.lanes._FIRST_HOLD", 0.05)
    monkeypatch.setattr("mobium.client.lanes._LONGEST_HOLD", 0.1)
    alice, _ = await town.gather("alice", "bob")
    tap = town.tap("alice")

    def up(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, ChannelPost):
            tap.tried += 1
            tap.say(Error("stale_roster", "", message.rid, message.id))
            return None
        return message

    tap.up = up
    waiting = await alice.send("#garden", "hello")

    async def told() -> bool:
        return "newer list of members" in (await alice.message(waiting)).reason

    await until(told)
    assert (await alice.message(waiting)).state == "queued"
    assert tap.tried == 1, "nothing leaves while there is word of a newer list"


async def test_one_message_is_under_way_and_the_same_bytes_go_again(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")
    await said(alice, "first")
    tap.sent.clear()
    lost: list[ClientMessage] = []

    def lose(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, ChannelPost):
            lost.append(message)
            return None
        return message

    tap.up = lose
    sent = [await alice.send("#garden", f"{number}") for number in range(5)]
    await until(lambda: _longer(lost, 1))
    await asyncio.sleep(0.1)  # in which another one would go out
    assert len(lost) == 1
    tap.cut()
    await until(lambda: _longer(lost, 2))
    assert lost[0] == lost[1]
    tap.honest()
    tap.cut()
    await alice.wait(sent[-1], "sent", 10)
    assert tap.all(ChannelPost)[0] == lost[0]
    assert [iteration for _, iteration in heads(tap)] == [1, 2, 3, 4, 5]
    await shows(bob, ["first", *(f"{number}" for number in range(5))])


async def _longer(found: list[Any], count: int) -> bool:
    return len(found) >= count


def without_history(tap: Tap) -> Callable[[ClientMessage], ClientMessage | None]:
    def up(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, GetHistory):
            tap.say(Error("unknown_channel", "", message.rid))
            return None
        return message

    return up


@pytest.mark.parametrize("how", ["resent", "found"])
async def test_a_lost_answer_makes_no_second_message(town: ChannelWorld, how: str) -> None:
    """The server has it; the answer was lost. It goes again in the same bytes, or is found in the history."""
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")
    await said(alice, "first")
    tap.down = lambda message: None if isinstance(message, Accepted) else message
    sent = [await alice.send("#garden", text) for text in ("second", "third")]
    await shows(bob, ["first", "second"])
    tap.honest()
    if how == "found":
        tap.up = lambda message: None if isinstance(message, ChannelPost) else message
    else:
        tap.up = without_history(tap)
    tap.cut()
    await state_of(alice, sent[0], "sent")
    tap.honest()
    tap.cut()
    await alice.wait(sent[1], "sent", 10)
    for one in (alice, bob):
        await shows(one, ["first", "second", "third"])
    assert Counter(iteration for _, iteration in set(heads(tap))) == {0: 1, 1: 1, 2: 1}


async def test_a_refusal_that_passes_is_waited_for_and_one_that_does_not_is_told(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.lanes._FIRST_HOLD", 0.05)
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")
    codes = ["queue_full", "storage", "internal", "bad_size_or_so"]

    def up(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, ChannelPost) and codes:
            tap.say(Error(codes.pop(0), "what the server says", message.rid, message.id))
            return None
        return message

    tap.up = up
    sent = [await alice.send("#garden", text) for text in ("one", "two")]
    with pytest.raises(ServerRefused) as caught:
        await alice.wait(sent[0], "sent", 10)
    assert caught.value.code == "bad_size_or_so"
    assert "what the server says" not in str(caught.value)
    await alice.wait(sent[1], "sent", 10)
    await shows(bob, ["two"])
    await alice.retry(sent[0])
    await alice.wait(sent[0], "sent", 10)
    await shows(bob, ["two", "one"])
    await shows(alice, ["two", "one"])
    used = Counter((key, iteration) for key, iteration in heads(tap))
    assert max(used.values()) == 1
    assert [line.id for line in await bob.history("#garden")][-2:] == [sent[1], sent[0]]


async def test_a_profile_from_a_copy_begins_a_new_chain(town: ChannelWorld) -> None:
    """What the copy does not know of was sent in numbers that it would use again."""
    async with town.opened("alice") as alice:
        bob = await town.engine("bob")
        await alice.create_channel("garden")
        await bob.join(await alice.invite("#garden"))
        await members_seen("#garden", 2, alice)
        await said(alice, "one")
    shutil.copytree(town.path("alice"), town.path("copy"))
    async with town.opened("alice") as alice:
        await said(alice, "two")
        await said(alice, "three")
    await shows(bob, ["one", "two", "three"])
    copy = await town.engine("copy", connect=False)
    waiting = await copy.send("#garden", "four")
    await copy.connect(town.url)
    await copy.wait(waiting, "sent", 10)
    await shows(bob, ["one", "two", "three", "four"])
    await shows(copy, ["one", "(closed)", "(closed)", "four"])
    used = Counter(heads(town.tap("alice")) + heads(town.tap("copy")))
    assert max(used.values()) == 1
    assert len(keys(town.tap("copy"))) == 1
    assert keys(town.tap("copy")) != keys(town.tap("alice"))


async def test_what_is_too_large_is_refused_or_fails_alone(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await refused(alice, alice.send("#garden", "x" * 5_000_000), InvalidInput, "The message is too large")
    await refused(alice, alice.send("#garden", ""), InvalidInput, "The message is empty.")
    await refused(alice, alice.send("#garden", "\ud800"), InvalidInput, "no text")
    online(alice).postbox._message_size = 600  # a server with a smaller limit than the last one
    large = await alice.send("#garden", "x" * 2_000)
    small = await alice.send("#garden", "small")
    with pytest.raises(ServerRefused, match="large") as caught:
        await alice.wait(large, "sent", 10)
    assert caught.value.code == "too_large"
    await alice.wait(small, "sent", 10)
    await shows(bob, ["small"])


# ---------------------------------------------------------------- broken, removed, expired


async def test_in_a_broken_channel_everything_waits(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    channel = await garden_of(alice)
    ear = Ear(alice)
    tap = town.tap("alice")
    tap.up = lambda message: None if isinstance(message, ChannelPost | Distribute) else message
    before = await alice.send("#garden", "before")

    def spoil(tx: Tx) -> None:
        break_channel(tx, channels.by_id(tx, channel), "It does not add up.", inside(alice).now_ms())

    await tx(alice, spoil)
    after = await alice.send("#garden", "after")
    for message in (before, after):
        told = await ear.state(message, "queued") if message == before else await alice.message(message)
        assert told.reason == "It does not add up."
    garden = await alice.channels.get("#garden")
    assert (garden.state, garden.reason, garden.role) == ("broken", "It does not add up.", "owner")
    for work in (
        alice.rename("#garden", "x"),
        alice.remove("#garden", bob.me),
        alice.channels.renew("#garden"),
    ):
        await refused(alice, work, InvalidInput, "It does not add up.")
    tap.honest()
    tap.sent.clear()
    tap.cut()
    await said(bob, "do you hear me?")
    await until(lambda: has(alice, "do you hear me?"))
    assert tap.all(ChannelPost) == []


async def test_an_older_roster_is_told_and_forgiven_when_the_newest_is_back(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    ear = Ear(alice)
    tap = town.tap("alice")

    def older(message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, Channels):
            states = [ChannelState(one.channel_id, 1, 0) for one in message.channels]
            return Channels(states, message.rid)
        return message

    tap.down = older
    tap.cut()
    await state(alice, "broken")
    assert "older list of members" in (await alice.channels.get("#garden")).reason
    waiting = await alice.send("#garden", "later")
    assert (await alice.message(waiting)).state == "queued"
    tap.honest()
    tap.cut()

    await ear.next(ChannelChanged, lambda event: event.what == "mended")
    await alice.wait(waiting, "sent", 10)
    await shows(bob, ["later"])


@pytest.mark.parametrize("connected", [True, False])
async def test_what_waits_when_one_is_removed_fails_and_says_why(town: ChannelWorld, connected: bool) -> None:
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("bob")
    await said(alice, "seen")
    await shows(bob, ["seen"])
    if connected:
        tap.up = lambda message: None if isinstance(message, ChannelPost | Distribute) else message
    else:
        await bob.disconnect()
    waiting = [await bob.send("#garden", f"{number}") for number in range(3)]
    await alice.remove("#garden", bob.me)
    if not connected:
        await bob.connect()
    for message in waiting:
        with pytest.raises(ServerRefused, match="You were removed") as caught:
            await bob.wait(message, "sent", 10)
        assert caught.value.code == "not_a_member"
        await refused(bob, bob.retry(message), InvalidInput, "You were removed from this channel.")
    assert await texts(alice) == ["seen"]
    assert await tx(bob, _left_over) == 0
    tap.honest()
    ear = Ear(bob)
    tap.cut()
    await ear.connection("waiting")
    await ear.connection("online")
    await bob.join(await alice.invite("#garden"))
    await bob.retry(waiting[1])
    await bob.wait(waiting[1], "sent", 10)
    await shows(alice, ["seen", "1"])


def _left_over(tx: Tx) -> int:
    return int(
        tx.value(
            "SELECT (SELECT count(*) FROM post) + (SELECT count(*) FROM handout)"
            " + (SELECT count(*) FROM sender_chain) + (SELECT count(*) FROM handed)"
        )
    )


async def test_what_never_went_out_expires_and_can_be_sent_again(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await alice.disconnect()
    waiting = await alice.send("#garden", "old news")
    later = inside(alice).now() + 31 * 86_400
    for moment in (later, later + 3_600):
        await tx(alice, maintain, moment)
    assert (await alice.message(waiting)).state == "expired"
    with pytest.raises(MobiumError, match="within 7 days"):
        await alice.wait(waiting, "sent", 5)
    await alice.retry(waiting)
    with pytest.raises(InvalidInput, match="failed or expired"):
        await alice.retry(waiting)
    await alice.connect()
    await alice.wait(waiting, "sent", 10)
    await shows(bob, ["old news"])


async def test_waiting_knows_no_receipts_in_channels(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    sent = await alice.send("#garden", "hello")
    for wrong in ("delivered", "read"):
        with pytest.raises(InvalidInput, match="no receipts"):
            await alice.wait(sent, wrong, 5)
    assert await alice.wait(sent, "sent", 5) == "sent"
    await shows(bob, ["hello"])
    message = await alice.message(sent)
    assert (message.state, message.peer, message.outgoing) == ("sent", "", True)
    assert message.channel == (await alice.channels.get("#garden")).id
    town.tap("alice").up = lambda _message: None
    waiting = await alice.send("#garden", "x")
    with pytest.raises(TimeoutError):
        await alice.wait(waiting, "sent", 0.05)
    with pytest.raises(InvalidInput):
        await bob.message(sent)


async def test_a_refused_text_gives_up_its_chain(town: ChannelWorld) -> None:
    """The server may have kept the ciphertext: who comes later must not be handed the key of its number."""
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")
    await said(alice, "one")
    await shows(bob, ["one"])

    def refuse(message: ClientMessage) -> ClientMessage | None:
        if not isinstance(message, ChannelPost):
            return message
        tap.say(Error("too_large", "", message.rid, message.id))
        return None

    tap.up = refuse
    refused_text = await alice.send("#garden", "only for Bob")
    with pytest.raises(ServerRefused):
        await alice.wait(refused_text, "sent", 10)
    tap.honest()
    await said(alice, "two")
    await shows(bob, ["one", "two"])
    assert len(keys(tap)) == 2
