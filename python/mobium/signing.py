"""Strict Ed25519 (RFC 8032): the only cryptography that a server sees, and the one function by which
everybody verifies.

`cryptography` alone accepts small-order public keys and non-canonical encodings, under which one
signature verifies for many messages or many keys. Both are refused here before the library is asked
(docs/CRYPTO.md, Strict Ed25519). Not its concern: what is signed; each construction brings its own label.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mobium.errors import SignatureError

__all__ = ["PUBLIC_SIZE", "SEED_SIZE", "SIGNATURE_SIZE", "SigningKey", "check_public", "verify"]

PUBLIC_SIZE = 32
SEED_SIZE = 32
SIGNATURE_SIZE = 64

_P = 2**255 - 19
# y-coordinates of the points of order 1, 2, 4 and 8; the sign bit is cleared before comparison, so each
# stands for both signs.
_SMALL_ORDER = frozenset(
    (
        0,
        1,
        _P - 1,
        int.from_bytes(
            bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
        ),
        int.from_bytes(
            bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"
        ),
    )
)
_SIGN_BIT_CLEARED = (1 << 255) - 1


def _check_point(encoded: bytes) -> None:
    y = int.from_bytes(encoded, "little") & _SIGN_BIT_CLEARED
    if y >= _P or y in _SMALL_ORDER:
        raise SignatureError(
            "This Ed25519 key or signature is of small order or not canonical, so it is refused."
        )


def check_public(public: bytes) -> None:
    """Refuse a public key (32 bytes) that is malformed, not canonical or of small order.

    Raises SignatureError.
    """
    if len(public) != PUBLIC_SIZE:
        raise SignatureError(f"An Ed25519 public key has {PUBLIC_SIZE} bytes, not {len(public)}.")
    _check_point(public)


def verify(public: bytes, signature: bytes, message: bytes) -> None:
    """Return if `signature` (64 bytes) by `public` (32 bytes) over `message` verifies under the strict rules.

    Raises SignatureError otherwise.
    """
    check_public(public)
    if len(signature) != SIGNATURE_SIZE:
        raise SignatureError(f"An Ed25519 signature has {SIGNATURE_SIZE} bytes, not {len(signature)}.")
    _check_point(signature[:32])
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise SignatureError("The Ed25519 signature does not verify.") from error


class SigningKey:
    """An Ed25519 private key. The seed (32 bytes) is shown by no repr."""

    __slots__ = ("_private", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public: bytes = private.public_key().public_bytes_raw()

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """The key of a 32-byte seed. Raises SignatureError if it has another length."""
        if len(seed) != SEED_SIZE:
            raise SignatureError(f"An Ed25519 seed has {SEED_SIZE} bytes, not {len(seed)}.")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def generate(cls) -> SigningKey:
        """A fresh key from the operating system's entropy."""
        return cls(Ed25519PrivateKey.generate())

    @property
    def seed(self) -> bytes:
        """The 32-byte seed, for storage alone."""
        return self._private.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over `message`."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"
