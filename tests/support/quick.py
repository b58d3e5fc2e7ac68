"""In the place of Argon2id, whose cost is what few tests are about. Not its concern: who puts it there."""

from __future__ import annotations

import hashlib

__all__ = ["derive"]


def derive(password: bytes, salt: bytes, _memory: int, _passes: int, _lanes: int) -> bytes:
    """A key (32 bytes) from one hash."""
    return hashlib.sha256(salt + password).digest()
