"""Prekeys and bundles (docs/CRYPTO.md section 3; attack A1 at its root: nothing unsigned is believed)."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from mobium.crypto import Bundle, Identity, PrekeyKind, Prekeys, SignedPrekey, UsedPrekeys, verify_prekey
from mobium.crypto.prekeys import LIFETIME, SLACK, generate, make_pair
from mobium.errors import CryptoError, SignatureError
from mobium.signing import verify
from tests.crypto.pair import NOW
from tests.crypto.points import ED25519_SMALL_ORDER

DAY = 86_400
KINDS = list(PrekeyKind)
Change = Callable[[SignedPrekey], SignedPrekey]


@pytest.fixture(scope="module")
def prekeys(bob: Identity) -> Prekeys:
    return Prekeys.generate(bob, NOW, one_time=40, kem_one_time=40)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_generated_verifies(bob: Identity, kind: PrekeyKind) -> None:
    pairs = generate(bob, kind, 5, NOW)
    assert len({pair.prekey.id for pair in pairs}) == len({pair.prekey.public for pair in pairs}) == 5
    for pair in pairs:
        assert 0 < pair.prekey.id < 2**32
        assert pair.prekey.expires == NOW + 60 * DAY
        assert len(pair.prekey.public) == kind.public_size == (1568 if kind.is_kem else 32)
        assert len(pair.private) == kind.private_size == (64 if kind.is_kem else 32)
        verify_prekey(bob.public, kind, pair.prekey, NOW)


def test_ids_avoid_those_taken(bob: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = itertools.cycle([6, 7, 7, 8])
    monkeypatch.setattr("mobium.crypto.prekeys.secrets.randbelow", lambda _: next(drawn))
    pairs = generate(bob, PrekeyKind.ONE_TIME, 2, NOW, taken={7})
    assert [pair.prekey.id for pair in pairs] == [8, 9]


def test_the_signed_bytes_are_the_specifications(bob: Identity) -> None:
    labels = {
        PrekeyKind.SIGNED: b"mobium/1 signed prekey",
        PrekeyKind.ONE_TIME: b"mobium/1 one-time prekey",
        PrekeyKind.KEM_LAST_RESORT: b"mobium/1 kem prekey",
        PrekeyKind.KEM_ONE_TIME: b"mobium/1 kem one-time prekey",
    }
    for kind, label in labels.items():
        prekey = make_pair(bob, kind, 0x01020304, 0x0506070809, b"\7" * kind.private_size).prekey
        text = label + b"\0\1\2\3\4\0\0\0\5\6\7\x08\x09" + prekey.public
        verify(bob.public, prekey.signature, text)


@pytest.mark.parametrize(("signed_as", "shown_as"), list(itertools.permutations(KINDS, 2)))
def test_a_prekey_of_one_kind_is_none_of_another(
    bob: Identity, signed_as: PrekeyKind, shown_as: PrekeyKind
) -> None:
    prekey = generate(bob, signed_as, 1, NOW)[0].prekey
    with pytest.raises(CryptoError):
        verify_prekey(bob.public, shown_as, prekey, NOW)


CHANGES: dict[str, Change] = {
    "id": lambda prekey: prekey._replace(id=prekey.id ^ 1 or 2),
    "expiry": lambda prekey: prekey._replace(expires=prekey.expires + 1),
    "public": lambda prekey: prekey._replace(public=prekey.public[:-1] + bytes((prekey.public[-1] ^ 1,))),
    "signature": lambda prekey: prekey._replace(signature=bytes(64)),
    "short signature": lambda prekey: prekey._replace(signature=prekey.signature[:63]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_prekey_is_refused(bob: Identity, kind: PrekeyKind, change: Change) -> None:
    prekey = generate(bob, kind, 1, NOW)[0].prekey
    with pytest.raises(SignatureError):
        verify_prekey(bob.public, kind, change(prekey), NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prekey_signed_by_somebody_else_is_refused(
    bob: Identity, mallory: Identity, kind: PrekeyKind
) -> None:
    prekey = generate(mallory, kind, 1, NOW)[0].prekey
    with pytest.raises(SignatureError):
        verify_prekey(bob.public, kind, prekey, NOW)


@pytest.mark.parametrize("public", ED25519_SMALL_ORDER, ids=bytes.hex)
def test_a_prekey_under_an_identity_of_small_order_is_refused(bob: Identity, public: bytes) -> None:
    prekey = generate(bob, PrekeyKind.SIGNED, 1, NOW)[0].prekey
    with pytest.raises(SignatureError, match="small order"):
        verify_prekey(public, PrekeyKind.SIGNED, prekey, NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_another_length_is_refused_before_the_signature(bob: Identity, kind: PrekeyKind) -> None:
    prekey = generate(bob, kind, 1, NOW)[0].prekey
    for public in (b"", prekey.public[:-1], prekey.public + b"\0"):
        with pytest.raises(CryptoError, match=f"{kind.public_size} bytes, not {len(public)}"):
            verify_prekey(bob.public, kind, prekey._replace(public=public), NOW)


@pytest.mark.parametrize(("prekey_id", "expires"), [(0, NOW), (2**32, NOW), (-1, NOW), (1, -1), (1, 2**64)])
def test_ids_and_times_out_of_range_are_refused(bob: Identity, prekey_id: int, expires: int) -> None:
    with pytest.raises(CryptoError, match="id"):
        make_pair(bob, PrekeyKind.SIGNED, prekey_id, expires, bytes(32))
    prekey = generate(bob, PrekeyKind.SIGNED, 1, NOW)[0].prekey
    with pytest.raises(CryptoError, match="out of range"):
        verify_prekey(bob.public, PrekeyKind.SIGNED, prekey._replace(id=prekey_id, expires=expires), NOW)


def test_private_keys_of_another_length_are_refused(bob: Identity) -> None:
    for kind in KINDS:
        with pytest.raises(CryptoError, match="not 63"):
            make_pair(bob, kind, 1, NOW, bytes(63))


def test_expiry_has_a_day_of_slack_on_both_sides(bob: Identity) -> None:
    prekey = generate(bob, PrekeyKind.SIGNED, 1, NOW)[0].prekey
    assert prekey.expires == NOW + LIFETIME
    for now in (NOW, NOW - SLACK, NOW + LIFETIME, NOW + LIFETIME + SLACK):
        verify_prekey(bob.public, PrekeyKind.SIGNED, prekey, now)
    with pytest.raises(CryptoError, match="has not been online"):
        verify_prekey(bob.public, PrekeyKind.SIGNED, prekey, NOW + LIFETIME + SLACK + 1)
    with pytest.raises(CryptoError, match="too far in the future"):
        verify_prekey(bob.public, PrekeyKind.SIGNED, prekey, NOW - SLACK - 1)
    assert (LIFETIME, SLACK) == (60 * DAY, DAY)


def test_a_bundle_verifies_with_and_without_one_time_keys(prekeys: Prekeys) -> None:
    prekeys.bundle().verify(NOW)
    bundle = prekeys.bundle(take_one_time=False)
    assert bundle.one_time is None
    assert bundle.kem_kind is PrekeyKind.KEM_LAST_RESORT
    bundle.verify(NOW)


def swapped(bundle: Bundle, other: Bundle) -> list[Bundle]:
    """The bundle with each part of another one's in its place."""
    return [
        bundle._replace(identity=other.identity),
        bundle._replace(x_public=other.x_public),
        bundle._replace(binding=other.binding),
        bundle._replace(x_public=other.x_public, binding=other.binding),
        bundle._replace(signed=other.signed),
        bundle._replace(kem=other.kem),
        bundle._replace(one_time=other.one_time),
    ]


