"""Sender keys on both back ends and on each pair of them: order, loss, limits, forgeries and the stored form
(docs/CRYPTO.md section 6).
"""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobium import signing
from mobium._pure.sender_key import ReceiverChain, SenderChain
from mobium.errors import (
    CryptoError,
    Duplicate,
    Invalid,
    InvalidInput,
    MobiumError,
    PaddingError,
    StateError,
    TooFar,
)
from mobium.signing import SigningKey
from tests.crypto.points import ED25519_NOT_CANONICAL, ED25519_SMALL_ORDER
from tests.kernels.kernels import BOTH, NATIVE, PURE, Entropy, Kernels

HEAD = 25
COMMIT = 32
SIGNATURE = 64
OVERHEAD = HEAD + COMMIT + SIGNATURE
SMALLEST = 512 + OVERHEAD
KEY_ID = 0xA0B0C0D0
ROSTER_INDEX = 9
CHANNEL, SENDER, ROSTER = b"c" * 32, b"s" * 32, b"r" * 32

REGIONS = {
    "version": range(1),
    "key id": range(1, 5),
    "iteration": range(5, 9),
    "salt": range(9, HEAD),
    "commitment": range(HEAD, HEAD + COMMIT),
    "ciphertext": range(HEAD + COMMIT, SMALLEST - SIGNATURE - 16),
    "tag": range(SMALLEST - SIGNATURE - 16, SMALLEST - SIGNATURE),
    "signature's point": range(SMALLEST - SIGNATURE, SMALLEST - 32),
    "signature's number": range(SMALLEST - 32, SMALLEST),
}
"""Every byte of a message of the smallest bucket."""


def create(kernels: Kernels, seed: bytes = b"e" * 32) -> SenderChain:
    return kernels.SenderChain.create(CHANNEL, SENDER, ROSTER_INDEX, ROSTER, KEY_ID, b"k" * 32, seed)


def begin(a: Kernels, b: Kernels, nickname: bytes = b"nick") -> tuple[SenderChain, ReceiverChain]:
    """The two sides of one chain, each on its back end."""
    sender = create(a)
    return sender, b.ReceiverChain.from_distribution(sender.distribution(nickname), CHANNEL, SENDER)


def send(sender: SenderChain, count: int, entropy: Entropy) -> tuple[list[bytes], SenderChain]:
    """`count` messages whose texts are their numbers, and the chain after them."""
    messages = []
    for _ in range(count):
        text = str(sender.iteration).encode()
        message, sender = sender.encrypt(text, entropy(16))
        messages.append(message)
    return messages, sender


def at(kernels: Kernels, iteration: int) -> SenderChain:
    """The chain at a number, without the messages before it: its stored state, changed."""
    state = bytearray(create(kernels).to_bytes())
    state[106:110] = iteration.to_bytes(4, "big")
    return kernels.SenderChain.from_bytes(bytes(state))


def resigned(message: bytes, seed: bytes = b"e" * 32) -> bytes:
    """`message` signed anew: what only its sender can make, and what he cannot make either is refused."""
    body = message[:-SIGNATURE]
    return body + SigningKey.from_seed(seed).sign(b"mobium/1 sender message\0" + CHANNEL + SENDER + body)


def edited(message: bytes, where: int, value: bytes) -> bytes:
    return message[:where] + value + message[where + len(value) :]


def refused(
    reader: ReceiverChain, message: bytes, error: type[MobiumError], match: str | None = None
) -> None:
    """`message` is refused and leaves the reader as it was."""
    before = reader.to_bytes()
    with pytest.raises(error, match=match):
        reader.decrypt(message)
    assert reader.to_bytes() == before


