"""A12: the server shows a newcomer an invented or a shortened roster, or one without end: refused, or
detected and shown at the first message that crosses (docs/CRYPTO.md section 7).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from mobium.client import ChannelChanged, membership
from mobium.crypto import Identity
from mobium.errors import MobiumError, NotConnected, ProtocolError, ServerRefused
from mobium.protocol import content
from mobium.protocol import messages as m
from mobium.protocol.roster import SEALED_SIZE, Kind
from tests.attacks.people import Person, Scene
from tests.attacks.rooms import (
    Room,
    channel_state,
    gather,
    join,
    reconnected,
    says_pairwise,
    secret_of,
    silent,
    statement,
)
from tests.support.engines import until


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
        room = await gather(scene, "alice", "bob", "carol")
        newcomer, mallory = await scene.person("newcomer"), await scene.person("mallory")
        alice, bob, carol = room.people
        link = await alice.engine.invite(room.name, 0)
        false = await gather(scene, people=[mallory])
        ghostly = [*room.book.raws, join(room, mallory.engine.identity, await secret_of(false, mallory))]
        raws = room.book.raws
        shown: dict[str, list[bytes]] = {
            "another channel's": false.book.raws,
            "a beginning of its own": [false.book.raws[0], *raws[1:]],
            "with a ghost": ghostly,
            "without its beginning": raws[1:],
            "with a gap": [raws[0], raws[2]],
            "in another order": [raws[0], raws[2], raws[1]],
            "backwards": raws[::-1],
            "nothing": [],
            "cut in two": [raws[0], raws[1][:-1]],
        }
        for name, statements in shown.items():
            scene.server.channels.cheat.statements = lambda _, _raws, given=statements: given  # type: ignore[misc]
            # A page of nothing is no frame of the protocol, and ends the connection.
            error = ProtocolError if statements else NotConnected
            await refused_join(room, newcomer, link, error)
            assert await newcomer.engine.channels.list() == [], name
            await until(lambda: connected(newcomer))
        scene.server.be_honest()
        await newcomer.engine.join(link)
        await room.caught_up(newcomer, alice, bob, carol)
        await room.told(alice, "welcome", bob, carol, newcomer)


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
        assert 1 <= asked <= 50
        assert (await room.at(bob)).state == "member"


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
        with pytest.raises(ProtocolError):
            await newcomer.engine.join(link)
        assert 1 <= asked <= 2
