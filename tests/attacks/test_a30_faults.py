"""A30: somebody sends what a reader's store refuses, or makes it forget what it still needs: that may cost
the one message, and never the conversation with everybody else.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from mobium._pure.ratchet import Ratchet
from mobium.client import ConnectionChanged, arrivals, postbox
from mobium.client.entries import take_entries
from mobium.client.inbox import Inbox
from mobium.client.receive import Arrival, receive
from mobium.client.rosters import break_channel, extend
from mobium.client.store import cache, channels, messages, peers
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.crypto import Identity, Session
from mobium.crypto.group import SenderKey
from mobium.errors import StoreError
from mobium.protocol import content
from mobium.protocol import messages as m
from mobium.protocol.roster import SEALED_SIZE, Kind
from tests.attacks.people import Person, Scene, acquainted, bundle_of
from tests.attacks.rooms import Room, evidence, gather, lines, says_pairwise, statement
from tests.support.engines import PATIENCE, online, tx, until

STRANGERS = 205  # more than are remembered


# ---------------------------------------------------------------- a ratchet key that comes again


def text(words: str) -> bytes:
    return content.encode(content.Text(os.urandom(16), 0, words))


async def quiet_pair(scene: Scene) -> tuple[Person, Person]:
    """Two contacts between whom nothing goes but what the test sends."""
    mallory, bob = [await scene.person(name, receipt_delay=3_600.0) for name in ("mallory", "bob")]
    await acquainted(mallory, bob)
    return mallory, bob


async def used_again(scene: Scene, mallory: Person, bob: Person) -> list[Arrival]:
    """Two messages of Mallory's: the first uses the only key that was skipped of one of her ratchet keys, and
    the second, under that ratchet key again, makes Bob skip the same number anew.
    """
    await mallory.says(bob, "hi")
    await bob.hears("hi")
    await bob.says(mallory, "yo")
    await mallory.hears("yo")

    def state(tx: Tx) -> bytes:
        peer = peers.by_key(tx, bob.key)
        assert peer is not None
        [held] = tx.sessions.of(tx, peer.id).values()
        return held.session._ratchet.to_bytes()

    ratchet = Ratchet.from_bytes(await tx(mallory.engine, state))
    await mallory.engine.disconnect()
    box = scene.server.accounts[mallory.key].mailbox
    first: bytes = ratchet._state.private

    def encrypt(words: str) -> bytes:
        nonlocal ratchet
        payload, ratchet = ratchet.encrypt(text(words), os.urandom(16))
        return payload

    async def send(payload: bytes) -> None:
        await scene.server.forge(mallory.key, bob.key, payload)
        await scene.server.drained(bob.key)

    async def answer(words: str, private: bytes) -> None:
        """Bob writes, and Mallory goes on under a ratchet key of her choice."""
        nonlocal ratchet
        box.clear()
        await bob.engine.send(mallory.key, words)

        async def stepped() -> bool:
            nonlocal ratchet
            for envelope in list(box):
                box.remove(envelope)
                if len(envelope.payload) > 400:
                    _, ratchet = ratchet.decrypt(envelope.payload, private, int(time.time()))
            return ratchet._state.private == private

        await until(stepped)

    held_back = encrypt("a0")
    await send(encrypt("a1"))
    await answer("one", os.urandom(32))
    await send(encrypt("b0"))
    await answer("two", first)
    *_, ahead = [encrypt(f"c{number}") for number in range(4)]
    await bob.engine.disconnect()
    return [Arrival(mallory.key, held_back), Arrival(mallory.key, ahead)]


async def test_a_ratchet_key_that_is_used_again(folder: Path) -> None:
    async with Scene(folder) as scene:
        mallory, bob = await quiet_pair(scene)
        both = await used_again(scene, mallory, bob)
        await tx(bob.engine, receive, bob.engine.identity, both, int(time.time() * 1000), os.urandom)
        assert {"a0", "c3"} <= set(await bob.history(mallory))
        await bob.engine.connect(scene.server.url)


async def test_without_the_care_for_keys_that_return_the_store_refuses_both(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = cache._write_skipped

    def plain(tx: Tx, session: int, added: list[bytes], removed: list[bytes], places: Any) -> None:
        class Careless:
            """Deletes what was removed alone, as it stood."""

            def many(self, sql: str, rows: Any) -> None:
                keys = {(session, key) for key in removed}
                tx.many(sql, [row for row in rows if not sql.startswith("DELETE") or row in keys])

        write(Careless(), session, added, removed, places)  # type: ignore[arg-type]

    monkeypatch.setattr(cache, "_write_skipped", plain)  # the defence, off
    async with Scene(folder) as scene:
        mallory, bob = await quiet_pair(scene)
        both = await used_again(scene, mallory, bob)
        with pytest.raises(StoreError):
            await tx(bob.engine, receive, bob.engine.identity, both, int(time.time() * 1000), os.urandom)


# ---------------------------------------------------------------- who was forgotten meanwhile


async def flood(scene: Scene, victim: Person) -> None:
    """So many strangers knock, without a word, that those before them are forgotten."""
    bundle = bundle_of(victim)
    for _ in range(STRANGERS):
        who = Identity.generate()[0]
        session = Session.initiate(who, bundle, pinned_x=None, now=int(time.time()))
        said = content.encode(content.Receipt(os.urandom(16), 0, "read", [os.urandom(16)]))
        await scene.server.forge(who.public, victim.key, session.encrypt(said)[0])
    await scene.server.drained(victim.key)


async def is_forgotten(by: Person, whom: Person) -> bool:
    return await tx(by.engine, peers.by_key, whom.key) is None


async def keys_on_their_way(by: Person, whom: Person) -> int:
    """How many sender keys wait to be handed to somebody."""
    peer = await tx(by.engine, peers.by_key, whom.key)
    assert peer is not None
    count = "SELECT count(*) FROM handout WHERE peer = ?"
    return int(await tx(by.engine, lambda tx: tx.value(count, peer.id)))


async def test_a_sender_key_that_waits_for_one_who_is_forgotten(folder: Path) -> None:
    """Her mailbox was full when the key came, then she was removed, and forgotten."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "mallory", "bob")  # bob came last: no line of hers protects her
        alice, mallory, bob = room.people
        handle = scene.server.channels._handlers[m.Distribute]

        async def full(who: bytes, message: m.Distribute) -> None:
            if who != bob.key or all(each.recipient != mallory.key for each in message.distributions):
                await handle(who, message)
                return
            for each in message.distributions:
                if each.recipient != mallory.key:
                    await scene.server.channels.hand(who, each.recipient, message.channel_id, each.payload)
            refused = [m.NotTaken(mallory.key, "queue_full", 60.0)]
            await scene.server.say(who, m.Accepted(message.id, message.rid, None, refused))

        scene.server.channels._handlers[m.Distribute] = full
        await room.says(bob, "hello", until=None)

        async def delayed() -> bool:
            waits = "SELECT count(*) FROM handout WHERE payload IS NOT NULL AND not_before > 0"
            return bool(await tx(bob.engine, lambda tx: tx.value(waits)))

        await until(delayed)
        await alice.engine.remove(room.name, mallory.key)
        await room.caught_up(bob)
        assert await keys_on_their_way(bob, mallory) == 0  # one for Alice may be
        await flood(scene, bob)
        assert await is_forgotten(bob, mallory)
        scene.world.clock.offset += 61
        await room.hear("hello", alice)
        await room.told(bob, "again", alice)