class TestConversation:
    def test_in_order(self, sides: tuple[Kernels, Kernels], entropy: Entropy) -> None:
        sender, reader = begin(*sides)
        for number in range(5):
            assert (sender.iteration, reader.iteration) == (number, number)
            text = entropy(number * 200)
            message, sender = sender.encrypt(text, entropy(16))
            assert sides[1].read_head(message) == (KEY_ID, number)
            plaintext, reader = reader.decrypt(message)
            assert plaintext == text
            assert reader.skipped() == []

    def test_layout(self, sides: tuple[Kernels, Kernels], entropy: Entropy) -> None:
        sender, _ = begin(*sides)
        salt = entropy(16)
        for size, bucket in ((0, 512), (488, 512), (489, 1024), (70_000, 131_072)):
            message, _ = sender.encrypt(bytes(size), salt)
            assert len(message) == bucket + OVERHEAD
            assert message[:HEAD] == b"\x01" + KEY_ID.to_bytes(4, "big") + bytes(4) + salt
            public = SigningKey.from_seed(b"e" * 32).public
            signed = b"mobium/1 sender message\0" + CHANNEL + SENDER + message[:-SIGNATURE]
            signing.verify(public, message[-SIGNATURE:], signed)

    def test_every_order(self, sides: tuple[Kernels, Kernels], entropy: Entropy, seed: int) -> None:
        sender, first = begin(*sides)
        messages, _ = send(sender, 12, entropy)
        random_ = random.Random(seed)
        for _ in range(10):
            reader, order = first, random_.sample(range(12), 12)
            for number in order:
                plaintext, reader = reader.decrypt(messages[number])
                assert plaintext == str(number).encode()
                refused(reader, messages[number], Duplicate)
            assert reader.skipped() == []
            assert reader.iteration == 12

    def test_skipped_keys_go_when_they_are_used(
        self, sides: tuple[Kernels, Kernels], entropy: Entropy
    ) -> None:
        sender, reader = begin(*sides)
        messages, _ = send(sender, 5, entropy)
        _, ahead = reader.decrypt(messages[4])
        assert ahead.skipped() == [0, 1, 2, 3]
        _, after = ahead.decrypt(messages[2])
        assert after.skipped() == [0, 1, 3]
        assert ahead.skipped() == [0, 1, 2, 3]
        assert len(ahead.to_bytes()) - len(after.to_bytes()) == 36

    def test_a_state_is_a_value(self, sides: tuple[Kernels, Kernels], entropy: Entropy) -> None:
        sender, reader = begin(*sides)
        states = sender.to_bytes(), reader.to_bytes()
        message, _ = sender.encrypt(b"text", entropy(16))
        for _ in range(3):
            assert reader.decrypt(message)[0] == b"text"
        assert (sender.to_bytes(), reader.to_bytes()) == states

    def test_a_state_used_twice_repeats_no_key(self, kernels: Kernels, entropy: Entropy) -> None:
        sender, reader = begin(kernels, kernels)
        one, other = (sender.encrypt(b"text", entropy(16))[0] for _ in range(2))
        assert one[25:] != other[25:]
        assert one[HEAD + COMMIT : -SIGNATURE] != other[HEAD + COMMIT : -SIGNATURE]
        assert reader.decrypt(other)[0] == reader.decrypt(one)[0] == b"text"

    def test_a_newcomer_opens_from_where_he_came(
        self, sides: tuple[Kernels, Kernels], entropy: Entropy
    ) -> None:
        sender, _ = begin(*sides)
        messages, sender = send(sender, 3, entropy)
        newcomer = sides[1].ReceiverChain.from_distribution(sender.distribution(b""), CHANNEL, SENDER)
        assert newcomer.iteration == 3
        later, _ = send(sender, 2, entropy)
        for message in messages:
            refused(newcomer, message, Invalid, "before this sender key was given")
        _, newcomer = newcomer.decrypt(later[1])
        assert newcomer.skipped() == [3]
        refused(newcomer, messages[2], Invalid, "before this sender key was given")
        assert newcomer.decrypt(later[0])[0] == b"3"

    def test_handed_over_in_the_middle(self, entropy: Entropy) -> None:
        sender, reader = begin(NATIVE, PURE)
        lost = []
        for turn in range(8):
            a, b = BOTH[turn % 2], BOTH[(turn + 1) % 2]
            sender, reader = (
                a.SenderChain.from_bytes(sender.to_bytes()),
                b.ReceiverChain.from_bytes(reader.to_bytes()),
            )
            messages, sender = send(sender, 2, entropy)
            lost.append(messages[0])
            plaintext, reader = reader.decrypt(messages[1])
            assert plaintext == str(2 * turn + 1).encode()
        for turn, message in enumerate(lost):
            reader = BOTH[turn % 2].ReceiverChain.from_bytes(reader.to_bytes())
            plaintext, reader = reader.decrypt(message)
            assert plaintext == str(2 * turn).encode()
        assert reader.skipped() == []

    def test_properties(self, sides: tuple[Kernels, Kernels]) -> None:
        for chain in begin(*sides):
            assert (chain.channel_id, chain.sender, chain.key_id) == (CHANNEL, SENDER, KEY_ID)
            assert (chain.roster_index, chain.roster_hash, chain.iteration) == (ROSTER_INDEX, ROSTER, 0)
        for nickname in (b"", b"n\xffck", b"x" * 255):
            assert begin(*sides, nickname)[1].nickname == nickname

    def test_nothing_shows_and_nothing_is_pickled(self, kernels: Kernels) -> None:
        for chain in begin(kernels, kernels):
            assert repr(chain) == str(chain) == f"<{type(chain).__name__}: redacted>"
            with pytest.raises(TypeError):
                pickle.dumps(chain)
            with pytest.raises(TypeError):
                copy.copy(chain)
            with pytest.raises(TypeError):
                type(chain)()
            with pytest.raises(AttributeError):
                chain.iteration = 3  # type: ignore[misc]


