"""What the ratchet's functions take and what they refuse, on each back end and on both at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mobium._pure.ratchet import Ratchet
from mobium.errors import CryptoError, Duplicate, InvalidInput, PaddingError
from tests.crypto.points import X25519_SMALL_ORDER
from tests.kernels.kernels import COUNTER_END, NOW, Entropy, Kernels, Sides, established, exchange, refuses


class TestArguments:
    def test_lengths(self, kernels: Kernels, entropy: Entropy) -> None:
        ratchet = kernels.Ratchet
        key = entropy(32)
        for wrong in (b"", bytes(31), bytes(33)):
            for arguments in ((wrong, key, b"", key), (key, wrong, b"", key), (key, key, b"", wrong)):
                with pytest.raises(InvalidInput):
                    ratchet.initiate(*arguments)
            for shared, private in ((wrong, key), (key, wrong)):
                with pytest.raises(InvalidInput):
                    ratchet.accept(shared, private, b"")
        a, b = established(kernels, kernels, entropy)
        for size in (0, 15, 17, 32):
            with pytest.raises(InvalidInput):
                a.encrypt(b"", bytes(size))
        message, _ = a.encrypt(b"", bytes(16))
        for size in (0, 31, 33):
            with pytest.raises(InvalidInput):
                b.decrypt(message, bytes(size), NOW)

    def test_associated_data_beyond_its_stored_length(self, kernels: Kernels, entropy: Entropy) -> None:
        with pytest.raises(InvalidInput):
            kernels.Ratchet.accept(entropy(32), entropy(32), bytes(2**16))
        with pytest.raises(InvalidInput):
            kernels.Ratchet.initiate(entropy(32), entropy(32), bytes(2**16), entropy(32))
        longest = kernels.Ratchet.accept(entropy(32), entropy(32), bytes(2**16 - 1))
        assert kernels.Ratchet.from_bytes(longest.to_bytes()).to_bytes() == longest.to_bytes()

    @pytest.mark.parametrize("key", X25519_SMALL_ORDER, ids=bytes.hex)
    def test_initiate_refuses_keys_of_small_order(
        self, kernels: Kernels, entropy: Entropy, key: bytes
    ) -> None:
        with pytest.raises(CryptoError) as caught:
            kernels.Ratchet.initiate(entropy(32), key, b"", entropy(32))
        assert type(caught.value) is CryptoError

    def test_times(self, kernels: Kernels, entropy: Entropy) -> None:
        a, b = established(kernels, kernels, entropy)
        message, _ = a.encrypt(b"", entropy(16))
        for now in (0, NOW, 2**64 - 1):
            b.decrypt(message, None, now)
            b.expire(now)
        for now in (-1, 2**64, 2**70):
            with pytest.raises(OverflowError):
                b.decrypt(message, None, now)
            with pytest.raises(OverflowError):
                b.expire(now)
        for wrong in (1.5, "1", None):
            with pytest.raises(TypeError):
                b.decrypt(message, None, wrong)  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                b.expire(wrong)  # type: ignore[arg-type]

    def test_a_time_that_no_field_holds_is_refused_where_none_is_stored(
        self, kernels: Kernels, entropy: Entropy
    ) -> None:
        a, b = established(kernels, kernels, entropy)
        late, a = a.encrypt(b"late", entropy(16))
        a, b = exchange(a, b, entropy)
        for now in (-1, 2**64, 2**70):
            with pytest.raises(OverflowError):
                b.decrypt(late, None, now)
        assert b.decrypt(late, None, 2**64 - 1)[0] == b"late"

    def test_what_makes_a_ratchet_is_called_on_one_too(self, kernels: Kernels, entropy: Entropy) -> None:
        a, b = established(kernels, kernels, entropy)
        key = entropy(32)
        assert a.from_bytes(b.to_bytes()).to_bytes() == b.to_bytes()
        assert a.from_parts(b.head(), b.skipped()).to_bytes() == b.to_bytes()
        accepted = kernels.Ratchet.accept(key, key, b"")
        assert a.accept(key, key, b"").to_bytes() == accepted.to_bytes()
        public = accepted.head()[66:98]
        initiated = kernels.Ratchet.initiate(key, public, b"", key)
        assert a.initiate(key, public, b"", key).to_bytes() == initiated.to_bytes()

    @pytest.mark.parametrize("wrong", ["text", None, 3, bytearray(32), memoryview(bytes(32))])
    def test_only_bytes_are_taken(self, kernels: Kernels, entropy: Entropy, wrong: bytes) -> None:
        a, b = established(kernels, kernels, entropy)
        message, _ = a.encrypt(b"", entropy(16))
        key = entropy(32)
        ratchet = kernels.Ratchet
        calls: list[Callable[[], object]] = [
            lambda: ratchet.initiate(wrong, key, b"", key),
            lambda: ratchet.initiate(key, wrong, b"", key),
            lambda: ratchet.initiate(key, key, wrong, key),
            lambda: ratchet.initiate(key, key, b"", wrong),
            lambda: ratchet.accept(wrong, key, b""),
            lambda: ratchet.accept(key, wrong, b""),
            lambda: ratchet.accept(key, key, wrong),
            lambda: a.encrypt(wrong, bytes(16)),
            lambda: a.encrypt(b"", wrong),
            lambda: b.decrypt(wrong, key, NOW),
            lambda: b.knows(wrong),
            lambda: ratchet.from_bytes(wrong),
            lambda: ratchet.from_parts(wrong, []),
            lambda: ratchet.from_parts(a.head(), [wrong]),
        ]
        if wrong is not None:
            calls.append(lambda: b.decrypt(message, wrong, NOW))
        for call in calls:
            with pytest.raises(TypeError):
                call()

    def test_a_plaintext_above_the_largest_bucket(self, kernels: Kernels, entropy: Entropy) -> None:
        a, b = established(kernels, kernels, entropy)
        before = a.to_bytes()
        with pytest.raises(PaddingError):
            a.encrypt(bytes(4 * 1024 * 1024 - 23), entropy(16))
        assert a.to_bytes() == before
        a, b = exchange(a, b, entropy)

    def test_a_sending_chain_ends_before_its_last_number(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        late = _at(sides[0], a, COUNTER_END - 2)
        message, late = late.encrypt(b"last", entropy(16))
        assert message[37:41] == (COUNTER_END - 2).to_bytes(4, "big")
        with pytest.raises(CryptoError) as caught:
            late.encrypt(b"one more", entropy(16))
        assert type(caught.value) is CryptoError
        # The receiver at the same place opens it; an answer starts new chains.
        ready = _receiving_at(sides[1], b, COUNTER_END - 2)
        plaintext, ready = ready.decrypt(message, None, NOW)
        assert plaintext == b"last"
        refuses(ready, message, Duplicate, entropy)
        answer, ready = ready.encrypt(b"answer", entropy(16))
        _, late = late.decrypt(answer, entropy(32), NOW)
        message, late = late.encrypt(b"on", entropy(16))
        assert message[33:37] == (COUNTER_END - 1).to_bytes(4, "big")
        assert ready.decrypt(message, entropy(32), NOW)[0] == b"on"

    def test_a_chain_that_was_stored_beyond_its_end_does_not_send(
        self, kernels: Kernels, entropy: Entropy
    ) -> None:
        a, _ = established(kernels, kernels, entropy)
        for n in (COUNTER_END - 1, COUNTER_END):
            with pytest.raises(CryptoError, match="used up"):
                _at(kernels, a, n).encrypt(b"", entropy(16))

    def test_previous_must_be_of_the_same_back_end(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        if sides[0] is not sides[1]:
            with pytest.raises(TypeError):
                a.changes(b)
        with pytest.raises(TypeError):
            a.changes(a.to_bytes())  # type: ignore[arg-type]


def _at(kernels: Kernels, ratchet: Ratchet, n: int) -> Ratchet:
    """The state with another sending number, under the same chain key."""
    head = ratchet.head()
    return kernels.Ratchet.from_parts(head[:162] + n.to_bytes(4, "big") + head[166:], ratchet.skipped())


def _receiving_at(kernels: Kernels, ratchet: Ratchet, n: int) -> Ratchet:
    head = ratchet.head()
    return kernels.Ratchet.from_parts(head[:202] + n.to_bytes(4, "big") + head[206:], ratchet.skipped())
