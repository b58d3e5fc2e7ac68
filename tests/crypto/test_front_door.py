"""`mobium.crypto` from outside: what it exports, and what importing it does not load."""

from __future__ import annotations

import subprocess
import sys

import mobium.crypto
from mobium.crypto import BUCKETS, Identity, Prekeys, Session, pad, unpad

FRONT_DOOR = {
    "pad",
    "unpad",
    "BUCKETS",
    "DoubleRatchet",
    "FrameOpener",
    "FrameSealer",
    "Identity",
    "ReceiverKey",
    "SenderKey",
    "Session",
}
LATER = (
    "cryptography.hazmat.primitives.asymmetric.mlkem",
    "cryptography.hazmat.primitives.kdf.argon2",
    "mnemonic",
)


def test_everything_listed_is_there_and_nothing_else_is_meant() -> None:
    assert set(mobium.crypto.__all__) >= FRONT_DOOR
    assert all(hasattr(mobium.crypto, name) for name in mobium.crypto.__all__)
    assert mobium.crypto.__all__ == sorted(mobium.crypto.__all__, key=lambda name: (not name.isupper(), name))


def test_importing_it_loads_nothing_that_is_needed_later() -> None:
    """Part of its 60 ms (B15): the post-quantum keys, Argon2id and the words come at first use."""
    code = f"import sys, mobium.crypto; print([name for name in {LATER!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_conversation_in_the_words_of_the_readme() -> None:
    alice, _words = Identity.generate()
    bob, _words = Identity.generate()
    prekeys = Prekeys.generate(bob)
    payload, a = Session.initiate(alice, prekeys.bundle()).encrypt(b"hello")
    plaintext, b, used_ids = Session.accept(bob, prekeys, payload)
    prekeys.discard(used_ids)
    answer, b = b.encrypt(plaintext + b" back")
    assert a.decrypt(answer)[0] == b"hello back"


def test_padding_is_re_exported() -> None:
    assert unpad(pad(b"text")) == b"text"
    assert len(pad(b"text")) == BUCKETS[0] - 16
