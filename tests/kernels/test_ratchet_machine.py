"""Two parties under hypothesis: messages are lost, repeated, reordered and forged, states are stored,
restored and handed from one back end to the other in mid-conversation. Whatever happens, an honest message
opens exactly once and to what was written.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mobium._pure.ratchet import Ratchet
from mobium.errors import DecryptError
from tests.kernels.kernels import NATIVE, NOW, PURE, Entropy, Kernels, begin, schedules

WHO = st.integers(0, 1)


@dataclass
class Party:
    """One side: its state, what a store would hold of it, and what it may get."""

    kernels: Kernels
    ratchet: Ratchet
    ready: bool = False
    store: dict[bytes, bytes] = field(default_factory=dict)
    waiting: list[tuple[bytes, bytes]] = field(default_factory=list)
    opened: list[bytes] = field(default_factory=list)

    def step(self, following: Ratchet) -> None:
        """Takes the next state and stores it as an engine does: the head, and the changed records."""
        added, removed = following.changes(self.ratchet)
        for identifier in removed:
            del self.store[identifier]
        for record in added:
            self.store[record[:36]] = record
        self.ratchet = following


class Conversation(RuleBasedStateMachine):
    """The rules. The back ends are chosen by the subclasses."""

    choices: tuple[Kernels, ...] = (NATIVE,)

    @initialize(first=st.integers(0, 1), second=st.integers(0, 1), seed=st.integers(0, 2**32))
    def meet(self, first: int, second: int, seed: int) -> None:
        self.entropy = Entropy(seed)
        self.now = NOW
        self.count = 0
        kernels = [self.choices[i % len(self.choices)] for i in (first, second)]
        a, b = begin(kernels[0], kernels[1], self.entropy)
        self.parties = Party(kernels[0], a, ready=True), Party(kernels[1], b)

    @rule(who=WHO, size=st.sampled_from([0, 1, 200, 488, 489]), lost=st.booleans())
    def send(self, who: int, size: int, lost: bool) -> None:
        party = self.parties[who]
        if not party.ready:
            return
        self.count += 1
        text = self.count.to_bytes(4, "big") + bytes(size)
        message, following = party.ratchet.encrypt(text, self.entropy(16))
        party.step(following)
        if not lost:
            self.parties[1 - who].waiting.append((text, message))

    @rule(who=WHO, pick=st.integers(0, 50))
    def receive(self, who: int, pick: int) -> None:
        party = self.parties[who]
        if not party.waiting:
            return
        text, message = party.waiting.pop(pick % len(party.waiting))
        known = party.ratchet.knows(message)
        plaintext, following = party.ratchet.decrypt(message, None if known else self.entropy(32), self.now)
        assert plaintext == text
        party.step(following)
        party.ready = True
        party.opened.append(message)

    @rule(who=WHO, pick=st.integers(0, 50))
    def receive_again(self, who: int, pick: int) -> None:
        party = self.parties[who]
        if party.opened:
            self._refused(party, party.opened[pick % len(party.opened)])

    @rule(who=WHO, pick=st.integers(0, 50), bit=st.integers(0, 8 * 569 - 1))
    def receive_forged(self, who: int, pick: int, bit: int) -> None:
        party = self.parties[who]
        if party.waiting:
            message = bytearray(party.waiting[pick % len(party.waiting)][1])
            message[bit // 8] ^= 1 << bit % 8
            self._refused(party, bytes(message))

    @rule(who=WHO, pick=st.integers(0, 50))
    def receive_ones_own(self, who: int, pick: int) -> None:
        others = self.parties[1 - who].waiting
        if others:
            # The one who wrote it gets it back. Old ones are of a ratchet key that is no longer its own.
            self._refused(self.parties[who], others[pick % len(others)][1])

    def _refused(self, party: Party, message: bytes) -> None:
        before = party.ratchet.to_bytes()
        with pytest.raises(DecryptError):
            party.ratchet.decrypt(message, self.entropy(32), self.now)
        assert party.ratchet.to_bytes() == before

    @rule(who=WHO)
    def forget_the_next_state_of_sending(self, who: int) -> None:
        """A crash between encrypting and storing: the ciphertext never left, the state is the old one."""
        party = self.parties[who]
        if party.ready:
            party.ratchet.encrypt(b"never left", self.entropy(16))

    @rule(who=WHO, pick=st.integers(0, 50))
    def forget_the_next_state_of_receiving(self, who: int, pick: int) -> None:
        """A crash between opening and storing: the message comes again and opens."""
        party = self.parties[who]
        if party.waiting:
            text, message = party.waiting[pick % len(party.waiting)]
            assert party.ratchet.decrypt(message, self.entropy(32), self.now)[0] == text

    @rule(who=WHO, other=st.integers(0, 1))
    def store_and_load(self, who: int, other: int) -> None:
        party = self.parties[who]
        party.kernels = self.choices[other % len(self.choices)]
        party.ratchet = party.kernels.Ratchet.from_bytes(party.ratchet.to_bytes())

    @rule(who=WHO, other=st.integers(0, 1))
    def load_from_parts(self, who: int, other: int) -> None:
        party = self.parties[who]
        party.kernels = self.choices[other % len(self.choices)]
        party.ratchet = party.kernels.Ratchet.from_parts(party.ratchet.head(), list(party.store.values()))

    @rule(seconds=st.integers(-50, 100))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @precondition(lambda self: any(party.store for party in self.parties))
    @rule(who=WHO, age=st.integers(0, 200))
    def expire(self, who: int, age: int) -> None:
        party = self.parties[who]
        before = party.ratchet
        party.step(before.expire(self.now - age))
        gone = {record[:36] for record in before.skipped()} - set(party.store)
        # What was late and has expired stays closed, whichever way that is said; the rest still opens.
        late = [entry for entry in party.waiting if entry[1][1:33] + entry[1][37:41] in gone]
        for entry in late:
            party.waiting.remove(entry)
            self._refused(party, entry[1])

    @invariant()
    def the_store_is_the_state(self) -> None:
        for party in getattr(self, "parties", ()):
            assert list(party.store.values()) == party.ratchet.skipped()
            head = party.ratchet.head()
            assert len(head) < 1024
            count = len(party.store).to_bytes(2, "big")
            assert party.ratchet.to_bytes() == head + count + b"".join(party.store.values())


class NativeConversation(Conversation):
    choices = (NATIVE,)


class PureConversation(Conversation):
    choices = (PURE,)


class MixedConversation(Conversation):
    choices = (NATIVE, PURE)


_SETTINGS = settings(max_examples=3 * schedules(), stateful_step_count=60)
TestNative = NativeConversation.TestCase
TestNative.settings = _SETTINGS
TestPure = PureConversation.TestCase
TestPure.settings = _SETTINGS
TestMixed = MixedConversation.TestCase
TestMixed.settings = _SETTINGS
