"""A30 in channels: a member, or the server, chooses what is sent so that two lines of a reader would have one
id, in order that the reader's store refuses the second, again and again, and nothing behind it is ever read.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from mobium.client.store import lines as stored
from mobium.client.store.database import Tx
from mobium.crypto.group import SenderKey
from mobium.protocol import content
from mobium.protocol.roster import Kind, parse
from tests.attacks.people import Person, Scene
from tests.attacks.rooms import Room, gather, lines, reconnected, says_pairwise, statement


def unopenable(room: Room, sender: Person) -> bytes:
    """A message of a chain that nobody was handed."""
    chain = SenderKey.create(room.id, sender.key, room.roster.index, room.roster.head)
    return chain.encrypt(b"x")[0]


async def goes_on(room: Room, writer: Person, reader: Person) -> None:
    """What follows is read, in the channel and elsewhere."""
    await room.told(writer, "the next one", reader)
    await writer.says(reader, "and to you alone")
    await reader.hears("and to you alone")


async def test_one_payload_under_two_numbers(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await room.told(alice, "from Alice", bob, mallory)
        payload = unopenable(room, mallory)
        entries = [await scene.server.channels.write(room.book, mallory.key, payload) for _ in range(2)]
        await room.reached(entries[-1].number, bob)
        assert [kind for kind, _ in await lines(room, bob)].count("closed") == 1
        await goes_on(room, alice, bob)


async def test_a_damaged_payload_under_two_numbers(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await room.told(mallory, "from Mallory", alice, bob)
        [payload] = [each[1] for each in room.book.payloads if each[0] == mallory.key]
        damaged = payload[:-1] + bytes((payload[-1] ^ 1,))
        entries = [await scene.server.channels.write(room.book, mallory.key, damaged) for _ in range(2)]
        await room.reached(entries[-1].number, bob)
        await goes_on(room, alice, bob)


async def test_a_message_of_ones_own_that_one_does_not_know_under_two_numbers(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        await room.told(alice, "from Alice", bob)
        payload = unopenable(room, bob)
        entries = [await scene.server.channels.write(room.book, bob.key, payload) for _ in range(2)]
        await reconnected(bob)  # nobody is sent what is his own, but the history has it
        await room.reached(entries[-1].number, bob)
        await goes_on(room, alice, bob)


async def named_like_a_statement(room: Room, mallory: Person, reader: Person) -> int:
    """A text whose content id is the head of the statement that Mallory makes next; returns its number."""
    raw = statement(room, mallory.engine.identity, Kind.LEAVE)
    said = content.Text(parse(raw).head[:16], 0, "good bye")
    await says_pairwise(mallory, reader, said)
    await room.scene.server.drained(reader.key)
    entry = await room.scene.server.channels.place(room.book, raw)
    return entry.number


async def test_a_text_that_is_named_like_a_statement_to_come(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        number = await named_like_a_statement(room, mallory, bob)
        await bob.hears("good bye")
        await room.reached(number, bob)
        await goes_on(room, alice, bob)
        await reconnected(bob)
        assert len(await bob.engine.members(room.name)) == 2


@pytest.mark.parametrize("kind", ["closed", "notice"])
async def test_without_ids_of_the_readers_own_nothing_more_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    add, armed = stored.add, False

    def foreseeable(
        tx: Tx, channel: int, number: int, peer: int, content_id: bytes, what: str, *rest: Any, **more: Any
    ) -> int:
        known = armed and peer and what == kind  # peer 0 is the reader himself
        return add(tx, channel, number, peer, bytes(16) if known else content_id, what, *rest, **more)

    monkeypatch.setattr(stored, "add", foreseeable)  # the defence, off
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await room.told(alice, "from Alice", bob, mallory)
        armed = True
        for _ in range(2):
            if kind == "closed":
                payload = unopenable(room, mallory)
                await scene.server.channels.write(room.book, mallory.key, payload, to=(bob.key,))
            else:
                await alice.engine.rename(room.name, f"garden {os.urandom(2).hex()}")
        await room.says(alice, "the next one")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await room.reached(room.book.head, bob)
