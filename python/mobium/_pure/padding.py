"""Padding: every plaintext becomes one of fourteen sizes (docs/CRYPTO.md section 5).

Twin of native/core/src/padding.rs. Not its concern: encryption, and the largest message that a server takes.
"""

from __future__ import annotations

from typing import Final

from mobium._pure.arguments import check_bytes
from mobium.errors import PaddingError

__all__ = ["BUCKETS", "pad", "unpad"]

BUCKETS: Final[tuple[int, ...]] = tuple(512 << i for i in range(14))
"""The sizes of a ciphertext with its tag, in bytes: 512 B to 4 MiB, doubling."""

TAG: Final = 16
"""Bytes of AEAD tag that a padded plaintext leaves free in its bucket."""

PREFIX: Final = 8
"""length(u32) and four zero bytes."""

LARGEST: Final = BUCKETS[-1] - TAG - PREFIX
"""The longest plaintext in bytes."""

_PADDED: Final = frozenset(bucket - TAG for bucket in BUCKETS)


def pad(plaintext: bytes) -> bytes:
    """length(u32) ‖ 0x00*4 ‖ plaintext ‖ zeros, so that the AEAD's output fills the smallest bucket that
    holds it.

    Takes up to 4,194,280 bytes, returns a bucket's size less 16. Raises PaddingError above that.
    docs/CRYPTO.md section 5.
    """
    check_bytes("plaintext", plaintext)
    size = len(plaintext)
    if size > LARGEST:
        raise PaddingError("The message is larger than the largest bucket.")
    # The smallest power of two of at least 512 that holds the prefix, the plaintext and the tag.
    bucket = max(512, 1 << (size + PREFIX + TAG - 1).bit_length())
    return b"".join((size.to_bytes(4, "big"), bytes(4), plaintext, bytes(bucket - TAG - PREFIX - size)))


def unpad(padded: bytes) -> bytes:
    """The plaintext inside `padded`. Raises PaddingError for a size that is no bucket's, a length that does
    not fit, reserved bytes that are not zero.

    What follows the plaintext is not looked at: it lay inside the AEAD. docs/CRYPTO.md section 5.
    """
    check_bytes("padded", padded)
    if len(padded) not in _PADDED:
        raise PaddingError("A padded message has the size of a bucket.")
    size = int.from_bytes(padded[:4], "big")
    if padded[4:PREFIX] != bytes(4):
        raise PaddingError("The reserved bytes of the padding are not zero.")
    if size > len(padded) - PREFIX:
        raise PaddingError("The length in the padding does not fit.")
    return padded[PREFIX : PREFIX + size]
