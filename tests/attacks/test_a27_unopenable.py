"""A27: a message that can never be opened: a lost key, a recovery on an empty machine, garbage. It is
acknowledged and recorded, asked for once under limits, and what follows is shown (docs/CRYPTO.md section 3).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mobium.client import Engine
from mobium.client.receive import _MAX_RETRIES
from mobium.client.store import incoming, outgoing
from mobium.errors import StoreError
from mobium.protocol import codec, content
from mobium.protocol import messages as m
from tests.attacks.people import Person, Scene, state
from tests.support.asking import lose_sessions, unasked
from tests.support.engines import PASSWORD, Clock, inside, online, tx, until
from tests.support.hostile import Envelope


def garbage(kind: int = 1) -> bytes:
    return bytes((kind,)) + os.urandom(568 if kind == 1 else 1_742 + 568)


async def talk(one: Person, other: Person) -> None:
    """A conversation in which each has answered the other."""
    await one.says(other, "hello", "delivered")
    await other.says(one, "hello too", "delivered")
    await one.says(other, "established", "delivered")
    await other.hears("hello", "established")
    await one.hears("hello too")


def bundles_asked(scene: Scene, person: Person) -> int:
    """How often this person asked for somebody's keys: each begins a session."""
    frames = [frame for identity, frame in scene.server.arrived if identity == person.key]
    return sum(isinstance(codec.decode_client(frame), m.GetPrekeyBundle) for frame in frames)


