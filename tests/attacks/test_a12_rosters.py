"""A12: the server rolls a roster back, forks it, hides a removal, shows a newcomer an invented or a shortened
one: refused, or detected and shown at the first message that crosses (docs/CRYPTO.md section 7).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from mobium.client import ChannelChanged, arrivals, entries, membership
from mobium.client import chains as opening
from mobium.crypto import Identity
from mobium.errors import InvalidInput, MobiumError, ProtocolError, ServerRefused
from mobium.protocol import content
from mobium.protocol import messages as m
from mobium.protocol.roster import SEALED_SIZE, Kind
from tests.attacks.people import Person, Scene
from tests.attacks.rooms import (
    Room,
    channel_state,
    evidence,
    gather,
    join,
    reconnected,
    says_pairwise,
    secret_of,
    statement,
)
from tests.support.engines import until


async def silent(room: Room, who: Person, text: str) -> str:
    """A text that must not leave, while one to another channel does; returns its id."""
    server = room.scene.server
    other = await gather(room.scene, name=f"other {os.urandom(4).hex()}", people=[who])
    before = len(room.posts_of(who)), len(server.channels.handed)
    content_id = await room.says(who, text, until=None)
    await other.says(who, "elsewhere")
    assert (len(room.posts_of(who)), len(server.channels.handed)) == before
    return content_id


async def explained(who: Person, content_id: str) -> str:
    """Why a text has not left, in words, once there is a word."""

    async def so() -> bool:
        return bool((await who.engine.message(content_id)).reason)

    await until(so)
    message = await who.engine.message(content_id)
    assert message.state == "queued"
    return message.reason


# ---------------------------------------------------------------- rolled back


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
        sent = len(scene.server.sent_by(alice.key))
        await crosses(room, carol, alice)
        await room.hear("is Mallory here?", alice)
        await scene.server.until(lambda: len(scene.server.sent_by(alice.key)) > sent, "a word to Carol")
        await scene.server.drained(carol.key)
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
        await scene.server.drained(carol.key)
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


# ---------------------------------------------------------------- newcomers


async def refused_join(room: Room, newcomer: Person, link: str, error: type[MobiumError]) -> None:
    """A join that fails with a typed error, and leaves nothing behind."""
    before = await channel_state(newcomer)
    with pytest.raises(error) as refused:
        await newcomer.engine.join(link)
    assert str(refused.value)
    after = await channel_state(newcomer)
    for table in ("spare_secret",):
        before.pop(table)
        after.pop(table)
    assert after == before
    assert not room.scene.server.channels.handed_to(newcomer.key)


async def connected(who: Person) -> bool:
    """Whether a connection stands; a frame that is none of the protocol has ended one."""
    who.engine._online.link.retry_now()  # type: ignore[union-attr]
    return who.engine._online.link.online  # type: ignore[union-attr]


async def test_a_newcomer_is_shown_an_invented_roster(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        newcomer, mallory = await scene.person("newcomer"), await scene.person("mallory")
        alice, bob = room.people
        link = await alice.engine.invite(room.name, 0)
        false = await gather(scene, people=[mallory])
        secret = await secret_of(room, alice)
        ghostly = [*room.book.raws, join(room, mallory.engine.identity, await secret_of(false, mallory))]
        raws = room.book.raws
        shown: dict[str, list[bytes]] = {
            "another channel's": false.book.raws,
            "a beginning of its own": [false.book.raws[0], *raws[1:]],
            "with a ghost": ghostly,
            "without its beginning": raws[1:],
            "with a gap": [raws[0], *raws[2:]],
            "in another order": [raws[0], raws[2], raws[1]] if len(raws) > 2 else raws[::-1],
            "nothing": [],
            "cut in two": [raws[0], raws[1][:-1]],
        }
        for name, statements in shown.items():
            scene.server.channels.cheat.statements = lambda _, _raws, given=statements: given  # type: ignore[misc]
            await refused_join(room, newcomer, link, MobiumError)
            assert await newcomer.engine.channels.list() == [], name
            await until(lambda: connected(newcomer))
        assert secret.public == room.roster.key
        scene.server.be_honest()
        await newcomer.engine.join(link)
        await room.caught_up(newcomer, alice, bob)
        await room.told(alice, "welcome", bob, newcomer)


async def test_a_newcomer_is_shown_a_shortened_roster(folder: Path) -> None:
    """From before Mallory was removed, or from before the invite at least."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        newcomer = await scene.person("newcomer")
        old = await alice.engine.invite(room.name, 0)
        await alice.engine.remove(room.name, mallory.key)
        await room.caught_up(alice, bob)
        link = await alice.engine.invite(room.name, 0)
        scene.server.channels.cheat.statements = lambda _, raws: raws[:-1]
        await refused_join(room, newcomer, link, ProtocolError)
        scene.server.be_honest()
        await refused_join(room, newcomer, old, ServerRefused)  # its secret is not in force any more
        await newcomer.engine.join(link)
        await room.caught_up(newcomer, alice, bob)
        await room.told(newcomer, "I am in", alice, bob)


