"""Secrets of private channels: whoever was away, has come back or asks for them knows the one in force."""

from __future__ import annotations

import pytest

from mobium.client import Engine
from mobium.client.store import channels
from mobium.client.store.database import Tx
from mobium.crypto.invite import invite_key
from mobium.errors import MobiumError
from mobium.protocol import messages as m
from tests.support.channel_world import ChannelWorld, calm, enter, row_of, said, shows
from tests.support.engines import PATIENCE, tx, until


async def knows(engine: Engine, name: str, channel: str) -> None:
    """Wait until somebody knows the secret in force, and with it the name."""

    async def there() -> bool:
        return (await row_of(engine, channel)).secret is not None

    try:
        await until(there)
    except TimeoutError:
        raise AssertionError("the secret in force is not known") from None
    assert (await engine.channels.get(channel)).name == name


async def spares(engine: Engine) -> int:
    """How many secrets somebody keeps whose key is not in force."""
    return int(await tx(engine, lambda tx: tx.value("SELECT count(*) FROM spare_secret")))


async def test_of_many_secrets_the_one_in_force_is_kept(town: ChannelWorld) -> None:
    alice = await town.engine("alice")
    async with town.opened("bob") as bob:
        channel = f"#{await enter(alice, bob)}"
        await said(bob, "hello")
        await bob.settled(PATIENCE)
    for _ in range(12):
        await alice.channels.renew(channel)
    await alice.rename(channel, "orchard")
    await alice.settled(PATIENCE)
    bob = await town.engine("bob")
    await bob.settled(PATIENCE)
    await knows(bob, "orchard", channel)


@pytest.mark.parametrize("step", [0, -1, 1])
async def test_the_newest_secrets_are_those_that_came_last(town: ChannelWorld, step: int) -> None:
    """A whole mailbox comes in one second, and a clock may be set back."""
    alice, bob = await town.gather("alice", "bob")
    secrets = [bytes((order,)) * 32 for order in (*range(0, 40, 2), *range(39, 0, -2))]

    def arrive(tx: Tx) -> list[bool]:
        [channel] = channels.every(tx)
        peer = tx.value("SELECT id FROM peer WHERE ed = ?", bytes.fromhex(alice.me))
        for number, secret in enumerate(secrets):
            channels.add_secret(tx, channel.id, secret, peer, 1_000 + step * number)
        return [
            channels.secret_of(tx, channel.id, invite_key(secret).public) is not None for secret in secrets
        ]

    assert await tx(bob, arrive) == [False] * 32 + [True] * 8


async def test_who_comes_back_and_sets_a_secret_is_believed_by_who_was_away(town: ChannelWorld) -> None:
    """He reads the secret in his mailbox before he reads that she had left."""
    alice, carol = await town.people("alice", "carol")
    async with town.opened("bob") as bob:
        channel = f"#{await enter(alice, bob, carol)}"
        await said(carol, "hello")
        await shows(bob, ["hello"])
        await bob.settled(PATIENCE)
    await carol.leave(channel)
    await carol.join(await alice.invite(channel))
    await alice.set_role(channel, carol.me, "admin")
    await carol.settled(PATIENCE)
    await carol.channels.renew(channel)
    await carol.rename(channel, "orchard")
    await carol.settled(PATIENCE)
    bob = await town.engine("bob")
    await bob.settled(PATIENCE)
    await knows(bob, "orchard", channel)


async def test_a_secret_is_not_lost_with_a_statement_that_was_refused_and_taken(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    channel = f"#{(await alice.channels.get('#garden')).id}"
    tap = town.tap("alice")
    tap.down = lambda message: (
        m.Error("internal", "It failed.", message.rid) if isinstance(message, m.Appended) else message
    )
    with pytest.raises(MobiumError):
        await alice.channels.renew(channel)
    tap.honest()
    await said(bob, "hello")
    await shows(alice, ["hello"])
    await knows(alice, "garden", channel)
    await calm(alice)
    await knows(bob, "garden", channel)
    assert await alice.invite(channel)


async def test_a_secret_of_a_statement_that_never_was_goes_with_the_next_one(town: ChannelWorld) -> None:
    alice, bob = await town.gather("alice", "bob")
    tap = town.tap("alice")

    def refuse(message: m.ClientMessage) -> m.ClientMessage | None:
        if not isinstance(message, m.RosterAppend):
            return message
        tap.say(m.Error("rate_limited", "Too fast.", message.rid))
        return None

    tap.up = refuse
    with pytest.raises(MobiumError):
        await alice.channels.renew("#garden")
    assert await spares(alice) == 1
    tap.honest()
    await alice.rename("#garden", "orchard")
    assert await spares(alice) == 0
    await until(lambda: _named(bob, "orchard"))


async def _named(engine: Engine, name: str) -> bool:
    return [channel.name for channel in await engine.channels.list()] == [name]
