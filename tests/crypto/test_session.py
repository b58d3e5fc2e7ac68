"""Sessions (docs/CRYPTO.md sections 3 and 4): payloads, the header until the answer, refusals.

Runs on both back ends. Not its concern: stored forms (test_session_state.py), random schedules
(test_session_machine.py).
"""

from __future__ import annotations

import pickle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mobium.crypto import BUCKETS, Identity, Prekeys, Session, read_header
from mobium.errors import (
    CryptoError,
    Duplicate,
    IdentityChanged,
    Invalid,
    PaddingError,
    SignatureError,
    StateError,
    TooFar,
)
from tests.crypto.pair import NOW, Pair, many

pytestmark = pytest.mark.usefixtures("backend")


def test_a_conversation(alice: Identity, bob: Identity, prekeys: Prekeys) -> None:
    bundle = prekeys.bundle()
    a = Session.initiate(alice, bundle, now=NOW)
    payload, a = a.encrypt(b"hello")
    text, b, used = Session.accept(bob, prekeys, payload, now=NOW)
    assert text == b"hello"
    assert bundle.one_time is not None
    assert (used.one_time, used.kem_one_time) == (bundle.one_time.id, bundle.kem.id)
    for index in range(20):
        payload, b = b.encrypt(b"from bob %d" % index)
        text, a = a.decrypt(payload)
        assert text == b"from bob %d" % index
        payload, a = a.encrypt(b"from alice %d" % index)
        text, b = b.decrypt(payload)
        assert text == b"from alice %d" % index


def test_what_a_session_says_of_itself(alice: Identity, bob: Identity, begun: Pair) -> None:
    a, b = begun.a, begun.b
    assert (a.peer, a.peer_x, a.initiated, a.unanswered) == (bob.public, bob.x_public, True, True)
    assert (b.peer, b.peer_x, b.initiated, b.unanswered) == (alice.public, alice.x_public, False, False)
    assert a.handshake == b.handshake
    assert len(a.handshake) == 32
    assert b.header is None


def test_the_header_precedes_every_message_until_the_answer(begun: Pair) -> None:
    pair = begun
    header = pair.a.header
    assert header is not None
    for n in range(3):
        payload, pair = pair.a_says(b"again %d" % n)
        assert payload[:1742] == header
        assert payload[1742] == 1
        text, pair = pair.to_b(payload)
        assert text == b"again %d" % n
    answer, pair = pair.b_says(b"answer")
    assert pair.a.unanswered
    _, pair = pair.to_a(answer)
    assert not pair.a.unanswered
    assert pair.a.header is None
    payload, pair = pair.a_says(b"now bare")
    assert payload[0] == 1
    assert pair.to_b(payload)[0] == b"now bare"


@pytest.mark.parametrize("size", [0, 1, 488, 489, 1000, 100_000])
def test_a_payload_has_a_buckets_size_and_its_kinds(begun: Pair, answered: Pair, size: int) -> None:
    assert len(begun.a_says(bytes(size))[0]) - 1799 in BUCKETS
    assert len(answered.a_says(bytes(size))[0]) - 57 in BUCKETS


def test_more_than_the_largest_bucket_is_refused(answered: Pair) -> None:
    with pytest.raises(PaddingError):
        answered.a.encrypt(bytes(BUCKETS[-1]))


def test_the_first_message_to_arrive_begins_the_session_whichever_it_is(
    alice: Identity, bob: Identity, prekeys: Prekeys
) -> None:
    a = Session.initiate(alice, prekeys.bundle(), now=NOW)
    payloads = []
    for n in range(4):
        payload, a = a.encrypt(b"%d" % n)
        payloads.append(payload)
    text, b, _ = Session.accept(bob, prekeys, payloads[2], now=NOW)
    assert text == b"2"
    for n in (3, 0, 1):
        assert b.knows(payloads[n])
        text, b = b.decrypt(payloads[n])
        assert text == b"%d" % n
    for payload in payloads:
        with pytest.raises(Duplicate):
            b.decrypt(payload)


def test_a_header_that_comes_after_the_answer_still_opens(begun: Pair) -> None:
    """Sent before the answer reached alice, delivered after bob heard her without a header."""
    late, pair = begun.a_says(b"late")
    answer, pair = pair.b_says(b"answer")
    _, pair = pair.to_a(answer)
    bare, pair = pair.a_says(b"bare")
    _, pair = pair.to_b(bare)
    assert pair.to_b(late)[0] == b"late"


def test_both_may_lose_the_first_answers(begun: Pair) -> None:
    _, pair = begun.b_says(b"lost")
    answer, pair = pair.b_says(b"arrives")
    text, pair = pair.to_a(answer)
    assert text == b"arrives"