class TestLimits:
    def test_a_chain_has_a_thousand_messages(self, sides: tuple[Kernels, Kernels], entropy: Entropy) -> None:
        sender, reader = begin(*sides)
        messages, sender = send(sender, 1000, entropy)
        assert sender.iteration == 1000
        for call in (lambda: sender.encrypt(b"", bytes(16)), lambda: sender.distribution(b"")):
            with pytest.raises(CryptoError, match="used up"):
                call()
        _, reader = reader.decrypt(messages[999])
        assert reader.skipped() == list(range(999))
        assert reader.iteration == 1000
        assert len(reader.to_bytes()) < 300 + 36 * 999
        for number in (0, 500, 998):
            plaintext, reader = reader.decrypt(messages[number])
            assert plaintext == str(number).encode()
        refused(reader, messages[999], Duplicate)

    def test_a_number_beyond_the_end(self, kernels: Kernels, entropy: Entropy) -> None:
        sender, reader = begin(kernels, kernels)
        message, _ = sender.encrypt(b"", entropy(16))
        for number in (1000, 1001, 2**31, 2**32 - 1):
            forged = edited(message, 5, number.to_bytes(4, "big"))
            refused(reader, forged, Invalid, "signature")
            refused(reader, resigned(forged), TooFar)

    def test_a_signed_number_that_is_not_its_own_leaves_nothing(
        self, kernels: Kernels, entropy: Entropy
    ) -> None:
        sender, reader = begin(kernels, kernels)
        message, _ = sender.encrypt(b"", entropy(16))
        refused(reader, resigned(edited(message, 5, (999).to_bytes(4, "big"))), Invalid, "commits")
        assert reader.decrypt(message)[0] == b""

    def test_too_large(self, kernels: Kernels) -> None:
        sender, _ = begin(kernels, kernels)
        with pytest.raises(PaddingError):
            sender.encrypt(bytes(4 * 1024 * 1024 - 23), bytes(16))

    def test_large(self, sides: tuple[Kernels, Kernels], entropy: Entropy) -> None:
        sender, reader = begin(*sides)
        text = entropy(1_000_000)
        message, _ = sender.encrypt(text, bytes(16))
        assert reader.decrypt(message)[0] == text


