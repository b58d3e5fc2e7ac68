"""The ratchet on each back end and on both at once: what opens, how a state is after it, what it knows."""

from __future__ import annotations

import copy
import pickle

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mobium._pure.kdf import chain_step, message_keys
from mobium.errors import CryptoError, Duplicate, Invalid, InvalidInput
from tests.kernels.kernels import (
    COUNTER_END,
    HEADER,
    NOW,
    OVERHEAD,
    Entropy,
    Kernels,
    Sides,
    begin,
    burn,
    established,
    exchange,
    refuses,
    with_header,
)


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


class TestBurnt:
    def test_burn_is_what_losing_messages_is(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        a = burn(a, 5)
        a, b = exchange(a, b, entropy)
        assert len(b.skipped()) == 5
