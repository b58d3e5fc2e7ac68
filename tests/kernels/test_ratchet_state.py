"""The stored form of a ratchet: one encoding for one state, on both back ends, and a refusal of all else."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobium._pure.ratchet import Ratchet
from mobium.errors import StateError
from tests.kernels.kernels import (
    BOTH,
    COUNTER_END,
    NATIVE,
    NOW,
    PURE,
    Entropy,
    Kernels,
    begin,
    burn,
    established,
    exchange,
)


def stages(entropy: Entropy) -> list[Ratchet]:
    """A state of each stage, and some with skipped keys of one chain and of three."""
    a, b = begin(PURE, PURE, entropy)
    found = [b, a]
    a, b = established(PURE, PURE, entropy)
    found += [a, b]
    for _ in range(3):
        a = burn(a, 3)
        a, b = exchange(a, b, entropy)
        found.append(b)
        b, a = exchange(b, a, entropy)
    a, b = exchange(a, b, entropy)
    return [*found, b]


def read(kernels: Kernels, data: bytes) -> bytes | str:
    """The state's bytes again, or the sentence of the refusal."""
    try:
        return kernels.Ratchet.from_bytes(data).to_bytes()
    except StateError as error:
        return str(error)


def parts(kernels: Kernels, head: bytes, records: list[bytes]) -> bytes | str:
    try:
        return kernels.Ratchet.from_parts(head, records).to_bytes()
    except StateError as error:
        return str(error)


class TestRoundTrip:
    def test_every_stage(self, kernels: Kernels, entropy: Entropy) -> None:
        for state in stages(entropy):
            data = state.to_bytes()
            again = kernels.Ratchet.from_bytes(data)
            assert again.to_bytes() == data
            assert again.head() == state.head()
            assert again.skipped() == state.skipped()
            assert kernels.Ratchet.from_parts(state.head(), state.skipped()).to_bytes() == data
            assert kernels.Ratchet.from_parts(state.head(), tuple(state.skipped())).to_bytes() == data

    def test_a_loaded_state_sends_the_same_bytes(self, kernels: Kernels, entropy: Entropy) -> None:
        for state in stages(entropy)[1:]:  # the first one cannot send yet
            loaded = kernels.Ratchet.from_bytes(state.to_bytes())
            message, following = loaded.encrypt(b"hello", bytes(16))
            expected, after = state.encrypt(b"hello", bytes(16))
            assert message == expected
            assert following.to_bytes() == after.to_bytes()

    def test_layout(self, kernels: Kernels, entropy: Entropy) -> None:
        for state in stages(entropy):
            head, skipped = state.head(), state.skipped()
            assert state.to_bytes() == head + len(skipped).to_bytes(2, "big") + b"".join(skipped)
            assert head[:2] in {b"\x01\x01", b"\x01\x02", b"\x01\x03"}
            assert head.endswith(b"\0\x20" + b"d" * 32)
            assert all(len(record) == 76 for record in skipped)

    def test_sizes(self, entropy: Entropy) -> None:
        assert sorted({len(state.head()) for state in stages(entropy)}) == [132, 200, 240]


