"""A10: a channel member forges a message of another member, whose sender key it knows but for the signing
key; the server swaps the sender, repeats a message under a new number, moves it to another channel
(docs/CRYPTO.md section 6).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mobium._pure import sender_key
from mobium.client.store import incoming
from mobium.crypto.group import SenderKey
from mobium.protocol import content
from mobium.protocol import messages as m
from tests.attacks.people import Person, Scene
from tests.attacks.rooms import Keyring, Room, channel_state, distributes, distribution_of, gather, lines
from tests.support.engines import tx

PLACE = slice(2, 106)  # of a stored chain: channel, sender, roster, key id
NUMBER = slice(110, 114)
CHAIN = slice(114, 146)


async def chain_of(thief: Person, sender: bytes) -> bytes:
    """A member's sender key as another member holds it."""
    [state] = (await Keyring().copy(thief)).of(sender)
    return state


def forged(state: bytes, room: Room, text: str, seed: bytes) -> bytes:
    """A message with everything that a reader of this chain knows, signed with a key of one's own."""
    chain = SenderKey.from_bytes(b"\x01\x01" + state[PLACE] + state[NUMBER] + state[CHAIN] + seed)
    roster = room.roster.index, room.roster.head
    return chain.encrypt(content.encode(content.ChannelText(os.urandom(16), 0, text, roster)))[0]