def test_a_session_is_a_value(answered: Pair) -> None:
    a, b = answered.a, answered.b
    before = a.to_bytes(), b.to_bytes()
    payload, _ = a.encrypt(b"text")
    b.decrypt(payload)
    again, _ = a.encrypt(b"text")
    assert again != payload
    assert (a.to_bytes(), b.to_bytes()) == before
    assert b.decrypt(again)[0] == b"text"
    b.expire(NOW + 1)
    for name in ("peer", "peer_x", "handshake", "initiated", "unanswered", "header"):
        with pytest.raises(AttributeError):
            setattr(a, name, None)


def test_a_refused_payload_leaves_the_session_as_it_was(begun: Pair, answered: Pair) -> None:
    payload, _ = answered.a_says(b"text")
    before = answered.b.to_bytes()
    for wrong in (b"", b"\0" + payload[1:], payload[:-1], payload[:-1] + bytes((payload[-1] ^ 1,))):
        with pytest.raises(Invalid):
            answered.b.decrypt(wrong)
    assert answered.b.to_bytes() == before
    assert answered.b.decrypt(payload)[0] == b"text"
    # An unanswered session stays unanswered when what comes is no answer.
    with pytest.raises(Invalid):
        begun.a.decrypt(payload)
    assert begun.a.unanswered


@pytest.mark.parametrize("kind", [0, 3, 4, 0x7B, 0xFF])
def test_there_is_no_third_kind_of_payload(answered: Pair, kind: int) -> None:
    payload, _ = answered.a_says(b"text")
    with pytest.raises(Invalid, match="no known kind"):
        answered.b.decrypt(bytes((kind,)) + payload[1:])
    assert not answered.b.knows(bytes((kind,)) + payload[1:])


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x02", b"hello", b"\x02" + bytes(1741), bytes(2311)])
def test_what_is_no_ciphertext_is_refused(
    answered: Pair, bob: Identity, prekeys: Prekeys, payload: bytes
) -> None:
    with pytest.raises(Invalid):
        answered.b.decrypt(payload)
    with pytest.raises(Invalid):
        Session.accept(bob, prekeys, payload, now=NOW)
    assert not answered.b.knows(payload)


def test_a_bare_ratchet_message_begins_nothing(answered: Pair, bob: Identity) -> None:
    payload, _ = answered.a_says(b"text")
    with pytest.raises(Invalid, match="not a prekey message"):
        Session.accept(bob, answered.prekeys, payload, now=NOW)


def test_a_header_without_a_message_begins_nothing(begun: Pair, bob: Identity) -> None:
    assert begun.a.header is not None
    with pytest.raises(Invalid):
        Session.accept(bob, begun.prekeys, begun.a.header, now=NOW)


def test_a_prekey_message_of_another_handshake_is_refused(
    alice: Identity, bob: Identity, begun: Pair, prekeys: Prekeys
) -> None:
    other, _ = Session.initiate(alice, prekeys.bundle(), now=NOW).encrypt(b"other")
    assert not begun.b.knows(other)
    with pytest.raises(Invalid, match="another session"):
        begun.b.decrypt(other)
    # Nor does a right header help a message of another session, or the other way round.
    payload, _ = begun.a_says(b"text")
    for mixed in (payload[:1742] + other[1742:], other[:1742] + payload[1742:]):
        with pytest.raises(Invalid):
            begun.b.decrypt(mixed)


def test_ones_own_messages_sent_back_are_refused(begun: Pair, answered: Pair) -> None:
    with_header, _ = begun.a_says(b"text")
    bare, _ = answered.a_says(b"text")
    with pytest.raises(Invalid, match="another session"):
        begun.a.decrypt(with_header)
    with pytest.raises(Invalid):
        begun.a.decrypt(with_header[1742:])
    with pytest.raises(Invalid):
        answered.a.decrypt(bare)
    assert not begun.a.knows(with_header)


def test_an_answer_from_somebody_else_is_refused(begun: Pair, alice: Identity, mallory: Identity) -> None:
    """Whoever else alice is talking to cannot answer in bob's place."""
    stranger = Prekeys.generate(mallory, NOW, one_time=0, kem_one_time=0)
    payload, _ = Session.initiate(alice, stranger.bundle(), now=NOW).encrypt(b"")
    _, b, _ = Session.accept(mallory, stranger, payload, now=NOW)
    forged, _ = b.encrypt(b"I am bob")
    with pytest.raises(Invalid):
        begun.a.decrypt(forged)


