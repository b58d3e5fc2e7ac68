"""A server that says it holds other keys than it was given makes a client store no more of them."""

from __future__ import annotations

from mobium.client.store.database import Tx
from tests.support.engines import Ear, World, online, settle, tx
from tests.support.hostile import HostileServer

DAY = 86_400


def _kept(tx: Tx) -> int:
    return int(tx.value("SELECT count(*) FROM prekey WHERE kind IN ('signed', 'last_resort')"))


async def test_a_server_that_names_old_keys_gets_the_newest_again(
    world: World, server: HostileServer
) -> None:
    alice = await world.engine("alice")
    await settle(alice)
    account = server.accounts[bytes.fromhex(alice.me)]
    old = newest = account.signed, account.last_resort
    world.clock.offset += 8 * DAY
    for _ in range(5):
        await online(alice).upkeep.run_once(1 << 20)
        assert old != (account.signed, account.last_resort)
        newest = account.signed, account.last_resort
        account.signed, account.last_resort = old
    assert await tx(alice, _kept) == 4
    account.signed, account.last_resort = newest
    bob = await world.engine("bob")
    await settle(bob)
    ear = Ear(alice)
    await bob.send(alice.me, "hello")
    assert (await ear.text()).text == "hello"


async def test_keys_of_a_clock_that_was_ahead_are_replaced_once(world: World, server: HostileServer) -> None:
    world.clock.offset = 300 * DAY
    alice = await world.engine("alice")
    await settle(alice)
    world.clock.offset = 0
    for _ in range(5):
        await online(alice).upkeep.run_once(1 << 20)
    assert await tx(alice, _kept) == 4