async def test_without_the_head_in_the_link_a_newcomer_believes_a_shortened_roster(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "check_link", lambda *_: None)  # the defence, off
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        newcomer = await scene.person("newcomer")
        telling = scene.server.channels.fork(room.id, newcomer.key)
        old = await secret_of(room, alice)
        await alice.engine.remove(room.name, mallory.key)
        await room.caught_up(alice, bob)
        link = await alice.engine.invite(room.name, 0)
        telling.invites.update(room.book.invites)
        monkeypatch.setattr(membership, "invite_key", lambda _: old)
        await newcomer.engine.join(link)
        assert mallory.engine.me in [member.key for member in await newcomer.engine.members(room.name)]


async def test_a_newcomer_in_an_open_channel_learns_from_the_first_message(folder: Path) -> None:
    """An open channel's link has no head: a shortened roster is believed until somebody speaks."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory", private=False)
        alice, bob, mallory = room.people
        newcomer = await scene.person("newcomer")
        link = await alice.engine.invite(room.name)
        scene.server.channels.fork(room.id, newcomer.key)
        await alice.engine.remove(room.name, mallory.key)
        await room.caught_up(alice, bob)
        await newcomer.engine.join(link)
        assert len(await newcomer.engine.members(room.name)) == 4
        roster = room.roster
        await room.told(alice, "hello", bob)
        await alice.engine.contacts.add(newcomer.key)
        await says_pairwise(
            alice, newcomer, content.RosterHead(os.urandom(16), 0, room.id, roster.index, roster.head)
        )
        await newcomer.ear.next(ChannelChanged, lambda event: event.what == "disputed")
        await silent(room, newcomer, "not before we have compared")


async def test_a_roster_without_end_is_given_up(folder: Path) -> None:
    """The server answers every question about newer statements with old ones."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        other = await gather(scene, name="orchard", people=room.people)
        alice, bob = room.people
        await room.told(alice, "hello", bob)
        cheat = scene.server.channels.cheat
        asked = 0

        def old(_: bytes, page: m.RosterPage) -> m.RosterPage:
            nonlocal asked
            asked += 1
            return m.RosterPage(page.channel_id, 0, room.book.raws, 9, 1, page.rid)

        cheat.members = old
        cheat.states = lambda _, states: [m.ChannelState(each.channel_id, each.number, 9) for each in states]
        await reconnected(bob)
        await other.told(alice, "elsewhere life goes on", bob)
        await asyncio.sleep(0.2)
        await other.told(alice, "and on", bob)
        assert asked <= 50
        assert (await room.at(bob)).state == "member"


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


async def brought_back(scene: Scene) -> tuple[Room, Person]:
    """Bob has left a channel that is broken, and the server passes over his word: it lists him as a member
    for ever, by the join that he signed once.
    """
    room = await gather(scene, "alice", "bob")
    alice, bob = room.people
    await room.told(alice, "hello", bob)
    book = room.book
    lie = statement(room, Identity.generate()[0], Kind.NAMES, data=os.urandom(SEALED_SIZE))
    entry = await scene.server.channels.place(book, lie, to=[bob.key])
    await room.becomes("broken", bob)
    scene.server.channels.erase(book, entry)
    for name in ("orchard", "meadow"):
        await alice.engine.rename(room.name, name)
    await bob.engine.leave(room.name)
    assert room.roster.role(bob.key) is not None
    for _ in range(2):
        await reconnected(bob)
    return room, bob


async def test_what_was_left_is_brought_back_by_nothing_less_than_a_new_join(folder: Path) -> None:
    async with Scene(folder) as scene:
        room, bob = await brought_back(scene)
        assert (await room.at(bob)).state == "left"
        await bob.engine.channels.forget(room.name)
        await reconnected(bob)
        assert await bob.engine.channels.list() == []


async def test_without_asking_for_a_new_join_a_server_brings_back_what_was_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "came_back", lambda *_: True)  # the defence, off
    async with Scene(folder) as scene:
        room, bob = await brought_back(scene)
        assert (await room.at(bob)).state == "member"


async def test_a_newcomer_verifies_page_by_page(folder: Path) -> None:
    """The server sends pages of garbage of 512 statements without end: up to 10,000 are held before one is
    looked at.
    """
    async with Scene(folder) as scene:
        room = await gather(scene, "alice")
        newcomer = await scene.person("newcomer")
        link = await room.people[0].engine.invite(room.name, 0)
        asked = 0

        def more(_: bytes, page: m.RosterPage) -> m.ServerMessage:
            nonlocal asked
            asked += 1
            if asked > 50:
                return m.RosterPage(page.channel_id, page.start, [], page.start, 0, page.rid)
            return m.RosterPage(page.channel_id, page.start, [b"x" * 1000] * 500, 2**31, 1, page.rid)

        scene.server.channels.cheat.members = more
        with pytest.raises(MobiumError):
            await newcomer.engine.join(link)
        assert asked <= 2
