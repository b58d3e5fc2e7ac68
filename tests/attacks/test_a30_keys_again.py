"""A30: a contact uses a ratchet key again, and makes a reader's store refuse what comes: that may cost her
message, and never the conversation with everybody else.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from mobium._pure.ratchet import Ratchet
from mobium.client.receive import Arrival, receive
from mobium.client.store import cache, peers
from mobium.client.store.database import Tx
from mobium.errors import StoreError
from tests.attacks.forge import text_of
from tests.attacks.people import Person, Scene, acquainted
from tests.support.engines import tx, until


async def quiet_pair(scene: Scene) -> tuple[Person, Person]:
    """Two contacts between whom nothing goes but what the test sends."""
    mallory, bob = [await scene.person(name, receipt_delay=3_600.0) for name in ("mallory", "bob")]
    await acquainted(mallory, bob)
    return mallory, bob


async def used_again(scene: Scene, mallory: Person, bob: Person) -> list[Arrival]:
    """Two messages of Mallory's: the first uses the only key that was skipped of one of her ratchet keys, and
    the second, under that ratchet key again, makes Bob skip the same number anew.
    """
    await mallory.says(bob, "hi")
    await bob.hears("hi")
    await bob.says(mallory, "yo")
    await mallory.hears("yo")

    def state(tx: Tx) -> bytes:
        peer = peers.by_key(tx, bob.key)
        assert peer is not None
        [held] = tx.sessions.of(tx, peer.id).values()
        return held.session._ratchet.to_bytes()

    ratchet = Ratchet.from_bytes(await tx(mallory.engine, state))
    await mallory.engine.disconnect()
    box = scene.server.accounts[mallory.key].mailbox
    first: bytes = ratchet._state.private

    def encrypt(words: str) -> bytes:
        nonlocal ratchet
        payload, ratchet = ratchet.encrypt(text_of(words), os.urandom(16))
        return payload

    async def send(payload: bytes) -> None:
        await scene.server.forge(mallory.key, bob.key, payload)
        await scene.server.drained(bob.key)

    async def answer(words: str, private: bytes) -> None:
        """Bob writes, and Mallory goes on under a ratchet key of her choice."""
        nonlocal ratchet
        box.clear()
        await bob.engine.send(mallory.key, words)

        async def stepped() -> bool:
            nonlocal ratchet
            for envelope in list(box):
                box.remove(envelope)
                if len(envelope.payload) > 400:
                    _, ratchet = ratchet.decrypt(envelope.payload, private, int(time.time()))
            return ratchet._state.private == private

        await until(stepped)

    held_back = encrypt("a0")
    await send(encrypt("a1"))
    await answer("one", os.urandom(32))
    await send(encrypt("b0"))
    await answer("two", first)
    *_, ahead = [encrypt(f"c{number}") for number in range(4)]
    await bob.engine.disconnect()
    return [Arrival(mallory.key, held_back), Arrival(mallory.key, ahead)]


async def test_a_ratchet_key_that_is_used_again(folder: Path) -> None:
    async with Scene(folder) as scene:
        mallory, bob = await quiet_pair(scene)
        both = await used_again(scene, mallory, bob)
        await tx(bob.engine, receive, bob.engine.identity, both, int(time.time() * 1000), os.urandom)
        assert {"a0", "c3"} <= set(await bob.history(mallory))
        await bob.engine.connect(scene.server.url)


async def test_without_the_care_for_keys_that_return_the_store_refuses_both(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = cache._write_skipped

    def plain(tx: Tx, session: int, added: list[bytes], removed: list[bytes], places: Any) -> None:
        class Careless:
            """Deletes what was removed alone, as it stood."""

            def many(self, sql: str, rows: Any) -> None:
                keys = {(session, key) for key in removed}
                tx.many(sql, [row for row in rows if not sql.startswith("DELETE") or row in keys])

        write(Careless(), session, added, removed, places)  # type: ignore[arg-type]

    monkeypatch.setattr(cache, "_write_skipped", plain)  # the defence, off
    async with Scene(folder) as scene:
        mallory, bob = await quiet_pair(scene)
        both = await used_again(scene, mallory, bob)
        with pytest.raises(StoreError):
            await tx(bob.engine, receive, bob.engine.identity, both, int(time.time() * 1000), os.urandom)
