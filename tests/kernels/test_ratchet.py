"""The ratchet on each back end and on both at once: what opens, what does not, how a state is after it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mobium._pure.kdf import chain_step, message_keys
from mobium._pure.ratchet import Ratchet
from mobium.errors import (
    CryptoError,
    DecryptError,
    Duplicate,
    Invalid,
    InvalidInput,
    PaddingError,
    TooFar,
)
from tests.kernels.kernels import (
    COUNTER_END,
    HEADER,
    NOW,
    OVERHEAD,
    SALT,
    Entropy,
    Kernels,
    begin,
    burn,
    established,
    exchange,
    with_header,
)

Sides = tuple[Kernels, Kernels]

# u-coordinates of the points of order 1, 2, 4 and 8 on the curve and its twist, below 2^255 and one field
# size up.
P = 2**255 - 19
SMALL_ORDER = [
    value.to_bytes(32, "little")
    for value in (
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        P - 1,
        P,
        P + 1,
    )
]


def refuses(
    ratchet: Ratchet, message: bytes, error: type[DecryptError], entropy: Entropy, now: int = NOW
) -> None:
    """The message is refused with exactly this error and the state is what it was."""
    before = ratchet.to_bytes()
    with pytest.raises(error) as caught:
        ratchet.decrypt(message, entropy(32), now)
    assert type(caught.value) is error
    assert ratchet.to_bytes() == before


class TestConversation:
    def test_both_directions_in_order(self, sides: Sides, entropy: Entropy) -> None:
        a, b = begin(*sides, entropy)
        for turn in range(6):
            for i in range(3):
                text = f"{turn} {i}".encode()
                message, a = a.encrypt(text, entropy(16))
                plaintext, b = b.decrypt(message, entropy(32), NOW)
                assert plaintext == text
            a, b = b, a

    @pytest.mark.parametrize("size", [0, 1, 488, 489, 1000, 60_000, 200_000, 4 * 1024 * 1024 - 24])
    def test_sizes(self, sides: Sides, entropy: Entropy, size: int) -> None:
        a, b = established(*sides, entropy)
        text = entropy(size)
        message, a = a.encrypt(text, entropy(16))
        assert len(message) - OVERHEAD in sides[0].BUCKETS
        assert b.decrypt(message, None, NOW)[0] == text

    def test_layout_of_a_message(self, sides: Sides, entropy: Entropy) -> None:
        a, _b = established(*sides, entropy)
        own, pn = a.head()[66:98], a.head()[166:170]
        salt = entropy(16)
        _, a = a.encrypt(b"", entropy(16))
        message, _ = a.encrypt(b"text", salt)
        # established() left one message of this chain sent, then one more here.
        assert message[:HEADER] == b"\x01" + own + pn + (2).to_bytes(4, "big")
        assert message[HEADER:OVERHEAD] == salt
        assert len(message) == OVERHEAD + 512

    def test_any_order_and_each_once(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        messages = []
        for i in range(8):
            message, a = a.encrypt(bytes([i]), entropy(16))
            messages.append(message)
        for i in (5, 0, 7, 3, 4, 1, 6, 2):
            plaintext, b = b.decrypt(messages[i], entropy(32), NOW)
            assert plaintext == bytes([i])
            refuses(b, messages[i], Duplicate, entropy)
        assert b.skipped() == []

    def test_messages_of_finished_chains_open_late(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        late = []
        for turn in range(4):
            for i in range(3):
                message, a = a.encrypt(bytes([turn, i]), entropy(16))
                late.append((bytes([turn, i]), message))
            a, b = exchange(a, b, entropy)
            b, a = exchange(b, a, entropy)
        a, b = exchange(a, b, entropy)
        assert len(b.skipped()) == 12
        for text, message in reversed(late):
            plaintext, b = b.decrypt(message, entropy(32), NOW)
            assert plaintext == text
        assert b.skipped() == []

    def test_lost_messages_at_the_end_of_a_chain_are_skipped_by_pn(
        self, sides: Sides, entropy: Entropy
    ) -> None:
        a, b = established(*sides, entropy)
        lost = []
        for i in range(3):
            message, a = a.encrypt(bytes([i]), entropy(16))
            lost.append(message)
        b, a = exchange(b, a, entropy)
        a, b = exchange(a, b, entropy)
        assert len(b.skipped()) == 3
        plaintext, b = b.decrypt(lost[1], entropy(32), NOW)
        assert plaintext == b"\x01"

    def test_a_used_message_of_a_finished_chain_is_a_duplicate_while_a_key_of_it_is_held(
        self, sides: Sides, entropy: Entropy
    ) -> None:
        a, b = established(*sides, entropy)
        lost, a = a.encrypt(b"lost", entropy(16))
        used, a = a.encrypt(b"used", entropy(16))
        _, b = b.decrypt(used, None, NOW)
        b, a = exchange(b, a, entropy)
        a, b = exchange(a, b, entropy)
        refuses(b, used, Duplicate, entropy)
        _, b = b.decrypt(lost, None, NOW)
        # Nothing is known of that chain any more, so its key looks like a new one and the tag decides.
        refuses(b, used, Invalid, entropy)
        refuses(b, lost, Invalid, entropy)

    def test_the_responder_cannot_send_first(self, sides: Sides, entropy: Entropy) -> None:
        _, b = begin(*sides, entropy)
        with pytest.raises(CryptoError) as caught:
            b.encrypt(b"text", entropy(16))
        assert type(caught.value) is CryptoError

    def test_the_initiator_sends_on_while_unanswered_and_any_of_these_opens_first(
        self, sides: Sides, entropy: Entropy
    ) -> None:
        a, b = begin(*sides, entropy)
        messages = []
        for i in range(3):
            message, a = a.encrypt(bytes([i]), entropy(16))
            messages.append(message)
        for i in (2, 0, 1):
            plaintext, b = b.decrypt(messages[i], entropy(32), NOW)
            assert plaintext == bytes([i])


class TestValue:
    def test_steps_leave_the_state_untouched(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        before = a.to_bytes(), b.to_bytes()
        first, _ = a.encrypt(b"one", entropy(16))
        second, _ = a.encrypt(b"two", entropy(16))
        assert b.decrypt(first, None, NOW)[0] == b"one"
        assert b.decrypt(second, None, NOW)[0] == b"two"
        assert (a.to_bytes(), b.to_bytes()) == before

    def test_a_state_used_twice_repeats_a_number_but_never_a_key(
        self, sides: Sides, entropy: Entropy
    ) -> None:
        a, b = established(*sides, entropy)
        salts = entropy(16), entropy(16)
        one, _ = a.encrypt(bytes(400), salts[0])
        two, _ = a.encrypt(bytes(400), salts[1])
        assert one[:HEADER] == two[:HEADER]
        # The message key is the same; what encrypts is not, as the chain key in the stored head shows.
        message_key, _ = chain_step(a.head()[130:162])
        keys = [message_keys(message_key, salt) for salt in salts]
        assert keys[0][0] != keys[1][0]
        assert keys[0][1] != keys[1][1]
        for message, (key, nonce) in zip((one, two), keys, strict=True):
            padded = AESGCM(key).decrypt(nonce, message[OVERHEAD:], b"d" * 32 + message[:HEADER])
            assert sides[0].unpad(padded) == bytes(400)
        assert one[OVERHEAD:] != two[OVERHEAD:]
        # It is the salt that does this: with the same one the same key is used again.
        assert a.encrypt(bytes(400), salts[0])[0] == one
        # The receiver opens one of the two; the number is used then.
        _, b = b.decrypt(two, None, NOW)
        refuses(b, one, Duplicate, entropy)

    def test_two_next_states_of_one_decryption_differ_only_by_entropy(
        self, sides: Sides, entropy: Entropy
    ) -> None:
        a, b = established(*sides, entropy)
        answer, b = b.encrypt(b"answer", entropy(16))
        private = entropy(32)
        one, two = a.decrypt(answer, private, NOW)[1], a.decrypt(answer, private, NOW)[1]
        other = a.decrypt(answer, entropy(32), NOW)[1]
        assert one.to_bytes() == two.to_bytes() != other.to_bytes()
        for following in (one, other):
            message, _ = following.encrypt(b"on", entropy(16))
            assert b.decrypt(message, entropy(32), NOW)[0] == b"on"

    def test_shows_no_secret(self, kernels: Kernels, entropy: Entropy) -> None:
        a, b = established(kernels, kernels, entropy)
        assert repr(a) == str(a) == repr(b) == "<Ratchet: redacted>"
        assert not hasattr(a, "__dict__")
        with pytest.raises(TypeError):
            pickle.dumps(a)
        with pytest.raises(TypeError):
            copy.deepcopy(a)

    def test_is_made_only_by_its_four_ways(self, kernels: Kernels) -> None:
        with pytest.raises(TypeError):
            kernels.Ratchet()


class TestKnows:
    def test_the_chain_being_received_and_skipped_keys(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        lost, a = a.encrypt(b"", entropy(16))
        message, a = a.encrypt(b"", entropy(16))
        assert b.knows(message)
        _, b = b.decrypt(message, None, NOW)
        b, a = exchange(b, a, entropy)
        following, a = a.encrypt(b"", entropy(16))
        assert not b.knows(following)
        _, b = b.decrypt(following, entropy(32), NOW)
        assert b.knows(lost)
        assert not b.knows(message)
        assert not b.knows(with_header(lost, n=77))
        assert b.knows(with_header(following, n=2**31))

    def test_none_is_enough_where_it_knows_and_refused_where_it_does_not(
        self, sides: Sides, entropy: Entropy
    ) -> None:
        a, b = established(*sides, entropy)
        lost, a = a.encrypt(b"lost", entropy(16))
        message, a = a.encrypt(b"next", entropy(16))
        for known in (message, lost):
            assert b.knows(known)
            _, b = b.decrypt(known, None, NOW)
        answer, b = b.encrypt(b"answer", entropy(16))
        assert not a.knows(answer)
        with pytest.raises(InvalidInput):
            a.decrypt(answer, None, NOW)
        assert a.decrypt(answer, entropy(32), NOW)[0] == b"answer"

    def test_nothing_before_the_first_message(self, sides: Sides, entropy: Entropy) -> None:
        a, b = begin(*sides, entropy)
        message, _ = a.encrypt(b"", entropy(16))
        assert not b.knows(message)
        # The responder's signed prekey stands in the initiator's state, but nothing is sent with it.
        assert not a.knows(with_header(message, ratchet=a.head()[98:130]))

    def test_what_is_no_message_is_not_known(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        message, _ = a.encrypt(b"", entropy(16))
        for wrong in (
            b"",
            message[:-1],
            message + b"\0",
            b"\x02" + message[1:],
            with_header(message, n=COUNTER_END),
        ):
            assert not b.knows(wrong)


class TestRefused:
    @pytest.fixture
    def ends(self, sides: Sides, entropy: Entropy) -> tuple[Ratchet, Ratchet]:
        return established(*sides, entropy)

    def test_lengths(self, ends: tuple[Ratchet, Ratchet], entropy: Entropy) -> None:
        a, b = ends
        message, _ = a.encrypt(b"text", entropy(16))
        for size in [*range(0, 120, 7), len(message) - 1, len(message) + 1, OVERHEAD + 1024, OVERHEAD + 256]:
            refuses(b, message.ljust(size, b"\0")[:size], Invalid, entropy)

    def test_version(self, ends: tuple[Ratchet, Ratchet], entropy: Entropy) -> None:
        a, b = ends
        message, _ = a.encrypt(b"text", entropy(16))
        for version in (0, 2, 255):
            refuses(b, bytes([version]) + message[1:], Invalid, entropy)

    def test_counters_at_the_end(self, ends: tuple[Ratchet, Ratchet], entropy: Entropy) -> None:
        a, b = ends
        message, _ = a.encrypt(b"text", entropy(16))
        refuses(b, with_header(message, n=COUNTER_END), Invalid, entropy)
        refuses(b, with_header(message, pn=COUNTER_END), Invalid, entropy)
        refuses(b, with_header(message, n=COUNTER_END - 1), TooFar, entropy)

    def test_ones_own_ratchet_key(self, ends: tuple[Ratchet, Ratchet], entropy: Entropy) -> None:
        a, b = ends
        message, _ = a.encrypt(b"text", entropy(16))
        refuses(a, message, Invalid, entropy)
        refuses(b, with_header(message, ratchet=b.head()[66:98]), Invalid, entropy)

    @pytest.mark.parametrize("key", SMALL_ORDER, ids=lambda key: key.hex()[:8])
    def test_ratchet_keys_of_small_order(
        self, ends: tuple[Ratchet, Ratchet], entropy: Entropy, key: bytes
    ) -> None:
        a, b = ends
        message, _ = a.encrypt(b"text", entropy(16))
        refuses(b, with_header(message, ratchet=key, n=0, pn=0), Invalid, entropy)
        # With the top bit, which X25519 ignores.
        refuses(
            b, with_header(message, ratchet=key[:31] + bytes([key[31] | 0x80]), n=0, pn=0), Invalid, entropy
        )

    def test_the_signed_prekey_as_a_ratchet_key(self, sides: Sides, entropy: Entropy) -> None:
        a, _b = begin(*sides, entropy)
        message, a = a.encrypt(b"text", entropy(16))
        refuses(a, with_header(message, ratchet=a.head()[98:130]), Invalid, entropy)

    def test_every_flipped_bit_of_a_message_in_the_chain(
        self, kernels: Kernels, ends: tuple[Ratchet, Ratchet], entropy: Entropy
    ) -> None:
        a, b = ends[0], kernels.take(ends[1])
        message, _ = a.encrypt(b"text", entropy(16))
        self._flip_every_bit(b, message, entropy)

    def test_every_flipped_bit_of_a_message_with_a_new_ratchet_key(
        self, kernels: Kernels, ends: tuple[Ratchet, Ratchet], entropy: Entropy
    ) -> None:
        a, b = kernels.take(ends[0]), ends[1]
        message, _ = b.encrypt(b"text", entropy(16))
        self._flip_every_bit(a, message, entropy)

    def test_every_flipped_bit_of_a_skipped_message(
        self, kernels: Kernels, ends: tuple[Ratchet, Ratchet], entropy: Entropy
    ) -> None:
        a, b = ends[0], kernels.take(ends[1])
        message, a = a.encrypt(b"text", entropy(16))
        a, b = exchange(a, b, entropy)
        self._flip_every_bit(b, message, entropy)

    @staticmethod
    def _flip_every_bit(receiver: Ratchet, message: bytes, entropy: Entropy) -> None:
        before, fresh = receiver.to_bytes(), entropy(32)
        assert len(message) == OVERHEAD + 512
        for bit in range(8 * len(message)):
            flipped = bytearray(message)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(DecryptError):
                receiver.decrypt(bytes(flipped), fresh, NOW)
        assert receiver.to_bytes() == before
        assert receiver.decrypt(message, fresh, NOW)[0] == b"text"

    def test_other_associated_data(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        message, a = a.encrypt(b"text", entropy(16))
        head = bytearray(b.head())
        head[-1] ^= 1
        refuses(sides[1].Ratchet.from_parts(bytes(head), b.skipped()), message, Invalid, entropy)
        assert b.decrypt(message, None, NOW)[0] == b"text"

    @pytest.mark.parametrize("size", [0, 31, 33, 64, 300])
    def test_associated_data_of_other_sizes(self, sides: Sides, entropy: Entropy, size: int) -> None:
        a, b = begin(*sides, entropy, bytes(size))
        message, a = a.encrypt(b"text", entropy(16))
        plaintext, b = b.decrypt(message, entropy(32), NOW)
        assert plaintext == b"text"

    def test_padding_that_does_not_fit_under_a_right_tag(
        self, ends: tuple[Ratchet, Ratchet], entropy: Entropy
    ) -> None:
        a, b = ends
        head = a.head()
        message_key, _ = chain_step(head[130:162])
        header = b"\x01" + head[66:98] + head[166:170] + head[162:166]
        salt = entropy(SALT)
        key, nonce = message_keys(message_key, salt)
        for padded in ((489).to_bytes(4, "big") + bytes(492), bytes(7) + b"\x01" + bytes(488)):
            sealed = AESGCM(key).encrypt(nonce, padded, b"d" * 32 + header)
            refuses(b, header + salt + sealed, Invalid, entropy)
        sealed = AESGCM(key).encrypt(nonce, bytes(496), b"d" * 32 + header)
        assert b.decrypt(header + salt + sealed, None, NOW)[0] == b""


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

    @pytest.mark.parametrize("key", SMALL_ORDER, ids=lambda key: key.hex()[:8])
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


class TestBurnt:
    def test_burn_is_what_losing_messages_is(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        a = burn(a, 5)
        a, b = exchange(a, b, entropy)
        assert len(b.skipped()) == 5