def test_a_bundle_with_any_part_of_somebody_elses_is_refused(prekeys: Prekeys, mallory: Identity) -> None:
    other = Prekeys.generate(mallory, NOW, one_time=1, kem_one_time=1).bundle()
    for bundle in swapped(prekeys.bundle(), other):
        with pytest.raises(SignatureError):
            bundle.verify(NOW)


def test_a_bundle_whose_keys_stand_in_each_others_places_is_refused(prekeys: Prekeys) -> None:
    bundle = prekeys.bundle()
    assert bundle.one_time is not None
    for change in (
        bundle._replace(signed=bundle.one_time),
        bundle._replace(one_time=bundle.signed),
        bundle._replace(kem=bundle.signed),
        bundle._replace(signed=bundle.kem),
        bundle._replace(kem_kind=PrekeyKind.KEM_LAST_RESORT),
        bundle._replace(kem_kind=PrekeyKind.SIGNED),
        bundle._replace(kem_kind=PrekeyKind.ONE_TIME, kem=bundle.one_time),
    ):
        with pytest.raises(CryptoError):
            change.verify(NOW)


def test_any_expired_key_expires_the_bundle(bob: Identity, prekeys: Prekeys) -> None:
    bundle = prekeys.bundle()
    old = NOW - LIFETIME - SLACK - 1
    for change in (
        bundle._replace(signed=generate(bob, PrekeyKind.SIGNED, 1, old)[0].prekey),
        bundle._replace(kem=generate(bob, PrekeyKind.KEM_ONE_TIME, 1, old)[0].prekey),
        bundle._replace(one_time=generate(bob, PrekeyKind.ONE_TIME, 1, old)[0].prekey),
    ):
        with pytest.raises(CryptoError, match="has not been online"):
            change.verify(NOW)


