"""What binds the DTLS certificate of a call to it (docs/CRYPTO.md section 8).

    binding    SHA-256("mobium/1 call" ‖ 0 ‖ call id ‖ attempt(u8) ‖ owner ‖ other), as 64 hexadecimal digits

The fingerprint of a certificate travels inside the ratchet, so the server cannot change it. But whoever is
called by one person could hand that person's fingerprint on to another one, who would then be connected with
the first and take him for the second (RFC 8844). The binding is the certificate's name, which its fingerprint
covers: a certificate is good for one attempt of one call from its owner to one other identity. The call id is
secret, so the name tells nothing to whoever sees it pass. Not its concern: the certificate itself
(`mobium.media.peer`).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

__all__ = ["call_binding"]

_LABEL: Final = b"mobium/1 call\0"


def call_binding(call_id: bytes, attempt: int, owner: bytes, other: bytes) -> str:
    """The name of the certificate that `owner` uses towards `other` (Ed25519 identity keys, 32 bytes each),
    in the attempt (0 to 255) of the call with this id (16 bytes).
    """
    return sha256(_LABEL + call_id + attempt.to_bytes(1, "big") + owner + other).hexdigest()
