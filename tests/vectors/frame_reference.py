"""A third, short implementation of the frames of media, written from RFC 9605 and docs/CRYPTO.md section 8
alone.

It imports nothing of mobium: the frozen vectors in frame.json and the RFC's own are computed by both back
ends and by this file. It checks nothing and is in no hurry. Not its concern: refusals and replays.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SUITE = (5).to_bytes(2, "big")  # AES_256_GCM_SHA512_128


def header(kid: int, counter: int) -> bytes:
    """Section 4.3."""
    config, rest = 0, b""
    for number in (kid, counter):
        config <<= 4
        if number < 8:
            config |= number
        else:
            size = next(n for n in range(1, 9) if number < 256**n)
            config |= 8 | size - 1
            rest += number.to_bytes(size, "big")
    return bytes([config]) + rest


def keys(base_key: bytes, kid: int) -> tuple[bytes, bytes]:
    """Section 4.4.2: key and salt. An empty salt of HKDF is one of zeros."""
    label = kid.to_bytes(8, "big") + SUITE
    return (
        HKDF(hashes.SHA512(), 32, None, b"SFrame 1.0 Secret key " + label).derive(base_key),
        HKDF(hashes.SHA512(), 12, None, b"SFrame 1.0 Secret salt " + label).derive(base_key),
    )


def seal(base_key: bytes, kid: int, counter: int, metadata: bytes, plaintext: bytes) -> bytes:
    """Section 4.4.3."""
    key, salt = keys(base_key, kid)
    nonce = bytes(a ^ b for a, b in zip(salt, counter.to_bytes(12, "big"), strict=True))
    front = header(kid, counter)
    return front + AESGCM(key).encrypt(nonce, plaintext, front + metadata)


def step(base_key: bytes) -> bytes:
    """Section 5.1: the base key of the next step."""
    return HKDF(hashes.SHA512(), 64, None, b"SFrame 1.0 Ratchet").derive(base_key)


def first_base(random: bytes, kind: int, channel_id: bytes, sender: bytes) -> bytes:
    """CRYPTO.md section 8: the base key of step 0."""
    mac = HMAC(random, hashes.SHA256())
    mac.update(b"mobium/1 media\0" + bytes([kind]) + channel_id + sender)
    return mac.finalize()
