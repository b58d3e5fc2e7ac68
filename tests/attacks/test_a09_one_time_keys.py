"""A9: the server hands one one-time key to two initiators, or somebody drains the stock
(docs/CRYPTO.md section 3).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mobium.crypto.pqxdh import read_header
from mobium.protocol import messages as m
from mobium_server.limits import HandOuts
from tests.attacks.people import Person, Scene, acquainted
from tests.support.engines import tx
from tests.support.server import Client, client, publication, server


def one_time_ids(scene: Scene, *writers: Person) -> list[int]:
    """The one-time key of each writer's first message."""
    return [read_header(scene.server.sent_by(writer.key)[0].payload).one_time_id for writer in writers]


async def holds(person: Person, key: int) -> bool:
    return await tx(person.engine, lambda tx: tx.one("SELECT 1 FROM prekey WHERE id = ?", key) is not None)


async def test_a_key_handed_out_twice_serves_once(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob, carol = [await scene.person(name) for name in ("alice", "bob", "carol")]
        await acquainted(alice, bob, carol)
        scene.server.cheat.take_one_time = False
        scene.server.hold(bob.key)
        await alice.says(bob, "from Alice")
        await carol.says(bob, "from Carol")
        first, second = one_time_ids(scene, alice, carol)
        assert first == second != 0
        assert await holds(bob, first)
        scene.server.be_honest()
        await scene.server.release(bob.key)
        # The second is refused, and then asked for in a session with keys of its own.
        await bob.hears("from Alice", "from Carol")
        assert not await holds(bob, first)
        again = [read_header(each.payload) for each in scene.server.sent if each.payload[0] == 2]
        assert (
            len({header.one_time_id for header in again}) == len({header.handshake for header in again}) - 1
        )


async def test_without_the_deletion_a_key_serves_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobium.client.store.prekeys.delete_used", lambda *_: None)  # the defence, off
    async with Scene(folder) as scene:
        alice, bob, carol = [await scene.person(name) for name in ("alice", "bob", "carol")]
        await acquainted(alice, bob, carol)
        scene.server.cheat.take_one_time = False
        await alice.says(bob, "from Alice", "delivered")
        await carol.says(bob, "from Carol", "delivered")
        first, second = one_time_ids(scene, alice, carol)
        assert first == second != 0
        assert await holds(bob, first)
        assert await bob.unopened() == []


async def ask(one: Client, target: bytes) -> m.PrekeyBundle:
    await one.send(m.GetPrekeyBundle(target))
    return await one.expect(m.PrekeyBundle)


async def drain(folder: Path, requesters: int) -> list[m.PrekeyBundle]:
    """What so many strangers get who all ask for one user's keys within a minute, each twice."""
    async with server(folder) as running, client(running.url, publish=False) as target:
        await target.publish(publication(one_time=50, kem_one_time=20))
        bundles = []
        for _ in range(requesters):
            async with client(running.url, publish=False) as stranger:
                bundles += [await ask(stranger, target.public), await ask(stranger, target.public)]
        await target.send(m.GetPrekeyCount())
        assert (await target.expect(m.PrekeyCount)).one_time == 50 - sum(
            each.one_time is not None for each in bundles
        )
        return bundles


async def test_a_stock_is_not_drained_and_the_last_resort_key_serves(folder: Path) -> None:
    bundles = await drain(folder, 14)
    given = [each.one_time.id for each in bundles if each.one_time is not None]
    assert len(given) == len(set(given)) == 10
    # One a day for the same requester, and then none for anybody until the minute is over.
    assert [each.one_time is not None for each in bundles] == [True, False] * 10 + [False] * 8
    assert all(each.kem_kind == (1 if each.one_time is not None else 2) for each in bundles)
    assert {each.kem.id for each in bundles if each.kem_kind == 2} == {2}


async def test_without_the_limit_one_stranger_drains_the_stock(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HandOuts, "take", lambda *_: True)  # the defence, off
    bundles = await drain(folder, 25)
    assert sum(each.one_time is not None for each in bundles) == 50


async def test_a_conversation_begins_without_one_time_keys(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        account = scene.server.accounts[bob.key]
        account.one_time.clear()
        account.kem_one_time.clear()
        await alice.says(bob, "hello", "delivered")
        await bob.hears("hello")
        assert one_time_ids(scene, alice) == [0]
