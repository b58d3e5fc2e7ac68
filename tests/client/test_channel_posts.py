"""Sending to channels: who is handed the sender key and when, and that every message goes out once, in order,
whatever the server and the network do (docs/CRYPTO.md section 6).
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from mobium.client import ChannelChanged, Engine, postbox
from mobium.client.maintenance import maintain
from mobium.client.rosters import break_channel
from mobium.client.store import chains, channels, peers, posts
from mobium.client.store.database import Tx
from mobium.crypto.group import message_head
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
    GetPrekeyBundle,
    RosterPage,
    ServerMessage,
)
from mobium.protocol.messages.direct import NotTaken
from tests.support.channel_world import (
    ChannelWorld,
    Tap,
    calm,
    members_seen,
    refused,
    row_of,
    said,
    shows,
    state,
    texts,
)
from tests.support.engines import PATIENCE, Ear, inside, online, tx, until

STRANGER = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def handed(tap: Tap) -> list[str]:
    """To whom sender keys went, in order."""
    return [part.recipient.hex() for frame in tap.all(Distribute) for part in frame.distributions]


def heads(tap: Tap) -> list[tuple[int, int]]:
    """(key id, iteration) of every message that was sent."""
    return [message_head(frame.payload) for frame in tap.all(ChannelPost)]


def keys(tap: Tap) -> list[int]:
    """The chains in which messages were sent, each once, in order."""
    return list(dict.fromkeys(key for key, _ in heads(tap)))


async def garden_of(engine: Engine) -> int:
    return (await row_of(engine, (await engine.channels.get("#garden")).id)).id


async def state_of(engine: Engine, message: str, wanted: str) -> None:
    async def there() -> bool:
        return (await engine.message(message)).state == wanted

    await until(there)


# ---------------------------------------------------------------- who is handed the chain, and when


async def test_nobody_is_handed_anything_before_the_first_message(town: ChannelWorld) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    tap = town.tap("alice")
    await calm(alice, bob, carol)
    assert [handed(town.tap(name)) for name in ("alice", "bob", "carol")] == [[], [], []]
    await said(alice, "one")
    assert sorted(handed(tap)) == sorted([bob.me, carol.me])
    await said(alice, "two")
    assert len(handed(tap)) == 2
    assert [iteration for _, iteration in heads(tap)] == [0, 1]
    dora = await town.engine("dora")
    await dora.join(await alice.invite("#garden"))
    await members_seen("#garden", 4, alice, bob)
    await calm(alice)
    assert len(handed(tap)) == 2, "nothing is handed out at a join"
    await said(alice, "three")
    assert handed(tap)[2:] == [dora.me]
    assert len(keys(tap)) == 1
    for one in (bob, carol):
        await shows(one, ["one", "two", "three"])
    await shows(dora, ["three"])
    await shows(alice, ["one", "two", "three"])


@pytest.mark.parametrize("going", ["leave", "remove", "ban", "ban a stranger"])
async def test_after_a_departure_there_is_a_new_chain_for_those_who_stay(
    town: ChannelWorld, going: str
) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    tap = town.tap("bob")
    await said(bob, "before")
    await shows(carol, ["before"])
    if going == "leave":
        await carol.leave("#garden")
    elif going == "remove":
        await alice.remove("#garden", carol.me)
    elif going == "ban":
        await alice.channels.ban("#garden", carol.me)
    else:
        await alice.channels.ban(
            "#garden", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        )
    stays = going == "ban a stranger"
    await until(lambda: _index(bob, 3))
    tap.sent.clear()
    await said(bob, "after")
    assert sorted(handed(tap)) == sorted([alice.me, *([carol.me] if stays else [])])
    await shows(alice, ["before", "after"])
    if stays:
        await shows(carol, ["before", "after"])
    else:
        assert await texts(carol) == ["before"]
    assert [iteration for _, iteration in heads(tap)] == [0]


async def _index(engine: Engine, index: int) -> bool:
    def newest(tx: Tx, channel: int) -> int:
        roster = tx.rosters.of(tx, channel)
        return -1 if roster is None else roster.index

    return await tx(engine, newest, await garden_of(engine)) >= index


async def test_what_changes_no_reader_changes_no_chain(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "0")
    await alice.set_role("#garden", bob.me, "admin")
    await alice.channels.renew("#garden")
    await alice.channels.set_topic("#garden", "beans")
    await said(alice, "1")
    assert len(keys(town.tap("alice"))) == 1
    await shows(bob, ["0", "1"])


async def test_a_chain_that_is_used_up_is_followed_by_another(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.chains._LONGEST", 3)
    alice, bob = await town.gather("alice", "bob")
    sent = [await alice.send("#garden", f"{number}") for number in range(8)]
    await alice.wait(sent[-1], "sent", 10)
    assert Counter(Counter(key for key, _ in heads(town.tap("alice"))).values()) == {3: 2, 2: 1}
    await shows(bob, [f"{number}" for number in range(8)])


async def test_a_chain_serves_a_week(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")
    for days, chains_used in ((0, 1), (6.9, 1), (7.1, 2), (6.0, 3)):
        town.clock.offset = days * 86_400
        await said(alice, f"{days}")
        assert len(keys(tap)) == chains_used, "a clock that went back is not believed either"
    await shows(bob, ["0", "6.9", "7.1", "6.0"])


async def test_whoever_was_offline_meanwhile_begins_a_new_chain_too(town: ChannelWorld) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    await said(bob, "before")
    await shows(carol, ["before"])
    await bob.disconnect()
    waiting = await bob.send("#garden", "written before it was known")
    await alice.remove("#garden", carol.me)
    tap = town.tap("bob")
    tap.sent.clear()
    await bob.connect()
    await bob.wait(waiting, "sent", 10)
    assert handed(tap) == [alice.me]
    assert [iteration for _, iteration in heads(tap)] == [0]
    await shows(alice, ["before", "written before it was known"])
    assert await texts(carol) == ["before"]


async def test_a_hold_that_ends_while_the_store_is_asked_is_noticed(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "one")
    await alice.settled(PATIENCE)
    monkeypatch.setattr("mobium.client.lanes._FIRST_HOLD", 1.0)
    tap, looking, goes_on = town.tap("alice"), asyncio.Event(), threading.Event()
    loop, lanes = asyncio.get_running_loop(), online(alice).postbox._lanes
    honest = postbox._prepare

    def slow(*args: Any) -> Any:
        prepared = honest(*args)
        loop.call_soon_threadsafe(looking.set)
        goes_on.wait(PATIENCE)
        return prepared

    def refuse(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, ChannelPost) and not tap.tried:
            tap.tried = 1
            tap.say(Error("storage", "", None, message.id))
            return None
        return message

    async def refused() -> bool:
        return bool(lanes._holds) and not lanes.flying()

    async def over() -> bool:
        return not lanes.busy(loop.time())

    tap.up = refuse
    sent = await alice.send("#garden", "two")
    await until(refused)
    monkeypatch.setattr(postbox, "_prepare", slow)
    online(alice).postbox.wake()
    await looking.wait()
    monkeypatch.setattr(postbox, "_prepare", honest)
    await until(over)
    goes_on.set()
    await alice.wait(sent, "sent", 5)
    await shows(bob, ["one", "two"])


# ---------------------------------------------------------------- who cannot be handed it


def no_bundle_of(tap: Tap, key: str) -> Callable[[ClientMessage], ClientMessage | None]:
    def up(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, GetPrekeyBundle) and message.pubkey.hex() == key:
            tap.say(Error("no_prekeys", "", message.rid))
            return None
        return message

    return up


async def test_a_member_without_keys_is_left_out_and_served_later(town: ChannelWorld) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    tap = town.tap("alice")
    tap.up = no_bundle_of(tap, carol.me)
    await said(alice, "one")
    await shows(bob, ["one"])
    await shows(carol, ["(closed)"])
    assert handed(tap) == [bob.me]
    tap.honest()
    await said(alice, "too soon")
    assert handed(tap) == [bob.me]
    town.clock.offset = 601
    await said(alice, "two")
    assert handed(tap)[:2] == [bob.me, carol.me]
    await shows(carol, ["(closed)", "(closed)", "two"])
    await shows(bob, ["one", "too soon", "two"])


@pytest.mark.parametrize("breaks", [False, True])
async def test_a_member_whose_keys_are_refused_for_now_is_waited_for(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch, breaks: bool
) -> None:
    """A disk is full for a moment: whoever were left out then would never read what is said."""
    monkeypatch.setattr("mobium.client.lanes._FIRST_HOLD", 10_000.0 if breaks else 0.05)
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    tap = town.tap("alice")

    def full(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, GetPrekeyBundle) and message.pubkey.hex() == carol.me and tap.tried < 3:
            tap.tried += 1
            tap.say(Error("storage", "", message.rid, None, 0.01))
            if breaks:
                tap.tried = 3
                asyncio.get_running_loop().call_soon(tap.cut)
            return None
        return message

    tap.up = full
    await said(alice, "one")
    assert tap.tried == 3
    await shows(bob, ["one"])
    await shows(carol, ["one"])


async def test_a_member_whose_keys_are_always_refused_holds_up_nobody_for_ever(
    town: ChannelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.lanes._FIRST_HOLD", 0.001)
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    tap = town.tap("alice")

    def always(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, GetPrekeyBundle) and message.pubkey.hex() == carol.me:
            tap.tried += 1
            tap.say(Error("storage", "", message.rid, None, 0.001))
            return None
        return message

    tap.up = always
    await said(alice, "one")
    await shows(bob, ["one"])
    assert handed(tap) == [bob.me]
    assert 1 < tap.tried < 10


async def test_a_blocked_member_is_not_served_until_it_is_unblocked(town: ChannelWorld) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    await alice.contacts.add(carol.me, "Carol")
    await alice.contacts.block("Carol")
    tap = town.tap("alice")
    await said(alice, "one")
    assert handed(tap) == [bob.me]
    await shows(carol, ["(closed)"])
    await alice.contacts.unblock("Carol")
    await said(alice, "two")
    assert handed(tap) == [bob.me, carol.me]
    await shows(carol, ["(closed)", "two"])


async def test_whoever_is_blocked_does_not_get_a_chain_that_was_on_its_way(town: ChannelWorld) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    await alice.contacts.add(carol.me, "Carol")
    tap, kept = town.tap("alice"), asyncio.Event()

    def keep(message: ClientMessage) -> ClientMessage | None:
        """Nothing of it reaches the server."""
        if isinstance(message, Distribute):
            kept.set()
            return None
        return message

    tap.up = keep
    sent = await alice.send("#garden", "not for Carol")
    await kept.wait()
    await alice.disconnect()
    await alice.contacts.block("Carol")
    tap.honest()
    await alice.connect()
    await alice.wait(sent, "sent", 10)
    await shows(bob, ["not for Carol"])
    await shows(carol, ["(closed)"])
    await carol.settled(PATIENCE)
    assert await texts(carol) == ["(closed)"]
    await alice.contacts.unblock("Carol")
    await said(alice, "for all")
    await shows(carol, ["(closed)", "for all"])
    await shows(bob, ["not for Carol", "for all"])


async def test_a_member_whose_key_has_changed_is_not_served_before_it_is_accepted(
    town: ChannelWorld,
) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    await alice.contacts.add(carol.me, "Carol")

    def change(tx: Tx) -> None:
        peer = peers.by_key(tx, bytes.fromhex(carol.me))
        assert peer is not None
        peers.offer_x(tx, peers.update(tx, peer, x=bytes(31) + b"\1"), carol.identity.x_public)

    await tx(alice, change)
    tap = town.tap("alice")
    await said(alice, "one")
    assert handed(tap) == [bob.me]
    await alice.contacts.accept_key("Carol")
    await said(alice, "two")
    assert handed(tap) == [bob.me, carol.me]
    await shows(carol, ["(closed)", "two"])


async def test_a_full_mailbox_holds_up_nobody_and_is_tried_again(town: ChannelWorld) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    tap = town.tap("alice")
    full = bytes.fromhex(carol.me)

    def up(message: ClientMessage) -> ClientMessage | None:
        if not isinstance(message, Distribute):
            return message
        others = [part for part in message.distributions if part.recipient != full]
        return Distribute(message.id, message.channel_id, others, message.rid)

    def down(message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, Accepted) and message.number is None:
            return Accepted(message.id, message.rid, None, [NotTaken(full, "queue_full")])
        return message

    tap.up, tap.down = up, down
    await said(alice, "one")
    await shows(bob, ["one"])
    await shows(carol, ["(closed)"])
    tap.honest()
    tap.sent.clear()
    await said(alice, "two")
    assert handed(tap) == [], "nobody is asked again at once"
    town.clock.offset = 61
    online(alice).wake()
    await tap.count(Distribute, 1)
    assert handed(tap) == [carol.me]
    await shows(carol, ["one", "two"])
    await calm(alice)
    # Carol's clock is as far ahead: she may have asked for the key just before it came.
    assert handed(tap) in ([carol.me], [carol.me] * 2)


async def test_a_sender_key_that_was_asked_for_waits_for_a_session_alone(town: ChannelWorld) -> None:
    """One who asked and with whom there is no session any more must not stop what goes to the others."""
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    await said(alice, "one")
    await shows(carol, ["one"])
    channel = await garden_of(alice)

    def strand(tx: Tx) -> None:
        peer = peers.by_key(tx, bytes.fromhex(carol.me))
        assert peer is not None
        for held in list(tx.sessions.of(tx, peer.id).values()):
            tx.sessions.remove(tx, held)
        posts.add_handout(tx, channel, peer.id, b"whatever waits", inside(alice).now())
        chains.drop_own(tx, channel)

    tap = town.tap("alice")
    tap.sent.clear()
    tap.up = lambda message: None if isinstance(message, GetPrekeyBundle) else message
    await tx(alice, strand)
    await alice.send("#garden", "two")
    await tap.count(Distribute, 1)
    assert handed(tap) == [bob.me]
    tap.honest()
    tap.cut()
    await shows(bob, ["one", "two"])
    await shows(carol, ["one", "two"])


async def test_two_sender_keys_for_one_member_go_in_two_frames(town: ChannelWorld) -> None:
    """The server takes no frame with a recipient twice, and gives it no answer."""
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "one")
    channel = await garden_of(alice)

    def wait(tx: Tx) -> None:
        peer = peers.by_key(tx, bytes.fromhex(bob.me))
        assert peer is not None
        for _ in range(2):
            posts.add_handout(tx, channel, peer.id, b"whatever waits", inside(alice).now())

    tap = town.tap("alice")
    tap.sent.clear()
    await tx(alice, wait)
    online(alice).wake()
    await calm(alice)
    assert [len(frame.distributions) for frame in tap.all(Distribute)] == [1, 1]
    await said(alice, "two")
    await shows(bob, ["one", "two"])


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
    alice, bob = await town.gather("alice", "bob")
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
    assert bob.me


async def test_one_message_is_under_way_and_the_same_bytes_go_again(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")
    await said(alice, "first")
    tap.sent.clear()
    tap.up = lambda message: None if isinstance(message, ChannelPost) else message
    lost: list[ClientMessage] = []

    def lose(message: ClientMessage) -> ClientMessage | None:
        if isinstance(message, ChannelPost):
            lost.append(message)
            return None
        return message

    tap.up = lose
    sent = [await alice.send("#garden", f"{number}") for number in range(5)]
    await asyncio.sleep(0.1)
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
    await until(lambda: _last(alice, "do you hear me?"))
    assert tap.all(ChannelPost) == []


async def _last(engine: Engine, text: str) -> bool:
    return text in await texts(engine)


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


async def _broken(engine: Engine) -> bool:
    return engine.connection != "online"


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
