"""PQXDH (docs/CRYPTO.md section 3): both sides agree, and every swapped part is found (A1, A2, A29)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobium.crypto import Identity, PrekeyKind, PrekeyPair, Prekeys, SignedPrekey, UsedPrekeys
from mobium.crypto.pqxdh import HEADER_SIZE, check_sender, initiate, read_header, respond
from mobium.crypto.prekeys import generate, make_pair
from mobium.errors import CryptoError, IdentityChanged, Invalid, SignatureError
from tests.crypto.pair import NOW
from tests.crypto.points import ED25519_SMALL_ORDER, X25519_SMALL_ORDER

EPHEMERAL = b"\x42" * 32
FIELDS = {  # where each part of the header stands
    "kind": slice(0, 1),
    "ed": slice(1, 33),
    "x": slice(33, 65),
    "binding": slice(65, 129),
    "ephemeral": slice(129, 161),
    "signed id": slice(161, 165),
    "one-time id": slice(165, 169),
    "kem kind": slice(169, 170),
    "kem id": slice(170, 174),
    "ciphertext": slice(174, 1742),
}


def answered(identity: Identity, source: Prekeys, raw: bytes) -> tuple[bytes, bytes, bytes, UsedPrekeys]:
    """Everything a responder does with a header."""
    header = read_header(raw)
    check_sender(identity, header)
    return respond(identity, source, header)


def with_part(raw: bytes, name: str, value: bytes) -> bytes:
    place = FIELDS[name]
    assert len(value) == place.stop - place.start
    return raw[: place.start] + value + raw[place.stop :]


@pytest.mark.parametrize("one_time", [True, False])
@pytest.mark.parametrize("kem_one_time", [True, False])
def test_both_sides_agree(alice: Identity, bob: Identity, one_time: bool, kem_one_time: bool) -> None:
    prekeys = Prekeys.generate(bob, NOW, one_time=int(one_time), kem_one_time=int(kem_one_time))
    bundle = prekeys.bundle()
    secret, associated_data, raw = initiate(alice, bundle, EPHEMERAL, NOW)
    assert answered(bob, prekeys, raw)[:2] == (secret, associated_data)
    assert (len(secret), len(associated_data), len(raw)) == (32, 32, HEADER_SIZE) == (32, 32, 1742)
    _, _, ratchet_private, used = answered(bob, prekeys, raw)
    signed = prekeys.private(PrekeyKind.SIGNED, bundle.signed.id)
    assert signed is not None
    assert ratchet_private == signed.private
    assert used.one_time == (bundle.one_time.id if bundle.one_time else None)
    assert (bundle.one_time is not None) is one_time
    assert used.kem_one_time == (bundle.kem.id if kem_one_time else None)


def test_every_handshake_is_another(alice: Identity, prekeys: Prekeys) -> None:
    bundle = prekeys.bundle(take_one_time=False)
    results = [initiate(alice, bundle, EPHEMERAL, NOW) for _ in range(2)]
    assert results[0][0] != results[1][0]
    assert results[0][1] != results[1][1]


def test_the_header_says_what_it_holds(alice: Identity, prekeys: Prekeys) -> None:
    bundle = prekeys.bundle()
    assert bundle.one_time is not None
    _, _, raw = initiate(alice, bundle, EPHEMERAL, NOW)
    header = read_header(raw + b"a ratchet message")
    assert (header.raw, header.handshake) == (raw, hashlib.sha256(raw).digest())
    assert (header.ed, header.x, header.binding) == (alice.public, alice.x_public, alice.binding)
    assert (header.signed_id, header.one_time_id) == (bundle.signed.id, bundle.one_time.id)
    assert (header.kem_kind, header.kem_id) == (PrekeyKind.KEM_ONE_TIME, bundle.kem.id)
    assert {name: raw[place] for name, place in FIELDS.items() if hasattr(header, name)} == {
        name: getattr(header, name) for name in FIELDS if hasattr(header, name)
    }


def test_its_repr_is_short(alice: Identity, prekeys: Prekeys) -> None:
    header = read_header(initiate(alice, prekeys.bundle(), EPHEMERAL, NOW)[2])
    assert repr(header) == f"Header({header.handshake.hex()}, from {alice.public.hex()})"


def test_what_is_no_header_is_refused(alice: Identity, prekeys: Prekeys) -> None:
    raw = initiate(alice, prekeys.bundle(), EPHEMERAL, NOW)[2]
    for wrong in (b"", b"\x02", raw[:-1], b"\x01" + raw[1:], b"\x03" + raw[1:], b"\x00" + raw[1:]):
        with pytest.raises(Invalid, match="not a prekey message"):
            read_header(wrong)
    for name, values in {
        "signed id": [bytes(4)],
        "kem id": [bytes(4)],
        "kem kind": [b"\x00", b"\x03", b"\xff"],
    }.items():
        for value in values:
            with pytest.raises(Invalid, match="cannot exist"):
                read_header(with_part(raw, name, value))


def test_ones_own_bundle_is_refused(bob: Identity, prekeys: Prekeys) -> None:
    with pytest.raises(CryptoError, match="your own"):
        initiate(bob, prekeys.bundle(), EPHEMERAL, NOW)


def test_a_header_from_oneself_is_refused(bob: Identity, alice: Identity, prekeys: Prekeys) -> None:
    raw = initiate(alice, prekeys.bundle(), EPHEMERAL, NOW)[2]
    mirrored = with_part(raw, "ed", bob.public)
    with pytest.raises(Invalid, match="oneself"):
        check_sender(bob, read_header(mirrored))
    with pytest.raises(Invalid, match="oneself"):  # even if bob himself signed it
        check_sender(alice, read_header(raw))


def test_a_header_of_another_than_the_envelopes_sender_is_refused(
    alice: Identity, bob: Identity, mallory: Identity, prekeys: Prekeys
) -> None:
    header = read_header(initiate(alice, prekeys.bundle(), EPHEMERAL, NOW)[2])
    check_sender(bob, header, sender=alice.public)
    with pytest.raises(Invalid, match="another identity"):
        check_sender(bob, header, sender=mallory.public)


def test_a_header_with_the_servers_own_x_key_is_refused(
    alice: Identity, bob: Identity, mallory: Identity, prekeys: Prekeys
) -> None:
    """A2: somebody opens a conversation as alice with a key of their own."""
    raw = initiate(mallory, prekeys.bundle(), EPHEMERAL, NOW)[2]
    forged = with_part(raw, "ed", alice.public)
    for binding in (mallory.binding, alice.binding):
        with pytest.raises(SignatureError):
            check_sender(bob, read_header(with_part(forged, "binding", binding)), sender=alice.public)


@pytest.mark.parametrize("public", ED25519_SMALL_ORDER, ids=bytes.hex)
def test_a_header_of_an_identity_of_small_order_is_refused(
    alice: Identity, bob: Identity, prekeys: Prekeys, public: bytes
) -> None:
    raw = initiate(alice, prekeys.bundle(), EPHEMERAL, NOW)[2]
    forged = with_part(with_part(raw, "ed", public), "binding", (1).to_bytes(32, "little") + bytes(32))
    with pytest.raises(SignatureError, match="small order"):
        check_sender(bob, read_header(forged))


def bound(identity: Identity, x_public: bytes) -> tuple[bytes, bytes]:
    return x_public, identity.sign(b"mobium/1 identity binding\0" + x_public)


def test_another_validly_bound_x_key_than_the_pinned_one_is_told_apart(
    alice: Identity, bob: Identity, mallory: Identity, prekeys: Prekeys
) -> None:
    x_public, binding = bound(bob, mallory.x_public)
    bundle = prekeys.bundle()
    initiate(alice, bundle, EPHEMERAL, NOW, pinned_x=bob.x_public)
    changed = bundle._replace(x_public=x_public, binding=binding)
    with pytest.raises(IdentityChanged) as caught:
        initiate(alice, changed, EPHEMERAL, NOW, pinned_x=bob.x_public)
    assert (caught.value.public, caught.value.x_public) == (bob.public, mallory.x_public)

    x_public, binding = bound(alice, mallory.x_public)
    raw = initiate(alice, bundle, EPHEMERAL, NOW)[2]
    header = read_header(with_part(with_part(raw, "x", x_public), "binding", binding))
    check_sender(bob, header)
    with pytest.raises(IdentityChanged) as caught:
        check_sender(bob, header, pinned_x=alice.x_public)
    assert (caught.value.public, caught.value.x_public) == (alice.public, mallory.x_public)


def test_a_key_that_is_not_validly_bound_is_no_change_of_keys(
    alice: Identity, bob: Identity, mallory: Identity, prekeys: Prekeys
) -> None:
    raw = initiate(alice, prekeys.bundle(), EPHEMERAL, NOW)[2]
    with pytest.raises(SignatureError):
        check_sender(bob, read_header(with_part(raw, "x", mallory.x_public)), pinned_x=alice.x_public)


@pytest.mark.parametrize("name", ["signed id", "one-time id", "kem id"])
def test_prekeys_that_are_not_held_are_refused(
    alice: Identity, bob: Identity, prekeys: Prekeys, name: str
) -> None:
    raw = initiate(alice, prekeys.bundle(), EPHEMERAL, NOW)[2]
    other = bytes(b ^ 0xFF for b in raw[FIELDS[name]])
    with pytest.raises(Invalid, match="not held"):
        answered(bob, prekeys, with_part(raw, name, other))


def test_a_one_time_key_is_not_a_last_resort_key(alice: Identity, bob: Identity, prekeys: Prekeys) -> None:
    raw = initiate(alice, prekeys.bundle(), EPHEMERAL, NOW)[2]
    assert raw[169] == 1
    with pytest.raises(Invalid, match="not held"):
        answered(bob, prekeys, with_part(raw, "kem kind", b"\2"))


def test_used_one_time_keys_open_nothing_more(alice: Identity, bob: Identity, prekeys: Prekeys) -> None:
    raw = initiate(alice, prekeys.bundle(), EPHEMERAL, NOW)[2]
    prekeys.discard(answered(bob, prekeys, raw)[3])
    with pytest.raises(Invalid, match="not held"):
        answered(bob, prekeys, raw)


@pytest.mark.parametrize("public", X25519_SMALL_ORDER, ids=bytes.hex)
def test_keys_of_small_order_are_refused_wherever_they_stand(
    alice: Identity, bob: Identity, prekeys: Prekeys, public: bytes
) -> None:
    """Each is validly signed, by somebody who wants an agreement that everybody can compute."""
    bundle = prekeys.bundle()
    x_public, binding = bound(bob, public)
    for bad in (
        bundle._replace(x_public=x_public, binding=binding),
        bundle._replace(signed=signed_as(bob, PrekeyKind.SIGNED, public)),
        bundle._replace(one_time=signed_as(bob, PrekeyKind.ONE_TIME, public)),
    ):
        bad.verify(NOW)
        with pytest.raises(CryptoError, match="small order"):
            initiate(alice, bad, EPHEMERAL, NOW)
    raw = initiate(alice, bundle, EPHEMERAL, NOW)[2]
    with pytest.raises(CryptoError, match="small order"):
        answered(bob, prekeys, with_part(raw, "ephemeral", public))
    x_public, binding = bound(alice, public)
    with pytest.raises(CryptoError, match="small order"):
        answered(bob, prekeys, with_part(with_part(raw, "x", x_public), "binding", binding))


def signed_as(identity: Identity, kind: PrekeyKind, public: bytes) -> SignedPrekey:
    prekey = generate(identity, kind, 1, NOW)[0].prekey
    text = kind.label + b"\0" + prekey.id.to_bytes(4, "big") + prekey.expires.to_bytes(8, "big") + public
    return prekey._replace(public=public, signature=identity.sign(text))


def test_a_kem_key_that_is_none_is_refused_though_it_is_signed(
    alice: Identity, bob: Identity, prekeys: Prekeys
) -> None:
    bundle = prekeys.bundle()._replace(kem=signed_as(bob, PrekeyKind.KEM_ONE_TIME, b"\xff" * 1568))
    with pytest.raises(CryptoError, match="not an ML-KEM-1024 public key"):
        initiate(alice, bundle, EPHEMERAL, NOW)


def test_an_expired_bundle_is_refused(alice: Identity, prekeys: Prekeys) -> None:
    with pytest.raises(CryptoError, match="has not been online"):
        initiate(alice, prekeys.bundle(), EPHEMERAL, NOW + 62 * 86_400)


def test_an_ephemeral_key_of_another_length_is_refused(alice: Identity, prekeys: Prekeys) -> None:
    with pytest.raises(CryptoError, match="32 bytes"):
        initiate(alice, prekeys.bundle(), bytes(31), NOW)


@given(data=st.data())
def test_any_flipped_bit_of_the_header_is_refused_or_changes_the_agreement(data: st.DataObject) -> None:
    """What is not refused gives another secret or other associated data, so that no message opens."""
    name = data.draw(st.sampled_from(list(FIELDS)))
    place = FIELDS[name]
    bit = data.draw(st.integers(8 * place.start, 8 * place.stop - 1))
    _, associated_data, raw = AGREED
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        result = answered(BOB, PREKEYS, bytes(changed))
    except CryptoError:
        return
    assert result[1] != associated_data
    assert name in ("ephemeral", "ciphertext")


ALICE = Identity.from_seed(b"a" * 64)
BOB = Identity.from_seed(b"b" * 64)
PREKEYS = Prekeys.generate(BOB, NOW, one_time=1, kem_one_time=1)
AGREED = initiate(ALICE, PREKEYS.bundle(), EPHEMERAL, NOW)


class Swapped:
    """A prekey source that answers one question with another key: what a responder's own mix-up would be."""

    def __init__(self, kind: PrekeyKind, answer: Callable[[PrekeyPair], PrekeyPair]) -> None:
        self.kind, self.answer = kind, answer

    def private(self, kind: PrekeyKind, prekey_id: int, /) -> PrekeyPair | None:
        pair = PREKEYS.private(kind, prekey_id)
        return self.answer(pair) if pair is not None and kind is self.kind else pair


