"""A11: the server adds a ghost to a private channel, or answers `get_members` with invented keys: the ghost
gets no sender key, and the client says so (docs/CRYPTO.md section 7).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mobium.client import ChannelChanged, direct
from mobium.client.store.database import Tx
from mobium.crypto.group import ReceiverKey, SenderKey
from mobium.protocol import content
from mobium.protocol import messages as m
from mobium.protocol.roster import Kind, Role, Roster
from mobium.signing import SigningKey
from tests.attacks.forge import Impostor
from tests.attacks.people import Person, Scene
from tests.attacks.rooms import (
    Room,
    channel_state,
    distributes,
    evidence,
    gather,
    join,
    keyed,
    reconnected,
    says_pairwise,
    statement,
)
from tests.support.engines import inside, tx

SERVER = SigningKey.from_seed(b"the server's own".ljust(32))
INVENTED: dict[str, Callable[[Room, Person], bytes]] = {
    "a join without the secret": lambda room, ghost: join(room, ghost.engine.identity, SERVER),
    "a join with another's signature": lambda room, ghost: statement(
        room, ghost.engine.identity, Kind.JOIN, None, room.book.raws[1][-128:-64]
    ),
    "a join of an open channel": lambda room, ghost: statement(room, ghost.engine.identity, Kind.JOIN),
    "a ghost's own statement": lambda room, ghost: statement(
        room, ghost.engine.identity, Kind.NAMES, None, os.urandom(540)
    ),
    "the owner's hand": lambda room, ghost: statement(
        room, Impostor(room.people[0].key), Kind.ROLE, ghost.key, bytes([Role.ADMIN])
    ),
    "a removal in the owner's name": lambda room, _: statement(
        room, Impostor(room.people[0].key), Kind.REMOVE, room.people[1].key, keyed()
    ),
    "a removal by one who may not": lambda room, _: statement(
        room, room.people[1].engine.identity, Kind.REMOVE, room.people[0].key, keyed()
    ),
    "a new secret in the owner's name": lambda room, _: statement(
        room, Impostor(room.people[0].key), Kind.SECRET, None, keyed()
    ),
    "one of another channel": lambda room, _: room.people[0].scene.server.channels.book(OTHER[0]).raws[1],
    "no statement at all": lambda _room, _ghost: b"\x01" * 300,
}
OTHER: list[bytes] = []


async def sent_nothing(room: Room, who: Person, ghost: Person, text: str) -> None:
    """A text stays here, and says why; no sender key leaves for anybody."""
    server = room.scene.server
    before = len(server.channels.posted), len(server.channels.handed)
    content_id = await room.says(who, text, until=None)
    await who.says(ghost, "a text to somebody else")  # goes out after it, if that went
    message = await who.engine.message(content_id)
    assert (message.state, message.reason) == ("queued", (await room.at(who)).reason)
    assert (len(server.channels.posted), len(server.channels.handed)) == before


@pytest.mark.parametrize("name", INVENTED)
async def test_an_invented_statement_breaks_the_channel_and_lets_nobody_in(name: str, folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "carol")
        other = await gather(scene, name="orchard", people=room.people[:2])
        OTHER[:] = [other.id]
        ghost = await scene.person("ghost")
        alice, bob, _ = room.people
        await room.told(bob, "before it", alice)
        await room.told(alice, "and this", bob)
        before = await channel_state(bob)
        raw = INVENTED[name](room, ghost)
        entry = await scene.server.channels.place(room.book, raw, to=(bob.key,))
        await room.becomes("broken", bob)
        event = await bob.ear.next(ChannelChanged, lambda event: event.what == "broken")
        seen = await room.at(bob)
        assert event.text == seen.reason
        assert "nothing is sent there any more" in seen.reason.lower()
        assert [member.key for member in await bob.engine.members(room.name)] == [
            person.engine.me for person in room.people
        ]
        assert [each[2] for each in await evidence(bob)] == [raw]
        assert await channel_state(bob) == before
        await sent_nothing(room, bob, ghost, "not before somebody has looked")
        # What an honest member says is shown all the same.
        scene.server.channels.erase(room.book, entry)
        await room.told(alice, "the next one", bob)
        await other.told(bob, "in another channel", alice)
        assert not scene.server.channels.handed_to(ghost.key)


async def test_invented_keys_in_the_list_of_members(folder: Path) -> None:
    """The server says that there is more, and when it is asked shows a ghost."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        ghost = await scene.person("ghost")
        _, bob = room.people
        raw = join(room, ghost.engine.identity, SERVER)
        cheat = scene.server.channels.cheat
        cheat.states = lambda _, states: [
            m.ChannelState(state.channel_id, state.number, state.index + 1) for state in states
        ]
        cheat.statements = lambda _, raws: [*raws, raw]
        await reconnected(bob)
        await room.becomes("broken", bob)
        assert len(await bob.engine.members(room.name)) == 2
        await sent_nothing(room, bob, ghost, "to nobody")
        assert not scene.server.channels.handed_to(ghost.key)


