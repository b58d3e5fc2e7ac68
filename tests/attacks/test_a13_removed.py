"""A13: a removed member keeps reading or writing, with the server's help; a member that was offline at the
removal writes next; texts queued before it go out after it (docs/CRYPTO.md sections 6 and 7).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from mobium.client import chains as making
from mobium.client.posting import Sender, prepare
from mobium.client.store import chains, channels
from mobium.client.store.database import Tx
from mobium.crypto.group import SenderKey
from mobium.errors import ServerRefused
from mobium.protocol import content
from mobium.protocol import messages as m
from mobium.protocol.codes import ErrorCode
from mobium.protocol.roster import Roster
from tests.attacks.people import Person, Scene
from tests.attacks.rooms import (
    Keyring,
    Room,
    channel_state,
    distributes,
    gather,
    join,
    lines,
    reconnected,
    says_pairwise,
    secret_of,
)
from tests.support.engines import inside, tx, until


async def three(scene: Scene, *more: str) -> Room:
    """Alice, Bob and Mallory, who have all spoken."""
    room = await gather(scene, "alice", "bob", "mallory", *more)
    for person in room.people:
        others = [each for each in room.people if each is not person]
        await room.told(person, f"{person.name} is here", *others)
    return room


async def removed(room: Room, mallory: Person) -> Keyring:
    """Mallory is removed by the first, and everybody who is connected has seen it; returns every key that
    Mallory held.
    """
    ring = await Keyring().copy(mallory)
    owner, *others = room.people
    await owner.engine.remove(room.name, mallory.key)
    await room.caught_up(*[person for person in (owner, *others) if person.engine.connection == "online"])
    return ring


def since(room: Room) -> list[tuple[bytes, bytes]]:
    """(sender, payload) of what stands behind the newest departure in the first book."""
    book = room.book
    raw = book.raws[book.roster.last_departure]
    number = next(entry.number for entry in book.entries if entry.statement == raw)
    return [
        (entry.sender, entry.payload)
        for entry in book.entries
        if entry.number > number and entry.sender is not None
    ]


# ---------------------------------------------------------------- reading


@pytest.mark.usefixtures("kernel")
async def test_a_removed_member_opens_nothing_that_comes_later(folder: Path) -> None:
    """The server hands it everything, and every member's answers."""
    async with Scene(folder) as scene:
        room = await three(scene)
        alice, bob, mallory = room.people
        ring = await removed(room, mallory)
        given = len(scene.server.channels.handed_to(mallory.key))
        await room.told(alice, "without Mallory", bob)
        await room.told(bob, "at last", alice)
        # Mallory asks for the keys, and the server says that Mallory is a member still.
        chain = await tx(bob.engine, lambda tx: chains.own(tx, 1))
        assert chain is not None
        key_id = SenderKey.from_bytes(chain.state).key_id
        await says_pairwise(mallory, bob, content.ChainRequest(os.urandom(16), 0, room.id, key_id))
        await says_pairwise(mallory, bob, content.Retry(os.urandom(16), 0, digests_to(scene, mallory)))
        await scene.server.drained(bob.key)
        await room.told(bob, "and again", alice)
        for entry in room.book.entries:
            if entry.sender is not None:
                await scene.server.say(
                    mallory.key, m.ChannelMessage(room.id, entry.number, entry.sender, entry.payload)
                )
        await says_pairwise(bob, mallory, content.Receipt(os.urandom(16), 0, "read", [bytes(16)]))
        await scene.server.drained(mallory.key)
        await ring.copy(mallory)
        assert len(since(room)) == 3
        assert ring.opens(since(room)) == []
        assert len(scene.server.channels.handed_to(mallory.key)) == given
        assert (await room.at(mallory)).state == "removed"
        assert await room.texts(mallory) == ["alice is here", "bob is here", "mallory is here"]


