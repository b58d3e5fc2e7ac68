"""A12: the server rolls a roster back, forks it, hides a removal: refused, or detected and shown at the first
message that crosses (docs/CRYPTO.md section 7).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mobium.client import ChannelChanged, arrivals, entries
from mobium.client import chains as opening
from mobium.errors import InvalidInput
from mobium.protocol import content
from mobium.protocol import messages as m
from tests.attacks.people import Person, Scene
from tests.attacks.rooms import (
    Room,
    channel_state,
    evidence,
    explained,
    gather,
    reconnected,
    says_pairwise,
    silent,
)


async def rolled_back(scene: Scene, room: Room, bob: Person) -> None:
    """The server names an older state of the channel to Bob."""
    cheat = scene.server.channels.cheat
    cheat.states = lambda _, states: [
        m.ChannelState(state.channel_id, state.number - 1, state.index - 1) for state in states
    ]
    cheat.statements = lambda _, raws: raws[:-1]
    cheat.entries = lambda _, entries: entries[:-1]
    await reconnected(bob)


async def test_a_roster_that_is_rolled_back_stops_the_channel_until_it_is_there_again(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "carol")
        alice, bob, _ = room.people
        await room.told(alice, "hello", bob)
        await room.told(bob, "hello too", alice)
        await alice.engine.rename(room.name, "orchard")
        await room.caught_up(*room.people)
        before = await channel_state(bob)
        await rolled_back(scene, room, bob)
        await room.becomes("broken", bob)
        assert "an older list of members" in (await room.at(bob)).reason
        assert (await room.at(bob)).name == "orchard"
        assert await channel_state(bob) == before
        waiting = await silent(room, bob, "not yet")
        assert await explained(bob, waiting) == (await room.at(bob)).reason
        scene.server.be_honest()
        await reconnected(bob)
        await bob.ear.next(ChannelChanged, lambda event: event.what == "mended")
        await bob.engine.wait(waiting, "sent", timeout=15)
        await room.hear("not yet", alice)
        await room.told(alice, "the next one", bob)


async def test_without_the_memory_of_the_head_a_roster_is_rolled_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "rolled_back", lambda _tx, row, _now: row)  # the defence, off
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "carol")
        _, bob, _ = room.people
        await rolled_back(scene, room, bob)
        await room.says(bob, "nothing happened")
        assert (await room.at(bob)).state == "member"


async def test_an_older_roster_on_the_same_connection_changes_nothing(folder: Path) -> None:
    """Pages, pushes and places that are older than what is known, or repeat it."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "carol")
        alice, bob, _ = room.people
        await room.told(alice, "hello", bob)
        before = await channel_state(bob)
        for entry in list(room.book.entries):
            if entry.statement:
                page = m.RosterPage(room.id, 0, [entry.statement], 0, entry.number)
                await scene.server.say(bob.key, page)
                await scene.server.say(
                    bob.key, m.RosterPage(room.id, 0, [entry.statement], 0, room.book.head + 1)
                )
            await scene.server.say(bob.key, m.ChannelHead(room.id, entry.number))
        await room.told(alice, "the next one", bob)
        after = await channel_state(bob)
        assert {name: after[name] for name in ("statement", "member")} == {
            name: before[name] for name in ("statement", "member")
        }
        assert (await room.at(bob)).state == "member"


# ---------------------------------------------------------------- forked


async def forked(scene: Scene, removed: bool = True) -> Room:
    """Alice and Bob see Mallory removed, or another name; Carol, in a book of her own, sees another statement
    there.
    """
    room = await gather(scene, "alice", "bob", "carol", "mallory")
    alice, bob, carol, mallory = room.people
    await room.told(alice, "hello", bob, carol)
    await room.told(carol, "hello too", alice, bob)
    await alice.engine.set_role(room.name, carol.key, "admin")
    await room.caught_up(*room.people)
    scene.server.channels.fork(room.id, carol.key)
    if removed:
        await alice.engine.remove(room.name, mallory.key)
    else:
        await alice.engine.rename(room.name, "Alice's")
    await carol.engine.rename(room.name, "Carol's")
    await room.caught_up(alice, bob, carol)
    return room