@pytest.mark.parametrize("kind", [1, 2])
async def test_garbage_does_not_stop_what_follows(kind: int, folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await talk(alice, bob)
        asked = bundles_asked(scene, bob)
        scene.server.hold(bob.key)
        for number in range(20):
            await scene.server.forge(alice.key, bob.key, garbage(kind))
            await alice.says(bob, f"text {number}")
        await scene.server.release(bob.key)
        await bob.hears(*(f"text {number}" for number in range(20)))
        await scene.server.drained(bob.key)
        assert len(await bob.unopened()) == 20
        # One session in which to ask, though there were twenty reasons.
        await alice.says(bob, "the next one", "delivered")
        await bob.hears("the next one")
        assert bundles_asked(scene, bob) == asked + 1
        assert len((await state(bob))["session"]) == 2


async def test_a_first_message_for_lost_keys_is_asked_for_again(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        scene.server.hold(bob.key)
        await alice.says(bob, "for keys that are lost")
        await alice.says(bob, "and one more")
        lost = await tx(bob.engine, lambda tx: tx.execute("DELETE FROM prekey"))
        assert lost > 100
        # What the server still has of them is of no use to anybody; he publishes others in time.
        await tx(bob.engine, lambda tx: tx.execute("UPDATE server SET published = 0"))
        await online(bob.engine).upkeep.run_once(1 << 20)
        await scene.server.release(bob.key)
        await bob.hears("for keys that are lost", "and one more")
        await bob.says(alice, "here they are", "delivered")


async def test_without_the_pause_every_piece_of_garbage_begins_a_session(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "RETRY_PAUSE", -1)  # the defence, off
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await talk(alice, bob)
        asked = bundles_asked(scene, bob)
        for number in range(5):
            await scene.server.forge(alice.key, bob.key, garbage())
            await scene.server.until(
                lambda wanted=asked + number + 1: bundles_asked(scene, bob) >= wanted,  # type: ignore[misc]
                "another session",
            )


async def garbage_before_what_was_lost(folder: Path, *, paused: bool) -> list[str | None]:
    """Bob lost his session; the server forges as often as he may ask, and then delivers what Alice sent in
    the lost session. Returns the conversation as Bob has it.
    """
    clock = Clock()
    clock.offset = 3_600 - time.time() % 3_600 + 60  # the same hour for all of this
    async with Scene(folder, clock) as scene:
        alice, bob = await scene.pair()
        await talk(alice, bob)
        await tx(bob.engine, lose_sessions, alice.key)
        scene.server.hold(alice.key)
        before = len(asks(scene, bob))
        await alice.says(bob, "one")
        await scene.server.until(lambda: len(asks(scene, bob)) > before, "a question")
        kept: list[Envelope] = []

        def keep(envelope: Envelope) -> tuple[Envelope, ...]:
            kept.append(envelope)
            return ()

        scene.server.cheat.forward = keep
        await alice.says(bob, "two")
        scene.server.be_honest()
        await scene.server.release(alice.key)
        await bob.hears("one")
        for _ in range(_MAX_RETRIES):
            sent = len(asks(scene, bob))
            await scene.server.forge(alice.key, bob.key, garbage())
            if not paused:
                await scene.server.until(lambda sent=sent: len(asks(scene, bob)) > sent, "another question")  # type: ignore[misc]
        await scene.server.put(*kept)
        await scene.server.drained(bob.key)
        clock.offset += 61
        online(bob.engine).repair.wake()

        async def asked() -> bool:
            return await tx(bob.engine, unasked) == 0

        await until(asked)
        await bob.says(alice, "is that all?", "delivered")
        await alice.says(bob, "yes", "delivered")
        return await bob.history(alice)


def asks(scene: Scene, person: Person) -> list[Envelope]:
    """What this person sent: with nothing to say, questions."""
    return scene.server.sent_by(person.key)


async def test_garbage_uses_up_no_question(folder: Path) -> None:
    assert "two" in await garbage_before_what_was_lost(folder, paused=True)


async def test_without_pauses_within_the_hour_garbage_uses_up_the_questions(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "_retry_pause", lambda *_: 0)  # the defence, off
    assert "two" not in await garbage_before_what_was_lost(folder, paused=False)


async def test_a_stranger_is_never_asked_to_send_again(folder: Path) -> None:
    async with Scene(folder) as scene:
        bob, stranger = await scene.person("bob"), await scene.person("stranger")
        before = await state(bob)
        for kind in (1, 2):
            await scene.server.forge(stranger.key, bob.key, garbage(kind))
        await scene.server.drained(bob.key)
        assert await state(bob) == before
        assert bundles_asked(scene, bob) == 0
        await stranger.says(bob, "a first message")
        await bob.hears("a first message")


async def test_without_the_record_one_message_stops_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that insists on opening everything gets what it cannot open again for ever."""

    def insist(*_: object) -> None:
        raise StoreError("This one first.")

    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await talk(alice, bob)
        monkeypatch.setattr(incoming, "note_unopened", insist)  # the defence, off
        scene.server.hold(bob.key)
        await scene.server.forge(alice.key, bob.key, garbage())
        await alice.says(bob, "behind it")
        await scene.server.release(bob.key)
        for _ in range(2):
            assert (await bob.ear.connection("waiting")).reason == "This one first."
        assert len(scene.server.accounts[bob.key].mailbox) == 2
        assert await bob.history(alice) == ["hello", "hello too", "established"]


async def test_after_a_recovery_on_an_empty_machine_the_conversation_goes_on(folder: Path) -> None:
    clock = Clock()
    async with Scene(folder, clock) as scene:
        alice = await scene.person("alice")
        words = await scene.world.create("bob")
        async with scene.visitor("bob") as bob:
            await bob.engine.contacts.add(alice.key)
            await alice.engine.contacts.add(bob.key)
            await talk(alice, bob)
            key = bob.key
        await alice.says(bob, "into the void")
        await Engine.recover(scene.world.path("again"), PASSWORD, words)
        scene.server.hold(alice.key)
        already = len(scene.server.sent_by(key))
        again = await scene.person("again")
        assert again.key == key
        await scene.server.until(lambda: len(scene.server.sent_by(key)) > already, "a question")
        await alice.says(again, "before the question came")
        await scene.server.drained(again.key)
        # Nothing of the old session is left. Now the old peer hears that, and sends what was asked for again.
        await scene.server.release(alice.key)
        await again.hears("into the void")
        await alice.says(again, "and after it")
        await again.hears("and after it")
        await again.says(alice, "I am back", "delivered")
        await alice.hears("I am back")
        # What was not in the first question is in the next one.
        clock.offset += 3_700
        again.engine._wake()
        await again.hears("before the question came")


async def test_a_recovered_identity_asks_few_strangers_and_each_once(folder: Path) -> None:
    async with Scene(folder) as scene:
        words = await scene.world.create("bob")
        async with scene.visitor("bob"):
            pass
        await Engine.recover(scene.world.path("again"), PASSWORD, words)
        bob = await scene.person("again")
        for _ in range(80):
            await scene.server.forge(os.urandom(32), bob.key, garbage())
        await scene.server.drained(bob.key)
        for _ in range(20):
            await scene.server.forge(os.urandom(32), bob.key, garbage())
        await scene.server.drained(bob.key)
        await scene.server.until(lambda: bundles_asked(scene, bob) >= 50, "fifty questions")
        friend = await scene.person("friend")
        await friend.says(bob, "hello")
        await bob.hears("hello")
        assert bundles_asked(scene, bob) == 50


async def test_an_old_content_id_comes_again(folder: Path) -> None:
    """A contact sends a text, and after the memory of what was shown has ended the same content id again."""
    clock = Clock()
    async with Scene(folder, clock) as scene:
        alice, bob = await scene.pair()
        await talk(alice, bob)
        text = content.encode(content.Text(b"the same content", 0, "once"))
        peer = await tx(alice.engine, lambda tx: tx.value("SELECT id FROM peer WHERE ed = ?", bob.key))
        for _ in range(2):
            await tx(alice.engine, outgoing.add, peer, text, None, inside(alice.engine).now())
            alice.engine._wake()
            await alice.says(bob, "and another", "delivered")
            await tx(bob.engine, lambda tx: tx.execute("DELETE FROM shown"))
        assert (await bob.history(alice)).count("once") == 1
        await alice.says(bob, "the next one", "delivered")
        assert (await bob.history(alice))[-1] == "the next one"