class TestRefused:
    def test_every_cut_and_every_byte_too_many(self, kernels: Kernels, entropy: Entropy) -> None:
        for state in stages(entropy):
            data, head = state.to_bytes(), state.head()
            for size in range(len(data)):
                with pytest.raises(StateError):
                    kernels.Ratchet.from_bytes(data[:size])
            for size in range(len(head)):
                with pytest.raises(StateError):
                    kernels.Ratchet.from_parts(head[:size], [])
            for more in (b"\0", bytes(76)):
                with pytest.raises(StateError):
                    kernels.Ratchet.from_bytes(data + more)
                with pytest.raises(StateError):
                    kernels.Ratchet.from_parts(head + more, [])

    def test_versions_and_stages(self, kernels: Kernels, entropy: Entropy) -> None:
        for state in stages(entropy):
            data = state.to_bytes()
            for version in (0, 2, 255):
                with pytest.raises(StateError, match="version"):
                    kernels.Ratchet.from_bytes(bytes([version]) + data[1:])
            for stage in (0, 4, 255):
                with pytest.raises(StateError, match="stage"):
                    kernels.Ratchet.from_bytes(data[:1] + bytes([stage]) + data[2:])

    def test_too_many_skipped_keys(self, kernels: Kernels, entropy: Entropy) -> None:
        head = established(PURE, PURE, entropy)[1].head()
        public = entropy(32)
        records = [public + n.to_bytes(4, "big") + entropy(40) for n in range(2001)]
        kernels.Ratchet.from_parts(head, records[:2000])
        with pytest.raises(StateError, match="too many"):
            kernels.Ratchet.from_parts(head, records)
        with pytest.raises(StateError, match="too many"):
            kernels.Ratchet.from_bytes(head + (2001).to_bytes(2, "big") + b"".join(records))

    def test_skipped_keys_before_anything_was_received(self, kernels: Kernels, entropy: Entropy) -> None:
        for state in begin(PURE, PURE, entropy):
            with pytest.raises(StateError, match="before"):
                kernels.Ratchet.from_parts(state.head(), [entropy(76)])

    @pytest.mark.parametrize("size", [0, 36, 75, 77, 152])
    def test_records_of_another_length(self, kernels: Kernels, entropy: Entropy, size: int) -> None:
        head = established(PURE, PURE, entropy)[1].head()
        with pytest.raises(StateError, match="length"):
            kernels.Ratchet.from_parts(head, [entropy(size)])

    def test_orders_that_no_step_leaves(self, kernels: Kernels, entropy: Entropy) -> None:
        head = established(PURE, PURE, entropy)[1].head()
        current, awaited = head[98:130], int.from_bytes(head[202:206], "big")
        assert awaited == 1

        def record(public: bytes, n: int) -> bytes:
            return public + n.to_bytes(4, "big") + bytes(32) + NOW.to_bytes(8, "big")

        one, other = b"1" * 32, b"2" * 32
        good = [record(other, 0), record(other, 7), record(one, 3), record(current, 0)]
        kernels.Ratchet.from_parts(head, good)
        for bad in (
            [record(one, 3), record(one, 3)],
            [record(one, 4), record(one, 3)],
            [record(one, 1), record(other, 1), record(one, 2)],
            [record(current, 0), record(one, 1)],
            [record(current, 1)],
            [record(one, COUNTER_END)],
            list(reversed(good)),
        ):
            with pytest.raises(StateError, match="order"):
                kernels.Ratchet.from_parts(head, bad)
        kernels.Ratchet.from_parts(head, [record(one, COUNTER_END - 1)])

    def test_no_sequence_of_records(self, kernels: Kernels, entropy: Entropy) -> None:
        head = established(PURE, PURE, entropy)[1].head()
        for wrong in (None, 3, [None], ["x" * 76]):
            with pytest.raises(TypeError):
                kernels.Ratchet.from_parts(head, wrong)  # type: ignore[arg-type]


class TestTwins:
    """Both read the same, to the sentence, whatever the bytes are."""

    def test_changed_bytes(self, entropy: Entropy, seed: int) -> None:
        random_ = random.Random(seed)
        for state in stages(entropy):
            data = state.to_bytes()
            for at in range(len(data)):
                changed = bytearray(data)
                changed[at] = random_.randrange(256)
                results = [read(kernels, bytes(changed)) for kernels in BOTH]
                assert results[0] == results[1]
                # What was read is written as it was: one state, one encoding.
                assert isinstance(results[0], str) or results[0] == changed

    @settings(max_examples=500)
    @given(st.data())
    def test_shuffled_records(self, data: st.DataObject) -> None:
        head, records = _FULL
        chosen = data.draw(st.lists(st.sampled_from(records), max_size=12))
        results = [parts(kernels, head, chosen) for kernels in BOTH]
        assert results[0] == results[1]

    @settings(max_examples=500)
    @given(st.binary(max_size=400))
    def test_garbage(self, data: bytes) -> None:
        assert read(NATIVE, data) == read(PURE, data)
        assert read(NATIVE, b"\x01\x03" + data) == read(PURE, b"\x01\x03" + data)


_LAST = stages(Entropy("records"))[-1]
_FULL = _LAST.head(), _LAST.skipped()
