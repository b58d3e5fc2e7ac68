"""A6: a forged header that jumps far ahead costs neither work nor memory (docs/CRYPTO.md section 4)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mobium._pure import ratchet as pure
from mobium._pure import skipped as pure_skipped
from mobium._pure.kdf import chain_step
from mobium._pure.ratchet import Ratchet
from mobium.errors import Duplicate, Invalid, TooFar
from tests.attacks.forge import NOW, message, pair, renumbered
from tests.attacks.people import Scene, state

FAR = (1_002, 5_000, 2**20, 2**31, 2**32 - 2)
MAX_STORED = 2_000


def established(kernel: type[Ratchet]) -> tuple[Ratchet, Ratchet]:
    """Both sides have opened a message of the other."""
    alice, bob = pair(kernel)
    first, alice = alice.encrypt(b"hello", os.urandom(16))
    _, bob = bob.decrypt(first, os.urandom(32), NOW)
    answer, bob = bob.encrypt(b"hello too", os.urandom(16))
    _, alice = alice.decrypt(answer, os.urandom(32), NOW)
    second, alice = alice.encrypt(b"and on", os.urandom(16))
    _, bob = bob.decrypt(second, os.urandom(32), NOW)
    return alice, bob


def test_a_far_number_is_refused_before_any_work(kernel: type[Ratchet]) -> None:
    alice, bob = established(kernel)
    honest, _ = alice.encrypt(b"the next honest one", os.urandom(16))
    before, started = bob.to_bytes(), time.process_time()
    for far in FAR:
        forged = (
            renumbered(honest, n=far),  # in the chain that is being received
            message(os.urandom(32), 0, far),  # in a chain of an invented ratchet key
            message(os.urandom(32), far, 0),  # by the length of the chain before it
        )
        for each in forged:
            with pytest.raises(TooFar):
                bob.decrypt(each, os.urandom(32), NOW)
    # The last of them would be 2^32 HMACs: about an hour, and no test is let run for as long.
    print(f"{3 * len(FAR)} forged headers took {time.process_time() - started:.3f} s of the processor")
    assert bob.to_bytes() == before
    assert bob.decrypt(honest, os.urandom(32), NOW)[0] == b"the next honest one"


def test_a_forged_number_within_the_limit_leaves_nothing_behind(kernel: type[Ratchet]) -> None:
    alice, bob = established(kernel)
    honest, _ = alice.encrypt(b"the next honest one", os.urandom(16))
    before = bob.to_bytes()
    for forged in (renumbered(honest, n=1_000), message(os.urandom(32), 1_000, 1_000)):
        with pytest.raises(Invalid):
            bob.decrypt(forged, os.urandom(32), NOW)
    assert bob.to_bytes() == before
    assert bob.decrypt(honest, os.urandom(32), NOW)[0] == b"the next honest one"


def test_a_contact_that_skips_on_purpose_fills_no_memory(kernel: type[Ratchet]) -> None:
    alice, bob = established(kernel)
    # A contact can be dishonest too: its messages are authentic, and each is as far ahead as is allowed.
    for _ in range(4):
        for _ in range(1_000):
            _, alice = alice.encrypt(b"", os.urandom(16))
        last, alice = alice.encrypt(b"far", os.urandom(16))
        _, bob = bob.decrypt(last, os.urandom(32), NOW)
    assert len(bob.skipped()) == MAX_STORED
    assert len(bob.to_bytes()) < 256 + 76 * MAX_STORED
    honest, _ = alice.encrypt(b"the next honest one", os.urandom(16))
    assert bob.decrypt(honest, os.urandom(32), NOW)[0] == b"the next honest one"
    with pytest.raises(Duplicate):  # evicted, and said to be so
        bob.decrypt(renumbered(honest, n=1), os.urandom(32), NOW)


def test_without_the_limit_a_forged_header_makes_work(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = established(Ratchet)
    honest, _ = alice.encrypt(b"the next honest one", os.urandom(16))
    steps = 0

    def counted(key: bytes) -> tuple[bytes, bytes]:
        nonlocal steps
        steps += 1
        return chain_step(key)

    monkeypatch.setattr(pure, "chain_step", counted)
    forged = renumbered(honest, n=20_000)
    with pytest.raises(TooFar):
        bob.decrypt(forged, os.urandom(32), NOW)
    assert steps == 0
    monkeypatch.setattr(pure, "MAX_SKIP", 2**32)  # the defence, off
    with pytest.raises(Invalid):
        bob.decrypt(forged, os.urandom(32), NOW)
    assert steps > 19_000


def test_without_the_bound_a_contact_fills_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pure_skipped, "MAX_STORED", 2**32)  # the defence, off
    with pytest.raises(AssertionError):
        test_a_contact_that_skips_on_purpose_fills_no_memory(Ratchet)


async def test_a_forged_header_leaves_nothing_in_the_profile(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await alice.says(bob, "hello", "delivered")
        await bob.says(alice, "hello too", "delivered")
        await alice.says(bob, "established", "delivered")
        await bob.hears("hello", "established")
        await bob.patient()
        before = await state(bob)
        recorded = scene.server.sent_by(alice.key)
        first = next(each.payload for each in recorded if each.payload[0] == 2)
        later = recorded[-1].payload
        for far in (1_000, *FAR):
            for forged in (
                renumbered(later, n=far),
                renumbered(first, n=far),
                renumbered(later, pn=far, n=far),
            ):
                await scene.server.forge(alice.key, bob.key, forged)
        await scene.server.drained(bob.key)
        assert await state(bob) == before
        assert "The message is too far ahead of the last one." in await bob.unopened()
        await alice.says(bob, "the next one", "delivered")
        await bob.hears("the next one")


async def test_without_the_tag_a_forged_header_fills_the_profile(
    folder: Path, pure_kernel: type[Ratchet], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await alice.says(bob, "hello", "delivered")
        await bob.says(alice, "hello too", "delivered")
        await alice.says(bob, "established", "delivered")
        later = scene.server.sent_by(alice.key)[-1].payload
        monkeypatch.setattr(pure, "_open", lambda *_: b"")  # the defence, off
        await scene.server.forge(alice.key, bob.key, renumbered(later, n=900))
        await scene.server.drained(bob.key)
        assert len((await state(bob))["skipped"]) >= 890
