"""A channel under hypothesis: one sender and two readers, one of whom comes later.

Messages are lost, repeated, reordered and forged, states are stored, restored and handed from one back end to
the other. Whatever happens, an honest message opens exactly once for each reader, and to what was written.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mobium._pure.sender_key import ReceiverChain
from mobium.errors import DecryptError, Duplicate, Invalid
from tests.kernels.kernels import NATIVE, PURE, Entropy, Kernels, schedules

WHO = st.integers(0, 1)
PICK = st.integers(0, 50)


@dataclass
class Reader:
    """One reader: its state, what it may get, and which numbers it opened."""

    chain: ReceiverChain
    first: int
    waiting: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    opened: dict[int, bytes] = field(default_factory=dict)


class Channel(RuleBasedStateMachine):
    """The rules. The back ends are chosen by the subclasses."""

    choices: tuple[Kernels, ...] = (NATIVE,)

    @initialize(first=WHO, second=WHO, seed=st.integers(0, 2**32 - 1), nickname=st.binary(max_size=20))
    def meet(self, first: int, second: int, seed: int, nickname: bytes) -> None:
        self.entropy = Entropy(seed)
        self.place = self.entropy(32), self.entropy(32)
        self.nickname = nickname
        self.sender = self._kernels(first).SenderChain.create(
            *self.place, seed, self.entropy(32), seed + 1 & 2**32 - 1 or 1, self.entropy(32), self.entropy(32)
        )
        self.old: list[bytes] = []
        self.readers: list[Reader] = []
        self._enter(second)

    def _kernels(self, which: int) -> Kernels:
        return self.choices[which % len(self.choices)]

    def _enter(self, which: int) -> None:
        data = self.sender.distribution(self.nickname)
        chain = self._kernels(which).ReceiverChain.from_distribution(data, *self.place)
        self.readers.append(Reader(chain, self.sender.iteration))

    @rule(which=WHO)
    def somebody_enters(self, which: int) -> None:
        if len(self.readers) < 2:
            self._enter(which)

    @rule(size=st.sampled_from([0, 1, 200, 483, 484]), lost=st.sets(WHO))
    def send(self, size: int, lost: set[int]) -> None:
        number = self.sender.iteration
        text = number.to_bytes(4, "big") + bytes(size)
        message, self.sender = self.sender.encrypt(text, self.entropy(16))
        self.old.append(message)
        for who, reader in enumerate(self.readers):
            if who not in lost:
                reader.waiting.append((number, text, message))

    @rule(count=st.integers(1, 20))
    def many_are_lost(self, count: int) -> None:
        for _ in range(count):
            _, self.sender = self.sender.encrypt(b"", bytes(16))

    @rule(who=WHO, pick=PICK)
    def receive(self, who: int, pick: int) -> None:
        if who >= len(self.readers) or not self.readers[who].waiting:
            return
        reader = self.readers[who]
        number, text, message = reader.waiting.pop(pick % len(reader.waiting))
        plaintext, reader.chain = reader.chain.decrypt(message)
        assert plaintext == text
        reader.opened[number] = message

    @rule(who=WHO, pick=PICK)
    def receive_again(self, who: int, pick: int) -> None:
        if who < len(self.readers) and self.readers[who].opened:
            opened = list(self.readers[who].opened.values())
            self._refused(self.readers[who], opened[pick % len(opened)], Duplicate)

    @rule(who=WHO, pick=PICK)
    def receive_what_was_sent_before(self, who: int, pick: int) -> None:
        if who < len(self.readers) and self.old:
            message = self.old[pick % len(self.old)]
            if int.from_bytes(message[5:9], "big") < self.readers[who].first:
                self._refused(self.readers[who], message, Invalid)

    @rule(who=WHO, pick=PICK, bit=st.integers(0, 8 * 633 - 1))
    def receive_forged(self, who: int, pick: int, bit: int) -> None:
        if who < len(self.readers) and self.readers[who].waiting:
            reader = self.readers[who]
            message = bytearray(reader.waiting[pick % len(reader.waiting)][2])
            message[bit // 8] ^= 1 << bit % 8
            self._refused(reader, bytes(message), Invalid)

    def _refused(self, reader: Reader, message: bytes, error: type[DecryptError]) -> None:
        before = reader.chain.to_bytes()
        with pytest.raises(error):
            reader.chain.decrypt(message)
        assert reader.chain.to_bytes() == before

    @rule()
    def forget_the_next_state_of_sending(self) -> None:
        """A crash between encrypting and storing: the message never left, the state is the old one."""
        self.sender.encrypt(b"never left", self.entropy(16))

    @rule(who=WHO, pick=PICK)
    def forget_the_next_state_of_receiving(self, who: int, pick: int) -> None:
        """A crash between opening and storing: the message comes again and opens."""
        if who < len(self.readers) and self.readers[who].waiting:
            reader = self.readers[who]
            _, text, message = reader.waiting[pick % len(reader.waiting)]
            assert reader.chain.decrypt(message)[0] == text

    @rule(which=WHO)
    def store_and_load_the_sender(self, which: int) -> None:
        self.sender = self._kernels(which).SenderChain.from_bytes(self.sender.to_bytes())

    @rule(who=WHO, which=WHO)
    def store_and_load_a_reader(self, who: int, which: int) -> None:
        if who < len(self.readers):
            reader = self.readers[who]
            reader.chain = self._kernels(which).ReceiverChain.from_bytes(reader.chain.to_bytes())

    @invariant()
    def what_is_held_is_what_did_not_come(self) -> None:
        for reader in getattr(self, "readers", ()):
            last = max(reader.opened, default=reader.first - 1)
            missing = [n for n in range(reader.first, last) if n not in reader.opened]
            assert reader.chain.iteration == last + 1
            assert reader.chain.skipped() == missing
            assert reader.chain.nickname == self.nickname


class NativeChannel(Channel):
    choices = (NATIVE,)


class PureChannel(Channel):
    choices = (PURE,)


class MixedChannel(Channel):
    choices = (NATIVE, PURE)


# At most 40 * 20 messages in a schedule: a chain is never used up.
_SETTINGS = settings(max_examples=3 * schedules(), stateful_step_count=40)
TestNative = NativeChannel.TestCase
TestNative.settings = _SETTINGS
TestPure = PureChannel.TestCase
TestPure.settings = _SETTINGS
TestMixed = MixedChannel.TestCase
TestMixed.settings = _SETTINGS
