"""The stored form of sender keys: round trips, layout, what is refused, and that back ends agree on it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobium._pure.sender_key import ReceiverChain, SenderChain
from mobium.errors import Duplicate, StateError
from mobium.signing import SigningKey
from tests.kernels.chains import (
    CHANNEL,
    KEY_ID,
    ROSTER,
    ROSTER_INDEX,
    SENDER,
    at,
    begin,
    edited,
    refused,
    send,
)
from tests.kernels.kernels import BOTH, NATIVE, PURE, Entropy, Kernels


class TestState:
    def states(self, entropy: Entropy) -> list[SenderChain | ReceiverChain]:
        sender, reader = begin(PURE, PURE)
        messages, after = send(sender, 9, entropy)
        found: list[SenderChain | ReceiverChain] = [sender, reader, after, at(PURE, 1000)]
        for number in (2, 7, 8, 0):
            _, reader = reader.decrypt(messages[number])
            found.append(reader)
        found.append(begin(PURE, PURE, b"x" * 255)[1])
        return found

    @staticmethod
    def read(kernels: Kernels, data: bytes, kind: str) -> bytes | str:
        """The state's bytes again, or the sentence of the refusal."""
        try:
            if kind == "SenderChain":
                return kernels.SenderChain.from_bytes(data).to_bytes()
            return kernels.ReceiverChain.from_bytes(data).to_bytes()
        except StateError as error:
            return str(error)

    def test_round_trip(self, kernels: Kernels, entropy: Entropy) -> None:
        for state in self.states(entropy):
            assert self.read(kernels, state.to_bytes(), type(state).__name__) == state.to_bytes()

    def test_what_makes_a_chain_is_called_on_one_too(self, kernels: Kernels) -> None:
        sender, reader = begin(kernels, kernels)
        assert sender.from_bytes(sender.to_bytes()).to_bytes() == sender.to_bytes()
        assert reader.from_bytes(reader.to_bytes()).to_bytes() == reader.to_bytes()
        again = sender.create(CHANNEL, SENDER, ROSTER_INDEX, ROSTER, KEY_ID, b"k" * 32, b"e" * 32)
        assert again.to_bytes() == sender.to_bytes()
        given = reader.from_distribution(sender.distribution(b"nick"), CHANNEL, SENDER)
        assert given.to_bytes() == reader.to_bytes()

    def test_layout(self, kernels: Kernels, entropy: Entropy) -> None:
        sender, reader = begin(kernels, kernels)
        place = CHANNEL + SENDER + (ROSTER_INDEX).to_bytes(4, "big") + ROSTER + KEY_ID.to_bytes(4, "big")
        assert sender.to_bytes() == b"\x01\x01" + place + bytes(4) + b"k" * 32 + b"e" * 32
        public = SigningKey.from_seed(b"e" * 32).public
        start = b"\x01\x02" + place + bytes(8) + b"k" * 32 + public + b"\4nick"
        assert reader.to_bytes() == start + bytes(2)
        messages, _ = send(sender, 3, entropy)
        data = reader.decrypt(messages[2])[1].to_bytes()
        assert data[106:114] == bytes(4) + (3).to_bytes(4, "big")
        assert data[len(start) :][:6] == (2).to_bytes(2, "big") + bytes(4)
        assert data[len(start) + 38 :][:4] == (1).to_bytes(4, "big")
        assert len(data) == len(start) + 2 + 2 * 36

    def test_every_cut_and_a_byte_too_many(self, kernels: Kernels, entropy: Entropy) -> None:
        for state in self.states(entropy):
            data, kind = state.to_bytes(), type(state).__name__
            for wrong in (*(data[:size] for size in range(len(data))), data + b"\0"):
                assert isinstance(self.read(kernels, wrong, kind), str)

    def test_one_kind_is_not_read_as_the_other(self, kernels: Kernels, entropy: Entropy) -> None:
        for state in self.states(entropy):
            other = "ReceiverChain" if isinstance(state, SenderChain) else "SenderChain"
            assert "kind" in str(self.read(kernels, state.to_bytes(), other))

    def test_numbers_that_do_not_fit_together(self, kernels: Kernels, entropy: Entropy) -> None:
        sender, reader = begin(PURE, PURE)
        messages, _ = send(sender, 4, entropy)
        _, reader = reader.decrypt(messages[3])

        def number(value: int) -> bytes:
            return value.to_bytes(4, "big")

        sending, receiving = sender.to_bytes(), reader.to_bytes()
        held = len(receiving) - 3 * 36
        assert [receiving[held + 36 * i :][:4] for i in range(3)] == [number(i) for i in range(3)]
        for wrong in (edited(sending, 106, number(1001)), edited(sending, 102, number(0))):
            with pytest.raises(StateError, match="numbers"):
                kernels.SenderChain.from_bytes(wrong)
        for wrong in (
            edited(receiving, 102, number(0)),  # the key id
            edited(receiving, 106, number(1000)),  # first
            edited(receiving, 106, number(1)),  # first, above one that is held
            edited(receiving, 106, number(5)),  # first, above the next
            edited(receiving, 110, number(1001)),  # the next
            edited(receiving, 110, number(3)),  # the next, while the one before it is held
            edited(receiving, 110, number(2)),
            edited(receiving, held, number(1)),  # twice
            edited(receiving, held, number(2)),  # descending
            edited(receiving, held + 72, number(3)),  # the one that was opened
            edited(receiving, held + 72, number(2**32 - 1)),
        ):
            with pytest.raises(StateError, match="numbers"):
                kernels.ReceiverChain.from_bytes(wrong)
        # Without the second key the state says that the message was opened.
        fewer = edited(receiving, held - 2, b"\0\2")[: held + 36] + receiving[held + 72 :]
        refused(kernels.ReceiverChain.from_bytes(fewer), messages[1], Duplicate)

    def test_changed_bytes_read_the_same_on_both(self, entropy: Entropy, seed: int) -> None:
        random_ = random.Random(seed)
        for state in self.states(entropy):
            data = state.to_bytes()
            for place in range(len(data)):
                changed = edited(data, place, random_.randbytes(1))
                results = [self.read(kernels, changed, type(state).__name__) for kernels in BOTH]
                assert results[0] == results[1]
                # What was read is written as it was: one state, one encoding.
                assert isinstance(results[0], str) or results[0] == changed

    @settings(max_examples=300)
    @given(st.binary(max_size=400), st.sampled_from(["SenderChain", "ReceiverChain"]))
    def test_garbage(self, data: bytes, kind: str) -> None:
        for start in (b"", b"\x01\x01", b"\x01\x02"):
            assert self.read(NATIVE, start + data, kind) == self.read(PURE, start + data, kind)
