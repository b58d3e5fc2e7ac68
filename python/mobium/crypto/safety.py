"""Safety numbers: what two people compare to know that nobody sits between them (docs/CRYPTO.md section 1).

Not its concern: QR codes, which hold the same 60 digits, and what a contact's verified mark means.
"""

from __future__ import annotations

from hashlib import sha512

from mobium.errors import CryptoError, InvalidInput

__all__ = ["DIGITS", "ROUNDS", "format_groups", "safety_number"]

DIGITS = 60
# The work that somebody must do for each key pair they try, if they look for one whose digits resemble
# another's.
ROUNDS = 5200

_LABEL = b"mobium/1 safety number\0"
_GROUP = 5


def _half(public: bytes, x_public: bytes) -> str:
    if len(public) != 32 or len(x_public) != 32:
        raise CryptoError("A safety number is made from keys of 32 bytes each.")
    keys = public + x_public
    digest = _LABEL + keys
    for _ in range(ROUNDS):
        digest = sha512(digest + keys).digest()
    return "".join(f"{int.from_bytes(digest[i : i + 5], 'big') % 100_000:05d}" for i in range(0, 30, 5))


def safety_number(public_a: bytes, x_public_a: bytes, public_b: bytes, x_public_b: bytes) -> str:
    """The 60 digits of two identities (Ed25519 and X25519 keys of 32 bytes each), the same whichever of the
    two asks.

    Takes some milliseconds. Raises CryptoError for keys of another length.
    """
    return "".join(sorted((_half(public_a, x_public_a), _half(public_b, x_public_b))))


def format_groups(number: str, per_line: int = 12) -> str:
    """The 60 digits as twelve groups of five, `per_line` groups in a line.

    Raises InvalidInput for anything but 60 digits.
    """
    if len(number) != DIGITS or not (number.isascii() and number.isdigit()):
        raise InvalidInput(f"A safety number has {DIGITS} digits.")
    if per_line < 1:
        raise InvalidInput("A line holds at least one group.")
    groups = [number[i : i + _GROUP] for i in range(0, DIGITS, _GROUP)]
    return "\n".join(" ".join(groups[i : i + per_line]) for i in range(0, len(groups), per_line))
