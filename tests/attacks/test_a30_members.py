"""A30 in channels: a member, or the server in its name, floods sender keys, requests for them, claims of what
the roster is, and secrets: bounded, and the others still get through.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mobium.client import ChannelChanged
from mobium.client import chains as opening
from mobium.client.store import chains, channels
from mobium.client.store.database import Tx
from mobium.crypto.group import SenderKey
from mobium.protocol import content
from tests.attacks.people import Person, Scene
from tests.attacks.rooms import Room, distributes, gather, reconnected, says_pairwise
from tests.support.engines import PATIENCE, Clock, online, tx, until

END = 2**32 - 1


async def count(person: Person, table: str) -> int:
    return await tx(person.engine, lambda tx: int(tx.value(f"SELECT count(*) FROM {table}")))


async def hand_out(room: Room, mallory: Person, bob: Person, number: int) -> None:
    """So many sender keys of one member."""
    for _ in range(number):
        chain = SenderKey.create(room.id, mallory.key, room.roster.index, room.roster.head)
        await distributes(mallory, bob, room, chain.distribution("Mallory"))


async def test_of_one_member_so_many_sender_keys_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "_MAX_CHAINS", 5)  # it is 256, which takes longer to fill
    clock = Clock()
    async with Scene(folder, clock) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await room.told(alice, "hello", bob)
        await hand_out(room, mallory, bob, 30)
        assert await count(bob, "receiver_chain") == 1 + 5
        await room.told(alice, "the next one", bob)
        clock.offset += 1  # those of one second are none before another
        await room.told(mallory, "and I", alice, bob)


async def test_without_the_bound_sender_keys_have_no_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "_MAX_CHAINS", 2**32)  # the defence, off
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        _, bob, mallory = room.people
        await hand_out(room, mallory, bob, 30)
        assert await count(bob, "receiver_chain") == 30


async def test_eight_requests_for_a_sender_key_are_answered_in_a_day(folder: Path) -> None:
    clock = Clock()
    async with Scene(folder, clock) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await room.told(bob, "hello", alice, mallory)
        before = len(scene.server.channels.handed_to(mallory.key))
        for day in range(2):
            for number in range(20):
                asked = content.ChainRequest(os.urandom(16), 0, room.id, 1 + number)
                await says_pairwise(mallory, bob, asked)
            await scene.server.drained(bob.key)
            await room.told(bob, f"day {day}", alice, mallory)
            assert len(scene.server.channels.handed_to(mallory.key)) - before == 8 * (day + 1)
            assert await count(bob, "handout") == 0
            clock.offset += 86_400


# ---------------------------------------------------------------- claims


async def held_up(room: Room, who: Person) -> str:
    """A text that waits, and says why; returns its id."""
    waiting = await room.says(who, "to those who are in", until=None)

    async def said() -> bool:
        return "newer list of members" in (await who.engine.message(waiting)).reason

    await until(said)
    return waiting


@pytest.mark.parametrize("means", ["a word", "a sender key", "a message"])
async def test_a_member_that_speaks_of_a_statement_that_is_none_holds_up_the_channel_until_it_is_removed(
    means: str, folder: Path
) -> None:
    """Not prevented: nobody can tell it from a member to whom the server shows more."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        other = await gather(scene, name="orchard", people=room.people[:2])
        alice, bob, mallory = room.people
        await room.told(mallory, "hello", alice, bob)
        chain = SenderKey.create(room.id, mallory.key, END, bytes(32))
        for reader in (alice, bob):
            if means == "a word":
                said = content.RosterHead(os.urandom(16), 0, room.id, END, bytes(32))
                await says_pairwise(mallory, reader, said)
            else:
                await distributes(mallory, reader, room, chain.distribution())
        if means == "a message":
            text = content.encode(content.ChannelText(os.urandom(16), 0, "nonsense", (END, bytes(32))))
            await scene.server.channels.write(room.book, mallory.key, chain.encrypt(text)[0])
            await room.hear("nonsense", alice, bob)
        await scene.server.drained(alice.key)
        await scene.server.drained(bob.key)
        waiting = [await held_up(room, person) for person in (alice, bob)]
        await other.told(bob, "elsewhere life goes on", alice)
        await alice.engine.remove(room.name, mallory.key)
        await room.caught_up(alice, bob)
        for person in (alice, bob):
            await reconnected(person)  # else it waits out the pause between two questions
        await alice.engine.wait(waiting[0], "sent", timeout=15)
        await bob.engine.wait(waiting[1], "sent", timeout=15)
        await room.hear("to those who are in", alice, bob)
        # What Mallory left behind counts for nothing now.
        await distributes(
            mallory, bob, room, SenderKey.create(room.id, mallory.key, END, bytes(32)).distribution()
        )
        await room.told(bob, "without Mallory", alice)


