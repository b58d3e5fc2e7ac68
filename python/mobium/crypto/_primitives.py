"""The primitives that the facade shares, each with its refusals: HKDF, X25519, ML-KEM-1024, labelled inputs.

Everything here is one call into `cryptography`; what is mobium's own is that an all-zero X25519 result, a
wrong length and a malformed key are a CryptoError. ML-KEM is imported at first use, since most programs that
import the facade never open a handshake in their first second. Not its concern: what the bytes mean, and
entropy, except for encapsulation, whose randomness the library draws itself.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mobium.errors import CryptoError

KEY_SIZE = 32
KEM_SEED_SIZE = 64
KEM_PUBLIC_SIZE = 1568
KEM_CIPHERTEXT_SIZE = 1568

_ZERO = bytes(KEY_SIZE)


def hkdf(ikm: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """`size` bytes by HKDF-SHA-256 (RFC 5869); an empty salt stands for 32 zero bytes, as the RFC says."""
    return HKDF(algorithm=SHA256(), length=size, salt=salt or None, info=info).derive(ikm)


def x25519_public(private: bytes) -> bytes:
    """The X25519 public key (32 bytes) of a private key (32 bytes).

    Raises CryptoError if it has another length.
    """
    if len(private) != KEY_SIZE:
        raise CryptoError(f"An X25519 private key has {KEY_SIZE} bytes, not {len(private)}.")
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def x25519(private: bytes, public: bytes) -> bytes:
    """The shared secret (32 bytes) of a private and a public key (32 bytes each).

    Raises CryptoError for a wrong length and for an all-zero result, which is what every public key of small
    order gives.
    """
    if len(private) != KEY_SIZE or len(public) != KEY_SIZE:
        raise CryptoError(f"X25519 keys have {KEY_SIZE} bytes, not {len(private)} and {len(public)}.")
    try:
        shared = X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public)
        )
    except ValueError as error:  # the library refuses an all-zero result by itself
        raise CryptoError("This X25519 public key is of small order, so it is refused.") from error
    if shared == _ZERO:  # should another version of the library stop refusing it
        raise CryptoError("This X25519 public key is of small order, so it is refused.")
    return shared


def kem_public(seed: bytes) -> bytes:
    """The ML-KEM-1024 public key (1,568 bytes) of a private key's 64-byte seed.

    Raises CryptoError for another length.
    """
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PrivateKey

    try:
        return MLKEM1024PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
    except ValueError as error:
        raise CryptoError(f"An ML-KEM-1024 seed has {KEM_SEED_SIZE} bytes, not {len(seed)}.") from error


def kem_encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """(ciphertext of 1,568 bytes, shared secret of 32) for a public key of 1,568 bytes.

    Raises CryptoError for another length and for a key that is no encoding of one (FIPS 203, 7.2).
    """
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PublicKey

    try:
        secret, ciphertext = MLKEM1024PublicKey.from_public_bytes(public).encapsulate()
    except ValueError as error:
        raise CryptoError("This is not an ML-KEM-1024 public key.") from error
    return ciphertext, secret


def kem_decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    """The shared secret (32 bytes) in a ciphertext of 1,568 bytes, for the private key of a 64-byte seed.

    A ciphertext made for another key gives another secret, not an error (implicit rejection): the first AEAD
    tag tells. Raises CryptoError for a wrong length.
    """
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM1024PrivateKey

    try:
        return MLKEM1024PrivateKey.from_seed_bytes(seed).decapsulate(ciphertext)
    except ValueError as error:
        raise CryptoError(
            f"An ML-KEM-1024 seed has {KEM_SEED_SIZE} bytes and a ciphertext {KEM_CIPHERTEXT_SIZE}, "
            f"not {len(seed)} and {len(ciphertext)}."
        ) from error
