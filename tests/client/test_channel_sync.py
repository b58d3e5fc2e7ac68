"""Receiving from channels: in place and once, whatever is missing, late, repeated or held back; and what
comes back to an empty machine.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from mobium.client import ChannelChanged, Engine, MessageReceived
from mobium.client import receive as receiving
from mobium.client import sync as syncing
from mobium.client.store import chains, peers
from mobium.client.store.database import Tx
from mobium.errors import InvalidInput, ServerRefused
from mobium.protocol.messages import (
    ChannelHead,
    ChannelMessage,
    Channels,
    ClientMessage,
    Delivery,
    Distribute,
    GetChannels,
    GetMembers,
    History,
    RosterPage,
    SendMessage,
    ServerMessage,
)
from mobium.protocol.messages import Error as WireError
from tests.support.channel_world import (
    ChannelWorld,
    Tap,
    calm,
    enter,
    members_seen,
    refused,
    row_of,
    said,
    shows,
    state,
    texts,
)
from tests.support.channel_world import lines as shown_lines
from tests.support.engines import PASSWORD, PATIENCE, Ear, inside, online, tx, until


async def channel_of(engine: Engine) -> int:
    return (await row_of(engine, (await engine.channels.get("#garden")).id)).id


async def rows(engine: Engine, table: str) -> list[Any]:
    return await tx(engine, lambda tx: tx.all(f"SELECT * FROM {table}"))


async def count(engine: Engine, table: str, wanted: int) -> None:
    async def there() -> bool:
        return len(await rows(engine, table)) == wanted

    await until(there)


def without(*kinds: type) -> Any:
    """Lets everything through but these."""
    return lambda message: None if isinstance(message, kinds) else message


class Held:
    """Keeps back what comes of some kinds, until it is let go."""

    def __init__(self, tap: Tap, *kinds: type) -> None:
        self.tap, self.kinds = tap, kinds
        self.kept: list[ServerMessage] = []
        tap.down = self._down

    def _down(self, message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, self.kinds):
            self.kept.append(message)
            return None
        return message

    def let_go(self) -> None:
        self.tap.down = lambda message: message
        for message in self.kept:
            self.tap.say(message)


# ---------------------------------------------------------------- events, history, unread


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


async def _has(engine: Engine, text: str) -> bool:
    return text in await texts(engine)


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
    await until(lambda: _has(bob, "and open"))
    assert "unheard" not in await texts(bob)


async def answered(engine: Engine) -> None:
    """Wait until the chain of everything closed is there, though what lies before an answer stays closed."""

    async def so() -> bool:
        return not await tx(
            engine,
            lambda tx: tx.value(
                "SELECT count(*) FROM closed LEFT JOIN receiver_chain USING (channel, peer, key_id)"
                " WHERE receiver_chain.key_id IS NULL"
            ),
        )

    await until(so)


async def _closed_or(engine: Engine, text: str) -> bool:
    return (await texts(engine))[-1] in ("(closed)", text)


# ---------------------------------------------------------------- closed messages


async def test_closed_messages_open_in_their_places_when_the_chain_comes(town: ChannelWorld) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    held = Held(town.tap("carol"), Delivery)
    ear = Ear(carol)
    for one, text in ((alice, "1"), (bob, "2"), (alice, "3"), (bob, "4")):
        await said(one, text)
    await shows(carol, ["(closed)"] * 4)
    assert (await carol.channels.get("#garden")).unread == 4
    closed = await shown_lines(carol)
    assert {line.text for line in closed} == {None}
    held.let_go()
    await shows(carol, ["1", "2", "3", "4"])
    assert await rows(carol, "closed") == []
    assert sorted(str(text) for text in await ear.texts(4)) == ["1", "2", "3", "4"]
    assert [line.position for line in await shown_lines(carol)] == [line.position for line in closed]
    assert (await carol.channels.get("#garden")).unread == 4
    await said(alice, "5")
    await shows(carol, ["1", "2", "3", "4", "5"])


async def test_a_chain_that_does_not_come_is_asked_for_once_a_day(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    bobs = town.tap("bob")
    bobs.down = without(Delivery)
    await said(alice, "lost")
    await shows(bob, ["(closed)"])
    bobs.cut()
    bobs.sent.clear()

    def asked() -> list[SendMessage]:
        return [message for message in bobs.all(SendMessage) if message.recipient.hex() == alice.me]

    for seconds, wanted in ((7, 0), (11, 1), (86_000, 1), (86_500, 2)):
        town.clock.offset = seconds
        online(bob).sync.wake()
        await calm(bob)
        await asyncio.sleep(0.05)
        assert len(asked()) == wanted, seconds
    assert len(await rows(bob, "closed")) == 1
    bobs.honest()
    bobs.cut()
    await shows(bob, ["lost"])
    assert await rows(bob, "closed") == []


async def test_the_answer_to_a_request_opens_what_follows(town: ChannelWorld) -> None:
    """It hands out the chain as it is by then: what was sent before stays closed."""
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")

    def up(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, Distribute):  # the server takes it, and it never arrives
            from mobium.protocol.messages import Accepted

            tap.say(Accepted(message.id, message.rid))
            return None
        return message

    tap.up = up
    await said(alice, "one")
    await shows(bob, ["(closed)"])
    tap.honest()
    town.clock.offset = 11
    online(bob).sync.wake()
    await tap.count(Distribute, 1)
    await answered(bob)
    await said(alice, "two")
    await shows(bob, ["(closed)", "two"])
    assert len(tap.all(Distribute)) == 1, "not handed out again by the next message"


async def test_requests_are_answered_to_members_eight_times_a_day(town: ChannelWorld) -> None:
    from mobium.client.channel_contents import take
    from mobium.client.entries import Setting
    from mobium.protocol.content import ChainRequest

    alice, bob, carol = await town.gather("alice", "bob", "carol")
    await said(alice, "one")
    await shows(bob, ["one"])
    await alice.remove("#garden", carol.me)
    await state(carol, "removed")
    await said(alice, "two")
    await calm(alice)
    key = bytes.fromhex((await alice.channels.get("#garden")).id)
    core = inside(alice)

    def ask(tx: Tx, who: Engine, day: int) -> int:
        peer = peers.by_key(tx, bytes.fromhex(who.me))
        assert peer is not None
        before = int(tx.value("SELECT count(*) FROM handout"))
        now = core.now_ms() + day * 86_400_000
        take(tx, Setting(core.identity, now, core.entropy), peer, ChainRequest(core.entropy(16), now, key, 7))
        return int(tx.value("SELECT count(*) FROM handout")) - before

    assert await tx(alice, ask, carol, 0) == 0
    await alice.disconnect()
    assert [await tx(alice, ask, bob, 0) for _ in range(10)] == [1] * 8 + [0] * 2
    assert await tx(alice, ask, bob, 1) == 1
    assert await tx(alice, ask, carol, 1) == 0


async def test_two_thousand_closed_messages_are_kept(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chains._MAX_CLOSED == 2_000
    monkeypatch.setattr(chains, "_MAX_CLOSED", 3)
    alice, bob = await town.gather("alice", "bob")
    held = Held(town.tap("bob"), Delivery)
    for number in range(5):
        await said(alice, f"{number}")
    await shows(bob, ["(closed)"] * 5)
    assert len(await rows(bob, "closed")) == 3
    held.let_go()
    await shows(bob, ["(closed)", "(closed)", "2", "3", "4"])


async def test_closed_messages_are_bounded_in_bytes_too(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chains._MAX_CLOSED_BYTES == 32 << 20
    monkeypatch.setattr(chains, "_MAX_CLOSED_BYTES", 3_000)
    alice, bob = await town.gather("alice", "bob")
    held = Held(town.tap("bob"), Delivery)
    for number in range(7):  # of about 700 bytes each
        await said(alice, f"{number}")
    await shows(bob, ["(closed)"] * 7)
    kept = await tx(bob, lambda tx: tx.one("SELECT count(*), sum(length(payload)) FROM closed"))
    assert kept is not None
    assert kept[0] == 4
    assert kept[1] <= 3_000
    held.let_go()
    await shows(bob, ["(closed)", "(closed)", "(closed)", "3", "4", "5", "6"])


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


async def test_what_is_damaged_stays_closed_and_stops_nothing(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "one")
    await shows(bob, ["one"])
    tap = town.tap("bob")

    def damage(message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, ChannelMessage):
            payload = message.payload[:100] + bytes([message.payload[100] ^ 1]) + message.payload[101:]
            return ChannelMessage(message.channel_id, message.number, message.sender, payload)
        return message

    tap.down = damage
    await said(alice, "damaged")
    tap.honest()
    await said(alice, "two")
    await shows(bob, ["one", "(closed)", "two"])


async def test_a_sender_key_in_a_session_that_was_lost_is_sent_again(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "one")
    await said(bob, "two")
    await shows(bob, ["one", "two"])
    await shows(alice, ["one", "two"])

    def lose(tx: Tx) -> None:
        peer = peers.by_key(tx, bytes.fromhex(alice.me))
        assert peer is not None
        for held in list(tx.sessions.of(tx, peer.id).values()):
            tx.sessions.remove(tx, held)

    await tx(bob, lose)
    await tx(alice, chains.drop_own, await channel_of(alice))
    await said(alice, "three")
    await shows(bob, ["one", "two", "three"])


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


# ---------------------------------------------------------------- before the roster is known


async def test_a_chain_that_comes_before_the_joining_is_known_is_good(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")
    held = Held(tap, RosterPage, ChannelMessage)
    dora = await town.engine("dora")
    await dora.set_name("Dora")
    await dora.join(await alice.invite("#garden"))
    await said(dora, "hello")
    await count(alice, "receiver_chain", 1)
    waiting = await alice.send("#garden", "answer")
    held.let_go()
    await alice.wait(waiting, "sent", 10)
    await shows(alice, ["hello", "answer"])
    await shows(dora, ["hello", "answer"])
    (member,) = [member for member in await alice.members("#garden") if member.key == dora.me]
    assert member.name == "Dora", "the name came with the chain, before the member"
    await shows(bob, ["hello", "answer"])


# ---------------------------------------------------------------- the list of channels


async def test_an_old_list_of_channels_does_not_break_what_is_newer(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked for before, and comes after what has happened meanwhile."""
    monkeypatch.setattr("mobium.client.channels._PATIENCE", 0.1)  # nothing comes while it is held
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")
    held = Held(tap, Channels)
    tap.cut()
    await tap.count(GetChannels, 2)
    await until(lambda: _truth(held.kept))
    await alice.channels.set_topic("#garden", "beans")
    orchard = await alice.create_channel("orchard")
    held.let_go()
    await asyncio.wait_for(online(alice).sync.listed.wait(), 10)
    await said(alice, "hello")
    await shows(bob, ["hello"])
    for channel in ("#garden", "#orchard"):
        found = await alice.channels.get(channel)
        assert (found.state, found.reason) == ("member", "")
    assert orchard.state == "member"


