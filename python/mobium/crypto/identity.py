"""An identity: one Ed25519 key, which IS the user, and one X25519 key bound to it by a signature
(docs/CRYPTO.md section 1).

Both keys come from one 64-byte seed, and the seed from 24 recovery words, so that a new identity and a
recovered one take the same path. Not its concern: how words are spelled and checked (`mnemonic`), where the
seed is kept (`vault`), what others think of an identity (the engine's contacts).
"""

from __future__ import annotations

import os

from mobium.crypto import _primitives
from mobium.errors import CryptoError, SignatureError
from mobium.signing import SigningKey, verify

__all__ = ["ENTROPY_SIZE", "SEED_SIZE", "Identity", "verify_binding"]

SEED_SIZE = 64
ENTROPY_SIZE = 32

_LABEL_ED25519 = b"mobium/1 identity ed25519"
_LABEL_X25519 = b"mobium/1 identity x25519"
_LABEL_BINDING = b"mobium/1 identity binding\0"


def verify_binding(public: bytes, x_public: bytes, binding: bytes) -> None:
    """Return if `binding` (64 bytes) is the signature of `public` (Ed25519, 32 bytes) over `x_public`
    (X25519, 32 bytes).

    Raises SignatureError otherwise. Nobody believes an X25519 identity key without it.
    """
    if len(x_public) != _primitives.KEY_SIZE:
        raise SignatureError(f"An X25519 identity key has {_primitives.KEY_SIZE} bytes, not {len(x_public)}.")
    verify(public, binding, _LABEL_BINDING + x_public)


class Identity:
    """A user's private identity. `public` and `x_public` have 32 bytes, `binding` 64.

    Never changes. Its repr shows the public key alone; the words are kept nowhere, and the seed is there for
    the vault only.
    """

    __slots__ = ("_binding", "_seed", "_signing", "_x_private", "_x_public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_SIZE:
            raise CryptoError(f"An identity's seed has {SEED_SIZE} bytes, not {len(seed)}.")
        self._seed = bytes(seed)
        self._signing = SigningKey.from_seed(_primitives.hkdf(self._seed, b"", _LABEL_ED25519, 32))
        self._x_private = _primitives.hkdf(self._seed, b"", _LABEL_X25519, 32)
        self._x_public = _primitives.x25519_public(self._x_private)
        self._binding = self._signing.sign(_LABEL_BINDING + self._x_public)

    @classmethod
    def generate(cls) -> tuple[Identity, str]:
        """A new identity, and the 24 words that bring it back: show them once, and let the person write them
        down.

        Raises RecoveryError if the package that holds the list of words is not installed.
        """
        from mobium.crypto.mnemonic import words_from_entropy

        words = words_from_entropy(os.urandom(ENTROPY_SIZE))
        return cls.from_words(words), words

    @classmethod
    def from_words(cls, words: str, passphrase: str = "") -> Identity:
        """The identity of 24 recovery words, in any case and spacing, with the passphrase (NFKD) that was
        chosen with them, if any.

        Raises RecoveryError if the words cannot be right. Another passphrase is another identity, not an
        error.
        """
        from mobium.crypto.mnemonic import seed_from_words

        return cls(seed_from_words(words, passphrase))

    @classmethod
    def from_seed(cls, seed: bytes) -> Identity:
        """The identity of a 64-byte seed, as the vault keeps it.

        Raises CryptoError if it has another length.
        """
        return cls(seed)

    @property
    def seed(self) -> bytes:
        """The 64-byte seed, for the vault alone."""
        return self._seed

    @property
    def public(self) -> bytes:
        """The Ed25519 public key (32 bytes): the user."""
        return self._signing.public

    @property
    def x_public(self) -> bytes:
        """The X25519 public key (32 bytes)."""
        return self._x_public

    @property
    def binding(self) -> bytes:
        """The signature (64 bytes) that binds `x_public` to `public`."""
        return self._binding

    def sign(self, data: bytes) -> bytes:
        """The Ed25519 signature (64 bytes) over `data`, which the caller begins with a label of its own."""
        return self._signing.sign(data)

    def exchange(self, remote_x_public: bytes) -> bytes:
        """X25519 (32 bytes) with another's public key (32 bytes).

        Raises CryptoError for a key of small order or another length.
        """
        return _primitives.x25519(self._x_private, remote_x_public)

    def __repr__(self) -> str:
        return f"Identity({self.public.hex()})"