@pytest.mark.usefixtures("kernel")
async def test_a_member_cannot_speak_as_another(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await room.told(alice, "from Alice", bob, mallory)
        false = forged(await chain_of(mallory, alice.key), room, "as if from Alice", os.urandom(32))
        before = await channel_state(bob)
        entry = await scene.server.channels.write(room.book, alice.key, false)
        await room.reached(entry.number, bob)
        after = await channel_state(bob)
        assert (await lines(room, bob))[-1] == ("closed", None)
        assert before.pop("message") == after.pop("message")[:-1]
        assert after == before
        await room.told(alice, "the next one", bob)
        assert await room.texts(bob) == ["from Alice", "the next one"]


@pytest.mark.usefixtures("pure_kernel")
async def test_without_the_signature_a_member_speaks_as_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await room.told(alice, "from Alice", bob, mallory)
        false = forged(await chain_of(mallory, alice.key), room, "as if from Alice", os.urandom(32))
        monkeypatch.setattr(sender_key, "verify", lambda *_: None)  # the defence, off
        await scene.server.channels.write(room.book, alice.key, false)
        await room.hear("as if from Alice", bob)
        [*_, line] = await bob.engine.history(room.name)
        assert line.peer == alice.engine.me


@pytest.mark.usefixtures("kernel")
async def test_a_swapped_sender_is_refused(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await room.told(mallory, "I am Mallory", alice, bob)
        telling = scene.server.channels.fork(room.id, bob.key)  # he is shown what the server makes of it
        await room.told(alice, "from Alice", mallory)
        [(_, payload)] = [each for each in room.book.payloads if each[0] == alice.key]
        before = await channel_state(bob)
        for sender in (mallory.key, bob.key, os.urandom(32), bytes(32)):
            await scene.server.channels.write(telling, sender, payload)
        await room.caught_up(bob)
        after = await channel_state(bob)
        # Under Mallory's name and under his own it stays closed; of nobody in the channel there is no line.
        assert [line for line in await lines(room, bob) if line[0] == "closed"] == [("closed", None)] * 2
        for table in ("message", "closed"):
            before.pop(table), after.pop(table)
        assert after == before
        await scene.server.channels.write(telling, alice.key, payload)
        await room.hear("from Alice", bob)
        [*_, line] = await bob.engine.history(room.name)
        assert (line.peer, line.text) == (alice.engine.me, "from Alice")


@pytest.mark.usefixtures("kernel")
async def test_anothers_chain_is_not_ones_own(folder: Path) -> None:
    """Mallory hands Alice's sender key on as hers, so that Alice's texts could be shown as written by her."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await room.told(mallory, "I am Mallory", alice, bob)
        await alice.says(mallory, "hello")
        scene.server.channels.cheat.push = lambda to, pushed: () if to == mallory.key else (pushed,)
        await room.told(alice, "from Alice", bob)
        stolen = distribution_of(await chain_of(mallory, alice.key))
        telling = scene.server.channels.fork(room.id, bob.key)
        await distributes(mallory, bob, room, stolen)
        [(_, payload)] = [each for each in room.book.payloads if each[0] == alice.key]
        await scene.server.channels.write(telling, mallory.key, payload)
        await room.caught_up(bob)
        assert (await lines(room, bob))[-1] == ("text", "from Alice")  # and nothing behind it: it was opened
        await tx(bob.engine, lambda tx: tx.execute("DELETE FROM opened"))
        await scene.server.channels.write(telling, mallory.key, payload)
        await room.caught_up(bob)
        assert (await lines(room, bob))[-1] == ("closed", None)
        assert await room.texts(bob) == ["I am Mallory", "from Alice"]


@pytest.mark.usefixtures("kernel")
async def test_a_message_under_a_new_number_is_shown_once(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        for number in range(3):
            await room.told(alice, f"text {number}", bob)
        before = await channel_state(bob)
        for sender, payload in room.book.payloads:
            await scene.server.channels.write(room.book, sender, payload, to=(bob.key,))
        await room.caught_up(bob)
        assert await channel_state(bob) == before
        await room.told(alice, "the next one", bob)
        assert await room.texts(bob) == ["text 0", "text 1", "text 2", "the next one"]


async def test_a_message_of_ones_own_under_a_new_number_is_shown_once(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        await room.told(alice, "mine", bob)
        before = await channel_state(alice)
        for sender, payload in room.book.payloads:
            await scene.server.channels.write(room.book, sender, payload, to=())
        await scene.server.say(alice.key, m.ChannelHead(room.id, room.book.head))
        await room.caught_up(alice)
        assert await channel_state(alice) == before
        await room.told(alice, "the next one", bob)


async def test_without_the_memory_of_what_was_opened_it_is_in_the_chain(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two defences, each enough to keep a text from being shown twice."""
    monkeypatch.setattr(incoming, "was_opened", lambda *_: False)
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        await room.told(alice, "once", bob)
        [(sender, payload)] = room.book.payloads
        await scene.server.channels.write(room.book, sender, payload, to=(bob.key,))
        await room.caught_up(bob)
        assert await room.texts(bob) == ["once"]
        assert (await lines(room, bob))[-1] == ("closed", None)


@pytest.mark.usefixtures("kernel")
async def test_a_message_stays_in_its_channel(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        other = await gather(scene, name="orchard", people=room.people)
        await other.told(alice, "in the orchard", bob)
        telling = scene.server.channels.fork(room.id, bob.key)
        await room.says(alice, "in the garden")
        [(sender, payload)] = room.book.payloads
        await scene.server.channels.write(other.book, sender, payload, to=(bob.key,))
        await other.caught_up(bob)
        assert await lines(other, bob) == [
            ("notice", "joined"), ("text", "in the orchard"), ("closed", None)
        ]  # fmt: skip
        await scene.server.channels.write(telling, sender, payload)
        await room.hear("in the garden", bob)
        await other.told(alice, "in the orchard again", bob)


@pytest.mark.usefixtures("pure_kernel")
async def test_without_the_place_in_the_signature_a_chain_is_anybodys(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it gone from what is signed and sealed, Mallory gives Alice's texts out as hers."""
    monkeypatch.setattr(sender_key._Place, "signed", lambda _, body: body)
    monkeypatch.setattr(sender_key._Place, "aad", lambda _, head: head)
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob", "mallory")
        alice, bob, mallory = room.people
        await room.told(mallory, "I am Mallory", alice, bob)
        telling = scene.server.channels.fork(room.id, bob.key)
        scene.server.channels.cheat.push = lambda to, pushed: () if to == mallory.key else (pushed,)
        await room.says(alice, "from Alice")
        await distributes(mallory, bob, room, distribution_of(await chain_of(mallory, alice.key)))
        [(_, payload)] = [each for each in room.book.payloads if each[0] == alice.key]
        await scene.server.channels.write(telling, mallory.key, payload)
        await room.hear("from Alice", bob)
        [*_, line] = await bob.engine.history(room.name)
        assert line.peer == mallory.engine.me
