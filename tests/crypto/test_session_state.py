"""Stored sessions (docs/CRYPTO.md sections 3 and 4): that they are the same sessions, and what is refused.

Runs on both back ends.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mobium.crypto import Session
from mobium.errors import CryptoError, StateError
from tests.crypto.conftest import BACKENDS, stepping
from tests.crypto.pair import NOW, Pair, many

pytestmark = pytest.mark.usefixtures("backend")


def states(begun: Pair, answered: Pair) -> list[Session]:
    payloads, later = many(answered, 3)
    return [begun.a, begun.b, answered.a, answered.b, later.to_b(payloads[2])[1].b]


def test_a_stored_session_is_the_same_session(begun: Pair, answered: Pair) -> None:
    for session in states(begun, answered):
        data = session.to_bytes()
        parts = session.head(), session.header, session.skipped()
        for again in (Session.from_bytes(data), Session.from_parts(*parts)):
            assert again.to_bytes() == data
            assert (again.head(), again.header, again.skipped()) == parts
            for name in ("peer", "peer_x", "handshake", "initiated", "unanswered"):
                assert getattr(again, name) == getattr(session, name)


def test_the_head_is_small_and_what_changes_is_what_is_stored(answered: Pair) -> None:
    payloads, pair = many(answered, 999)
    before = pair.b
    _, pair = pair.to_b(payloads[998])
    assert len(pair.b.skipped()) == 998
    assert len(pair.b.head()) < 1024
    assert len(before.head()) < 1024
    added, removed = pair.b.changes(before)
    assert (len(added), removed) == (998, [])
    assert added == pair.b.skipped()
    assert all(len(record) == 76 for record in added)
    payload, pair = pair.a_says(b"next")
    before = pair.b
    _, pair = pair.to_b(payload)
    assert pair.b.changes(before) == ([], [])
    emptied = pair.b.expire(NOW + 1)
    assert emptied.skipped() == []
    assert len(emptied.changes(pair.b)[1]) == 998
    assert pair.b.expire(NOW).skipped() == pair.b.skipped()


def test_the_header_is_stored_apart_and_may_be_left_after_the_answer(begun: Pair, answered: Pair) -> None:
    header = begun.a.header
    assert header is not None
    assert header not in begun.a.head()
    assert Session.from_parts(begun.a.head(), header, []).header == header
    assert Session.from_parts(answered.a.head(), header, []).header is None


def test_what_is_no_stored_session_is_refused(begun: Pair, answered: Pair) -> None:
    for session in states(begun, answered):
        data = session.to_bytes()
        for wrong in (
            b"",
            data[:1],
            data[:97],
            data[:98],
            data[:-1],
            data + b"\0",
            b"\0" + data[1:],
            b"\2" + data[1:],
        ):
            with pytest.raises(StateError):
                Session.from_bytes(wrong)
        for flags in {0, 1, 2, 3, 4, 0x81} - {data[1]}:
            if (flags, data[1]) in ((0, 1), (1, 0)):
                continue  # who began is all that tells these two apart
            with pytest.raises(StateError):
                Session.from_bytes(data[:1] + bytes((flags,)) + data[2:])


def test_parts_that_do_not_belong_together_are_refused(begun: Pair, answered: Pair) -> None:
    header = begun.a.header
    assert header is not None
    for wrong in (None, b"", header[:-1], header[:-1] + bytes((header[-1] ^ 1,))):
        with pytest.raises(StateError, match="handshake header"):
            Session.from_parts(begun.a.head(), wrong, [])
    for head in (b"", answered.a.head()[:-1], begun.a.to_bytes()):
        with pytest.raises(StateError):
            Session.from_parts(head, header, [])
    with pytest.raises(StateError):
        Session.from_parts(answered.b.head(), None, [bytes(75)])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_states_are_refused_or_open_nothing(answered: Pair, data: st.DataObject) -> None:
    """Stored states lie in an encrypted database; damage must still never be an unknown exception."""
    stored = bytearray(answered.b.to_bytes())
    payload, _ = answered.a_says(b"text")
    at = data.draw(st.integers(0, len(stored) - 1))
    stored[at] ^= data.draw(st.integers(1, 255))
    try:
        session = Session.from_bytes(bytes(stored))
    except StateError:
        return
    assert session.to_bytes() == bytes(stored)
    try:
        assert session.decrypt(payload)[0] == b"text"
    except CryptoError:
        return


def test_states_go_from_one_back_end_to_the_other(answered: Pair) -> None:
    pair = answered
    for backend in [*BACKENDS, *BACKENDS]:
        with stepping(backend):
            pair = replace(
                pair, a=Session.from_bytes(pair.a.to_bytes()), b=Session.from_bytes(pair.b.to_bytes())
            )
            payload, pair = pair.a_says(b"to bob")
            text, pair = pair.to_b(payload)
            assert text == b"to bob"
            payload, pair = pair.b_says(b"to alice")
            text, pair = pair.to_a(payload)
            assert text == b"to alice"
