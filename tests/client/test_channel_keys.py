"""Who of a channel is handed the sender key and when, and who is left out (docs/CRYPTO.md section 6)."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from mobium.client import Engine, postbox
from mobium.client.store import chains, peers, posts
from mobium.client.store.database import Tx
from mobium.protocol.messages import (
    Accepted,
    ChannelPost,
    ClientMessage,
    Distribute,
    Error,
    GetPrekeyBundle,
    ServerMessage,
)
from mobium.protocol.messages.direct import NotTaken
from tests.support.channel_keys import garden_of, handed, heads, keys
from tests.support.channel_world import STRANGER, ChannelWorld, Tap, calm, members_seen, said, shows, texts
from tests.support.engines import PATIENCE, inside, online, tx, until

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
        await alice.channels.ban("#garden", STRANGER)
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
    await asyncio.wait_for(looking.wait(), PATIENCE)
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
    await asyncio.wait_for(kept.wait(), PATIENCE)
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
