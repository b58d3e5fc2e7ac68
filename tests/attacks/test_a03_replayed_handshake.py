"""A3: the server replays a prekey message, now, after a restart, or when all else about it is forgotten
(docs/CRYPTO.md section 3).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mobium.client.maintenance import maintain
from tests.attacks.forge import PREKEY_HEADER
from tests.attacks.people import Person, Scene, acquainted, state
from tests.support.engines import Clock, inside, online, tx
from tests.support.hostile import Envelope, HostileServer, altered

DAY = 86_400


def last_resort_only(server: HostileServer) -> None:
    """Hand out the keys that the responder keeps, as a hostile server always can."""

    def cheat(_asker: bytes, bundle: object) -> object:
        owner = server.accounts[bundle.pubkey]  # type: ignore[attr-defined]
        return altered(bundle, one_time=None, kem=owner.last_resort, kem_kind=2)

    server.cheat.bundle = cheat  # type: ignore[assignment]


async def first_message(alice: Person, bob: Person, text: str) -> Envelope:
    await alice.says(bob, text, "delivered")
    await bob.hears(text)
    return next(each for each in alice.scene.server.sent_by(alice.key) if each.payload[0] == 2)


async def forget(person: Person) -> None:
    """What 30 days and a long silence do, but for the keys and the handshakes that are kept for them."""

    def work(tx: object) -> None:
        for table in ("session", "session_header", "skipped", "opened", "shown"):
            tx.execute(f"DELETE FROM {table}")  # type: ignore[attr-defined]

    await tx(person.engine, work)
    inside(person.engine).store._sessions.clear()


async def test_a_replay_is_acknowledged_and_nothing_else(folder: Path) -> None:
    async with Scene(folder) as scene:
        last_resort_only(scene.server)
        alice = await scene.person("alice")
        async with scene.visitor("bob") as bob:
            await acquainted(alice, bob)
            envelope = await first_message(alice, bob, "hello")
            before = await state(bob)
            for again in (
                envelope,
                envelope.changed(id=os.urandom(16)),
                envelope.changed(sender=os.urandom(32)),
            ):
                await scene.server.put(again)
                await scene.server.drained(bob.key)
            assert await state(bob) == before
        # While Bob was away, and so after a restart of his client.
        await scene.server.put(envelope, envelope.changed(id=os.urandom(16)))
        async with scene.visitor("bob") as bob:
            await scene.server.drained(bob.key)
            assert await state(bob) == before
            assert await bob.unopened() == []
            await alice.says(bob, "the next one")
            await bob.hears("the next one")
            assert await bob.history(alice) == ["hello", "the next one"]


async def test_a_replay_is_refused_when_its_session_is_forgotten(folder: Path) -> None:
    async with Scene(folder) as scene:
        last_resort_only(scene.server)
        alice, bob = await scene.pair()
        envelope = await first_message(alice, bob, "hello")
        await forget(bob)
        await bob.patient()
        before = await state(bob)
        forged = envelope.payload[:PREKEY_HEADER] + os.urandom(len(envelope.payload) - PREKEY_HEADER)
        for payload in (envelope.payload, forged):
            await scene.server.forge(alice.key, bob.key, payload)
        await scene.server.drained(bob.key)
        assert await state(bob) == before
        assert set(await bob.unopened()) == {"This handshake was used before."}


async def test_without_the_memory_a_replay_is_shown_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        last_resort_only(scene.server)
        alice, bob = await scene.pair()
        envelope = await first_message(alice, bob, "hello")
        await forget(bob)
        await tx(bob.engine, lambda tx: tx.execute("DELETE FROM message"))
        monkeypatch.setattr("mobium.client.store.prekeys.is_seen", lambda *_: False)  # the defence, off
        await scene.server.put(envelope)
        await bob.hears("hello")
        assert len((await state(bob))["session"]) == 1


async def test_no_server_can_replay_what_came_over_another_one_long_ago(folder: Path) -> None:
    """Bob uses two servers, at last only the second. Months later it replays what came over the first."""
    clock = Clock()
    async with HostileServer("other.test") as other, Scene(folder, clock) as scene:
        last_resort_only(scene.server)
        alice = await scene.person("alice")
        there = {"connector": other.connect, "connect": False}
        async with scene.visitor("bob"):
            pass
        async with scene.visitor("bob", **there) as bob:
            await bob.engine.connect(other.url)
            await online(bob.engine).upkeep.run_once(1 << 20)
        clock.offset += 3_600
        async with scene.visitor("bob") as bob:
            await acquainted(alice, bob)
            envelope = await first_message(alice, bob, "hello")
        bob = await scene.person("bob", **there)
        await bob.engine.connect(other.url)
        for _ in range(100):
            clock.offset += DAY
            await tx(bob.engine, maintain, inside(bob.engine).now())
            await online(bob.engine).upkeep.run_once(1 << 20)
            await online(bob.engine)._note_drained()
        await bob.patient()
        before = await state(bob)
        await other.forge(envelope.sender, bob.key, envelope.payload)
        await other.drained(bob.key)
        assert await state(bob) == before
        assert len(await bob.unopened()) == 1
