"""A5: ratchet messages repeated, reordered, forged, or with any single bit flipped
(docs/CRYPTO.md section 4).
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mobium._pure.ratchet import Ratchet
from mobium.errors import CryptoError, DecryptError, Duplicate
from mobium.protocol import content
from tests.attacks.forge import HEADER, NOW, flipped, message, pair, renumbered
from tests.attacks.people import Scene
from tests.support.hostile import Envelope


def test_any_flipped_bit_is_refused_and_changes_nothing(kernel: type[Ratchet]) -> None:
    alice, bob = pair(kernel)
    first, alice = alice.encrypt(b"hello", os.urandom(16))
    _, bob = bob.decrypt(first, os.urandom(32), NOW)
    honest, _ = alice.encrypt(b"the honest one", os.urandom(16))
    before = bob.to_bytes()
    for bit in range(len(honest) * 8):
        with pytest.raises(DecryptError):
            bob.decrypt(flipped(honest, bit), os.urandom(32), NOW)
    assert bob.to_bytes() == before
    assert bob.decrypt(honest, os.urandom(32), NOW)[0] == b"the honest one"


def test_any_flipped_bit_of_a_first_answer_is_refused(kernel: type[Ratchet]) -> None:
    """It brings a new ratchet key, so that it takes the other way through the state machine."""
    alice, bob = pair(kernel)
    first, alice = alice.encrypt(b"hello", os.urandom(16))
    _, bob = bob.decrypt(first, os.urandom(32), NOW)
    honest, _ = bob.encrypt(b"the answer", os.urandom(16))
    before = alice.to_bytes()
    for bit in range(8 * (HEADER + 16 + 32)):  # header, salt, and what follows as the test above has it
        with pytest.raises(DecryptError):
            alice.decrypt(flipped(honest, bit), os.urandom(32), NOW)
    assert alice.to_bytes() == before
    assert alice.decrypt(honest, os.urandom(32), NOW)[0] == b"the answer"


def test_cut_or_lengthened_messages_are_refused(kernel: type[Ratchet]) -> None:
    alice, bob = pair(kernel)
    honest, _ = alice.encrypt(b"the honest one", os.urandom(16))
    before = bob.to_bytes()
    for size in (0, 1, HEADER - 1, HEADER, HEADER + 16, len(honest) - 1):
        with pytest.raises(DecryptError):
            bob.decrypt(honest[:size], os.urandom(32), NOW)
    for longer in (honest + b"\0", honest + bytes(512), honest + honest):
        with pytest.raises(DecryptError):
            bob.decrypt(longer, os.urandom(32), NOW)
    assert bob.to_bytes() == before
    assert bob.decrypt(honest, os.urandom(32), NOW)[0] == b"the honest one"


def test_a_storm_of_repeats_and_forgeries_lets_each_honest_one_through_once(
    kernel: type[Ratchet], seed: int
) -> None:
    rng = random.Random(seed)
    print("seed", seed)
    alice, bob = pair(kernel)
    opened: dict[str, list[bytes]] = {"alice": [], "bob": []}
    sent: dict[str, list[bytes]] = {"alice": [], "bob": []}
    flying: list[tuple[str, bytes]] = []
    for number in range(150):
        # Bob cannot send before the first message reached him.
        writer = "alice" if number == 0 or not opened["bob"] or rng.random() < 0.5 else "bob"
        text = b"%d of %s" % (number, writer.encode())
        if writer == "alice":
            payload, alice = alice.encrypt(text, rng.randbytes(16))
            reader = "bob"
        else:
            payload, bob = bob.encrypt(text, rng.randbytes(16))
            reader = "alice"
        sent[reader].append(text)
        forged = (
            flipped(payload, rng.randrange(len(payload) * 8)),
            message(payload[1:33], 0, rng.randrange(2**32)),
        )
        flying += [(reader, each) for each in (payload, payload, *forged)]
        rng.shuffle(flying)
        arriving = len(flying) if number == 149 else rng.randrange(len(flying))
        for _ in range(arriving):
            reader, payload = flying.pop()
            state = bob if reader == "bob" else alice
            try:
                plaintext, following = state.decrypt(payload, rng.randbytes(32), NOW)
            except DecryptError:
                continue
            opened[reader].append(plaintext)
            if reader == "bob":
                bob = following
            else:
                alice = following
    for reader in ("alice", "bob"):
        assert sorted(opened[reader]) == sorted(sent[reader])


class _Untagged:
    """AES-GCM that forgets to look at the tag."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.encrypt = AESGCM(key).encrypt

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        counter = modes.CTR(nonce + (2).to_bytes(4, "big"))
        return Cipher(algorithms.AES(self._key), counter).decryptor().update(data[:-16])


