"""Identities (docs/CRYPTO.md section 1): one path from words to keys, and the binding of the two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobium.crypto import Identity, verify_binding
from mobium.errors import CryptoError, RecoveryError, SignatureError
from mobium.signing import verify
from tests.crypto.points import ED25519_SMALL_ORDER, X25519_SMALL_ORDER


def test_words_bring_a_new_identity_back() -> None:
    identity, words = Identity.generate()
    again = Identity.from_words(words)
    assert len(words.split()) == 24
    for name in ("public", "x_public", "binding", "seed"):
        assert getattr(again, name) == getattr(identity, name)


def test_two_new_identities_differ() -> None:
    (a, words_a), (b, words_b) = Identity.generate(), Identity.generate()
    assert words_a != words_b
    assert len({a.public, a.x_public, b.public, b.x_public}) == 4


def test_words_in_any_case_and_spacing_are_the_same_words() -> None:
    identity, words = Identity.generate()
    spread = "  " + "\n\t ".join(words.title().split()) + "\n"
    assert Identity.from_words(spread).public == identity.public


def test_a_passphrase_makes_another_identity() -> None:
    plain, words = Identity.generate()
    keys = {Identity.from_words(words, passphrase).public for passphrase in ("", "a", "A", "a ")}
    assert plain.public in keys
    assert len(keys) == 4


def test_a_passphrase_is_the_same_however_its_accents_are_encoded() -> None:
    _, words = Identity.generate()
    composed, apart = Identity.from_words(words, "caf\u00e9"), Identity.from_words(words, "cafe\u0301")
    assert composed.public == apart.public


def test_a_seed_brings_the_identity_back() -> None:
    identity, _ = Identity.generate()
    assert len(identity.seed) == 64
    assert Identity.from_seed(identity.seed).public == identity.public


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(CryptoError, match=f"64 bytes, not {size}"):
        Identity.from_seed(bytes(size))


def test_wrong_words_are_refused() -> None:
    with pytest.raises(RecoveryError):
        Identity.from_words("these are no words")


def test_sizes(alice: Identity) -> None:
    assert [len(part) for part in (alice.public, alice.x_public, alice.binding, alice.sign(b""))] == [
        32,
        32,
        64,
        64,
    ]


def test_a_signature_is_the_identitys(alice: Identity, bob: Identity) -> None:
    signature = alice.sign(b"text")
    verify(alice.public, signature, b"text")
    with pytest.raises(SignatureError):
        verify(bob.public, signature, b"text")


def test_an_exchange_agrees(alice: Identity, bob: Identity, mallory: Identity) -> None:
    shared = alice.exchange(bob.x_public)
    assert len(shared) == 32
    assert shared == bob.exchange(alice.x_public)
    assert shared != mallory.exchange(bob.x_public)


@pytest.mark.parametrize("public", X25519_SMALL_ORDER, ids=bytes.hex)
def test_an_exchange_refuses_keys_of_small_order(alice: Identity, public: bytes) -> None:
    with pytest.raises(CryptoError, match="small order"):
        alice.exchange(public)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_an_exchange_refuses_keys_of_another_length(alice: Identity, size: int) -> None:
    with pytest.raises(CryptoError, match=f"not 32 and {size}"):
        alice.exchange(b"\2" * size)


def test_a_binding_holds_for_its_two_keys_alone(alice: Identity, bob: Identity) -> None:
    verify_binding(alice.public, alice.x_public, alice.binding)
    for public, x_public, binding in (
        (bob.public, alice.x_public, alice.binding),
        (alice.public, bob.x_public, alice.binding),
        (alice.public, alice.x_public, bob.binding),
        (alice.public, alice.x_public, alice.sign(alice.x_public)),  # signed, but not as a binding
        (alice.public, alice.x_public, alice.sign(b"mobium/1 identity binding" + alice.x_public)),
    ):
        with pytest.raises(SignatureError):
            verify_binding(public, x_public, binding)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_binding_of_a_key_of_another_length_is_refused(alice: Identity, size: int) -> None:
    x_public = bytes(size)
    with pytest.raises(SignatureError, match=f"32 bytes, not {size}"):
        verify_binding(alice.public, x_public, alice.sign(b"mobium/1 identity binding\0" + x_public))


@pytest.mark.parametrize("public", ED25519_SMALL_ORDER, ids=bytes.hex)
def test_a_binding_under_a_key_of_small_order_is_refused(alice: Identity, public: bytes) -> None:
    with pytest.raises(SignatureError, match="small order"):
        verify_binding(public, alice.x_public, (1).to_bytes(32, "little") + bytes(32))


@given(part=st.sampled_from(["public", "x_public", "binding"]), data=st.data())
def test_one_flipped_bit_breaks_the_binding(part: str, data: st.DataObject) -> None:
    identity = Identity.from_seed(bytes(range(64)))
    parts = {name: bytearray(getattr(identity, name)) for name in ("public", "x_public", "binding")}
    bit = data.draw(st.integers(0, 8 * len(parts[part]) - 1))
    parts[part][bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureError):
        verify_binding(bytes(parts["public"]), bytes(parts["x_public"]), bytes(parts["binding"]))


def test_the_repr_shows_the_public_key_and_no_secret() -> None:
    identity, words = Identity.generate()
    assert repr(identity) == f"Identity({identity.public.hex()})"
    assert not any(word in repr(identity) for word in words.split() if len(word) > 6)


@pytest.mark.parametrize("name", ["public", "x_public", "binding", "seed"])
def test_an_identity_does_not_change(alice: Identity, name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(alice, name, b"")