async def crosses(room: Room, sender: Person, reader: Person) -> None:
    """The server passes the newest message of somebody from one book to the reader of another."""
    channels = room.scene.server.channels
    [*_, payload] = [each[1] for each in channels.book(room.id, sender.key).payloads if each[0] == sender.key]
    await channels.write(channels.book(room.id, reader.key), sender.key, payload)


@pytest.mark.parametrize("first", ["bob", "carol"])
async def test_a_fork_is_seen_at_the_first_message_that_crosses(first: str, folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await forked(scene)
        _, bob, carol, _ = room.people
        people = {person.name: person for person in room.people}
        sender, reader = (people[first], carol if first == "bob" else bob)
        await room.says(sender, "across")
        await crosses(room, sender, reader)
        event = await reader.ear.next(ChannelChanged, lambda event: event.what == "disputed")
        assert event.text == (await room.at(reader)).reason
        assert "two different lists of members" in event.text
        assert event.actor == sender.key.hex()
        assert sender.key.hex()[:16] in event.text
        [(index, mine, other)] = await evidence(reader)
        assert (index, mine, other) == (
            5,
            scene.server.channels.book(room.id, reader.key).roster.head,
            scene.server.channels.book(room.id, sender.key).roster.head,
        )
        waiting = await silent(room, reader, "not before we have compared")
        assert await explained(reader, waiting) == event.text
        with pytest.raises(InvalidInput, match="two different lists"):
            await reader.engine.rename(room.name, "mended")
        assert (await room.at(sender)).reason == ""  # until a message crosses the other way
        # Nor does honesty mend it: one of the books was a lie.
        scene.server.channels.rejoin(room.id)
        await reconnected(reader)
        assert "two different lists of members" in (await room.at(reader)).reason
        assert (await reader.engine.message(waiting)).state == "queued"


async def test_a_fork_is_seen_in_what_a_member_says_pairwise(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await forked(scene)
        _, bob, carol, _ = room.people
        roster = room.roster
        await says_pairwise(
            bob, carol, content.RosterHead(os.urandom(16), 0, room.id, roster.index, roster.head)
        )
        await carol.ear.next(ChannelChanged, lambda event: event.what == "disputed")
        await silent(room, carol, "not before we have compared")


async def test_a_fork_is_seen_when_statements_cross(folder: Path) -> None:
    """The server tires of its books and shows all of one to who has read the other."""
    async with Scene(folder) as scene:
        room = await forked(scene)
        alice, _, carol, _ = room.people
        await alice.engine.rename(room.name, "another one")
        scene.server.channels.rejoin(room.id)
        scene.server.channels.cheat.states = lambda _, states: [
            m.ChannelState(state.channel_id, state.number + 9, state.index + 9) for state in states
        ]
        await reconnected(carol)
        await room.becomes("broken", carol)
        await silent(room, carol, "not before we have compared")


async def test_without_the_heads_in_messages_a_fork_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "heard_head", lambda _tx, row, *_: row)  # the defence, off
    async with Scene(folder) as scene:
        room = await forked(scene, removed=False)
        alice, _, carol, _ = room.people
        await room.says(alice, "across")
        await crosses(room, alice, carol)
        await room.hear("across", carol)
        await room.says(carol, "unaware")
        assert (await room.at(carol)).state == "member"


async def test_a_fork_is_not_mended_by_the_end_of_a_rollback(folder: Path) -> None:
    """First the server rolls back, then the fork is seen, then it shows the newest state again."""
    async with Scene(folder) as scene:
        room = await forked(scene)
        alice, _, carol, _ = room.people
        await rolled_back(scene, room, carol)
        await room.becomes("broken", carol)
        await room.says(alice, "across")
        await crosses(room, alice, carol)
        await room.caught_up(carol)
        assert await evidence(carol)
        scene.server.be_honest()
        await reconnected(carol)
        assert "two different lists of members" in (await room.at(carol)).reason
        await silent(room, carol, "not before we have compared")


async def test_the_evidence_does_not_fill_a_disk(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await forked(scene)
        _, _, carol, _ = room.people
        telling = scene.server.channels.book(room.id, carol.key)
        page = m.RosterPage(room.id, 5, [room.book.raws[5]], 5, telling.head + 1)
        for _ in range(100):
            await scene.server.say(carol.key, page)
        await room.becomes("broken", carol)
        await reconnected(carol)
        assert 1 <= len(await evidence(carol)) <= 16


# ---------------------------------------------------------------- a removal that is hidden


async def test_a_hidden_removal_is_told_by_the_first_who_reads(folder: Path) -> None:
    """Carol is not shown that Mallory was removed, and writes; the server takes it all the same."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "carol", "mallory")
        alice, bob, carol, mallory = room.people
        await room.told(carol, "hello", alice, bob, mallory)
        telling = scene.server.channels.fork(room.id, carol.key)
        await alice.engine.remove(room.name, mallory.key)
        await room.caught_up(alice, bob)
        await room.says(carol, "is Mallory here?")
        await crosses(room, carol, alice)
        await room.hear("is Mallory here?", alice)
        await room.held(carol)  # by Alice's word
        # Nothing more leaves Carol, who says why.
        waiting = await silent(room, carol, "to those who are in")
        assert "newer list of members" in await explained(carol, waiting)
        assert scene.server.channels.book(room.id, carol.key) is telling
        # When the server shows the removal at last, it goes to those who are in.
        scene.server.channels.rejoin(room.id)
        await reconnected(carol)
        await carol.engine.wait(waiting, "sent", timeout=15)
        await room.hear("to those who are in", alice)
        await room.hear("is Mallory here?", bob)  # which stands in his book too
        await room.hear("to those who are in", bob)
        assert len(await carol.engine.members(room.name)) == 3


async def test_a_hidden_removal_is_told_by_a_new_sender_key(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "carol", "mallory")
        alice, bob, carol, mallory = room.people
        scene.server.channels.fork(room.id, carol.key)
        await alice.engine.remove(room.name, mallory.key)
        await room.caught_up(alice, bob)
        await room.told(alice, "without Mallory", bob)  # and with it a sender key, to Carol too
        await room.held(carol)
        waiting = await silent(room, carol, "to those who are in")
        assert "newer list of members" in await explained(carol, waiting)


async def test_without_the_word_of_the_heads_a_removal_stays_hidden(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "heard_head", lambda _tx, row, *_: row)  # the defence, off
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "carol", "mallory")
        alice, bob, carol, mallory = room.people
        scene.server.channels.fork(room.id, carol.key)
        await alice.engine.remove(room.name, mallory.key)
        await room.caught_up(alice, bob)
        await room.told(alice, "without Mallory", bob)
        await scene.server.drained(carol.key)
        await room.says(carol, "is Mallory here?")
        assert mallory.key in {
            each.recipient for each in scene.server.channels.handed if each.sender == carol.key
        }


@pytest.mark.parametrize("broken", [False, True])
async def test_a_channel_with_two_lists_can_be_left(broken: bool, folder: Path) -> None:
    """Its sentence says "leave the channel", and `leave` must not refuse with that very sentence."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        if broken:
            telling = scene.server.channels.fork(room.id, bob.key)
            await alice.engine.rename(room.name, "orchard")
            forged = room.book.raws[2][:-1] + bytes((room.book.raws[2][-1] ^ 1,))
            await scene.server.say(bob.key, m.RosterPage(room.id, 2, [forged], 2, telling.head + 1))
            await room.becomes("broken", bob)
        else:
            said = content.RosterHead(os.urandom(16), 0, room.id, 1, bytes(32))
            await says_pairwise(alice, bob, said)
            await bob.ear.next(ChannelChanged, lambda event: event.what == "disputed")
        await bob.engine.leave(room.name)
        assert (await room.at(bob)).state == "left"
