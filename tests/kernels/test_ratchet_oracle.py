"""Both back ends against an independent implementation: the same entropy gives the same messages, always."""

from __future__ import annotations

import random

import doubleratchet
import pytest

from mobium._pure.ratchet import Ratchet
from mobium.errors import DecryptError
from tests.kernels.kernels import NOW, Entropy, Sides, schedules
from tests.kernels.oracle import Oracle


class End:
    """One side, run twice: by the kernels and by the oracle, on the same entropy."""

    def __init__(self, ratchet: Ratchet, entropy: Entropy, **oracle: bytes) -> None:
        self.ratchet = ratchet
        self._entropy = entropy
        self._next: dict[int, bytes] = {}
        self.oracle = Oracle(fresh=self._fresh, **oracle)
        self.ready = False

    def give(self, private: bytes) -> None:
        self._next[32] = private

    def _fresh(self, size: int) -> bytes:
        return self._next.pop(size)

    def encrypt(self, plaintext: bytes) -> bytes:
        salt = self._next[16] = self._entropy(16)
        expected = self.oracle.encrypt(plaintext)
        message, self.ratchet = self.ratchet.encrypt(plaintext, salt)
        assert message == expected
        return message

    def decrypt(self, message: bytes) -> bytes:
        private = self._next[32] = self._entropy(32)
        plaintext, self.ratchet = self.ratchet.decrypt(message, private, NOW)
        assert self.oracle.decrypt(message) == plaintext
        self.ready = True
        return plaintext

    def refuses(self, message: bytes) -> None:
        self._next[32] = self._entropy(32)
        with pytest.raises(DecryptError):
            self.ratchet.decrypt(message, self._next[32], NOW)
        with pytest.raises(
            (doubleratchet.DuplicateMessageException, doubleratchet.AuthenticationFailedException)
        ):
            self.oracle.decrypt(message)


def meet(sides: Sides, entropy: Entropy) -> tuple[End, End]:
    shared, private, own, associated = entropy(32), entropy(32), entropy(32), entropy(32)
    responder = sides[1].Ratchet.accept(shared, private, associated)
    public = responder.head()[66:98]
    initiator = sides[0].Ratchet.initiate(shared, public, associated, own)
    common = {"shared_secret": shared, "associated_data": associated}
    a = End(initiator, entropy, **common, remote=public)
    a.give(own)
    a.ready = True
    return a, End(responder, entropy, **common, own=private)


def test_schedules(sides: Sides, entropy: Entropy, seed: int) -> None:
    opened = refused = 0
    for schedule in range(schedules()):
        random_ = random.Random(f"{seed} {schedule}")
        ends = meet(sides, entropy)
        flying: list[list[tuple[bytes, bytes]]] = [[], []]
        done: list[list[bytes]] = [[], []]
        for _ in range(80):
            i = random_.randrange(2)
            chance = random_.random()
            if chance < 0.5 and ends[i].ready:
                text = entropy(random_.choice([0, 5, 200, 488, 489, 2000]))
                message = ends[i].encrypt(text)
                if random_.random() < 0.85:
                    flying[1 - i].append((text, message))
            elif chance < 0.9 and flying[i]:
                at = random_.choice([0, -1, random_.randrange(len(flying[i]))])
                text, message = flying[i].pop(at)
                assert ends[i].decrypt(message) == text
                done[i].append(message)
                opened += 1
            elif done[i]:
                ends[i].refuses(random_.choice(done[i]))
                refused += 1
    assert opened > 5 * schedules()
    assert refused > schedules()


def test_a_thousand_skipped(sides: Sides, entropy: Entropy) -> None:
    a, b = meet(sides, entropy)
    assert b.decrypt(a.encrypt(b"first")) == b"first"
    lost = [a.encrypt(bytes([i % 256])) for i in range(1000)]
    assert b.decrypt(a.encrypt(b"after")) == b"after"
    for i in (999, 0, 500):
        assert b.decrypt(lost[i]) == bytes([i % 256])
    assert a.decrypt(b.encrypt(b"answer")) == b"answer"
    assert b.decrypt(a.encrypt(b"on")) == b"on"
    assert b.decrypt(lost[1]) == b"\x01"
