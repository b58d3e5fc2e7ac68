"""A30: somebody sends what a reader's store refuses: that may cost the one message, and never the
conversation with everybody else.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from mobium.client import ConnectionChanged, arrivals, postbox
from mobium.client.entries import take_entries
from mobium.client.inbox import Inbox
from mobium.client.rosters import extend
from mobium.client.store import channels, messages
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.protocol import content
from mobium.protocol import messages as m
from mobium.protocol.roster import SEALED_SIZE, Kind
from tests.attacks.people import Scene
from tests.attacks.rooms import Room, evidence, gather, lines, says_pairwise, statement
from tests.support.engines import PATIENCE, online, tx, until


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