@pytest.mark.parametrize("kind", [PrekeyKind.SIGNED, PrekeyKind.ONE_TIME, PrekeyKind.KEM_ONE_TIME])
def test_every_prekey_counts_in_secret_and_associated_data(kind: PrekeyKind) -> None:
    header = read_header(AGREED[2])
    assert respond(BOB, PREKEYS, header)[:2] == AGREED[:2]
    other = make_pair(BOB, kind, 7, NOW, b"\x55" * kind.private_size)
    same_id = Swapped(kind, lambda pair: other._replace(prekey=other.prekey._replace(id=pair.prekey.id)))
    same_key = Swapped(kind, lambda pair: pair._replace(prekey=pair.prekey._replace(id=7)))
    another_secret = respond(BOB, same_id, header)
    assert another_secret[0] != AGREED[0]
    assert another_secret[1] != AGREED[1]
    if kind is not PrekeyKind.ONE_TIME:  # whose id is taken from the header
        assert respond(BOB, same_key, header)[0] == AGREED[0]
        assert respond(BOB, same_key, header)[1] != AGREED[1]


def test_both_identities_count_in_the_associated_data(mallory: Identity) -> None:
    header = read_header(AGREED[2])
    as_mallory = header._replace(ed=mallory.public)
    assert respond(BOB, PREKEYS, as_mallory)[0] == AGREED[0]
    assert respond(BOB, PREKEYS, as_mallory)[1] != AGREED[1]
