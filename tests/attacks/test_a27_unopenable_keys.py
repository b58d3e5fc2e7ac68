"""A27 for sender keys: one that can never be opened is asked for again under the limits of every message, and
what was closed is shown in its place; one that comes again rolls nothing back.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mobium.client.store import incoming
from tests.attacks.people import Scene, acquainted
from tests.attacks.rooms import Room, channel_state, gather, hand, lines
from tests.support.engines import Clock, online, tx


async def lost(scene: Scene) -> Room:
    """Alice writes three texts with a sender key that comes to Bob under prekeys that he has lost."""
    room = await gather(scene, "alice", "bob")
    alice, bob = room.people
    scene.server.hold(bob.key)
    for number in range(3):
        await room.says(alice, f"text {number}")
    await room.caught_up(bob)
    assert await tx(bob.engine, lambda tx: tx.execute("DELETE FROM prekey")) > 100
    await tx(bob.engine, lambda tx: tx.execute("UPDATE server SET published = 0"))
    await online(bob.engine).upkeep.run_once(1 << 20)
    scene.server.hold(alice.key)
    await scene.server.release(bob.key)
    await scene.server.drained(bob.key)
    return room


async def test_a_sender_key_that_cannot_be_opened_is_asked_for_again(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await lost(scene)
        alice, bob = room.people
        assert [kind for kind, _ in await lines(room, bob)][-3:] == ["closed"] * 3
        assert len(await bob.unopened()) == 1
        await scene.server.release(alice.key)
        # Each in its place, from the first on: it is the very key that was lost.
        await room.hear("text 0", bob)
        await room.hear("text 1", bob)
        await room.hear("text 2", bob)
        assert [text for _, text in await lines(room, bob)][-3:] == ["text 0", "text 1", "text 2"]
        await room.told(alice, "the next one", bob)


async def test_without_the_record_what_was_closed_stays_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "note_unopened", lambda *_: None)  # the defence, off
    async with Scene(folder) as scene:
        room = await lost(scene)
        alice, bob = room.people
        await scene.server.release(alice.key)
        await acquainted(alice, bob)
        await bob.says(alice, "is anything coming?")
        await alice.ear.text("is anything coming?")
        assert await room.texts(bob) == []


async def test_garbage_in_the_place_of_a_sender_key_closes_what_is_sent_until_another_comes(
    folder: Path,
) -> None:
    """Its sender knows nothing of it. He is asked for the key that the message names, and gives it as it is
    by then.
    """
    clock = Clock()
    async with Scene(folder, clock) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        scene.server.channels.cheat.hand = lambda handed: (handed.changed(payload=b"\x01" + os.urandom(568)),)
        await room.says(alice, "closed for good")
        await room.caught_up(bob)
        await scene.server.drained(bob.key)
        assert len(await bob.unopened()) == 1
        scene.server.be_honest()
        handed = len(scene.server.channels.handed_to(bob.key))
        clock.offset += 11
        online(bob.engine).sync.wake()
        await scene.server.until(
            lambda: len(scene.server.channels.handed_to(bob.key)) > handed, "the key again"
        )
        await scene.server.drained(bob.key)
        await room.told(alice, "the next one", bob)
        assert (await lines(room, bob))[-2:] == [("closed", None), ("text", "the next one")]


async def test_a_sender_key_that_comes_again_rolls_nothing_back(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        for number in range(3):
            await room.told(alice, f"text {number}", bob)
        before = await channel_state(bob)
        [handed] = scene.server.channels.handed_to(bob.key)
        for channel in (room.id, None, bytes(32)):
            await hand(alice, bob, channel, handed.payload)
        assert await channel_state(bob) == before
        await room.told(alice, "the next one", bob)
