"""Sessions in the store: what is written, what comes back after a restart, how many are kept."""

from __future__ import annotations

import pytest

from mobium.client import direct, receipts
from mobium.client.bundles import fetch_bundle
from mobium.client.receive import Arrival, receive
from mobium.client.store import incoming, meta, peers
from mobium.client.store.database import Tx
from mobium.errors import StoreFault
from tests.support.engines import Ear, World, inside, online, settle, tx
from tests.support.hostile import Envelope, HostileServer


def _rows(tx: Tx) -> dict[str, int]:
    tables = ("session", "session_header", "skipped")
    return {table: int(tx.value(f"SELECT count(*) FROM {table}")) for table in tables}


def _head_size(tx: Tx) -> int:
    return int(tx.value("SELECT max(length(head)) FROM session"))


async def test_skipped_keys_survive_a_restart_and_a_step_that_skips_nothing_writes_little(
    world: World, server: HostileServer
) -> None:
    bob = await world.engine("bob")
    await settle(bob)
    ear = Ear(bob)
    held_back: list[Envelope] = []
    async with world.opened("alice") as alice:
        await bob.contacts.add(alice.me)
        await alice.wait(await alice.send(bob.me, "first"), "delivered", 5)
        assert (await tx(alice, _rows))["session_header"] == 0, "answered: the header is gone"

        def hold_some(envelope: Envelope) -> tuple[Envelope, ...]:
            if len(held_back) < 30 and envelope.recipient == bytes.fromhex(bob.me):
                held_back.append(envelope)
                return ()
            return (envelope,)

        honest, server.cheat.forward = server.cheat.forward, hold_some
        for number in range(30):
            await alice.wait(await alice.send(bob.me, f"{number}"), "sent", 5)
        server.cheat.forward = honest
        await alice.wait(await alice.send(bob.me, "last"), "delivered", 5)
    await ear.text("last")
    assert await tx(bob, _rows) == {"session": 1, "session_header": 0, "skipped": 30}
    assert await tx(bob, _head_size) < 1024
    changes = await tx(bob, _changes_of_one_step, bytes.fromhex(alice.me))
    assert changes == ([], [])
    await bob.disconnect()
    await tx(bob, lambda tx: tx.sessions.clear())
    await bob.connect()
    for envelope in reversed(held_back):
        await server.put(envelope)
    texts = await ear.texts(30)
    assert texts == [f"{number}" for number in reversed(range(30))]
    assert await tx(bob, _rows) == {"session": 1, "session_header": 0, "skipped": 0}


def _changes_of_one_step(tx: Tx, ed: bytes) -> tuple[list[bytes], list[bytes]]:
    peer = peers.by_key(tx, ed)
    assert peer is not None
    [held] = tx.sessions.of(tx, peer.id).values()
    _, following = held.session.encrypt(b"x")
    return following.changes(held.session)


async def test_at_most_five_sessions_with_one_peer_and_the_newest_stays(world: World) -> None:
    alice, bob = await world.pair()
    for number in range(8):
        bundle = await fetch_bundle(online(alice).link.request, bytes.fromhex(bob.me))
        await tx(alice, _begin_another, inside(alice).identity, bob.me, bundle, inside(alice).now())
        await alice.wait(await alice.send("Bob", f"{number}"), "delivered", 5)
    assert (await tx(alice, _rows))["session"] == 5
    assert (await tx(bob, _rows))["session"] == 5
    sent = await bob.send("Alice", "still here")
    assert await bob.wait(sent, "delivered", 5) == "delivered"


def _begin_another(tx: Tx, identity: object, key: str, bundle: object, now: int) -> None:
    peer = peers.by_key(tx, bytes.fromhex(key))
    assert peer is not None
    direct.begin(tx, identity, peer, bundle, now)  # type: ignore[arg-type]


async def test_a_batch_that_fails_leaves_the_sessions_as_they_were(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await world.pair()
    await alice.wait(await alice.send("Bob", "first"), "delivered", 5)
    await bob.disconnect()
    for text in ("one", "two"):
        await alice.wait(await alice.send("Bob", text), "sent", 5)
    waiting = [Arrival(each.sender, each.payload) for each in server.accounts[bytes.fromhex(bob.me)].mailbox]
    assert len(waiting) >= 2

    def fails(tx: Tx, now_ms: int) -> None:
        receive(tx, inside(bob).identity, waiting, now_ms)
        raise KeyError("after both were opened")

    before = [line.text for line in await bob.history("Alice")]
    with pytest.raises(StoreFault):
        await tx(bob, fails, inside(bob).now_ms())
    assert [line.text for line in await bob.history("Alice")] == before
    await bob.connect()
    await server.drained(bytes.fromhex(bob.me))
    assert [line.text for line in await bob.history("Alice")] == [*before, "one", "two"]


async def test_an_unanswered_session_is_not_used_for_ever(world: World, server: HostileServer) -> None:
    """Its peer deletes the prekeys that it was made with."""
    async with world.opened("bob") as bob:
        await settle(bob)
        key = bob.me
    alice = await world.engine("alice")
    await alice.wait(await alice.send(key, "first"), "sent", 5)
    world.clock.offset += 11 * 86_400
    await alice.wait(await alice.send(key, "second"), "sent", 5)
    first, second = server.sent_by(bytes.fromhex(alice.me))
    assert first.payload[:1742] != second.payload[:1742]
    bob = await world.engine("bob")
    assert await Ear(bob).texts(2) == ["first", "second"]


async def test_receipts_fit_into_what_a_small_server_takes(world: World, server: HostileServer) -> None:
    alice, bob = await world.pair()
    await alice.wait(await alice.send("Bob", "hello"), "delivered", 5)
    await bob.disconnect()

    def owe(tx: Tx) -> None:
        peer = peers.by_key(tx, bytes.fromhex(alice.me))
        assert peer is not None
        for number in range(200):
            incoming.owe_receipt(tx, peer.id, number.to_bytes(16, "big"), "delivered", 0)
        server_row = meta.current_server(tx)
        assert server_row is not None
        meta.set_server_key(tx, server_row.host, server.key.public, 1024, 1)

    def sizes(tx: Tx) -> list[int]:
        # A receipt of before may lie there as well, encrypted.
        return [len(row[0]) for row in tx.all("SELECT plaintext FROM outbox WHERE payload IS NULL")]

    await tx(bob, owe)
    assert await tx(bob, receipts._queue, inside(bob).now_ms(), inside(bob).entropy) == 5
    assert max(await tx(bob, sizes)) <= 1000