async def test_a_sender_key_of_one_who_is_forgotten_before_a_join_is_known(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, mallory, bob = [await scene.person(name) for name in ("alice", "mallory", "bob")]
        channel = await alice.engine.create_channel("garden")
        room = Room(scene, bytes.fromhex(channel.id), [alice, mallory])
        link = await alice.engine.invite(room.name, 0)
        await mallory.engine.join(link)
        cheat = scene.server.channels.cheat
        cheat.appended = lambda actor, answer: None if actor == bob.key else answer  # it is lost
        joining = asyncio.create_task(bob.engine.join(link))

        async def waits() -> bool:
            return [each.state for each in await bob.engine.channels.list()] == ["joining"]

        await until(waits)
        chain = SenderKey.create(room.id, mallory.key, room.roster.index, room.roster.head)
        session = Session.initiate(
            mallory.engine.identity, bundle_of(bob), pinned_x=None, now=int(time.time())
        )
        given = content.encode(content.Distribution(os.urandom(16), 0, chain.distribution("")))
        await scene.server.channels.hand(mallory.key, bob.key, room.id, session.encrypt(given)[0])
        await scene.server.drained(bob.key)
        await flood(scene, bob)
        assert await is_forgotten(bob, mallory)
        await bob.engine.disconnect()
        await asyncio.gather(joining, return_exceptions=True)
        cheat.appended = lambda _, answer: answer
        await bob.engine.connect(scene.server.url)
        room.people.append(bob)
        await room.becomes("member", bob)
        await room.told(alice, "welcome", bob)


@pytest.mark.parametrize("state", ["left", "broken"])
async def test_a_channel_is_forgotten_while_its_history_is_on_its_way(state: str, folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        gate, asked = asyncio.Event(), asyncio.Event()
        handle = scene.server.channels._handlers[m.GetHistory]
        late: list[asyncio.Task[None]] = []

        async def answer(who: bytes, message: m.GetHistory) -> None:
            await gate.wait()
            await handle(who, message)

        async def slow(who: bytes, message: m.GetHistory) -> None:
            if who != bob.key or asked.is_set():
                await handle(who, message)
                return
            asked.set()
            late.append(asyncio.create_task(answer(who, message)))

        def is_broken(tx: Tx) -> None:
            row = channels.by_key(tx, room.id)
            assert row is not None
            break_channel(tx, row, "It does not add up.", 0)

        if state == "broken":
            await tx(bob.engine, is_broken)
        scene.server.channels._handlers[m.GetHistory] = slow
        await scene.server.say(bob.key, m.ChannelHead(room.id, room.book.head + 5))
        await asyncio.wait_for(asked.wait(), 5)
        if state == "left":
            await bob.engine.leave(room.name)
        await bob.engine.channels.forget(room.name)
        gate.set()
        await asyncio.gather(*late)
        await alice.says(bob, "still there?")
        await bob.hears("still there?")
        assert await bob.engine.channels.list() == []


# ---------------------------------------------------------------- whatever the store refuses


async def test_a_message_that_the_store_refuses_is_noted_and_costs_nobody_elses(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = messages.add_incoming

    def refuses(tx: Tx, peer: int, content_id: bytes, kind: str, words: str, *rest: Any) -> int:
        if words == "poison":
            add(tx, peer, content_id, kind, words, *rest)  # and once more: a UNIQUE constraint fails
        return add(tx, peer, content_id, kind, words, *rest)

    monkeypatch.setattr(messages, "add_incoming", refuses)
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        carol = await scene.person("carol")
        await bob.engine.contacts.add(carol.key, "carol")
        await bob.engine.disconnect()
        for words in ("one", "poison", "two"):
            await alice.says(bob, words)
        await carol.says(bob, "and I")
        await bob.engine.connect(scene.server.url)
        await bob.hears("one", "two")
        await bob.hears("and I")
        await scene.server.drained(bob.key)
        assert await bob.unopened() == ["it could not be stored"]


def poisoned(patch: pytest.MonkeyPatch, *, statements: bool) -> None:
    """From now on nobody can store the payload b"poison", or statements at all, in the garden."""

    def refuses(tx: Tx, setting: Any, row: ChannelRow, entries: Any) -> ChannelRow:
        entries = list(entries)
        if row.name == "garden" and any(
            entry.payload == b"poison" or (statements and entry.statement) for entry in entries
        ):
            raise LookupError("a fault")
        return take_entries(tx, setting, row, entries)

    patch.setattr(arrivals, "take_entries", refuses)


async def test_a_message_that_cannot_be_stored_stays_closed_in_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        other = await gather(scene, name="orchard", people=room.people)
        alice, bob = room.people
        await room.told(alice, "before", bob)
        poisoned(monkeypatch, statements=False)
        await scene.server.channels.write(room.book, alice.key, b"poison", to=(bob.key,))
        await room.told(alice, "behind it", bob)
        await bob.engine.disconnect()
        for number in range(3):
            await room.says(alice, f"{number}")
        await scene.server.channels.write(room.book, alice.key, b"poison", to=())
        await room.says(alice, "at the end")
        await bob.engine.connect(scene.server.url)
        await room.hear("0", bob)
        for words in ("1", "2", "at the end"):
            await room.hear(words, bob)
        shown = [text or kind for kind, text in await lines(room, bob) if kind != "notice"]
        assert shown == ["before", "closed", "behind it", "0", "1", "2", "closed", "at the end"]
        await other.told(alice, "elsewhere life goes on", bob)


async def test_nothing_behind_a_statement_that_is_not_taken_is_read_though_a_message_cannot_be_stored(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server leaves out Carol's departure, and shows Dave's behind it, and what Carol wrote since."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "carol", "dave")
        alice, bob, carol, dave = room.people
        await room.told(alice, "before", bob)
        poisoned(monkeypatch, statements=False)
        await bob.engine.disconnect()
        server = scene.server.channels
        hidden = await server.place(room.book, statement(room, carol.engine.identity, Kind.LEAVE), to=())
        await server.place(room.book, statement(room, dave.engine.identity, Kind.LEAVE), to=())
        server.erase(room.book, hidden)
        await server.write(room.book, carol.key, b"by one who has left", to=())
        await server.write(room.book, alice.key, b"poison", to=())
        await bob.engine.connect(scene.server.url)
        await room.becomes("broken", bob)
        row = await tx(bob.engine, channels.by_key, room.id)
        assert row is not None
        assert row.cursor < hidden.number
        assert "closed" not in [kind for kind, _ in await lines(room, bob)]


async def stuck(scene: Scene, patch: pytest.MonkeyPatch) -> tuple[Room, Room]:
    """The garden, where Bob could not store a change of the roster, and the orchard."""
    room = await gather(scene, "alice", "bob", "carol")
    other = await gather(scene, name="orchard", people=room.people)
    alice, bob, carol = room.people
    for person in room.people:
        await room.told(person, "before", *(each for each in room.people if each is not person))
    poisoned(patch, statements=True)
    row = statement(room, carol.engine.identity, Kind.LEAVE)
    await scene.server.channels.place(room.book, row, to=(bob.key,))

    async def told() -> bool:
        return "cannot be stored" in (await room.at(bob)).reason

    await until(told)
    # And a member speaks of what Bob cannot see.
    await says_pairwise(
        alice, bob, content.RosterHead(os.urandom(16), 0, room.id, room.roster.index, room.roster.head)
    )
    await scene.server.drained(bob.key)
    return room, other


async def test_a_channel_that_cannot_be_followed_costs_no_other_one_and_no_rest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        room, other = await stuck(scene, monkeypatch)
        alice, bob, _ = room.people
        waiting = await bob.engine.send(room.name, "not before it can be followed")
        prepared = 0
        prepare = postbox._prepare

        def counted(*arguments: Any) -> Any:
            nonlocal prepared
            prepared += 1
            return prepare(*arguments)

        monkeypatch.setattr(postbox, "_prepare", counted)
        await other.told(alice, "elsewhere life goes on", bob)
        for number in range(30):
            await bob.says(alice, f"{number}")
        await bob.engine.settled(PATIENCE)
        assert prepared < 500  # a few for each of those; it would be thousands without a rest
        assert (await bob.engine.message(waiting)).state == "queued"
        monkeypatch.setattr(arrivals, "take_entries", take_entries)
        await bob.engine.disconnect()
        await bob.engine.connect(scene.server.url)
        await room.caught_up(bob)
        assert len(await bob.engine.members(room.name)) == 2
        assert "cannot be stored" not in (await room.at(bob)).reason


async def test_what_waited_for_a_channel_that_can_be_followed_again_is_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        room, _ = await stuck(scene, monkeypatch)
        bob = room.people[1]
        waiting = await bob.engine.send(room.name, "not before it can be followed")
        await bob.engine.disconnect()  # so that the next login finds it waiting for this reason
        await bob.engine.connect(scene.server.url)

        async def told() -> bool:
            return (await bob.engine.message(waiting)).code == "channel_stuck"

        await until(told)
        await bob.engine.disconnect()
        monkeypatch.setattr(arrivals, "take_entries", take_entries)
        lost: list[m.ClientMessage] = []

        async def loses(_: bytes, message: m.ClientMessage) -> None:
            lost.append(message)

        handlers = scene.server.channels._handlers
        honest: dict[type, Any] = {kind: handlers[kind] for kind in (m.ChannelPost, m.Distribute)}
        handlers.update(dict.fromkeys(honest, loses))
        await bob.engine.connect(scene.server.url)
        with pytest.raises(TimeoutError):  # it can go out now, and has not
            await bob.engine.settled(1)
        assert lost
        handlers.update(honest)
        await bob.engine.disconnect()
        await bob.engine.connect(scene.server.url)
        await bob.engine.settled(PATIENCE)
        assert (await bob.engine.message(waiting)).state == "sent"


@pytest.mark.parametrize("who", ["stranger", "blocked", "oneself"])
async def test_a_message_that_cannot_be_stored_is_judged_as_any_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """One of no member, or of somebody blocked, has no place; an unknown one of one's own ends the chain."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "carol")
        alice, bob, carol = room.people
        stranger = await scene.person("stranger")
        await bob.engine.contacts.add(stranger.key, "stranger")
        for person in (alice, bob, carol):
            await room.told(person, "before", *(each for each in room.people if each is not person))
        await bob.engine.contacts.add(carol.key, "carol")
        await bob.engine.contacts.block("carol")
        poisoned(monkeypatch, statements=False)
        author = {"stranger": stranger, "blocked": carol, "oneself": bob}[who]
        await bob.engine.disconnect()
        await scene.server.channels.write(room.book, author.key, b"poison", to=())
        await room.says(alice, "behind it")
        await bob.engine.connect(scene.server.url)
        await room.hear("behind it", bob)
        closed = [kind for kind, _ in await lines(room, bob)].count("closed")
        chain = await tx(bob.engine, lambda tx: tx.value("SELECT count(*) FROM sender_chain"))
        assert (closed, chain) == ((1, 0) if who == "oneself" else (0, 1))
        await room.told(bob, "and on", alice)


async def test_while_the_mailbox_is_not_empty_a_roster_that_is_behind_costs_no_rest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        for person in room.people:
            await room.told(person, "before", *(each for each in room.people if each is not person))
        # Alice speaks of what the server does not show, and the mailbox is not emptied for as long as it may.
        index, head = room.roster.index + 5, os.urandom(32)
        await says_pairwise(alice, bob, content.RosterHead(os.urandom(16), 0, room.id, index, head))
        await scene.server.drained(bob.key)
        await bob.engine.disconnect()
        waiting = await bob.engine.send(room.name, "not before the roster was seen")
        monkeypatch.setattr(Inbox, "drained", False)
        prepared, prepare = 0, postbox._prepare

        def counted(*arguments: Any) -> Any:
            nonlocal prepared
            prepared += 1
            return prepare(*arguments)

        monkeypatch.setattr(postbox, "_prepare", counted)
        await bob.engine.connect(scene.server.url)
        await asyncio.wait_for(online(bob.engine).sync.listed.wait(), PATIENCE)
        await bob.says(alice, "on the way")
        before = prepared

        def lines_in(tx: Tx) -> None:
            tx.value("SELECT count(*) FROM message")

        for _ in range(200):  # transactions of anybody's, so that all had their turn between them
            await tx(bob.engine, lines_in)
        assert prepared - before < 10
        assert (await bob.engine.message(waiting)).state == "queued"


async def test_a_channel_that_cannot_be_followed_can_be_left_and_forgotten(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        poisoned(monkeypatch, statements=True)
        await scene.server.channels.write(room.book, alice.key, b"x", to=())
        await bob.engine.leave(room.name)
        await bob.engine.channels.forget(room.name)
        assert await bob.engine.channels.list() == []


async def test_a_machine_without_memory_for_a_while_loses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, short = messages.add_incoming, True

    def refuses(*arguments: Any) -> int:
        if short:
            raise MemoryError
        return add(*arguments)

    monkeypatch.setattr(messages, "add_incoming", refuses)
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await alice.says(bob, "hello")
        await bob.ear.next(ConnectionChanged, lambda event: event.state == "waiting")
        short = False
        await bob.engine.connect(scene.server.url)
        await bob.hears("hello")
        assert await bob.unopened() == []


async def test_numbers_beyond_all_bounds_are_no_messages(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        await room.told(alice, "before", bob)
        for last in (2**40, 2**63 - 1):
            entry = m.Entry(last, alice.key, b"x")

            def beyond(asker: bytes, page: m.History, entry: m.Entry = entry) -> m.History:
                if asker != bob.key:
                    return page
                return m.History(page.channel_id, [entry], entry.number, entry.number, page.rid)

            scene.server.channels.cheat.history = beyond
            await scene.server.say(bob.key, m.ChannelHead(room.id, room.book.head + 1))
            await bob.ear.next(ConnectionChanged, lambda event: event.state == "waiting")
            scene.server.be_honest()
            await bob.engine.connect(scene.server.url)
            await room.told(alice, f"after {last}", bob)


async def test_a_member_who_lies_takes_no_room_of_the_evidence_of_a_fork(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        for _ in range(20):
            head = content.RosterHead(os.urandom(16), 0, room.id, 0, os.urandom(32))
            await says_pairwise(mallory, bob, head)
        await scene.server.drained(bob.key)
        assert len(await evidence(bob)) == 16
        one, two = [
            statement(room, alice.engine.identity, Kind.NAMES, None, os.urandom(SEALED_SIZE))
            for _ in range(2)
        ]
        await scene.server.channels.place(room.book, one)
        await room.reached(room.book.head, bob)

        def shown(tx: Tx) -> str:
            row = channels.by_key(tx, room.id)
            assert row is not None
            index = room.roster.index
            return extend(tx, bob.engine.identity, row, index, [two], 0, os.urandom).state

        assert await tx(bob.engine, shown) == "broken"
        assert any(two in each for each in await evidence(bob))
