"""A31: two chain keys for one signed message, so that partitioned members see different texts (docs/CRYPTO.md
section 6).

AES-GCM does not commit to its key: one block of a ciphertext can be solved so that one tag is right under two
keys. A sender who hands one chain to some members and another, of the same id, to the rest would show them
different texts in one signed message with one number. The padding is in his way, since its first eight bytes
must come out right under both keys, but only until he has tried some 2^24 chain keys (a minute's work): the
two below were found so.
"""

from __future__ import annotations

import hmac
import os

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mobium._pure.kdf import sender_keys
from mobium.crypto import ReceiverKey, group, message_head
from mobium.errors import DecryptError, Invalid
from mobium.signing import SigningKey
from tests.kernels.kernels import NATIVE, PURE, Kernels

CHANNEL, SENDER, ROSTER = b"c" * 32, b"s" * 32, b"r" * 32
KEY_ID = 31
SEED = b"e" * 32
SALT = b"any salt will do"
# Under this salt the first keystream blocks of their first messages agree in what the padding checks.
CHAIN_KEYS = (9_190_284).to_bytes(32, "big"), (2_723_869).to_bytes(32, "big")
BUCKET = 65_536
TEXTS = b"we meet at noon", b"you are betrayed, run away"


# ---------------------------------------------------------------- the attack


def _times(x: int, y: int) -> int:
    """GCM's product in GF(2^128); bit 127 of the integer is the coefficient of 1."""
    product = 0
    for i in range(127, -1, -1):
        if y >> i & 1:
            product ^= x
        x = x >> 1 ^ (0xE1 << 120 if x & 1 else 0)
    return product


def _inverse(x: int) -> int:
    """x^(2^128 - 2)."""
    found = 1 << 127
    for _ in range(127):
        x = _times(x, x)
        found = _times(found, x)
    return found


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _keystream(key: bytes, nonce: bytes, size: int) -> bytes:
    return AESGCM(key).encrypt(nonce, bytes(size), b"")[:size]


def _xor(one: bytes, other: bytes) -> bytes:
    return (_number(one) ^ _number(other)).to_bytes(len(one), "big")


def _tag(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> int:
    plaintext = _xor(ciphertext, _keystream(key, nonce, len(ciphertext)))
    return _number(AESGCM(key).encrypt(nonce, plaintext, associated)[-16:])


def _message_keys(chain_key: bytes) -> tuple[bytes, bytes, bytes]:
    return sender_keys(hmac.digest(chain_key, b"\x01", "sha256"), SALT)


def two_faced() -> bytes:
    """One message of the real format that is right under both chain keys, but for the commitment.

    The first chain opens it to the first text. The second opens it to as many bytes as the first text has,
    which nobody chose, and then the second text.
    """
    (one, one_nonce, commit), (other, other_nonce, _) = map(_message_keys, CHAIN_KEYS)
    size = BUCKET - 16
    streams = _keystream(one, one_nonce, size), _keystream(other, other_nonce, size)
    length = len(TEXTS[0])
    lengths = length, _number(_xor(streams[0][:4], streams[1][:4])) ^ length
    plaintext = lengths[0].to_bytes(4, "big") + bytes(4) + TEXTS[0]
    ciphertext = bytearray(_xor(plaintext, streams[0][: len(plaintext)]))
    hidden = TEXTS[1].ljust(lengths[1] - length)
    end = len(plaintext) + len(hidden)
    ciphertext += _xor(hidden, streams[1][len(plaintext) : end])
    ciphertext += bytes(size - end)  # what follows both texts is free: the last block is solved for
    head = b"\x01" + KEY_ID.to_bytes(4, "big") + bytes(4) + SALT
    associated = CHANNEL + SENDER + ROSTER + head
    # A tag is the sum of a mask and of each block times a power of the hash key; the last block's is the
    # square. So the two tags differ by this, plus that block times the sum of both squares.
    difference = _tag(one, one_nonce, bytes(ciphertext), associated) ^ _tag(
        other, other_nonce, bytes(ciphertext), associated
    )
    hash_keys = [
        _number(Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(16)))
        for key in (one, other)
    ]
    squares = _times(hash_keys[0], hash_keys[0]) ^ _times(hash_keys[1], hash_keys[1])
    ciphertext[-16:] = _times(difference, _inverse(squares)).to_bytes(16, "big")
    tag = _tag(one, one_nonce, bytes(ciphertext), associated)
    assert tag == _tag(other, other_nonce, bytes(ciphertext), associated)
    body = head + commit + bytes(ciphertext) + tag.to_bytes(16, "big")
    return body + SigningKey.from_seed(SEED).sign(b"mobium/1 sender message\0" + CHANNEL + SENDER + body)


@pytest.fixture(scope="module")
def message() -> bytes:
    return two_faced()


@pytest.fixture(params=["native", "pure"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kernels:
    chosen = {"native": NATIVE, "pure": PURE}[request.param]
    monkeypatch.setattr(group, "ReceiverChain", chosen.ReceiverChain)
    return chosen


def members(kernels: Kernels) -> tuple[ReceiverKey, ReceiverKey]:
    """Two members of one channel, to whom the sender gave different chain keys under one id."""
    chains = [
        kernels.SenderChain.create(CHANNEL, SENDER, 5, ROSTER, KEY_ID, chain_key, SEED)
        for chain_key in CHAIN_KEYS
    ]
    one, other = (
        ReceiverKey.from_distribution(chain.distribution(b"mallory"), CHANNEL, sender=SENDER)
        for chain in chains
    )
    return one, other


def test_only_the_key_that_was_committed_to_opens_it(kernels: Kernels, message: bytes) -> None:
    one, other = members(kernels)
    assert message_head(message) == (KEY_ID, 0)
    assert one.decrypt(message)[0] == TEXTS[0]
    before = other.to_bytes()
    with pytest.raises(Invalid, match="commits to another key"):
        other.decrypt(message)
    assert other.to_bytes() == before
    # The next honest message of that chain works.
    honest = kernels.SenderChain.create(CHANNEL, SENDER, 5, ROSTER, KEY_ID, CHAIN_KEYS[1], SEED)
    assert other.decrypt(honest.encrypt(b"honest", os.urandom(16))[0])[0] == b"honest"


def test_a_commitment_to_neither_or_to_the_other(kernels: Kernels, message: bytes) -> None:
    """Whatever commitment is signed, one member at most opens it."""
    _, _, second = _message_keys(CHAIN_KEYS[1])
    for commit, opens in ((message[25:57], 1), (second, 1), (bytes(32), 0), (os.urandom(32), 0)):
        body = message[:25] + commit + message[57:-64]
        signed = body + SigningKey.from_seed(SEED).sign(
            b"mobium/1 sender message\0" + CHANNEL + SENDER + body
        )
        opened = 0
        for member in members(kernels):
            try:
                member.decrypt(signed)
            except DecryptError:
                continue
            opened += 1
        assert opened == opens


def test_without_the_commitment_two_members_see_two_texts(
    message: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "ReceiverChain", PURE.ReceiverChain)
    monkeypatch.setattr("mobium._pure.sender_key.compare_digest", lambda *_: True)  # the defence, off
    one, other = members(PURE)
    assert one.decrypt(message)[0] == TEXTS[0]
    read = other.decrypt(message)[0]
    assert read[len(TEXTS[0]) :].rstrip() == TEXTS[1]
