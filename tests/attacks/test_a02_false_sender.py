"""A2: the server opens a first DM as somebody else, with its own X25519 key
(docs/CRYPTO.md sections 1 and 3).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mobium.client import ContactKeyChanged
from mobium.crypto import Identity
from tests.attacks.forge import Impostor, first_message
from tests.attacks.people import Person, Scene, bundle_of, state

BINDINGS: dict[str, Callable[[Person, Identity], bytes]] = {
    "the one of the other key": lambda alice, _: alice.engine.identity.binding,
    "one of the server's own": lambda _, mallory: mallory.binding,
    "none": lambda _alice, _mallory: bytes(64),
    "another signature of hers": lambda alice, _: alice.scene.server.accounts[alice.key].signed.signature,  # type: ignore[union-attr]
}


async def test_a_first_message_with_a_foreign_key_is_refused(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.person("alice"), await scene.person("bob")
        mallory = Impostor(alice.key)
        for known in (False, True):
            if known:
                await bob.engine.contacts.add(alice.key)
                await bob.patient()
            before = await state(bob)
            for name, binding in BINDINGS.items():
                payload = bytearray(first_message(mallory, bundle_of(bob), "as if from Alice"))
                payload[65:129] = binding(alice, mallory)
                await scene.server.forge(alice.key, bob.key, bytes(payload))
                await scene.server.drained(bob.key)
                assert await state(bob) == before, name
        assert (await bob.engine.contacts.get(alice.key)).trust == "unverified"
        await alice.says(bob, "really from Alice")
        await bob.hears("really from Alice")


async def test_without_the_binding_the_server_speaks_as_anybody(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        payload = first_message(Impostor(alice.key), bundle_of(bob), "as if from Alice")
        monkeypatch.setattr("mobium.crypto.pqxdh.verify_binding", lambda *_: None)  # the defence, off
        await scene.server.forge(alice.key, bob.key, payload)
        await bob.hears("as if from Alice")


async def test_a_message_sent_under_another_name_is_refused(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob, carol = [await scene.person(name) for name in ("alice", "bob", "carol")]
        await bob.engine.contacts.add(alice.key)
        await bob.engine.contacts.add(carol.key)
        await bob.patient()
        before = await state(bob)
        scene.server.hold(bob.key)
        await alice.says(bob, "from Alice")
        [honest] = scene.server.sent
        for sender in (carol.key, bob.key, os.urandom(32), bytes(32)):
            await scene.server.put(honest.changed(sender=sender))
        await scene.server.release(bob.key, lambda mailbox: mailbox[1:])
        await scene.server.drained(bob.key)
        assert await state(bob) == before
        await scene.server.put(honest)
        await bob.hears("from Alice")


def relabelled(payload: bytes, mallory: Identity) -> bytes:
    """Alice's first message as one of Mallory, who has bound Alice's X25519 key to her own identity."""
    binding = mallory.sign(b"mobium/1 identity binding\0" + payload[33:65])
    return payload[:1] + mallory.public + payload[33:65] + binding + payload[129:]


async def test_a_message_under_the_name_of_one_who_binds_the_same_key_is_refused(folder: Path) -> None:
    """Binding somebody else's X25519 key takes no secret: the transcript must name both identities."""
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        mallory = Identity.from_seed(os.urandom(64))
        await bob.engine.contacts.add(mallory.public)
        await bob.patient()
        before = await state(bob)
        scene.server.hold(bob.key)
        await alice.says(bob, "from Alice")
        [honest] = scene.server.sent
        await scene.server.put(
            honest.changed(sender=mallory.public, payload=relabelled(honest.payload, mallory))
        )
        await scene.server.release(bob.key, lambda mailbox: mailbox[1:])
        await scene.server.drained(bob.key)
        assert await state(bob) == before
        await scene.server.put(honest)
        await bob.hears("from Alice")


async def test_without_the_transcript_a_message_changes_its_author(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The defence, off:
    monkeypatch.setattr("mobium.crypto.pqxdh._associated_data", lambda *_: bytes(32))
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        mallory = Identity.from_seed(os.urandom(64))
        await bob.engine.contacts.add(mallory.public)
        scene.server.cheat.forward = lambda envelope: [
            envelope.changed(sender=mallory.public, payload=relabelled(envelope.payload, mallory))
        ]
        await alice.says(bob, "from Alice")
        await bob.hears("from Alice")
        [line] = await bob.engine.history(mallory.public)
        assert line.text == "from Alice"


def two_faced(seed: bytes) -> Identity:
    """The identity of a seed with another X25519 key, validly bound, as a thief of it makes one."""
    face, other = Identity.from_seed(seed), Identity.from_seed(os.urandom(64))
    face._x_private, face._x_public = other._x_private, other._x_public
    face._binding = face.sign(b"mobium/1 identity binding\0" + face.x_public)
    return face


async def test_another_validly_bound_key_opens_nothing_until_it_is_accepted(folder: Path) -> None:
    async with Scene(folder) as scene:
        bob, seed = await scene.person("bob"), os.urandom(64)
        mallory, face = Identity.from_seed(seed), two_faced(seed)
        await bob.engine.contacts.add(mallory.public)
        await scene.server.forge(mallory.public, bob.key, first_message(mallory, bundle_of(bob), "one"))
        await bob.hears("one")
        await scene.server.sent_count(1)  # a receipt
        sessions = (await state(bob))["session"]
        payload = first_message(face, bundle_of(bob), "two")
        for _ in range(2):
            await scene.server.forge(mallory.public, bob.key, payload)
            await scene.server.drained(bob.key)
        assert (await bob.ear.next(ContactKeyChanged)).peer == mallory.public.hex()
        assert (await bob.engine.contacts.get(mallory.public)).trust == "changed"
        assert (await state(bob))["session"] == sessions
        sent = len(scene.server.sent_by(bob.key))
        waiting = await bob.engine.send(mallory.public, "not before it is accepted")
        assert (await bob.engine.message(waiting)).state == "queued"
        assert len(scene.server.sent_by(bob.key)) == sent
        await bob.engine.contacts.accept_key(mallory.public)
        await scene.server.forge(mallory.public, bob.key, first_message(face, bundle_of(bob), "three"))
        await bob.hears("three")


async def test_without_the_pin_another_key_takes_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobium.crypto.pqxdh._check_pinned", lambda *_: None)  # the defence, off
    async with Scene(folder) as scene:
        bob, seed = await scene.person("bob"), os.urandom(64)
        mallory = Identity.from_seed(seed)
        await bob.engine.contacts.add(mallory.public)
        for identity, text in ((mallory, "one"), (two_faced(seed), "two")):
            await scene.server.forge(mallory.public, bob.key, first_message(identity, bundle_of(bob), text))
            await bob.hears(text)
