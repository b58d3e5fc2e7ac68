"""A4: the server injects a payload that is no valid ciphertext: plain text, an unknown kind, empty, truncated
(docs/CRYPTO.md section 3: there is no plaintext path).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mobium.crypto import BUCKETS, Session, pad
from tests.attacks.forge import text_of
from tests.attacks.people import Scene, state

TEXT = text_of("as if from Alice")


def injections(honest: bytes, prekey_message: bytes) -> dict[str, bytes]:
    """What the server sends; `honest` and `prekey_message` are recorded and were opened."""
    return {
        "nothing": b"",
        "zero": b"\0",
        "plain text": b"as if from Alice",
        "a content": TEXT,
        "a padded content": pad(TEXT),
        **{f"kind {kind} and a content": bytes((kind,)) + TEXT for kind in (0, 1, 2, 3, 0x7F, 0xFF)},
        **{f"kind {kind} and a padded content": bytes((kind,)) + pad(TEXT) for kind in (1, 2, 3)},
        "a content of the right size": b"\x01" + TEXT.ljust(41 + 16 + 512 - 1, b"\0"),
        "a content with the header in front": honest[:57] + pad(TEXT) + bytes(16),
        "a content with the handshake in front": prekey_message[:1_742] + TEXT,
        "a handshake alone": prekey_message[:1_742],
        "half a handshake": prekey_message[:900],
        "noise of the right size": b"\x01" + os.urandom(568),
        "noise of the right size of a first message": b"\x02" + os.urandom(1_742 + 568),
        "an honest one cut": honest[:-1],
        "an honest one cut to its header": honest[:41],
        "an honest one and more": honest + b"\0",
        "an honest one as a first message": b"\x02" + honest[1:],
        "a first message as an honest one": b"\x01" + prekey_message[1:],
        "a megabyte of zeros": bytes(1 << 20),
        "the largest bucket of nothing": bytes((1,)) + bytes(56 + BUCKETS[-1] // 8),
    }


async def test_what_is_no_ciphertext_is_not_shown(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await alice.says(bob, "hello", "delivered")
        await bob.hears("hello")
        await bob.says(alice, "hello too", "delivered")
        await alice.hears("hello too")
        await alice.says(bob, "established", "delivered")
        await bob.hears("established")
        recorded = scene.server.sent_by(alice.key)
        first = next(each.payload for each in recorded if each.payload[0] == 2)
        later = next(each.payload for each in recorded if each.payload[0] == 1)
        payloads = injections(later, first)
        await bob.patient()
        before = await state(bob)
        for sender in (alice.key, os.urandom(32), bytes(32), bob.key):
            for name, payload in payloads.items():
                await scene.server.forge(sender, bob.key, payload)
                await scene.server.drained(bob.key)
                assert await state(bob) == before, name
        assert len(await bob.unopened()) == len(set(payloads.values()))
        await alice.says(bob, "the next one", "delivered")
        await bob.hears("the next one")


async def test_without_decryption_the_server_speaks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await alice.says(bob, "hello", "delivered")
        await bob.hears("hello")
        # The defence, off: what does not open is taken as it is.
        monkeypatch.setattr(Session, "decrypt", lambda session, payload, **_: (payload[1:], session))
        await scene.server.forge(alice.key, bob.key, b"\x01" + TEXT)
        await bob.hears("as if from Alice")