def test_without_the_tag_a_flipped_bit_changes_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = pair(Ratchet)
    honest, _ = alice.encrypt(b"pay 100", os.urandom(16))
    at = HEADER + 16 + 8 + 4
    forged = flipped(honest, at * 8 + 3)  # "1" and "9" differ in one bit
    with pytest.raises(CryptoError):
        bob.decrypt(forged, os.urandom(32), NOW)
    monkeypatch.setattr("mobium._pure.ratchet.AESGCM", _Untagged)  # the defence, off
    assert bob.decrypt(forged, os.urandom(32), NOW)[0] == b"pay 900"


def test_without_the_next_state_a_repeat_is_opened_again() -> None:
    """What makes a repeat a duplicate is the state that the caller stores: the old one opens it again."""
    alice, bob = pair(Ratchet)
    honest, _ = alice.encrypt(b"once", os.urandom(16))
    _, following = bob.decrypt(honest, os.urandom(32), NOW)
    with pytest.raises(Duplicate):
        following.decrypt(honest, os.urandom(32), NOW)
    assert bob.decrypt(honest, os.urandom(32), NOW)[0] == b"once"


# ---------------------------------------------------------------- between two engines


class Storm:
    """A server that lets every message through once, among repeats and forgeries, in any order."""

    def __init__(self, scene: Scene, rng: random.Random) -> None:
        self._rng = rng
        self._recorded: list[Envelope] = []
        scene.server.cheat.forward = self.forward

    def forward(self, envelope: Envelope) -> list[Envelope]:
        rng, payload = self._rng, envelope.payload
        self._recorded.append(envelope)
        old = rng.choice(self._recorded)
        out = [
            envelope,
            envelope,
            old.changed(id=rng.randbytes(16)),
            envelope.changed(payload=flipped(payload, rng.randrange(8 * len(payload)))),
            envelope.changed(payload=renumbered(payload, n=rng.randrange(2**32))),
            old.changed(payload=payload[:41] + old.payload[41:]),
        ]
        rng.shuffle(out)
        return out


def scrambled(mailbox: list[Envelope], rng: random.Random) -> list[Envelope]:
    rng.shuffle(mailbox)
    return mailbox


async def test_every_text_is_shown_once_in_a_storm(folder: Path, seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await alice.says(bob, "hello", "delivered")
        await bob.says(alice, "hello too", "delivered")
        Storm(scene, rng)
        texts = [f"text {number}" for number in range(40)]
        for batch in (texts[:10], texts[10:20], texts[20:30], texts[30:]):
            for person in (alice, bob):
                await person.patient()
                scene.server.hold(person.key)
            for text in batch:
                for one, other in ((alice, bob), (bob, alice)):
                    await one.says(other, text)
            for person in (alice, bob):
                await scene.server.release(person.key, lambda mailbox: scrambled(mailbox, rng))
                await scene.server.drained(person.key)
        for one, other in ((alice, bob), (bob, alice)):
            shown = [
                line.text for line in await one.engine.history(other.key, limit=500) if not line.outgoing
            ]
            assert len(shown) == len(texts) + 1
            assert set(shown) >= set(texts)
        scene.server.be_honest()
        await alice.says(bob, "the next one", "delivered")
        assert (await bob.history(alice))[-1] == "the next one"


async def test_without_the_tag_the_server_changes_what_is_shown(
    folder: Path, pure_kernel: type[Ratchet], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await alice.says(bob, "hello", "delivered")
        await bob.says(alice, "hello too", "delivered")
        await alice.says(bob, "established", "delivered")
        await bob.hears("hello", "established")
        # The server knows the layout, and the length of the text from nothing; here it guesses well.
        at = HEADER + 16 + 8 + content.encode(content.Text(bytes(16), 2**41, "pay 100")).index(b"100")
        scene.server.cheat.forward = lambda envelope: [
            envelope.changed(payload=flipped(envelope.payload, 8 * at + 3))
        ]
        monkeypatch.setattr("mobium._pure.ratchet.AESGCM", _Untagged)  # the defence, off
        await alice.says(bob, "pay 100")
        await bob.hears("pay 900")
