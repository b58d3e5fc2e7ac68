"""Strict Ed25519 (docs/CRYPTO.md): what `mobium.signing` refuses and the library alone does not."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from mobium.errors import SignatureError
from mobium.signing import SigningKey, check_public, verify
from tests.crypto.points import ED25519_NOT_CANONICAL, ED25519_SMALL_ORDER, ORDER, P

REFUSED = ED25519_SMALL_ORDER + ED25519_NOT_CANONICAL
IDENTITY = (1).to_bytes(32, "little")


def library_accepts(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def secret_scalar(seed: bytes) -> int:
    scalar = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return (scalar & ((1 << 254) - 8)) | (1 << 254)


def signature_with_identity_as_r(key: SigningKey, message: bytes) -> bytes:
    """R is the neutral element and S = h*a: right by the equation S*B = R + h*A, and bound to no nonce."""
    h = int.from_bytes(hashlib.sha512(IDENTITY + key.public + message).digest(), "little") % ORDER
    return IDENTITY + (h * secret_scalar(key.seed) % ORDER).to_bytes(32, "little")


def test_there_are_as_many_refused_encodings_as_the_field_allows() -> None:
    assert len(set(ED25519_SMALL_ORDER)) == 10
    assert len(set(ED25519_NOT_CANONICAL)) == 2 * (2**255 - P) == 38


@pytest.mark.parametrize("public", REFUSED, ids=bytes.hex)
def test_a_key_of_small_order_or_another_encoding_is_refused(public: bytes) -> None:
    with pytest.raises(SignatureError, match="small order or not canonical"):
        check_public(public)
    # Whatever the signature, and whether or not the library would take it.
    for signature in (IDENTITY + bytes(32), public + bytes(32), bytes(64)):
        with pytest.raises(SignatureError):
            verify(public, signature, b"anything")


@pytest.mark.parametrize("r", REFUSED, ids=bytes.hex)
def test_an_r_of_small_order_or_another_encoding_is_refused_under_a_good_key(r: bytes) -> None:
    key = SigningKey.from_seed(bytes(32))
    with pytest.raises(SignatureError, match="small order or not canonical"):
        verify(key.public, r + key.sign(b"text")[32:], b"text")


def test_the_library_alone_takes_one_signature_for_every_message_under_the_neutral_element() -> None:
    """What the strict rules are for: with this key anybody has signed everything."""
    signature = IDENTITY + bytes(32)
    assert all(library_accepts(IDENTITY, signature, text) for text in (b"yes", b"no", b""))
    with pytest.raises(SignatureError):
        verify(IDENTITY, signature, b"yes")


def test_the_library_alone_takes_small_order_keys_for_some_message() -> None:
    """Each of them but one's y that is no point: some message in a few verifies without any private key."""
    signature = IDENTITY + bytes(32)
    taken = [
        public
        for public in ED25519_SMALL_ORDER
        if any(library_accepts(public, signature, bytes((n,))) for n in range(64))
    ]
    assert len(taken) >= 6
    for public in taken:
        with pytest.raises(SignatureError):
            verify(public, signature, b"\0")


def test_the_library_alone_takes_an_r_of_small_order_under_a_good_key() -> None:
    key = SigningKey.from_seed(b"s" * 32)
    signature = signature_with_identity_as_r(key, b"text")
    assert library_accepts(key.public, signature, b"text")
    with pytest.raises(SignatureError):
        verify(key.public, signature, b"text")


def test_an_s_that_is_not_reduced_is_refused() -> None:
    key = SigningKey.from_seed(b"s" * 32)
    signature = key.sign(b"text")
    s = int.from_bytes(signature[32:], "little") + ORDER
    with pytest.raises(SignatureError, match="does not verify"):
        verify(key.public, signature[:32] + s.to_bytes(32, "little"), b"text")


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    key = SigningKey.generate()
    with pytest.raises(SignatureError, match=f"32 bytes, not {size}"):
        check_public(bytes(size))
    with pytest.raises(SignatureError, match=f"32 bytes, not {size}"):
        verify(bytes(size), key.sign(b""), b"")
    with pytest.raises(SignatureError, match=f"32 bytes, not {size}"):
        SigningKey.from_seed(bytes(size))


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_a_signature_of_another_length_is_refused(size: int) -> None:
    key = SigningKey.generate()
    signature = (key.sign(b"text") + b"\0")[:size]
    with pytest.raises(SignatureError, match=f"64 bytes, not {size}"):
        verify(key.public, signature, b"text")


def is_on_the_curve(y: int) -> bool:
    d = -121665 * pow(121666, -1, P)
    x_squared = (y * y - 1) * pow(d * y * y + 1, -1, P) % P
    return pow(x_squared, (P - 1) // 2, P) in (0, 1)


def test_a_key_or_an_r_that_is_no_point_is_refused() -> None:
    no_points = [y.to_bytes(32, "little") for y in range(2, 40) if not is_on_the_curve(y)]
    key = SigningKey.generate()
    signature = key.sign(b"text")
    for encoded in no_points:
        with pytest.raises(SignatureError):
            verify(encoded, signature, b"text")
        with pytest.raises(SignatureError):
            verify(key.public, encoded + signature[32:], b"text")
    assert len(no_points) > 10


@given(st.binary(max_size=200))
def test_an_honest_signature_verifies(message: bytes) -> None:
    key = SigningKey.generate()
    check_public(key.public)
    verify(key.public, key.sign(message), message)
    assert SigningKey.from_seed(key.seed).sign(message) == key.sign(message)


@given(st.integers(0, 64 * 8 - 1))
def test_one_flipped_bit_of_a_signature_is_refused(bit: int) -> None:
    key = SigningKey.from_seed(b"k" * 32)
    signature = bytearray(key.sign(b"text"))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureError):
        verify(key.public, bytes(signature), b"text")


def test_the_seed_is_in_no_repr() -> None:
    key = SigningKey.generate()
    assert key.seed.hex() not in repr(key)
    assert repr(key) == f"SigningKey(public={key.public.hex()})"