async def test_a_list_of_other_members_altogether(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        ghost = await scene.person("ghost")
        mine = await gather(scene, name="garden", people=[ghost])
        _, bob = room.people
        cheat = scene.server.channels.cheat
        cheat.states = lambda _, states: [m.ChannelState(each.channel_id, each.number, 5) for each in states]
        cheat.members = lambda _, page: m.RosterPage(room.id, 0, mine.book.raws, 5, 1, page.rid)
        await reconnected(bob)
        await room.becomes("broken", bob)
        assert "two different lists of members" in (await room.at(bob)).reason
        await sent_nothing(room, bob, ghost, "to nobody")


async def test_a_ghost_is_not_heard(folder: Path) -> None:
    """The server lets somebody write, hand out and ask who is no member."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        ghost = await scene.person("ghost")
        alice, bob = room.people
        await room.told(bob, "hello", alice)
        before = await channel_state(bob)
        for index, head in ((room.roster.index, room.roster.head), (room.roster.index + 1, bytes(32))):
            chain = SenderKey.create(room.id, ghost.key, index, head)
            text = content.encode(content.ChannelText(os.urandom(16), 0, "boo", (index, head)))
            await distributes(ghost, bob, room, chain.distribution("ghost"))
            await scene.server.channels.write(room.book, ghost.key, chain.encrypt(text)[0])
        await room.caught_up(bob)
        [own] = before["sender_chain"]
        key_id = int.from_bytes(own[1][102:106], "big")
        for about in (
            content.ChainRequest(os.urandom(16), 0, room.id, key_id),
            content.RosterHead(os.urandom(16), 0, room.id, 99, bytes(32)),
            content.ChannelSecret(os.urandom(16), 0, room.id, bytes(32)),
        ):
            await ghost.engine.contacts.add(bob.key)
            await says_pairwise(ghost, bob, about)
        await scene.server.drained(bob.key)
        after = await channel_state(bob)
        # Of one who may have joined just now, and counts as nobody: chains, claims, a secret that is none.
        for table in ("receiver_chain", "claim", "spare_secret"):
            assert len(after.pop(table)) <= 2
            before.pop(table)
        assert after == before
        assert not scene.server.channels.handed_to(ghost.key)
        await room.told(bob, "nobody else is here", alice)


async def test_without_the_secret_in_a_join_the_ghost_reads_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Roster, "_verify_invite", lambda *_: None)  # the defence, off
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        ghost = await scene.person("ghost")
        alice, bob = room.people
        scene.server.hold(ghost.key)
        await scene.server.channels.place(room.book, join(room, ghost.engine.identity, SERVER))
        await room.caught_up(alice, bob)
        await room.told(alice, "a secret", bob)
        [handed] = scene.server.channels.handed_to(ghost.key)

        def opened(tx: Tx) -> bytes:
            identity, now = ghost.engine.identity, inside(ghost.engine).now()
            return direct.open_payload(tx, identity, alice.key, None, handed.payload, now).plaintext

        given = content.decode(await tx(ghost.engine, opened), "sender_key_distribution")
        assert isinstance(given, content.Distribution)
        plaintext, _ = ReceiverKey.from_distribution(given.data, sender=alice.key).decrypt(
            room.book.payloads[-1][1]
        )
        assert b"a secret" in plaintext