class TestForgeries:
    def test_the_regions_are_all_bytes(self) -> None:
        assert [place for region in REGIONS.values() for place in region] == list(range(SMALLEST))

    @pytest.mark.parametrize("region", REGIONS)
    def test_every_byte(self, sides: tuple[Kernels, Kernels], entropy: Entropy, region: str) -> None:
        sender, reader = begin(*sides)
        _, sender = sender.encrypt(b"", entropy(16))
        message, _ = sender.encrypt(b"text", entropy(16))
        match = {"version": "unknown version", "key id": "another sender key"}.get(region, "signature")
        for place in REGIONS[region]:
            for bit in {0, 7, place % 8}:
                forged = edited(message, place, bytes([message[place] ^ 1 << bit]))
                refused(reader, forged, Invalid, match)
        assert reader.decrypt(message)[0] == b"text"

    @pytest.mark.parametrize("region", [name for name in REGIONS if "signature" not in name])
    def test_every_byte_signed_by_the_sender(self, kernels: Kernels, entropy: Entropy, region: str) -> None:
        """A signature makes nothing valid that the chain's keys do not."""
        sender, reader = begin(kernels, kernels)
        _, sender = sender.encrypt(b"", entropy(16))
        message, _ = sender.encrypt(b"text", entropy(16))
        expected = {"salt": "commits", "commitment": "commits", "ciphertext": "authentic", "tag": "authentic"}
        for place in REGIONS[region]:
            forged = resigned(edited(message, place, bytes([message[place] ^ 1 << place % 8])))
            before = reader.to_bytes()
            with pytest.raises((Invalid, TooFar), match=expected.get(region)):
                reader.decrypt(forged)
            assert reader.to_bytes() == before

    def test_every_length(self, kernels: Kernels, entropy: Entropy) -> None:
        sender, reader = begin(kernels, kernels)
        message, _ = sender.encrypt(b"text", entropy(16))
        for size in range(SMALLEST):
            refused(reader, message[:size], Invalid, "length")
        for more in (1, 511, 512, 1024):
            data = message + bytes(more)
            refused(reader, data, Invalid, "length" if more != 512 else "signature")
        for data in (b"", message[:-1], message + b"\0"):
            with pytest.raises(Invalid):
                kernels.read_head(data)
        with pytest.raises(Invalid, match="version"):
            kernels.read_head(b"\x02" + message[1:])
        with pytest.raises(Invalid, match="key id"):
            kernels.read_head(edited(message, 1, bytes(4)))

    @pytest.mark.parametrize("what", ["channel_id", "sender", "roster_hash"])
    def test_another_place(self, sides: tuple[Kernels, Kernels], entropy: Entropy, what: str) -> None:
        """The channel, the sender and the roster's head are bound, the first two by the signature already."""
        sender, _ = begin(*sides)
        message, _ = sender.encrypt(b"text", entropy(16))
        data = sender.distribution(b"")
        channel, of = CHANNEL, SENDER
        if what == "channel_id":
            channel = b"C" * 32
            data = edited(data, 1, channel)
        elif what == "sender":
            of = b"S" * 32
        else:
            data = edited(data, 109, b"R" * 32)
        reader = sides[1].ReceiverChain.from_distribution(data, channel, of)
        refused(reader, message, Invalid, "authentic" if what == "roster_hash" else "signature")
        # Signed as if it were of that place, it does not open either: the AEAD binds all three.
        body = message[:-SIGNATURE]
        signed = SigningKey.from_seed(b"e" * 32).sign(b"mobium/1 sender message\0" + channel + of + body)
        refused(reader, body + signed, Invalid, "authentic")

    def test_another_member_cannot_sign(self, kernels: Kernels, entropy: Entropy) -> None:
        """A member has the chain's keys; without the signing key nothing that he makes of them is taken."""
        sender, reader = begin(kernels, kernels)
        member = create(kernels, b"m" * 32)
        forged, _ = member.encrypt(b"forged", entropy(16))
        refused(reader, forged, Invalid, "signature")
        refused(reader, resigned(sender.encrypt(b"", bytes(16))[0], b"m" * 32), Invalid, "signature")

    def test_another_chain_of_the_same_id(self, kernels: Kernels, entropy: Entropy) -> None:
        """Two chain keys under one id and one signing key: the commitment tells them apart (A31)."""
        sender, reader = begin(kernels, kernels)
        other = kernels.SenderChain.create(
            CHANNEL, SENDER, ROSTER_INDEX, ROSTER, KEY_ID, b"K" * 32, b"e" * 32
        )
        refused(reader, other.encrypt(b"text", entropy(16))[0], Invalid, "commits")
        assert reader.decrypt(sender.encrypt(b"text", entropy(16))[0])[0] == b"text"

    def test_weak_points_in_the_signature(self, kernels: Kernels, entropy: Entropy) -> None:
        sender, reader = begin(kernels, kernels)
        message, _ = sender.encrypt(b"text", entropy(16))
        for point in (*ED25519_SMALL_ORDER, *ED25519_NOT_CANONICAL):
            forged = edited(message, len(message) - SIGNATURE, point)
            refused(reader, forged, Invalid, "signature")
            refused(reader, forged[:-32] + bytes(32), Invalid, "signature")

    def test_padding_that_does_not_fit(self, kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mobium._pure.sender_key.pad", lambda _: b"\xff" * 496)
        message, _ = create(PURE).encrypt(b"", bytes(16))
        refused(begin(PURE, kernels)[1], message, Invalid, "padding")


class TestDistribution:
    def test_layout(self, kernels: Kernels) -> None:
        data = create(kernels).distribution(b"nick")
        number = KEY_ID.to_bytes(4, "big")
        public = SigningKey.from_seed(b"e" * 32).public
        index = ROSTER_INDEX.to_bytes(4, "big")
        assert data == b"\x01" + CHANNEL + number + bytes(4) + b"k" * 32 + public + index + ROSTER + b"\4nick"

    def test_every_cut(self, kernels: Kernels) -> None:
        data = create(kernels).distribution(b"nick")
        for wrong in (*(data[:size] for size in range(len(data))), data + b"\0"):
            with pytest.raises(Invalid, match="no distribution"):
                kernels.ReceiverChain.from_distribution(wrong, CHANNEL, SENDER)

    @pytest.mark.parametrize(
        ("where", "value", "match"),
        [
            (0, b"\0", "version"),
            (0, b"\x02", "version"),
            (1, b"C", "another channel"),
            (32, b"C", "another channel"),
            (33, bytes(4), "number"),
            (37, (1000).to_bytes(4, "big"), "number"),
            (37, b"\xff" * 4, "number"),
        ],
    )
    def test_refused(self, kernels: Kernels, where: int, value: bytes, match: str) -> None:
        data = edited(create(kernels).distribution(b""), where, value)
        with pytest.raises(Invalid, match=match):
            kernels.ReceiverChain.from_distribution(data, CHANNEL, SENDER)

    def test_weak_signing_keys(self, kernels: Kernels) -> None:
        data = create(kernels).distribution(b"")
        reader = kernels.ReceiverChain.from_distribution(data, CHANNEL, SENDER).to_bytes()
        for point in (*ED25519_SMALL_ORDER, *ED25519_NOT_CANONICAL):
            with pytest.raises(Invalid, match="signing key"):
                kernels.ReceiverChain.from_distribution(edited(data, 73, point), CHANNEL, SENDER)
            with pytest.raises(StateError, match="signing key"):
                kernels.ReceiverChain.from_bytes(edited(reader, 146, point))

    def test_a_signing_key_that_is_no_point_opens_nothing(self, kernels: Kernels, entropy: Entropy) -> None:
        sender = create(kernels)
        message, _ = sender.encrypt(b"", entropy(16))
        for low in range(2, 40):  # about half of them are on no curve
            data = edited(sender.distribution(b""), 73, bytes([low]) + bytes(31))
            reader = kernels.ReceiverChain.from_distribution(data, CHANNEL, SENDER)
            refused(reader, message, Invalid, "signature")
            assert kernels.ReceiverChain.from_bytes(reader.to_bytes()).to_bytes() == reader.to_bytes()

    def test_the_last_number_is_distributed(self, kernels: Kernels) -> None:
        sender = at(kernels, 999)
        reader = kernels.ReceiverChain.from_distribution(sender.distribution(b""), CHANNEL, SENDER)
        message, sender = sender.encrypt(b"last", bytes(16))
        plaintext, reader = reader.decrypt(message)
        assert plaintext == b"last"
        assert (sender.iteration, reader.iteration, reader.skipped()) == (1000, 1000, [])


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


class TestTwins:
    def test_the_same_entropy_gives_the_same_bytes(self, entropy: Entropy) -> None:
        native, pure = create(NATIVE), create(PURE)
        for size in (0, 488, 489, 5000, 200_000):
            text, salt = entropy(size), entropy(16)
            assert native.distribution(b"n") == pure.distribution(b"n")
            (one, native), (other, pure) = native.encrypt(text, salt), pure.encrypt(text, salt)
            assert one == other
            assert native.to_bytes() == pure.to_bytes()

    def test_random_forgeries_have_one_answer(self, entropy: Entropy, seed: int) -> None:
        random_ = random.Random(seed)
        sender, _ = begin(NATIVE, NATIVE)
        messages, _ = send(sender, 6, entropy)
        readers = [begin(NATIVE, kernels)[1] for kernels in BOTH]
        readers = [reader.decrypt(messages[4])[1] for reader in readers]

        def answer(reader: ReceiverChain, message: bytes) -> tuple[object, object]:
            try:
                plaintext, following = reader.decrypt(message)
            except MobiumError as error:
                return type(error), str(error)
            return plaintext, following.to_bytes()

        for _ in range(400):
            message = bytearray(random_.choice(messages))
            for _ in range(random_.randrange(4)):
                message[random_.choice([random_.randrange(633), random_.randrange(25)])] = random_.choice(
                    [0, 1, 255, random_.randrange(256)]
                )
            forged = bytes(message) if random_.random() < 0.3 else resigned(bytes(message))
            native, pure = (answer(reader, forged) for reader in readers)
            assert native == pure

    def test_arguments_are_refused_with_the_same_sentences(self) -> None:
        def sentences(kernels: Kernels) -> list[str]:
            sender, reader = begin(kernels, kernels)
            key, data = bytes(32), sender.distribution(b"")
            make = kernels.SenderChain.create
            calls: list[Callable[[], object]] = [
                lambda: make(b"", key, 0, key, 1, key, key),
                lambda: make(key, b"", 0, key, 1, key, key),
                lambda: make(key, key, 0, b"", 1, key, key),
                lambda: make(key, key, 0, key, 0, key, key),
                lambda: make(key, key, 0, key, 1, b"", key),
                lambda: make(key, key, 0, key, 1, key, b""),
                lambda: sender.encrypt(b"", b""),
                lambda: sender.encrypt(bytes(2**23), bytes(16)),
                lambda: sender.distribution(bytes(256)),
                lambda: kernels.ReceiverChain.from_distribution(data, b"", key),
                lambda: kernels.ReceiverChain.from_distribution(data, key, b""),
                lambda: kernels.ReceiverChain.from_distribution(data, key, key),
                lambda: kernels.ReceiverChain.from_bytes(b""),
                lambda: kernels.SenderChain.from_bytes(b""),
                lambda: kernels.read_head(b""),
                lambda: reader.decrypt(b""),
                lambda: at(kernels, 1000).encrypt(b"", bytes(16)),
                lambda: at(kernels, 1000).distribution(b""),
            ]
            found = []
            for call in calls:
                with pytest.raises(MobiumError) as caught:
                    call()
                found.append(f"{type(caught.value).__name__}: {caught.value}")
            return found

        native, pure = (sentences(kernels) for kernels in BOTH)
        assert native == pure
        assert sum("InvalidInput" in sentence for sentence in native) == 10

    def test_types(self, kernels: Kernels) -> None:
        sender, reader = begin(kernels, kernels)
        key = bytes(32)
        for call in (
            lambda: sender.encrypt("text", bytes(16)),  # type: ignore[arg-type]
            lambda: sender.distribution("text"),  # type: ignore[arg-type]
            lambda: reader.decrypt("text"),  # type: ignore[arg-type]
            lambda: kernels.read_head(None),  # type: ignore[arg-type]
            lambda: kernels.SenderChain.create(key, key, "0", key, 1, key, key),  # type: ignore[arg-type]
            lambda: kernels.SenderChain.create(key, key, 0, key, None, key, key),  # type: ignore[arg-type]
        ):
            with pytest.raises(TypeError):
                call()
        for number in (-1, 2**32, 2**40):
            with pytest.raises(OverflowError):
                kernels.SenderChain.create(key, key, number, key, 1, key, key)
            with pytest.raises(OverflowError):
                kernels.SenderChain.create(key, key, 0, key, number, key, key)
        with pytest.raises(InvalidInput):
            kernels.SenderChain.create(key, key, 0, key, 0, key, key)
