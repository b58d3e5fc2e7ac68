"""`DoubleRatchet` brings entropy and clock to the kernel, no more; large messages let other threads run."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mobium.crypto import DoubleRatchet
from mobium.crypto import ratchet as facade
from mobium.errors import CryptoError, Duplicate, Invalid, StateError
from tests.kernels.kernels import NATIVE, Entropy, established


def meet() -> tuple[DoubleRatchet, DoubleRatchet]:
    responder = DoubleRatchet.accept(b"s" * 32, b"p" * 32, b"d" * 32)
    return DoubleRatchet.initiate(b"s" * 32, responder.head()[66:98], b"d" * 32), responder


def turn(a: DoubleRatchet, b: DoubleRatchet) -> tuple[DoubleRatchet, DoubleRatchet]:
    message, a = a.encrypt(b"text")
    plaintext, b = b.decrypt(message)
    assert plaintext == b"text"
    return a, b


def test_a_conversation() -> None:
    a, b = meet()
    for _ in range(3):
        a, b = turn(a, b)
        b, a = turn(b, a)
    lost, a = a.encrypt(b"late")
    a, b = turn(a, b)
    assert len(b.skipped()) == 1
    assert b.knows(lost)
    plaintext, following = b.decrypt(lost)
    assert plaintext == b"late"
    assert following.changes(b) == ([], [b.skipped()[0][:36]])
    assert DoubleRatchet.from_bytes(b.to_bytes()).to_bytes() == b.to_bytes()
    assert DoubleRatchet.from_parts(b.head(), b.skipped()).to_bytes() == b.to_bytes()
    with pytest.raises(Duplicate):
        following.decrypt(lost)
    with pytest.raises(Invalid):
        following.decrypt(b"")
    with pytest.raises(StateError):
        DoubleRatchet.from_bytes(b"")


def test_entropy_is_fresh_each_time() -> None:
    a, b = meet()
    salts = {a.encrypt(b"")[0][41:57] for _ in range(50)}
    assert len(salts) == 50
    assert len({meet()[0].to_bytes() for _ in range(20)}) == 20
    message, _ = a.encrypt(b"")
    assert len({b.decrypt(message)[1].to_bytes() for _ in range(20)}) == 20


def test_entropy_is_asked_for_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = os.urandom

    def counted(size: int) -> bytes:
        asked.append(size)
        return real(size)

    monkeypatch.setattr(facade, "urandom", counted)
    a, b = meet()
    first, a = a.encrypt(b"")
    second, a = a.encrypt(b"")
    _, b = b.decrypt(first)
    assert asked == [32, 16, 16, 32]
    _, b = b.decrypt(second)
    assert asked == [32, 16, 16, 32]


def test_the_clock_is_that_of_skipped_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facade, "time_ns", lambda: 1_700_000_123_999_999_999)
    a, b = meet()
    _, a = a.encrypt(b"")
    a, b = turn(a, b)
    assert int.from_bytes(b.skipped()[0][68:], "big") == 1_700_000_123
    assert len(b.expire(1_700_000_123).skipped()) == 1
    assert b.expire(1_700_000_124).skipped() == []


def test_shows_nothing_and_is_made_only_by_its_four_ways() -> None:
    a, b = meet()
    assert repr(a) == str(b) == "<DoubleRatchet: redacted>"
    assert not hasattr(a, "__dict__")
    with pytest.raises(TypeError):
        DoubleRatchet()
    with pytest.raises(CryptoError):
        b.encrypt(b"")


def test_one_state_in_many_threads_with_large_messages() -> None:
    a, b = established(NATIVE, NATIVE, Entropy("threads"))
    texts = [bytes([i]) * (300_000 + i) for i in range(8)]
    together = threading.Barrier(len(texts))

    def there_and_back(text: bytes) -> bytes:
        together.wait(30)
        message, _ = a.encrypt(text, text[:16])
        return b.decrypt(message, None, 0)[0]

    with ThreadPoolExecutor(len(texts)) as pool:
        assert list(pool.map(there_and_back, texts)) == texts
