"""The key derivations of the kernels, each with its label (docs/CRYPTO.md sections 4 and 6).

Twin of native/core/src/kdf.rs. Not its concern: what the keys are used for.
"""

from __future__ import annotations

from hmac import digest
from typing import Final

__all__ = ["chain_step", "message_keys", "root_step", "sender_keys"]

ROOT_LABEL: Final = b"mobium/1 ratchet root"
MESSAGE_LABEL: Final = b"mobium/1 ratchet message"
SENDER_LABEL: Final = b"mobium/1 sender message"


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
