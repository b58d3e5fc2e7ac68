"""A stream of media under hypothesis: one sealer and three openers, one of them on the other back end.

Frames are lost, repeated, reordered, forged and moved to another place, and the sealer is handed from one
back end to the other by its counter. Whatever happens, a frame opens at most once in each opener, to what was
sealed, and exactly if it lies in the window and was not opened.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from mobium._pure.frame import FrameOpener
from mobium.errors import DecryptError, Duplicate, Invalid
from tests.kernels.kernels import NATIVE, PURE, Entropy, Kernels, schedules
from tests.vectors.frame_reference import header

WHICH = st.integers(0, 1)
WHO = st.integers(0, 2)
PICK = st.integers(0, 10_000)
WINDOW = 1024
COUNTERS = st.one_of(st.sampled_from([0, 5, 250, 1 << 24, 2**32 - 3, 2**63]), st.integers(0, 2**63))


@dataclass
class Reader:
    """One opener, and the counters that it opened."""

    opener: FrameOpener
    opened: set[int] = field(default_factory=set)

    def expects(self, counter: int) -> type[DecryptError] | None:
        """What an honest frame of this counter meets."""
        below = counter + WINDOW <= max(self.opened, default=0)
        return Duplicate if below or counter in self.opened else None


class Stream(RuleBasedStateMachine):
    """The rules. The back ends are chosen by the subclasses."""

    choices: tuple[Kernels, ...] = (NATIVE,)

    @initialize(
        which=WHICH, seed=st.integers(0, 2**32), first=COUNTERS, kid=COUNTERS, size=st.integers(16, 64)
    )
    def meet(self, which: int, seed: int, first: int, kid: int, size: int) -> None:
        self.entropy = Entropy(seed)
        self.base_key, self.metadata, self.kid = self.entropy(size), self.entropy(65), kid
        self.sealer = self._kernels(which).FrameSealer(self.base_key, kid, first)
        self.sent: list[tuple[int, bytes, bytes]] = []
        self.readers = [
            Reader(self._kernels(number).FrameOpener(self.base_key, kid)) for number in (0, 1, which)
        ]

    def _kernels(self, which: int) -> Kernels:
        return self.choices[which % len(self.choices)]

    @rule(size=st.sampled_from([0, 1, 120, 2000]), received=st.sets(WHO))
    def seal(self, size: int, received: set[int]) -> None:
        counter, text = self.sealer.counter, self.entropy(size)
        frame = self.sealer.seal(text, self.metadata)
        assert self.sealer.counter == counter + 1
        assert self._kernels(0).frame_header(frame) == (self.kid, counter)
        self.sent.append((counter, text, frame))
        for who in received:
            self._give(self.readers[who], counter, text, frame)

    @rule(count=st.sampled_from([1, 30, 500, 1023, 1024, 1500]))
    def many_are_lost(self, count: int) -> None:
        for _ in range(count):
            counter = self.sealer.counter
            frame = self.sealer.seal(b"lost", self.metadata)
            if count < 100 or counter % 97 == 0:
                self.sent.append((counter, b"lost", frame))

    @rule(which=WHICH)
    def the_sealer_goes_on_elsewhere(self, which: int) -> None:
        self.sealer = self._kernels(which).FrameSealer(self.base_key, self.kid, self.sealer.counter)

    @rule(who=WHO, pick=PICK)
    def receive(self, who: int, pick: int) -> None:
        if self.sent:
            self._give(self.readers[who], *self.sent[pick % len(self.sent)])

    @rule(who=WHO, back=st.integers(0, 40))
    def receive_late(self, who: int, back: int) -> None:
        """One of the last, as a network that reorders brings them."""
        if self.sent:
            self._give(self.readers[who], *self.sent[max(0, len(self.sent) - 1 - back)])

    @rule(who=WHO, pick=PICK)
    def receive_again(self, who: int, pick: int) -> None:
        reader = self.readers[who]
        again = [sent for sent in self.sent if sent[0] in reader.opened]
        if again:
            self._give(reader, *again[pick % len(again)])

    def _give(self, reader: Reader, counter: int, text: bytes, frame: bytes) -> None:
        expected = reader.expects(counter)
        if expected is None:
            assert reader.opener.open(frame, self.metadata) == text
            reader.opened.add(counter)
        else:
            with pytest.raises(expected):
                reader.opener.open(frame, self.metadata)

    @rule(who=WHO, pick=PICK, bit=PICK)
    def receive_forged(self, who: int, pick: int, bit: int) -> None:
        """Nothing that is not as it was sealed opens, nor changes what does."""
        if self.sent:
            frame = bytearray(self.sent[pick % len(self.sent)][2])
            frame[bit // 8 % len(frame)] ^= 1 << bit % 8
            with pytest.raises((Invalid, Duplicate)):
                self.readers[who].opener.open(bytes(frame), self.metadata)

    @rule(who=WHO, pick=PICK, ahead=st.sampled_from([1, 1024, 2**40]))
    def receive_a_claim_to_be_far_ahead(self, who: int, pick: int, ahead: int) -> None:
        if self.sent:
            counter, _, frame = self.sent[pick % len(self.sent)]
            front = len(header(self.kid, counter))
            reader = self.readers[who]
            claimed = max([counter, *reader.opened]) + ahead
            with pytest.raises(Invalid):
                reader.opener.open(header(self.kid, claimed) + frame[front:], self.metadata)

    @rule(who=WHO, pick=PICK, place=st.integers(0, 64))
    def receive_what_was_for_another_place(self, who: int, pick: int, place: int) -> None:
        if self.sent:
            counter, _, frame = self.sent[pick % len(self.sent)]
            moved = bytearray(self.metadata)
            moved[place] ^= 1
            reader = self.readers[who]
            with pytest.raises(reader.expects(counter) or Invalid):
                reader.opener.open(frame, bytes(moved))


class NativeStream(Stream):
    choices = (NATIVE,)


class PureStream(Stream):
    choices = (PURE,)


class MixedStream(Stream):
    choices = (NATIVE, PURE)


_SETTINGS = settings(max_examples=3 * schedules(), stateful_step_count=40)
TestNative = NativeStream.TestCase
TestNative.settings = _SETTINGS
TestPure = PureStream.TestCase
TestPure.settings = _SETTINGS
TestMixed = MixedStream.TestCase
TestMixed.settings = _SETTINGS
