"""A contact that asks for everything again and again is served a few times in an hour."""

from __future__ import annotations

import hashlib
import os

from mobium.client import Engine
from mobium.client.receive import _MAX_RETRIES
from mobium.client.store import outgoing, peers
from mobium.client.store.database import Tx
from mobium.protocol import content
from mobium.protocol.content import Retry
from tests.support.engines import World, inside, online, settle, tx
from tests.support.hostile import HostileServer


async def ask(engine: Engine, peer: bytes, payload: bytes) -> None:
    """Let `engine` say that it could not open a payload, whatever is true."""

    def queue(tx: Tx) -> None:
        found = peers.by_key(tx, peer)
        assert found is not None
        retry = content.encode(Retry(os.urandom(16), 1, [hashlib.sha256(payload).digest()]))
        outgoing.add(tx, found.id, retry, None, inside(engine).now())

    await tx(engine, queue)
    online(engine).wake()


async def test_what_was_sent_is_not_sent_again_for_ever(world: World, server: HostileServer) -> None:
    alice, bob = await world.pair()
    await settle(alice, bob)
    world.clock.offset += 3_600 - world.clock() % 3_600 + 60  # the same hour for all of this
    me = bytes.fromhex(alice.me)

    def large() -> list[bytes]:
        return [each.payload for each in server.sent_by(me) if len(each.payload) > 10_000]

    async def served(times: int) -> None:
        for _ in range(times):
            before = len(large())
            await ask(bob, me, large()[-1])
            await server.until(lambda before=before: len(large()) > before, "the content again")  # type: ignore[misc]

    await alice.wait(await alice.send("Bob", 10_000 * "x"), "delivered", 5)
    await served(_MAX_RETRIES - 1)
    greedy = len(large())
    for _ in range(3):
        await ask(bob, me, large()[-1])
    await alice.wait(await alice.send("Bob", "hello"), "delivered", 5)
    await server.drained(me)
    assert len(large()) == greedy
    assert [line.text for line in await bob.history("Alice")] == [10_000 * "x", "hello"]
    world.clock.offset += 3_600
    await served(1)
