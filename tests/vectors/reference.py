"""A second, short implementation of the constructions that exist once, written from docs/CRYPTO.md alone.

It imports nothing of mobium: the frozen vectors beside it are computed by this file and by mobium, and all
three must agree. It checks nothing and is in no hurry. Not its concern: refusals, stored ratchet states, and
the kernels' own vectors, which two back ends compute already.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

PREKEY_LABELS = {
    "signed": b"mobium/1 signed prekey",
    "one_time": b"mobium/1 one-time prekey",
    "last_resort": b"mobium/1 kem prekey",
    "kem_one_time": b"mobium/1 kem one-time prekey",
}


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def hkdf(ikm: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869, from HMAC."""
    key = hmac.digest(salt or bytes(32), ikm, "sha256")
    output = block = b""
    for counter in range(1, -(-size // 32) + 1):
        block = hmac.digest(key, block + info + bytes((counter,)), "sha256")
        output += block
    return output[:size]


def dh(private: bytes, public: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def x_public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


# Section 1: identity.


def bip39_seed(words: str, passphrase: str) -> bytes:
    salt = "mnemonic" + unicodedata.normalize("NFKD", passphrase)
    return hashlib.pbkdf2_hmac("sha512", unicodedata.normalize("NFKD", words).encode(), salt.encode(), 2048)


class Identity:
    def __init__(self, seed: bytes) -> None:
        self.signing = Ed25519PrivateKey.from_private_bytes(hkdf(seed, b"", b"mobium/1 identity ed25519", 32))
        self.x_private = hkdf(seed, b"", b"mobium/1 identity x25519", 32)
        self.ed = self.signing.public_key().public_bytes_raw()
        self.x = x_public(self.x_private)
        self.binding = self.signing.sign(b"mobium/1 identity binding\0" + self.x)


def safety_number(a: tuple[bytes, bytes], b: tuple[bytes, bytes]) -> str:
    halves = []
    for ed, x in (a, b):
        h = b"mobium/1 safety number\0" + ed + x
        for _ in range(5200):
            h = hashlib.sha512(h + ed + x).digest()
        halves.append("".join(f"{int.from_bytes(h[5 * i : 5 * i + 5], 'big') % 100000:05}" for i in range(6)))
    return min(halves) + max(halves)


# Section 2: vault.


def vault(
    password: str, data_key: bytes, seed: bytes, salt: bytes, nonce_key: bytes, nonce_seed: bytes
) -> bytes:
    head = b"MBV1" + u32(65536) + u32(3) + u32(4) + salt
    secret = unicodedata.normalize("NFKC", password).encode()
    key = Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=65536).derive(secret)
    label = b"mobium/1 vault identity"
    identity_key = hkdf(data_key, b"", label, 32)
    sealed_key = AESGCM(key).encrypt(nonce_key, data_key, head)
    sealed_seed = AESGCM(identity_key).encrypt(nonce_seed, seed, label + b"\0")
    return head + nonce_key + sealed_key + nonce_seed + sealed_seed


def database_key(data_key: bytes) -> bytes:
    return hkdf(data_key, b"", b"mobium/1 vault database", 32)


# Section 3: prekeys and PQXDH.


def prekey(identity: Identity, kind: str, number: int, expires: int, private: bytes) -> tuple[bytes, bytes]:
    """(public, signature)."""
    kem = kind in ("last_resort", "kem_one_time")
    public = (
        MLKEM1024PrivateKey.from_seed_bytes(private).public_key().public_bytes_raw()
        if kem
        else x_public(private)
    )
    return public, identity.signing.sign(
        PREKEY_LABELS[kind] + b"\0" + u32(number) + expires.to_bytes(8, "big") + public
    )


@dataclass
class Handshake:
    """Everything both sides put in, in the clear: only a reference may hold it in one place."""

    initiator: Identity
    responder: Identity
    ephemeral: bytes
    signed: tuple[int, bytes]
    one_time: tuple[int, bytes] | None
    kem_kind: int
    kem: tuple[int, bytes]
    ciphertext: bytes

    def header(self) -> bytes:
        a = self.initiator
        ids = u32(self.signed[0]) + u32(self.one_time[0] if self.one_time else 0)
        ids += bytes((self.kem_kind,)) + u32(self.kem[0])
        return b"\x02" + a.ed + a.x + a.binding + x_public(self.ephemeral) + ids + self.ciphertext

    def shared_secret(self) -> bytes:
        """From the responder's private keys."""
        a, b, ephemeral = self.initiator, self.responder, x_public(self.ephemeral)
        secrets = dh(self.signed[1], a.x) + dh(b.x_private, ephemeral) + dh(self.signed[1], ephemeral)
        if self.one_time:
            secrets += dh(self.one_time[1], ephemeral)
        secrets += MLKEM1024PrivateKey.from_seed_bytes(self.kem[1]).decapsulate(self.ciphertext)
        return hkdf(b"\xff" * 32 + secrets, bytes(32), b"mobium/1 pqxdh x25519 ml-kem-1024 sha-256", 32)

    def associated_data(self) -> bytes:
        a, b = self.initiator, self.responder
        kem_public = MLKEM1024PrivateKey.from_seed_bytes(self.kem[1]).public_key().public_bytes_raw()
        text = b"mobium/1 session\0\x01" + a.ed + a.x + b.ed + b.x + x_public(self.ephemeral)
        text += u32(self.signed[0]) + x_public(self.signed[1])
        text += u32(self.one_time[0]) + x_public(self.one_time[1]) if self.one_time else bytes(36)
        text += bytes((self.kem_kind,)) + u32(self.kem[0]) + kem_public + self.ciphertext
        return hashlib.sha256(text).digest()


# Sections 4 and 5, as far as a session's first messages need them.


def root_step(root: bytes, secret: bytes) -> tuple[bytes, bytes]:
    output = hkdf(secret, root, b"mobium/1 ratchet root", 64)
    return output[:32], output[32:]


def message_key(chain: bytes, n: int) -> bytes:
    for _ in range(n):
        chain = hmac.digest(chain, b"\x02", "sha256")
    return hmac.digest(chain, b"\x01", "sha256")


def ratchet_message(
    chain: bytes, public: bytes, pn: int, n: int, salt: bytes, associated_data: bytes, plaintext: bytes
) -> bytes:
    head = b"\x01" + public + u32(pn) + u32(n)
    keys = hkdf(message_key(chain, n), salt, b"mobium/1 ratchet message", 44)
    bucket = next(size for size in (512 << i for i in range(14)) if len(plaintext) + 8 + 16 <= size)
    padded = (u32(len(plaintext)) + bytes(4) + plaintext).ljust(bucket - 16, b"\0")
    return head + salt + AESGCM(keys[:32]).encrypt(keys[32:], padded, associated_data + head)


# Section 7: the roster.


def channel_keys(secret: bytes) -> tuple[Ed25519PrivateKey, bytes]:
    """The invite key and the key of the names."""
    seed = hkdf(secret, b"", b"mobium/1 channel invite", 32)
    return Ed25519PrivateKey.from_private_bytes(seed), hkdf(secret, b"", b"mobium/1 channel names", 32)


def sealed_names(secret: bytes, name: str, topic: str, actor: bytes, index: int, nonce: bytes) -> bytes:
    text = b"".join(len(t).to_bytes(2, "big") + t for t in (name.encode(), topic.encode())).ljust(512, b"\0")
    context = b"mobium/1 channel names\0" + actor + u32(index)
    return nonce + AESGCM(channel_keys(secret)[1]).encrypt(nonce, text, context)


def statement(
    signing: Ed25519PrivateKey,
    kind: int,
    place: tuple[bytes, int, bytes],
    subject: bytes,
    time_ms: int,
    data: bytes,
) -> bytes:
    """`place` is the channel's id, the index and the head before it."""
    channel_id, index, prev = place
    actor = signing.public_key().public_bytes_raw()
    text = b"\x01" + bytes((kind,)) + channel_id + u32(index) + prev + actor + subject
    text += time_ms.to_bytes(8, "big") + len(data).to_bytes(2, "big") + data
    return text + signing.sign(b"mobium/1 roster\0" + text)


def roster_head(raw: bytes) -> bytes:
    return hashlib.sha256(b"mobium/1 roster head\0" + raw).digest()


def channel_id(create: bytes) -> bytes:
    return hashlib.sha256(b"mobium/1 channel\0" + create).digest()


def join_proof(secret: bytes, channel: bytes, prev: bytes, joiner: bytes) -> bytes:
    return channel_keys(secret)[0].sign(b"mobium/1 join\0" + channel + prev + joiner)


def peek_proof(secret: bytes, channel: bytes, ed: bytes, nonce: bytes) -> bytes:
    return channel_keys(secret)[0].sign(b"mobium/1 peek\0" + channel + ed + nonce)


def members_after(statements: list[bytes]) -> list[tuple[bytes, int]]:
    """Who is in and as what (1 member, 2 admin, 3 owner), in the order of joining, if every rule was kept."""
    roles: dict[bytes, int] = {}
    for raw in statements:
        kind, actor, subject = raw[1], raw[70:102], raw[102:134]
        if kind in (1, 2):
            roles[actor] = 3 if kind == 1 else 1
        elif kind in (3, 4, 8):
            roles.pop(subject, None)
        elif kind == 5:
            roles[subject] = raw[144]
            if raw[144] == 3:
                roles[actor] = 2
    return list(roles.items())
