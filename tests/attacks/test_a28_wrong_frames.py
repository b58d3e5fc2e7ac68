"""A28: the server delivers content of one kind in the frame of another, sender keys among them: a text for
one person as a sender key or a signal, a sender key as a direct message, or for another channel
(docs/PROTOCOL.md, Content).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mobium.client import receive
from mobium.protocol import content
from mobium.protocol.messages import Signal
from tests.attacks.people import Scene, acquainted
from tests.attacks.rooms import Room, channel_state, gather, says_pairwise
from tests.support.envelope import Envelope


async def test_a_text_in_the_frame_of_a_sender_key_is_asked_for_again(folder: Path) -> None:
    """It would else be opened, be no sender key, and be gone without a trace."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        await acquainted(alice, bob)
        scene.server.cheat.forward = lambda envelope: (envelope.changed(channel=room.id),)
        await alice.says(bob, "for Bob alone")
        await scene.server.drained(bob.key)
        scene.server.be_honest()
        await alice.says(bob, "the next one")
        shown = [(await bob.ear.text()).text for _ in range(2)]
        assert sorted(map(str, shown)) == ["for Bob alone", "the next one"]
        assert await bob.unopened() == ["it came in another frame than it was sent in"]


async def test_without_the_record_a_text_is_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "_is_content", lambda *_: False)  # the defence, off
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        await acquainted(alice, bob)
        scene.server.cheat.forward = lambda envelope: (envelope.changed(channel=room.id),)
        await alice.says(bob, "for Bob alone")
        await scene.server.drained(bob.key)
        scene.server.be_honest()
        await alice.says(bob, "the next one", "delivered")
        assert await bob.history(alice) == ["the next one"]


async def misplaced(folder: Path, *, asked_again: bool) -> None:
    """A text that the server hands over as a signal, and says to have taken."""
    async with Scene(folder) as scene:
        alice, bob = await scene.person("alice"), await scene.person("bob")
        await acquainted(alice, bob)
        handed: list[Envelope] = []

        def keep(envelope: Envelope) -> tuple[()]:
            handed.append(envelope)
            return ()

        scene.server.cheat.forward = keep
        await alice.says(bob, "for Bob alone")
        scene.server.be_honest()
        for envelope in handed:
            await scene.server.say(bob.key, Signal(alice.key, envelope.payload))
        await alice.says(bob, "the next one", "delivered")
        if asked_again:
            assert str((await bob.ear.text("for Bob alone")).text) == "for Bob alone"
            assert await bob.unopened() == ["it came in another frame than it was sent in"]
        else:
            assert await bob.history(alice) == ["the next one"], "and nothing is missing"


async def test_a_text_that_comes_as_a_signal_is_asked_for_again(folder: Path) -> None:
    await misplaced(folder, asked_again=True)


async def test_without_the_record_a_text_that_comes_as_a_signal_is_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "is_stored", lambda _: False)  # the defence, off
    await misplaced(folder, asked_again=False)


FRAMES: dict[str, Callable[[Room], bytes | None]] = {
    "a direct message": lambda _: None,
    "one for another channel": lambda room: room.people[0].scene.server.channels.book(OTHER[0]).id,
    "one for no channel": lambda _: bytes(32),
}
OTHER: list[bytes] = []


@pytest.mark.parametrize("name", FRAMES)
async def test_a_sender_key_in_another_frame_is_asked_for_again(name: str, folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        other = await gather(scene, name="orchard", people=room.people)
        OTHER[:] = [other.id]
        alice, bob = room.people
        await other.told(alice, "elsewhere", bob)
        before = await channel_state(bob)
        channel = FRAMES[name](room)

        def elsewhere(handed: Envelope) -> tuple[Envelope]:
            return (handed.changed(channel=channel),)

        scene.server.channels.cheat.hand = elsewhere
        scene.server.hold(alice.key)  # who else would answer at once
        await room.says(alice, "closed at first")
        await room.caught_up(bob)
        await scene.server.drained(bob.key)
        after = await channel_state(bob)
        assert after["receiver_chain"] == before["receiver_chain"]
        assert await room.texts(bob) == []
        scene.server.be_honest()
        await scene.server.release(alice.key)
        await room.hear("closed at first", bob)
        await room.told(alice, "the next one", bob)
        await other.told(alice, "elsewhere again", bob)


async def test_what_belongs_into_a_channel_is_nothing_in_a_direct_message(folder: Path) -> None:
    """A member cannot speak in a channel by a direct message, nor by what is about it."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        await acquainted(alice, bob)
        await room.told(alice, "hello", bob)
        said = content.ChannelText(
            os.urandom(16), 0, "to one", (room.roster.index, room.roster.head)
        )  # fmt: skip
        await says_pairwise(alice, bob, said)
        event = await bob.ear.text("to one")
        assert event.channel is None
        assert await room.texts(bob) == ["hello"]
