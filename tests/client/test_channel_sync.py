"""Receiving from channels: in place and once, whatever is missing, late, repeated or held back."""

from __future__ import annotations

import msgspec
import pytest

from mobium.client import ChannelChanged, Engine, MessageReceived
from mobium.client import receive as receiving
from mobium.client import sync as syncing
from mobium.client.store import chains
from mobium.client.store.database import Tx
from mobium.errors import InvalidInput, ServerRefused
from mobium.protocol.messages import ChannelHead, ChannelMessage, History, RosterPage, ServerMessage
from tests.client.syncing import Held, answered, channel_of, has, rows, without
from tests.support.channel_world import ChannelWorld, refused, row_of, said, shows, texts
from tests.support.channel_world import lines as shown_lines
from tests.support.engines import PATIENCE, Ear, online, tx, until


async def test_what_is_received_is_told_stored_and_counted(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    ear = Ear(bob)
    sent = [await said(alice, f"{number}") for number in range(5)]
    event = await ear.text("0")
    assert (event.id, event.peer, event.channel, event.request) == (sent[0], alice.me, "#garden", False)
    await shows(bob, [f"{number}" for number in range(5)])
    assert (await bob.channels.get("#garden")).unread == 5
    assert (await alice.channels.get("#garden")).unread == 0
    page = await bob.history("#garden", limit=3)
    assert [line.text for line in page] == ["2", "3", "4"]
    assert [line.position for line in page] == [5, 6, 7], "a position is the number that the server gave"
    page = await bob.history("#garden", before=5, limit=2)
    assert [line.text for line in page] == ["0", "1"]
    assert [line.text for line in await bob.history("#garden", before=3)] == ["joined"]
    await bob.mark_read("#garden", 5)
    assert (await bob.channels.get("#garden")).unread == 2
    await bob.mark_read("#garden", 1)
    await bob.mark_read("#garden", -5)
    assert (await bob.channels.get("#garden")).unread == 2
    await bob.mark_read("#garden", 10**9)
    await said(alice, "not seen yet")
    await until(lambda: _unread(bob, 1))
    await bob.mark_read("#garden")
    assert (await bob.channels.get("#garden")).unread == 0
    await refused(bob, bob.history("#garden", limit=0), InvalidInput, "at least one line")
    assert await bob.unread() == {}


async def _unread(engine: Engine, wanted: int) -> bool:
    return (await engine.channels.get("#garden")).unread == wanted


async def test_what_is_queued_stands_at_the_end_and_takes_its_place(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await bob.disconnect()
    await bob.send("#garden", "mine")
    await said(alice, "theirs")
    queued = (await shown_lines(bob))[-1]
    assert (queued.state, queued.text) == ("queued", "mine")
    assert queued.position > 1 << 40
    await bob.connect()
    await shows(bob, ["theirs", "mine"])
    await shows(alice, ["theirs", "mine"])
    for one in (alice, bob):
        assert [line.position for line in await shown_lines(one)] == [3, 4]


@pytest.mark.parametrize("lost", ["pushes", "all but heads", "the connection"])
async def test_what_was_missed_is_fetched_by_number(town: ChannelWorld, lost: str) -> None:
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("bob")
    if lost == "the connection":
        await bob.disconnect()
    else:
        tap.down = without(ChannelMessage, RosterPage)
    for number in range(5):
        await said(alice, f"{number}")
        if number == 2:
            await alice.rename("#garden", "orchard")
            await alice.rename("#orchard", "garden")
    tap.honest()
    if lost == "the connection":
        await bob.connect()
    elif lost == "all but heads":
        garden = await bob.channels.get("#garden")
        tap.say(ChannelHead(bytes.fromhex(garden.id), 9))
    else:
        await said(alice, "5")
    await shows(bob, [f"{number}" for number in range(6 if lost == "pushes" else 5)])
    assert [line.text for line in await bob.history("#garden") if line.kind == "notice"][-2:] == [
        "renamed orchard", "renamed garden",
    ]  # fmt: skip


async def test_what_comes_again_is_shown_once(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("bob")
    twice: list[ServerMessage] = []

    def down(message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, ChannelMessage | RosterPage):
            twice.append(message)
            tap.say(message)
        return message

    ear = Ear(bob)
    tap.down = down
    await said(alice, "one")
    await alice.channels.set_topic("#garden", "beans")
    await said(alice, "two")
    await shows(bob, ["one", "two"])
    tap.honest()
    for message in twice:
        tap.say(message)
    tap.cut()
    await said(alice, "three")
    await shows(bob, ["one", "two", "three"])
    again = twice[0]
    assert isinstance(again, ChannelMessage)
    garden = (await bob.channels.get("#garden")).id
    number = (await row_of(bob, garden)).cursor + 1
    tap.say(ChannelMessage(again.channel_id, number, again.sender, again.payload))  # in a new place

    async def taken() -> bool:
        return (await row_of(bob, garden)).cursor == number

    await until(taken)
    assert await texts(bob) == ["one", "two", "three"]
    assert [event.text for event in ear.heard if isinstance(event, MessageReceived)] == []
    assert await ear.texts(3) == ["one", "two", "three"]
    notices = [line.text for line in await bob.history("#garden") if line.kind == "notice"]
    assert notices == ["joined", "topic beans"]


async def test_a_blocked_member_is_not_heard(town: ChannelWorld) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    await bob.contacts.add(carol.me, "Carol")
    await bob.contacts.block("Carol")
    await said(carol, "unheard")
    await said(alice, "heard")
    await shows(bob, ["heard"])
    assert await rows(bob, "closed") == []
    await bob.contacts.unblock("Carol")
    await said(carol, "heard again")
    await until(lambda: _closed_or(bob, "heard again"))
    town.clock.offset = 11
    online(bob).sync.wake()
    await answered(bob)
    await said(carol, "and open")
    await until(lambda: has(bob, "and open"))
    assert "unheard" not in await texts(bob)


async def _closed_or(engine: Engine, text: str) -> bool:
    return (await texts(engine))[-1] in ("(closed)", text)


async def test_a_fellow_member_whose_texts_wait_as_a_request_is_heard_in_the_channel(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """His texts are turned away beyond the bound, and come when he is made a contact; his sender keys not."""
    monkeypatch.setattr(receiving, "_MAX_OF_REQUEST", 3)
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    for number in range(5):
        await alice.wait(await alice.send(bob.me, f"{number}"), "sent", PATIENCE)
    await bob.settled(PATIENCE)
    assert [each.text for each in await bob.history(alice.me)] == ["0", "1", "2"]
    await said(alice, "to the channel")
    await shows(carol, ["to the channel"])
    await shows(bob, ["to the channel"])
    await bob.contacts.accept(alice.me)

    async def came() -> bool:
        return len(await bob.history(alice.me)) == 5

    await until(came)


async def test_what_is_missing_is_remembered_within_bounds(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chains._MAX_GAPS == 2_000
    monkeypatch.setattr(chains, "_MAX_GAPS", 3)
    alice, bob = await town.gather("alice", "bob")
    channel = await channel_of(bob)
    await said(alice, "hello")
    await shows(bob, ["hello"])

    def note(tx: Tx) -> list[int]:
        [(peer, key_id, _)] = chains.every_receiver(tx, channel)
        chains.note_gaps(tx, channel, peer, key_id, range(1, 900), 900, 7, 0)
        return [row[0] for row in tx.all("SELECT iteration FROM gap ORDER BY iteration")]

    assert await tx(bob, note) == [897, 898, 899]


async def test_a_server_that_numbers_a_members_messages_in_another_order_is_told_of(
    town: ChannelWorld,
) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "before")
    await shows(bob, ["before"])
    ear = Ear(bob)
    held = Held(town.tap("bob"), ChannelMessage)
    await said(alice, "first")
    await said(alice, "second")

    async def both() -> bool:
        return len(held.kept) == 2

    await until(both)
    first, second = held.kept
    assert isinstance(first, ChannelMessage)
    assert isinstance(second, ChannelMessage)
    held.kept = [
        msgspec.structs.replace(first, payload=second.payload),
        msgspec.structs.replace(second, payload=first.payload),
    ]
    held.let_go()
    told = await ear.next(ChannelChanged, lambda event: event.what == "reordered")
    assert told.actor == alice.me
    await shows(bob, ["before", "second", "first"])  # where the server says that they stand


async def test_a_server_that_always_names_something_newer_is_asked_again_after_a_while(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not make the channel mute until the next push, either."""
    monkeypatch.setattr(syncing, "_RETRY", 0.05)
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("bob")
    await bob.disconnect()
    for number in range(3):
        await said(alice, f"{number}")
    asked = 0

    def ahead(message: ServerMessage) -> ServerMessage | None:
        nonlocal asked
        if isinstance(message, History) and asked < 30:
            asked += 1
            tap.say(ChannelHead(message.channel_id, 10_000 + asked))
            return msgspec.structs.replace(message, entries=[], upto=0)
        return message

    tap.down = ahead
    await bob.connect()
    await shows(bob, ["0", "1", "2"])
    assert asked == 30


async def test_what_only_a_newer_version_can_show_is_kept_as_such(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await town.gather("alice", "bob")
    ear = Ear(bob)
    poll = msgspec.msgpack.encode({"kind": "poll", "id": b"p" * 16, "sent": 5, "question": "beans?"})
    with monkeypatch.context() as patch:
        patch.setattr("mobium.client.posting._plaintext", lambda *_: poll)
        await said(alice, "asks")
    event = await ear.next(MessageReceived)
    assert (event.text, event.channel, event.peer) == (None, "#garden", alice.me)
    await said(alice, "writes")
    await shows(bob, ["(unknown)", "writes"])
    assert (await bob.channels.get("#garden")).unread == 2


# ---------------------------------------------------------------- gaps


async def test_a_message_that_is_held_back_is_missed_after_ten_minutes(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "one")
    await shows(bob, ["one"])
    tap = town.tap("bob")
    kept: list[ChannelMessage] = []

    def hide(message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, ChannelMessage):
            if not kept:
                kept.append(message)
                return None
            return ChannelMessage(message.channel_id, message.number - 1, message.sender, message.payload)
        return message

    tap.down = hide  # a server that numbers as if the second were not there
    await said(alice, "two")
    await said(alice, "three")
    await shows(bob, ["one", "three"])
    town.clock.offset = 590
    assert [line.kind for line in await shown_lines(bob)] == ["text", "text"]
    town.clock.offset = 610
    found = [(line.kind, line.missing, line.peer) for line in await shown_lines(bob)]
    assert found == [("text", 0, alice.me), ("missing", 1, alice.me), ("text", 0, alice.me)]
    late = kept[0]
    tap.down = lambda message: message
    cursor = (await row_of(bob, (await bob.channels.get("#garden")).id)).cursor
    tap.say(ChannelMessage(late.channel_id, cursor + 1, late.sender, late.payload))
    await shows(bob, ["one", "three", "two"])
    assert await rows(bob, "gap") == []


# ---------------------------------------------------------------- removed


@pytest.mark.parametrize("how", ["the removal is heard first", "one leaves behind what was not read"])
async def test_what_stands_before_the_departure_is_read_to_its_end(town: ChannelWorld, how: str) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    await alice.set_role("#garden", bob.me, "admin")
    await said(alice, "one")
    await shows(bob, ["one"])
    tap = town.tap("bob")
    ear = Ear(bob)
    held = Held(tap, RosterPage, ChannelMessage)
    held.kinds = (ChannelMessage,) if how.startswith("one") else (RosterPage, ChannelMessage)

    def down(message: ServerMessage) -> ServerMessage | None:
        if getattr(message, "rid", None) is not None:
            return message
        return held._down(message)

    tap.down = down
    await said(alice, "two")
    await said(carol, "three")
    if how.startswith("one"):
        await bob.leave("#garden")
    else:
        await alice.remove("#garden", bob.me)
        with pytest.raises(ServerRefused) as caught:
            await bob.channels.set_topic("#garden", "beans")
        assert caught.value.code == "not_a_member"
    held.let_go()
    what = "left" if how.startswith("one") else "removed"
    await ear.next(ChannelChanged, lambda event: event.what == what)
    await shows(bob, ["one", "two", "three"])
    assert [line.text for line in await bob.history("#garden")][-1] == what
    assert (await bob.channels.get("#garden")).state == what
