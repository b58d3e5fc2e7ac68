"""Both back ends in step: the same inputs, honest or not, give the same bytes, errors and states."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from mobium._pure.ratchet import Ratchet
from mobium.errors import Invalid, MobiumError, TooFar
from tests.kernels.kernels import (
    BOTH,
    HEADER,
    NOW,
    OVERHEAD,
    Entropy,
    Kernels,
    begin,
    outcome,
    schedules,
    with_header,
)


class Twins:
    """One state on both back ends, stepped together."""

    def __init__(self, states: tuple[Ratchet, Ratchet]) -> None:
        self.states = states
        self.same()

    def same(self) -> None:
        native, pure = self.states
        assert native.to_bytes() == pure.to_bytes()
        assert native.head() == pure.head()
        assert native.skipped() == pure.skipped()

    def encrypt(self, plaintext: bytes, salt: bytes) -> bytes:
        (message, native), (other, pure) = (state.encrypt(plaintext, salt) for state in self.states)
        assert message == other
        self.states = native, pure
        self.same()
        return message

    def decrypt(self, message: bytes, private: bytes, now: int) -> bytes | type[MobiumError]:
        """The plaintext or the error's class; the sentence and the next state are compared too."""
        native, pure = self.states
        first = outcome(lambda: native.decrypt(message, private, now))
        second = outcome(lambda: pure.decrypt(message, private, now))
        assert first == second
        assert native.knows(message) == pure.knows(message)
        if isinstance(first[0], type):
            return first[0]
        plaintext, state = first
        assert isinstance(state, bytes)
        steps = native.decrypt(message, private, now)[1], pure.decrypt(message, private, now)[1]
        assert steps[0].changes(native) == steps[1].changes(pure)
        self.states = steps
        return plaintext


def begin_twins(entropy: Entropy, associated_data: bytes) -> tuple[Twins, Twins]:
    shared, private, own = entropy(32), entropy(32), entropy(32)
    responders = [kernels.Ratchet.accept(shared, private, associated_data) for kernels in BOTH]
    public = responders[0].head()[66:98]
    initiators = [kernels.Ratchet.initiate(shared, public, associated_data, own) for kernels in BOTH]
    return Twins((initiators[0], initiators[1])), Twins((responders[0], responders[1]))


def forged(message: bytes, known: list[bytes], random_: random.Random) -> bytes:
    """`message` changed in one of the ways that an attacker might think of first."""
    other = random_.choice(known)
    match random_.randrange(9):
        case 0:
            return message[: random_.randrange(len(message))]
        case 1:
            at = random_.randrange(len(message))
            return message[:at] + bytes([random_.randrange(256)]) + message[at + 1 :]
        case 2:
            return with_header(message, n=random_.choice([0, 1, 5, 1000, 1001, 1002, 2**32 - 2, 2**32 - 1]))
        case 3:
            return with_header(message, pn=random_.choice([0, 1, 5, 1000, 1001, 1002, 2**32 - 2, 2**32 - 1]))
        case 4:
            return with_header(message, ratchet=other[1:33])
        case 5:
            return other[:HEADER] + message[HEADER:]
        case 6:
            return other[:OVERHEAD] + message[OVERHEAD:]
        case 7:
            return with_header(
                message, ratchet=random_.choice([bytes(32), b"\x01" + bytes(31), b"\xff" * 32])
            )
        case _:
            return random_.randbytes(random_.choice([0, 41, 57, 569, 569, 1081]))


def test_random_schedules_with_forgeries(entropy: Entropy, seed: int) -> None:
    counts: Counter[str] = Counter()
    for schedule in range(schedules()):
        _run(random.Random(f"{seed} {schedule}"), entropy, counts)
    # The schedules were ones in which things happened: messages opened, and each kind of refusal seen.
    assert counts["opened"] > 10 * schedules(), counts
    assert {"Duplicate", "TooFar", "Invalid"} <= set(counts), counts


def _run(random_: random.Random, entropy: Entropy, counts: Counter[str]) -> None:
    ends = begin_twins(entropy, entropy(random_.choice([0, 32, 100])))
    flying: list[list[bytes]] = [[], []]
    seen: list[bytes] = []
    for turn in range(150):
        i = random_.randrange(2)
        chance = random_.random()
        if chance < 0.4 and (i == 0 or ends[1].states[0].head()[1] == 3):
            message = ends[i].encrypt(entropy(random_.randrange(600)), entropy(16))
            seen.append(message)
            if random_.random() < 0.85:
                flying[1 - i].append(message)
        elif chance < 0.7 and flying[i]:
            message = flying[i].pop(random_.randrange(len(flying[i])))
            result = ends[i].decrypt(message, entropy(32), NOW + turn)
            counts["opened" if isinstance(result, bytes) else result.__name__] += 1
        elif chance < 0.95 and seen:
            before = ends[i].states[0].to_bytes()
            message = forged(random_.choice(seen), seen, random_)
            result = ends[i].decrypt(message, entropy(32), NOW + turn)
            if not isinstance(result, bytes):
                counts[result.__name__] += 1
                assert ends[i].states[0].to_bytes() == before
        else:
            native, pure = ends[i].states
            ends[i].states = native.expire(NOW + turn - 60), pure.expire(NOW + turn - 60)
            ends[i].same()


def test_random_bytes_are_invalid_on_both(entropy: Entropy) -> None:
    ends = begin_twins(entropy, b"")
    ends[1].decrypt(ends[0].encrypt(b"", entropy(16)), entropy(32), NOW)
    for size in (0, 1, 40, 41, 57, 568, 569, 570, 1081):
        for end in ends:
            assert end.decrypt(b"\x02" + entropy(size)[1:], entropy(32), NOW) is Invalid
            assert end.decrypt(b"\x01" + entropy(size)[1:], entropy(32), NOW) in {Invalid, TooFar}


def test_arguments_are_refused_with_the_same_sentences(entropy: Entropy) -> None:
    key = entropy(32)

    def sentences(kernels: Kernels) -> list[str]:
        a, b = begin(kernels, kernels, Entropy("same"))
        message, _ = a.encrypt(b"", bytes(16))
        calls: list[Callable[[], object]] = [
            lambda: kernels.Ratchet.initiate(b"", key, b"", key),
            lambda: kernels.Ratchet.initiate(key, b"", b"", key),
            lambda: kernels.Ratchet.initiate(key, key, bytes(2**16), key),
            lambda: kernels.Ratchet.initiate(key, key, b"", b""),
            lambda: kernels.Ratchet.initiate(key, bytes(32), b"", key),
            lambda: kernels.Ratchet.accept(b"", key, b""),
            lambda: kernels.Ratchet.accept(key, b"", b""),
            lambda: kernels.Ratchet.accept(key, key, bytes(2**16)),
            lambda: a.encrypt(b"", b""),
            lambda: b.encrypt(b"", bytes(16)),
            lambda: a.encrypt(bytes(2**23), bytes(16)),
            lambda: b.decrypt(message, b"", NOW),
            lambda: b.decrypt(message, None, NOW),
        ]
        found = []
        for call in calls:
            with pytest.raises(MobiumError) as caught:
                call()
            found.append(f"{type(caught.value).__name__}: {caught.value}")
        return found

    native, pure = (sentences(kernels) for kernels in BOTH)
    assert native == pure
    assert len(set(native)) == len(native) - 4  # an argument of two calls has one sentence