def test_one_time_keys_are_given_out_once_and_then_the_last_resort_serves(bob: Identity) -> None:
    prekeys = Prekeys.generate(bob, NOW, one_time=3, kem_one_time=2)
    bundles = [prekeys.bundle() for _ in range(5)]
    given = [bundle.one_time.id for bundle in bundles if bundle.one_time is not None]
    kem = [bundle.kem.id for bundle in bundles if bundle.kem_kind is PrekeyKind.KEM_ONE_TIME]
    assert len(set(given)) == 3
    assert len(set(kem)) == 2
    assert [bundle.kem_kind for bundle in bundles[2:]] == [PrekeyKind.KEM_LAST_RESORT] * 3
    assert len({bundle.kem.id for bundle in bundles[2:]}) == 1


def test_the_private_side_is_found_by_kind_and_id(bob: Identity) -> None:
    prekeys = Prekeys.generate(bob, NOW, one_time=1, kem_one_time=1)
    bundle = prekeys.bundle()
    assert bundle.one_time is not None
    pair = prekeys.private(PrekeyKind.ONE_TIME, bundle.one_time.id)
    assert pair is not None
    assert pair.prekey == bundle.one_time
    assert prekeys.private(PrekeyKind.SIGNED, bundle.one_time.id) is None
    prekeys.discard(UsedPrekeys(bundle.one_time.id, bundle.kem.id))
    assert prekeys.private(PrekeyKind.ONE_TIME, bundle.one_time.id) is None
    assert prekeys.private(PrekeyKind.KEM_ONE_TIME, bundle.kem.id) is None
    assert prekeys.private(PrekeyKind.SIGNED, bundle.signed.id) is not None
    prekeys.discard(UsedPrekeys(bundle.one_time.id, None))  # again: nothing to do


def test_prekeys_need_the_two_that_last(bob: Identity) -> None:
    signed = generate(bob, PrekeyKind.SIGNED, 1, NOW)
    for pairs in (
        {},
        {PrekeyKind.SIGNED: signed},
        {PrekeyKind.SIGNED: signed, PrekeyKind.KEM_LAST_RESORT: []},
    ):
        with pytest.raises(CryptoError, match="at least one signed and one last-resort"):
            Prekeys(bob, pairs)


def test_the_clock_is_read_when_no_time_is_given(bob: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobium.crypto.prekeys.time.time", lambda: NOW + 0.9)
    bundle = Prekeys.generate(bob, one_time=0, kem_one_time=0).bundle()
    assert bundle.signed.expires == NOW + LIFETIME


def test_no_repr_shows_a_private_key(bob: Identity) -> None:
    prekeys = Prekeys.generate(bob, NOW, one_time=1, kem_one_time=1)
    for pair in prekeys._pairs.values():
        assert pair.private.hex() not in repr(pair)
        assert repr(pair.private) not in repr(pair)
        assert repr(pair) == f"PrekeyPair(id={pair.prekey.id})"
    assert repr(prekeys) == f"Prekeys(identity={bob.public.hex()}, held=4)"