def test_acceptance_checks_the_sender(
    alice: Identity, bob: Identity, mallory: Identity, prekeys: Prekeys
) -> None:
    payload, _ = Session.initiate(alice, prekeys.bundle(), now=NOW).encrypt(b"text")
    Session.accept(bob, prekeys, payload, sender=alice.public, pinned_x=alice.x_public, now=NOW)
    with pytest.raises(Invalid, match="another identity"):
        Session.accept(bob, prekeys, payload, sender=mallory.public, now=NOW)
    with pytest.raises(IdentityChanged):
        Session.accept(bob, prekeys, payload, pinned_x=mallory.x_public, now=NOW)
    with pytest.raises(Invalid, match="oneself"):
        Session.accept(alice, prekeys, payload, now=NOW)
    forged = payload[:1] + mallory.public + payload[33:]
    with pytest.raises(SignatureError):
        Session.accept(bob, prekeys, forged, sender=mallory.public, now=NOW)


def test_initiation_checks_the_bundle(
    alice: Identity, bob: Identity, mallory: Identity, prekeys: Prekeys
) -> None:
    bundle = prekeys.bundle()
    for refused, error in (
        (bundle._replace(x_public=mallory.x_public), SignatureError),
        (bundle._replace(identity=mallory.public), SignatureError),
    ):
        with pytest.raises(error):
            Session.initiate(alice, refused, now=NOW)
    with pytest.raises(CryptoError, match="your own"):
        Session.initiate(bob, bundle, now=NOW)
    with pytest.raises(CryptoError, match="has not been online"):
        Session.initiate(alice, bundle, now=NOW + 100 * 86_400)
    with pytest.raises(IdentityChanged):
        Session.initiate(alice, bundle, pinned_x=mallory.x_public, now=NOW)


def test_a_replayed_first_message_finds_its_one_time_keys_gone(begun: Pair, bob: Identity) -> None:
    payload, pair = begun.a_says(b"text")
    _, _, used = Session.accept(bob, pair.prekeys, payload, now=NOW)
    pair.prekeys.discard(used)
    with pytest.raises(Invalid, match="not held"):
        Session.accept(bob, pair.prekeys, payload, now=NOW)
    assert pair.to_b(payload)[0] == b"text"  # the session it began opens it still


def test_a_handshake_is_known_by_its_hash_before_anything_is_derived(begun: Pair) -> None:
    """What the caller keeps in `seen`: with last-resort keys alone nothing else stops a replay."""
    payload, _ = begun.a_says(b"text")
    assert read_header(payload).handshake == begun.a.handshake == begun.b.handshake


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=3000), kept=st.integers(0, 1900), kind=st.sampled_from([None, 1, 2]))
def test_any_bytes_at_all_are_refused_with_an_error_of_the_tree(
    begun: Pair, answered: Pair, bob: Identity, data: bytes, kept: int, kind: int | None
) -> None:
    """Outside input: whatever comes, a CryptoError and nothing else; also with an honest beginning."""
    honest = begun.a_says(b"text")[0]
    start = b"" if kind is None else bytes((kind,))
    for payload in (start + data, honest[:kept] + data):
        if payload == honest:
            continue
        for session in (begun.a, begun.b, answered.a, answered.b):
            session.knows(payload)
            with pytest.raises(Invalid):
                session.decrypt(payload)
        with pytest.raises(CryptoError):
            Session.accept(bob, begun.prekeys, payload, now=NOW)
        with pytest.raises(StateError):
            Session.from_bytes(payload)
        with pytest.raises(StateError):
            Session.from_parts(payload, None, [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_flipped_bit_of_a_first_message_begins_nothing(
    begun: Pair, bob: Identity, data: st.DataObject
) -> None:
    payload = bytearray(begun.a_says(b"text")[0])
    bit = data.draw(st.integers(0, 8 * len(payload) - 1))
    payload[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CryptoError):
        Session.accept(bob, begun.prekeys, bytes(payload), now=NOW)


def test_too_far_ahead(answered: Pair) -> None:
    payloads, pair = many(answered, 1002)
    with pytest.raises(TooFar):
        pair.b.decrypt(payloads[1001])
    assert pair.b.decrypt(payloads[1000])[0] == b""


def test_a_session_is_made_by_its_four_ways_alone() -> None:
    with pytest.raises(TypeError, match="initiate"):
        Session()


def test_nothing_secret_leaves_by_repr_or_pickle(begun: Pair, bob: Identity) -> None:
    assert repr(begun.a) == f"<Session with {bob.public.hex()}: redacted>"
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(begun.a)


def test_the_clock_is_read_when_no_time_is_given(
    answered: Pair, bob: Identity, alice: Identity, prekeys: Prekeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.crypto.session.time.time", lambda: NOW + 0.5)
    _, pair = answered.a_says(b"")
    payload, pair = pair.a_says(b"")
    _, b = pair.b.decrypt(payload)
    assert b.expire(NOW).skipped() != []
    assert b.expire(NOW + 1).skipped() == []
    monkeypatch.setattr("mobium.crypto.session.time.time", lambda: NOW + 100 * 86_400)
    with pytest.raises(CryptoError, match="has not been online"):
        Session.initiate(alice, prekeys.bundle())