async def _truth(found: list[Any]) -> bool:
    return bool(found)


async def test_a_channel_that_the_server_hides_is_told(town: ChannelWorld) -> None:
    alice, _ = await town.gather("alice", "bob")
    tap = town.tap("alice")
    tap.down = lambda message: Channels([], message.rid) if isinstance(message, Channels) else message
    tap.cut()

    async def told() -> bool:
        return (await alice.channels.get("#garden")).reason != ""

    await until(told)
    assert (await alice.channels.get("#garden")).reason == "The server does not list this channel any more."
    tap.honest()
    tap.cut()

    async def forgiven() -> bool:
        return (await alice.channels.get("#garden")).reason == ""

    await until(forgiven)


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


# ---------------------------------------------------------------- an empty machine


async def test_channels_come_back_from_the_words_and_the_rest_with_a_message(
    town: ChannelWorld,
) -> None:
    words = await town.create("alice")
    async with town.opened("alice") as alice:
        bob, carol = await town.people("bob", "carol")
        garden = await alice.create_channel("garden", topic="beans")
        link = await alice.invite("#garden", uses=0)
        for one in (bob, carol):
            await one.join(link)
        await members_seen("#garden", 3, alice, bob, carol)
        await said(bob, "before")
        await shows(alice, ["before"])
        open_one = await alice.create_channel("open", private=False)
        left = await enter(bob, alice, name="left")
        await alice.leave(f"#{left}")
    await Engine.recover(town.path("again"), PASSWORD, words)
    again = await town.engine("again")
    await asyncio.wait_for(online(again).sync.listed.wait(), 10)

    async def back() -> bool:
        return [one.state for one in await again.channels.list()] == ["member", "member"]

    await until(back)
    labels = {channel.label for channel in await again.channels.list()}
    assert labels == {f"#{garden.id}", "#open"}
    assert open_one.id == (await again.channels.get("#open")).id
    assert [member.role for member in await again.members(f"#{garden.id}")] == ["owner", "member", "member"]
    await shows(again, ["(closed)"], f"#{garden.id}")
    with pytest.raises(InvalidInput, match="secret has not reached you"):
        await again.invite(f"#{garden.id}")
    await said(bob, "after")
    await shows(again, ["(closed)", "(closed)"], f"#{garden.id}")
    town.clock.offset = 11
    online(again).sync.wake()

    async def named() -> bool:
        found = await again.channels.get(f"#{garden.id}")
        return (found.name, found.topic) == ("garden", "beans")

    await until(named)
    await answered(again)
    await said(bob, "and open")
    await until(lambda: _has(again, "and open"))
    await said(again, "hello again")
    for one in (bob, carol):
        await until(lambda one=one: _has(one, "hello again"))  # type: ignore[misc]
    assert await again.invite("#garden")


async def test_one_channel_that_cannot_be_entered_stands_in_no_other_ones_way(town: ChannelWorld) -> None:
    words = await town.create("alice")
    async with town.opened("alice") as alice:
        first = await alice.create_channel("first", private=False)
        await alice.create_channel("second", private=False)
    await Engine.recover(town.path("again"), PASSWORD, words)
    tap = town.tap("again")

    def up(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, GetMembers) and message.channel_id.hex() == first.id:
            tap.say(WireError("not_a_member", "", message.rid))
            return None
        return message

    tap.up = up
    again = await town.engine("again")

    async def back() -> bool:
        return [one.label for one in await again.channels.list()] == ["#second"]

    await until(back)
    await said(again, "hello", "#second")
