"""Sender keys on both back ends and on each pair of them: order, loss, limits and the distribution
(docs/CRYPTO.md section 6).
"""

from __future__ import annotations

import copy
import pickle
import random

import pytest

from mobium import signing
from mobium.errors import CryptoError, Duplicate, Invalid, PaddingError, StateError, TooFar
from mobium.signing import SigningKey
from tests.crypto.points import ED25519_NOT_CANONICAL, ED25519_SMALL_ORDER
from tests.kernels.chains import (
    CHANNEL,
    COMMIT,
    HEAD,
    KEY_ID,
    OVERHEAD,
    ROSTER,
    ROSTER_INDEX,
    SENDER,
    SIGNATURE,
    at,
    begin,
    create,
    edited,
    refused,
    resigned,
    send,
)
from tests.kernels.kernels import BOTH, NATIVE, PURE, Entropy, Kernels, Sides


class TestConversation:
    def test_in_order(self, sides: Sides, entropy: Entropy) -> None:
        sender, reader = begin(*sides)
        for number in range(5):
            assert (sender.iteration, reader.iteration) == (number, number)
            text = entropy(number * 200)
            message, sender = sender.encrypt(text, entropy(16))
            assert sides[1].read_head(message) == (KEY_ID, number)
            plaintext, reader = reader.decrypt(message)
            assert plaintext == text
            assert reader.skipped() == []

    def test_layout(self, sides: Sides, entropy: Entropy) -> None:
        sender, _ = begin(*sides)
        salt = entropy(16)
        for size, bucket in ((0, 512), (488, 512), (489, 1024), (70_000, 131_072)):
            message, _ = sender.encrypt(bytes(size), salt)
            assert len(message) == bucket + OVERHEAD
            assert message[:HEAD] == b"\x01" + KEY_ID.to_bytes(4, "big") + bytes(4) + salt
            public = SigningKey.from_seed(b"e" * 32).public
            signed = b"mobium/1 sender message\0" + CHANNEL + SENDER + message[:-SIGNATURE]
            signing.verify(public, message[-SIGNATURE:], signed)

    def test_every_order(self, sides: Sides, entropy: Entropy, seed: int) -> None:
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

    def test_skipped_keys_go_when_they_are_used(self, sides: Sides, entropy: Entropy) -> None:
        sender, reader = begin(*sides)
        messages, _ = send(sender, 5, entropy)
        _, ahead = reader.decrypt(messages[4])
        assert ahead.skipped() == [0, 1, 2, 3]
        _, after = ahead.decrypt(messages[2])
        assert after.skipped() == [0, 1, 3]
        assert ahead.skipped() == [0, 1, 2, 3]
        assert len(ahead.to_bytes()) - len(after.to_bytes()) == 36

    def test_a_state_is_a_value(self, sides: Sides, entropy: Entropy) -> None:
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

    def test_a_newcomer_opens_from_where_he_came(self, sides: Sides, entropy: Entropy) -> None:
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

    def test_properties(self, sides: Sides) -> None:
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
    def test_a_chain_has_a_thousand_messages(self, sides: Sides, entropy: Entropy) -> None:
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

    def test_large(self, sides: Sides, entropy: Entropy) -> None:
        sender, reader = begin(*sides)
        text = entropy(1_000_000)
        message, _ = sender.encrypt(text, bytes(16))
        assert reader.decrypt(message)[0] == text


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
