"""The key derivations of the kernels, each with its label (docs/CRYPTO.md sections 4, 6 and 8).

Twin of native/core/src/kdf.rs. Not its concern: what the keys are used for.
"""

from __future__ import annotations

from hmac import digest
from typing import Final

__all__ = ["chain_step", "frame_keys", "message_keys", "root_step", "sender_keys"]

ROOT_LABEL: Final = b"mobium/1 ratchet root"
MESSAGE_LABEL: Final = b"mobium/1 ratchet message"
SENDER_LABEL: Final = b"mobium/1 sender message"
# RFC 9605, section 4.4.2; the suite is AES_256_GCM_SHA512_128.
FRAME_KEY_LABEL: Final = b"SFrame 1.0 Secret key "
FRAME_SALT_LABEL: Final = b"SFrame 1.0 Secret salt "
FRAME_SUITE: Final = b"\0\5"


def hkdf(ikm: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869 with SHA-256: `size` bytes, at most 8,160."""
    key = digest(salt, ikm, "sha256")
    out = block = b""
    counter = 0
    while len(out) < size:
        counter += 1
        block = digest(key, block + info + bytes((counter,)), "sha256")
        out += block
    return out[:size]


def root_step(root: bytes, shared: bytes) -> tuple[bytes, bytes]:
    """The next root key and a new chain key, 32 bytes each, from the root key and a DH result."""
    out = hkdf(shared, root, ROOT_LABEL, 64)
    return out[:32], out[32:]


def chain_step(chain: bytes) -> tuple[bytes, bytes]:
    """The message key at this place of the chain and the next chain key, 32 bytes each."""
    return digest(chain, b"\x01", "sha256"), digest(chain, b"\x02", "sha256")


def message_keys(message_key: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """AES-256-GCM's key (32 bytes) and nonce (12) for a message, of its message key and its salt (16)."""
    out = hkdf(message_key, salt, MESSAGE_LABEL, 44)
    return out[:32], out[32:]


def sender_keys(message_key: bytes, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """The same for a channel's message, and the commitment (32) by which no other key opens it."""
    out = hkdf(message_key, salt, SENDER_LABEL, 76)
    return out[:32], out[32:44], out[44:]


def frame_keys(base_key: bytes, kid: int) -> tuple[bytes, bytes]:
    """SFrame's key (32 bytes) for a KID, and the salt (12) of which each nonce is made."""
    secret = digest(b"", base_key, "sha512")
    suffix = kid.to_bytes(8, "big") + FRAME_SUITE
    # HKDF's expansion: neither is longer than its first block.
    key = digest(secret, FRAME_KEY_LABEL + suffix + b"\1", "sha512")
    salt = digest(secret, FRAME_SALT_LABEL + suffix + b"\1", "sha512")
    return key[:32], salt[:12]
