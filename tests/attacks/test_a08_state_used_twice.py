"""A8: a crash between any two writes, and a state that comes back: no key is used twice, nothing is lost or
shown twice (docs/CRYPTO.md section 4).

Deaths at every step of a real client are in tests/client/test_crash.py, of server and client under load in
tests/e2e/test_kill.py. Here is what no order of writes can prevent: an older copy of the profile is put back,
or the disk forgets its last commits, and one state sends twice.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mobium.crypto import Session
from tests.attacks.people import Scene, acquainted
from tests.support.hostile import Envelope


def number_of(envelope: Envelope) -> bytes:
    """Ratchet key and number of a payload."""
    message = envelope.payload[1_742:] if envelope.payload[0] == 2 else envelope.payload
    return message[1:33] + message[37:41]


async def put_back(scene: Scene, name: str, act: str) -> None:
    """Keep a copy of a closed profile, or put it in the profile's place."""
    profile, copy = scene.world.path(name), scene.world.folder / f"{name}.copy"
    source, target = (profile, copy) if act == "keep" else (copy, profile)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


async def write_twice(scene: Scene) -> list[Envelope]:
    """Alice writes, her profile is put back to before that, and she writes again with the same state."""
    bob = await scene.person("bob")
    async with scene.visitor("alice") as alice:
        await acquainted(alice, bob)
        await alice.says(bob, "hello", "delivered")
        await bob.says(alice, "hello too", "delivered")
        await alice.says(bob, "established", "delivered")
        scene.server.hold(alice.key)  # anything that she received would be a new state
    await bob.hears("hello", "established")
    await put_back(scene, "alice", "keep")
    async with scene.visitor("alice") as alice:
        await alice.says(bob, "attack at dawn")
        first = scene.server.sent_by(alice.key)[-1]
    await bob.hears("attack at dawn")
    await put_back(scene, "alice", "put back")
    async with scene.visitor("alice") as alice:
        await alice.says(bob, "retreat at noon")
        second = scene.server.sent_by(alice.key)[-1]
        await scene.server.drained(bob.key)
        # Bob could not open it. He asks for it in a new session, and then it is shown.
        await scene.server.release(alice.key)
        await bob.hears("retreat at noon")
        await alice.says(bob, "the next one", "delivered")
        await bob.hears("the next one")
    return [first, second]


def common(one: bytes, other: bytes) -> int:
    return sum(a == b for a, b in zip(one, other, strict=True))


async def test_a_state_used_twice_repeats_no_key(folder: Path) -> None:
    async with Scene(folder) as scene:
        sent = await write_twice(scene)
        first, second = (each.payload for each in sent)
        assert number_of(sent[0]) == number_of(sent[1])
        # Padded with zeros, the two plaintexts are mostly equal: under one key the ciphertexts would be too.
        assert common(first[57:], second[57:]) < 30


async def test_without_the_salt_a_state_used_twice_shows_the_texts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Session.encrypt

    def unsalted(session: Session, plaintext: bytes) -> tuple[bytes, Session]:
        with monkeypatch.context() as patch:
            patch.setattr("mobium.crypto.session.urandom", bytes)
            return real(session, plaintext)

    monkeypatch.setattr(Session, "encrypt", unsalted)  # the defence, off
    async with Scene(folder) as scene:
        sent = await write_twice(scene)
        first, second = (each.payload for each in sent)
        assert common(first[57:], second[57:]) > 400