@pytest.mark.parametrize("ends", ["a removal", "its own word"])
async def test_a_member_that_lies_about_the_past_holds_up_the_channel_until_it_is_removed_or_takes_it_back(
    ends: str, folder: Path
) -> None:
    """One who lies, or is shown a lie: he cannot break a channel for good."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await room.told(mallory, "hello", alice, bob)
        for reader in (alice, bob):
            await says_pairwise(mallory, reader, content.RosterHead(os.urandom(16), 0, room.id, 1, bytes(32)))
        for reader in (alice, bob):
            told = await reader.ear.next(ChannelChanged, lambda event: event.what == "disputed")
            assert told.actor == mallory.key.hex()
            assert (await room.at(reader)).reason == told.text
            assert await count(reader, "evidence") == 1
        waiting = await room.says(bob, "to those who are in", until=None)

        async def explained() -> bool:
            return "two different lists" in (await bob.engine.message(waiting)).reason

        await until(explained)
        if ends == "a removal":
            await alice.engine.remove(room.name, mallory.key)
            await room.caught_up(alice, bob)
        else:
            roster = room.roster
            said = content.RosterHead(os.urandom(16), 0, room.id, roster.index, roster.head)
            for reader in (alice, bob):
                await says_pairwise(mallory, reader, said)
        for reader in (alice, bob):
            await reader.ear.next(ChannelChanged, lambda event: event.what == "agreed")
            assert (await room.at(reader)).reason == ""
        await reconnected(bob)  # else it waits out the pause between two questions
        await bob.engine.wait(waiting, "sent", timeout=15)
        await room.hear("to those who are in", alice)


async def test_who_changes_his_word_again_and_again_is_told_of_each_time_and_fills_no_disk(
    folder: Path,
) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await room.told(mallory, "hello", alice)
        roster = room.roster

        async def says(who: Person, head: bytes) -> None:
            await says_pairwise(
                who, alice, content.RosterHead(os.urandom(16), 0, room.id, roster.index, head)
            )

        async def hears(what: str, who: bytes) -> None:
            told = await alice.ear.next(ChannelChanged, lambda event: event.what in {"disputed", "agreed"})
            assert (told.what, told.actor) == (what, who.hex())

        for _ in range(20):
            await says(mallory, os.urandom(32))
            await hears("disputed", mallory.key)
            await says(mallory, roster.head)
            await hears("agreed", b"")
        await room.told(alice, "none the less", mallory)
        assert await count(alice, "evidence") == 16
        # Another one who says the same is told of too, and a word of statements to come takes nothing back.
        await says(mallory, bytes(32))
        await hears("disputed", mallory.key)
        await says(bob, bytes(32))
        await hears("disputed", bob.key)
        for who in (mallory, bob):
            far = content.RosterHead(os.urandom(16), 0, room.id, roster.index + 5, os.urandom(32))
            await says_pairwise(who, alice, far)
        await alice.engine.remove(room.name, mallory.key)
        await alice.engine.remove(room.name, bob.key)
        await hears("agreed", b"")


async def test_a_lie_about_the_past_is_not_hidden_by_one_about_the_future(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "mallory")
        alice, mallory = room.people
        await room.told(mallory, "hello", alice)
        for index in (9, 1):
            said = content.RosterHead(os.urandom(16), 0, room.id, index, bytes(32))
            await says_pairwise(mallory, alice, said)
        await alice.ear.next(ChannelChanged, lambda event: event.what == "disputed")
        assert "two different lists" in (await room.at(alice)).reason


async def test_without_the_members_in_it_a_claim_of_one_who_left_has_no_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_anybody(tx: Tx, channel: int) -> list[tuple[int, bytes, int]]:
        rows = tx.all("SELECT idx, head, peer FROM claim WHERE channel = ?", channel)
        return [(row[0], row[1], row[2]) for row in rows]

    monkeypatch.setattr("mobium.client.store.channels.claims", of_anybody)  # the defence, off
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await alice.engine.remove(room.name, mallory.key)
        await room.caught_up(alice, bob)
        chain = SenderKey.create(room.id, mallory.key, END, bytes(32))
        await distributes(mallory, bob, room, chain.distribution())
        await held_up(room, bob)


async def test_secrets_that_are_none_are_few(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await room.told(mallory, "hello", alice, bob)
        for _ in range(30):
            await says_pairwise(
                mallory, bob, content.ChannelSecret(os.urandom(16), 0, room.id, os.urandom(32))
            )  # fmt: skip
        await scene.server.drained(bob.key)
        assert await count(bob, "spare_secret") == 8
        assert (await room.at(bob)).name == "garden"
        await alice.engine.channels.renew(room.name)
        await alice.engine.rename(room.name, "orchard")

        async def renamed() -> bool:
            return (await room.at(bob)).name == "orchard"

        await until(renamed)
        assert await count(bob, "spare_secret") == 8


async def overtaken(room: Room, alice: Person, bob: Person, mallory: Person) -> None:
    """Bob finds Alice's new secret in his mailbox, then 30 of Mallory's, and then what Alice has done."""
    await room.told(mallory, "hello", alice, bob)
    await bob.engine.disconnect()
    await alice.engine.channels.renew(room.name)
    await alice.engine.rename(room.name, "orchard")
    await alice.engine.settled(PATIENCE)
    for _ in range(30):
        await says_pairwise(
            mallory, bob, content.ChannelSecret(os.urandom(16), 0, room.id, os.urandom(32))
        )  # fmt: skip
    await mallory.engine.settled(PATIENCE)
    await bob.engine.connect(room.scene.server.url)
    await room.caught_up(bob)


async def test_no_member_pushes_another_ones_secret_out(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        await overtaken(room, *room.people)
        assert (await room.at(room.people[1])).name == "orchard"


async def test_without_a_share_for_each_a_member_keeps_another_one_from_the_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = channels.add_secret

    def of_all(tx: Tx, channel: int, secret: bytes, peer: int, now: int, *, index: int = 0) -> None:
        add(tx, channel, secret, 1, now, index=index)

    monkeypatch.setattr(channels, "add_secret", of_all)  # the defence, off
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        await overtaken(room, *room.people)
        assert (await room.at(room.people[1])).name == "garden"


# ---------------------------------------------------------------- in a member's name


async def invent(room: Room, alice: Person, bob: Person, number: int) -> int:
    """The server shows Bob so many messages of Alice's that nobody wrote; returns how many requests for their
    keys he sends.
    """
    server = room.scene.server
    await bob.engine.settled(PATIENCE)
    before = len(server.sent_by(bob.key))
    for _ in range(number):
        payload = b"\x01" + os.urandom(8) + os.urandom(16 + 32 + 512 + 64)
        await server.channels.write(room.book, alice.key, payload, to=(bob.key,))
    await room.caught_up(bob)
    room.scene.world.clock.offset += 11
    online(bob.engine).sync.wake()
    await server.until(lambda: len(server.sent_by(bob.key)) > before, "a request")
    await bob.engine.settled(PATIENCE)
    return len(server.sent_by(bob.key)) - before


async def test_of_one_member_eight_sender_keys_are_asked_for_in_a_day(folder: Path) -> None:
    async with Scene(folder, Clock()) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        await room.told(alice, "hello", bob)
        assert await invent(room, alice, bob, 40) == 8
        await room.told(alice, "the next one", bob)


async def test_without_the_bound_a_server_makes_a_client_ask_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "_ASKS", 2**32)  # the defence, off
    async with Scene(folder, Clock()) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        await room.told(alice, "hello", bob)
        assert await invent(room, alice, bob, 40) == 40


async def haunt(room: Room, bob: Person) -> int:
    """The server's own identities hand out 72 chains from beyond the roster; returns how many Bob keeps."""
    for number in range(12):
        ghost = await room.scene.person(f"ghost {number}")
        for _ in range(6):
            chain = SenderKey.create(room.id, ghost.key, END, bytes(32))
            await distributes(ghost, bob, room, chain.distribution())
    return await count(bob, "receiver_chain")


async def test_strangers_sender_keys_are_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_EARLY", 16)  # it is 1,000 in a channel, which takes longer to fill
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        assert await haunt(room, room.people[1]) == 16


async def test_without_the_bound_strangers_sender_keys_have_no_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_EARLY", 2**32)  # the defence, off
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        assert await haunt(room, room.people[1]) == 72