def digests_to(scene: Scene, reader: Person) -> list[bytes]:
    """The hashes of every distribution that somebody was ever given."""
    return [hashlib.sha256(each.payload).digest() for each in scene.server.channels.handed_to(reader.key)]


async def test_without_a_new_sender_key_a_removed_member_reads_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def old_chain(tx: Tx, _me: bytes, row: channels.ChannelRow, *_: object) -> SenderKey:
        held = chains.own(tx, row.id)
        assert held is not None
        return SenderKey.from_bytes(held.state)

    async with Scene(folder) as scene:
        room = await three(scene)
        alice, bob, mallory = room.people
        ring = await removed(room, mallory)
        monkeypatch.setattr(making, "own_chain", old_chain)  # the defence, off
        await room.told(alice, "without Mallory", bob)
        assert ring.opens(since(room)) == ["without Mallory"]


async def test_the_new_secret_goes_to_those_who_remain(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await three(scene)
        alice, bob, mallory = room.people
        old = await secret_of(room, mallory)
        before = len(scene.server.sent_by(alice.key))
        await removed(room, mallory)

        async def handed_on() -> bool:
            row = await tx(bob.engine, channels.by_key, room.id)
            return row is not None and row.secret is not None

        await until(handed_on)
        new = await secret_of(room, bob)
        assert new.public == room.roster.key != old.public
        assert mallory.key not in {each.recipient for each in scene.server.sent_by(alice.key)[before:]}
        row = await tx(mallory.engine, channels.by_key, room.id)
        assert row is not None
        assert row.secret is None


# ---------------------------------------------------------------- writing


async def test_a_removed_member_is_not_heard(folder: Path) -> None:
    """Whatever the server lets it write, hand out or claim; and what waited for it in a mailbox."""
    async with Scene(folder) as scene:
        room = await three(scene)
        alice, bob, mallory = room.people
        held = await tx(mallory.engine, lambda tx: chains.own(tx, 1))
        assert held is not None
        old, roster = SenderKey.from_bytes(held.state), room.roster
        await removed(room, mallory)
        before = await channel_state(bob)
        assert mallory.engine.me not in {member.key for member in await bob.engine.members(room.name)}
        gone = room.roster
        for index, head in (
            (roster.index, roster.head),
            (gone.index, gone.head),
            (gone.index + 1, bytes(32)),
            (2**32 - 1, bytes(32)),
        ):
            chain = SenderKey.create(room.id, mallory.key, index, head)
            for made in (old, chain):
                said = content.encode(content.ChannelText(os.urandom(16), 0, "still here", (index, head)))
                await scene.server.channels.write(room.book, mallory.key, made.encrypt(said)[0])
            await distributes(mallory, bob, room, chain.distribution("Mallory"))
            said = content.encode(content.ChannelText(os.urandom(16), 0, "still here", (index, head)))
            await scene.server.channels.write(room.book, mallory.key, chain.encrypt(said)[0])
            for about in (
                content.RosterHead(os.urandom(16), 0, room.id, index, head),
                content.ChannelSecret(os.urandom(16), 0, room.id, os.urandom(32)),
            ):
                await says_pairwise(mallory, bob, about)
        await room.caught_up(bob)
        await scene.server.drained(bob.key)
        after = await channel_state(bob)
        # Of one who may have joined again, and counts as nobody: a chain, a claim, secrets that are none.
        assert len(after["spare_secret"]) <= 8
        for table in ("receiver_chain", "claim", "spare_secret"):
            before.pop(table)
            after.pop(table)
        assert after == before
        assert (await room.at(bob)).state == "member"
        # Nothing of that holds anybody up, now or when the roster goes on.
        await room.told(bob, "the next one", alice)
        for number in range(2):
            await alice.engine.rename(room.name, f"garden {number}")
        await room.caught_up(alice, bob)
        assert (await room.at(bob)).state == "member"
        await room.told(bob, "and one more", alice)


async def test_without_the_roster_a_removed_member_writes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        room = await three(scene)
        _, bob, mallory = room.people
        await removed(room, mallory)
        monkeypatch.setattr(Roster, "was_member", lambda *_: True)  # the defence, off
        roster = room.roster
        chain = SenderKey.create(room.id, mallory.key, roster.index, roster.head)
        said = content.ChannelText(os.urandom(16), 0, "still here", (roster.index, roster.head))
        await distributes(mallory, bob, room, chain.distribution())
        await scene.server.channels.write(
            room.book, mallory.key, chain.encrypt(content.encode(said))[0]
        )  # fmt: skip
        await room.hear("still here", bob)


async def test_what_was_written_before_the_removal_is_read_after_it(folder: Path) -> None:
    """The line is drawn where the messages stand, also for who comes later."""
    async with Scene(folder) as scene:
        room = await three(scene)
        alice, bob, mallory = room.people
        await bob.engine.disconnect()
        await room.told(mallory, "before", alice)
        [*_, (_, payload)] = room.book.payloads
        await removed(room, mallory)
        await bob.engine.connect()
        await room.hear("before", bob)
        await room.caught_up(bob)
        await scene.server.channels.write(room.book, mallory.key, payload)
        await room.caught_up(bob)
        assert (await room.texts(bob))[-1] == "before"
        assert [kind for kind, _ in await lines(room, bob)][-1] == "notice"


# ---------------------------------------------------------------- who was not there


@pytest.mark.usefixtures("kernel")
async def test_who_was_offline_writes_to_those_who_remain(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await three(scene)
        alice, bob, mallory = room.people
        await bob.engine.disconnect()
        queued = await room.says(bob, "queued before", until=None)
        ring = await removed(room, mallory)
        await bob.engine.connect()
        await bob.engine.wait(queued, "sent", timeout=15)
        await room.hear("queued before", alice)
        await room.told(bob, "and after", alice)
        assert len(since(room)) == 2
        assert ring.opens(since(room)) == []
        # Nor did anything leave that the server could have kept for Mallory.
        assert ring.opens([(bob.key, post.payload) for post in room.posts_of(bob)][1:]) == []


async def test_a_removal_that_was_hidden_from_one_who_was_offline(folder: Path) -> None:
    """Who is cut off writes to whom he knows; the first who reads it tells him."""
    async with Scene(folder) as scene:
        room = await three(scene)
        alice, bob, mallory = room.people
        await bob.engine.disconnect()
        scene.server.channels.fork(room.id, bob.key)
        ring = await removed(room, mallory)
        await bob.engine.connect()
        await room.says(bob, "who is here?")
        mine = scene.server.channels.book(room.id, bob.key)
        assert ring.opens(mine.payloads[-1:]) == ["who is here?"]  # not prevented, and said so
        await scene.server.channels.write(room.book, bob.key, mine.payloads[-1][1])
        await room.hear("who is here?", alice)
        await room.held(bob)  # by Alice's word
        await room.says(bob, "not to Mallory", until=None)
        scene.server.channels.rejoin(room.id)
        await reconnected(bob)
        await room.hear("not to Mallory", alice)
        assert ring.opens((sender, payload) for sender, payload in since(room)[1:]) == []


# ---------------------------------------------------------------- what was on its way


async def test_what_was_encrypted_and_never_sent_is_encrypted_anew(folder: Path) -> None:
    """A line broke, or the server's pace held it back, between the encryption and the sending."""
    async with Scene(folder) as scene:
        room = await three(scene)
        alice, bob, mallory = room.people
        await bob.engine.disconnect()
        queued = await room.says(bob, "encrypted before", until=None)
        payload = await tx(bob.engine, encrypted, bob, room)
        ring = await Keyring().copy(mallory)
        assert ring.opens([(bob.key, payload)]) == ["encrypted before"]
        await removed(room, mallory)
        await bob.engine.connect()
        await bob.engine.wait(queued, "sent", timeout=15)
        await room.hear("encrypted before", alice)
        assert ring.opens(since(room)) == []
        assert payload not in [post.payload for post in room.posts_of(bob)]


def encrypted(tx: Tx, who: Person, room: Room) -> bytes:
    """The next message, encrypted and stored as it is before it leaves."""
    core = inside(who.engine)
    sender = Sender(core.identity, room_host(tx), 1 << 20, core.now_ms(), core.entropy)
    prepared = prepare(tx, sender, set())
    [(_, _, frame)] = prepared.ready
    assert isinstance(frame, m.ChannelPost)
    return frame.payload


def room_host(tx: Tx) -> str:
    host: str = tx.value("SELECT host FROM channel")
    return host


async def test_distributions_in_flight_open_nothing_that_follows(folder: Path) -> None:
    """Bob's sender key is on its way to everybody, Mallory too, when Mallory is removed."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        kept: list[m.Accepted] = []
        frame = scene.server.cheat.frame

        def hold_answers(to: bytes, message: m.ServerMessage) -> list[bytes]:
            if to == bob.key and isinstance(message, m.Accepted):
                kept.append(message)
                return []
            return list(frame(to, message))

        scene.server.cheat.frame = hold_answers
        queued = await room.says(bob, "begun before", until=None)
        await scene.server.until(lambda: bool(kept), "Bob's sender key")
        await scene.server.drained(mallory.key)
        ring = await removed(room, mallory)
        assert ring.of(bob.key)
        scene.server.be_honest()
        await scene.server.say(bob.key, *kept)
        await bob.engine.wait(queued, "sent", timeout=15)
        await room.hear("begun before", alice)
        assert ring.opens(since(room)) == []
        assert ring.opens([(bob.key, post.payload) for post in room.posts_of(bob)]) == []


# ---------------------------------------------------------------- coming back


async def test_an_old_link_leads_nowhere(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await three(scene)
        alice, bob, mallory = room.people
        old = await alice.engine.invite(room.name, 0)
        secret = await secret_of(room, mallory)
        await removed(room, mallory)
        with pytest.raises(ServerRefused) as refused:
            await mallory.engine.join(old)
        assert refused.value.code in (ErrorCode.WRONG_SECRET, ErrorCode.BAD_INVITE)
        assert (await room.at(mallory)).state == "removed"
        # The server lets Mallory in; nobody else does.
        given = len(scene.server.channels.handed_to(mallory.key))
        raw = join(room, mallory.engine.identity, secret)
        entry = await scene.server.channels.place(room.book, raw, to=(bob.key,))
        await room.becomes("broken", bob)
        assert "nobody was allowed to make" in (await room.at(bob)).reason
        assert await room.says(bob, "not to Mallory", until=None)
        scene.server.channels.erase(room.book, entry)
        await room.says(alice, "the next one")
        assert len(scene.server.channels.handed_to(mallory.key)) == given


async def test_without_a_new_secret_an_old_link_leads_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Roster, "_verify_invite", lambda *_: None)  # the defence, off
    async with Scene(folder) as scene:
        room = await three(scene)
        alice, bob, mallory = room.people
        secret = await secret_of(room, mallory)
        await removed(room, mallory)
        await scene.server.channels.place(room.book, join(room, mallory.engine.identity, secret))
        await room.caught_up(alice, bob)
        given = len(scene.server.channels.handed_to(mallory.key))
        await room.told(bob, "is that you?", alice)
        assert len(scene.server.channels.handed_to(mallory.key)) == given + 1


async def test_who_is_invited_again_reads_from_then_on(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await three(scene)
        alice, bob, mallory = room.people
        ring = await removed(room, mallory)
        await room.told(alice, "without Mallory", bob)
        await room.told(bob, "quite", alice)
        between = since(room)
        await mallory.engine.join(await alice.engine.invite(room.name))
        await room.caught_up(alice, bob, mallory)
        await room.told(alice, "be good", bob, mallory)
        await room.told(mallory, "I will", alice, bob)
        await ring.copy(mallory)
        assert ring.opens(between) == []
