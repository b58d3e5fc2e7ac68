"""The limits of the ratchet: what forged headers cost, what is held and how long, what a step changes."""

from __future__ import annotations

import random

import pytest

from mobium._pure import kdf
from mobium._pure import ratchet as pure_ratchet
from mobium.errors import DecryptError, Duplicate, Invalid, TooFar
from tests.kernels.kernels import (
    COUNTER_END,
    NOW,
    PURE,
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


class TestJumps:
    def test_a_thousand_skipped_in_the_chain_and_not_one_more(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        a = burn(a, 1000)
        allowed, a = a.encrypt(b"allowed", entropy(16))
        beyond, a = a.encrypt(b"beyond", entropy(16))
        refuses(b, beyond, TooFar, entropy)
        plaintext, b = b.decrypt(allowed, None, NOW)
        assert plaintext == b"allowed"
        assert len(b.skipped()) == 1000
        assert b.decrypt(beyond, None, NOW)[0] == b"beyond"

    def test_a_thousand_by_pn_and_a_thousand_in_the_new_chain(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        a = burn(a, 1000)
        b, a = exchange(b, a, entropy)
        a = burn(a, 1000)
        allowed, a = a.encrypt(b"allowed", entropy(16))
        beyond, a = a.encrypt(b"beyond", entropy(16))
        refuses(b, beyond, TooFar, entropy)
        plaintext, following = b.decrypt(allowed, entropy(32), NOW)
        assert plaintext == b"allowed"
        assert len(following.skipped()) == 2000
        assert following.decrypt(beyond, None, NOW)[0] == b"beyond"

    def test_a_thousand_and_one_by_pn(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        a = burn(a, 1001)
        b, a = exchange(b, a, entropy)
        message, a = a.encrypt(b"text", entropy(16))
        refuses(b, message, TooFar, entropy)

    def test_forged_jumps_cost_no_hmac(
        self, sides: Sides, entropy: Entropy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a, b = established(*sides, entropy)
        message, a = a.encrypt(b"text", entropy(16))
        received = int.from_bytes(b.head()[202:206], "big")
        # Four billion steps of the chain would take an hour natively; in the twin, one is an error.
        monkeypatch.setattr(pure_ratchet, "chain_step", None)
        for n in (received + 1001, 2**31, COUNTER_END - 1):
            refuses(b, with_header(message, n=n), TooFar, entropy)
            refuses(b, with_header(message, ratchet=entropy(32), n=n), TooFar, entropy)
            refuses(b, with_header(message, ratchet=entropy(32), n=0, pn=n), TooFar, entropy)
        refuses(b, with_header(message, n=received - 1), Duplicate, entropy)

    def test_a_forged_jump_within_the_limits_is_bounded_work_and_no_memory(
        self, sides: Sides, entropy: Entropy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a, b = established(*sides, entropy)
        message, a = a.encrypt(b"text", entropy(16))
        received = int.from_bytes(b.head()[202:206], "big")
        steps = []

        def counted(chain: bytes) -> tuple[bytes, bytes]:
            steps.append(1)
            return kdf.chain_step(chain)

        monkeypatch.setattr(pure_ratchet, "chain_step", counted)
        size = len(b.to_bytes())
        for _ in range(5):
            refuses(b, with_header(message, n=received + 1000), Invalid, entropy)
            refuses(
                b, with_header(message, ratchet=entropy(32), pn=received + 1000, n=1000), Invalid, entropy
            )
        assert len(b.to_bytes()) == size
        # The keys that pn names are derived only once the message has proved authentic: one chain a message.
        assert len(steps) == (10 * 1001 if sides[1] is PURE else 0)
        assert b.decrypt(message, None, NOW)[0] == b"text"


class TestStore:
    def test_two_thousand_are_held_and_the_oldest_evicted_never_refused(
        self, sides: Sides, entropy: Entropy
    ) -> None:
        a, b = established(*sides, entropy)
        oldest, a = a.encrypt(b"oldest", entropy(16))
        second, a = a.encrypt(b"second", entropy(16))
        for count in (998, 1000):
            a = burn(a, count)
            a, b = exchange(a, b, entropy)
        assert len(b.skipped()) == 2000
        full = b
        third, a = a.encrypt(b"third", entropy(16))
        a, b = exchange(a, b, entropy)
        assert len(b.skipped()) == 2000
        refuses(b, oldest, Duplicate, entropy)
        assert b.decrypt(second, None, NOW)[0] == b"second"
        assert b.decrypt(third, None, NOW)[0] == b"third"
        assert b.skipped()[:-1] == full.skipped()[1:]
        a = burn(a, 1000)
        a, b = exchange(a, b, entropy)
        assert len(b.skipped()) == 2000

    def test_expiry(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        lost = []
        for i in range(50):
            message, a = a.encrypt(bytes([i]), entropy(16))
            lost.append(message)
            message, a = a.encrypt(b"", entropy(16))
            _, b = b.decrypt(message, None, NOW + i)
        assert b.expire(NOW).to_bytes() == b.to_bytes()
        later = b.expire(NOW + 20)
        assert later.skipped() == b.skipped()[20:]
        refuses(later, lost[19], Duplicate, entropy)
        assert later.decrypt(lost[20], None, NOW)[0] == bytes([20])
        assert b.expire(NOW + 50).skipped() == []
        assert b.expire(2**64 - 1).skipped() == []
        assert b.expire(0).head() == later.head() == b.head()

    def test_expiry_goes_by_time_and_eviction_by_order(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        for at in (NOW, NOW - 1000, NOW + 5):
            a = burn(a, 1)
            message, a = a.encrypt(b"", entropy(16))
            _, b = b.decrypt(message, None, at)
        times = [int.from_bytes(record[68:], "big") for record in b.skipped()]
        assert times == [NOW, NOW - 1000, NOW + 5]
        assert b.expire(NOW).skipped() == [b.skipped()[0], b.skipped()[2]]


class TestChanges:
    def test_replayed_changes_are_the_state(self, sides: Sides, entropy: Entropy, seed: int) -> None:
        """What `head` and `changes` say, kept as a store keeps it, is the state at every step."""
        random_ = random.Random(seed)
        a, b = established(*sides, entropy)
        stores: list[dict[bytes, bytes]] = [{}, {}]
        flying: list[list[bytes]] = [[], []]
        ends, expired = [a, b], 0
        for turn in range(600):
            i = random_.randrange(2)
            before = ends[i]
            chance = random_.random()
            if chance < 0.55:
                message, ends[i] = before.encrypt(b"text", entropy(16))
                if random_.random() < 0.9:
                    flying[1 - i].append(message)
            elif chance < 0.95 and flying[i]:
                message = flying[i].pop(random_.randrange(len(flying[i])))
                try:
                    _, ends[i] = before.decrypt(message, entropy(32), NOW + turn)
                except DecryptError:
                    expired += 1
            else:
                ends[i] = before.expire(NOW + turn - random_.randrange(100, 300))
            added, removed = ends[i].changes(before)
            for identifier in removed:
                del stores[i][identifier]
            for record in added:
                assert record[:36] not in stores[i]
                stores[i][record[:36]] = record
            assert list(stores[i].values()) == ends[i].skipped()
            parts = sides[i].Ratchet.from_parts(ends[i].head(), list(stores[i].values()))
            assert parts.to_bytes() == ends[i].to_bytes()
            if random_.random() < 0.1:
                # A state that was loaded shares nothing with the one before it.
                ends[i] = parts
                assert ends[i].changes(before) == (added, removed)
        assert expired < 60

    def test_changes_between_states_that_share_nothing(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        a = burn(a, 100)
        message, a = a.encrypt(b"", entropy(16))
        _, one = b.decrypt(message, None, NOW)
        _, other = b.decrypt(message, None, NOW + 1)
        assert one.changes(one) == ([], [])
        assert sides[1].take(one).changes(one) == ([], [])
        # The same ids at another time: to be stored anew, none to be removed.
        assert other.changes(one) == (other.skipped(), [])
        assert one.changes(b) == (one.skipped(), [])
        assert b.changes(one) == ([], [record[:36] for record in one.skipped()])

    def test_another_key_under_the_same_id_is_stored_anew(self, kernels: Kernels, entropy: Entropy) -> None:
        """No step makes one; a state that was brought back from somewhere else may have it."""
        a, b = established(kernels, kernels, entropy)
        a, b = exchange(burn(a, 2), b, entropy)
        first, second = b.skipped()
        other = second[:36] + entropy(32) + second[68:]
        changed = kernels.Ratchet.from_parts(b.head(), [first, other])
        assert changed.changes(b) == ([other], [])
        assert b.changes(changed) == ([second], [])

    def test_a_message_that_skips_nothing_changes_less_than_a_kibibyte(
        self, sides: Sides, entropy: Entropy
    ) -> None:
        a, b = established(*sides, entropy)
        for _ in range(2):
            a = burn(a, 1000)
            a, b = exchange(a, b, entropy)
        assert len(b.skipped()) == 2000
        assert len(b.to_bytes()) > 150_000
        for _ in range(3):
            message, a = a.encrypt(b"text", entropy(16))
            before = b
            _, b = b.decrypt(message, None, NOW)
            assert b.changes(before) == ([], [])
            assert len(b.head()) <= 240
            before = b
            message, b = b.encrypt(b"text", entropy(16))
            assert b.changes(before) == ([], [])
            before = a
            _, a = a.decrypt(message, entropy(32), NOW)
            assert a.changes(before) == ([], [])
            assert len(a.head()) <= 240
            before = b
            message, a = a.encrypt(b"text", entropy(16))
            _, b = b.decrypt(message, entropy(32), NOW)
            assert b.changes(before) == ([], [])

    def test_a_skipped_key_that_is_used_changes_one_record(self, sides: Sides, entropy: Entropy) -> None:
        a, b = established(*sides, entropy)
        lost, a = a.encrypt(b"lost", entropy(16))
        a = burn(a, 999)
        a, b = exchange(a, b, entropy)
        _, after = b.decrypt(lost, None, NOW)
        assert after.changes(b) == ([], [lost[1:33] + lost[37:41]])


class TestFirstMessage:
    def test_limits_hold_before_anything_was_received(self, sides: Sides, entropy: Entropy) -> None:
        a, b = begin(*sides, entropy)
        a = burn(a, 1000)
        allowed, a = a.encrypt(b"allowed", entropy(16))
        beyond, a = a.encrypt(b"beyond", entropy(16))
        refuses(b, beyond, TooFar, entropy)
        refuses(b, with_header(allowed, pn=1001), TooFar, entropy)
        refuses(b, with_header(allowed, pn=1000), Invalid, entropy, "not authentic")
        assert b.decrypt(allowed, entropy(32), NOW)[0] == b"allowed"
