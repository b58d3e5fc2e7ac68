"""What cannot be opened: lost state, recovery on an empty machine, retries and their limits."""

from __future__ import annotations

import os
import shutil

import pytest

from mobium.client import Engine
from mobium.client.maintenance import maintain
from mobium.protocol.content import MediaRequest
from mobium.protocol.messages import Error, SendMessage
from tests.support.asking import in_order, nothing_due, unasked, unopened, waiting
from tests.support.engines import PASSWORD, PATIENCE, Ear, World, inside, online, settle, tx, until
from tests.support.hostile import HostileServer


async def recover(world: World, name: str, words: str) -> Engine:
    shutil.rmtree(world.path(name))
    await Engine.recover(world.path(name), PASSWORD, words)
    engine = await world.engine(name)
    await settle(engine)
    return engine


@pytest.mark.parametrize("who_writes", ["old peer", "recovered"])
async def test_an_identity_recovered_on_an_empty_machine_talks_on(world: World, who_writes: str) -> None:
    words = await world.create("bob")
    alice = await world.engine("alice")
    async with world.opened("bob") as bob:
        await settle(bob, alice)
        key = bob.me
        await alice.contacts.add(key)
        await bob.contacts.add(alice.me)
        ear = Ear(alice)
        await bob.wait(await bob.send(alice.me, "before"), "delivered", 5)
        await ear.text("before")
        await alice.wait(await alice.send(key, "answer"), "delivered", 5)
    bob = await recover(world, "bob", words)
    assert bob.me == key
    hears, ear = Ear(bob), Ear(alice)
    if who_writes == "old peer":
        # In the old session, which bob has lost; bob knows nobody, and still gets it.
        await alice.send(key, "are you there?")
        assert (await hears.text()).text == "are you there?"
    await bob.send(alice.me, "here I am")
    assert (await ear.text()).text == "here I am"
    await alice.send(key, "good")
    assert (await hears.text()).text == "good"
    assert [line.text for line in await alice.history(key)] == (
        ["before", "answer", "are you there?", "here I am", "good"]
        if who_writes == "old peer"
        else ["before", "answer", "here I am", "good"]
    )


async def test_everything_that_waited_for_a_recovered_identity_arrives_in_order(world: World) -> None:
    words = await world.create("bob")
    alice = await world.engine("alice")
    async with world.opened("bob") as bob:
        await settle(bob, alice)
        key = bob.me
        await bob.contacts.add(alice.me)
        await bob.wait(await bob.send(alice.me, "before"), "sent", 5)
        await alice.wait(await alice.send(key, "answer"), "delivered", 5)
    # More than one batch, so that the first of them could already be asked for while the rest still waits.
    texts = [f"waiting {number}" for number in range(150)]
    sent = [await alice.send(key, text) for text in texts]
    await alice.wait(sent[-1], "sent", PATIENCE)
    bob = await recover(world, "bob", words)

    async def all_there() -> bool:
        return len(await bob.history(alice.me, limit=200)) == len(texts)

    await until(all_there)
    assert [line.text for line in await bob.history(alice.me, limit=200)] == texts


@pytest.mark.parametrize("smaller_writes", [True, False])
async def test_a_first_message_that_a_recovered_peer_cannot_open_arrives_all_the_same(
    world: World, server: HostileServer, smaller_writes: bool
) -> None:
    """The session of the smaller key would stay for ever if a retry did not end it."""
    writer_name, loser_name = await in_order(world, smaller_writes)
    writer = await world.engine(writer_name)
    async with world.opened(loser_name) as loser:
        key = loser.me
    await writer.wait(await writer.send(key, "first"), "sent", 5)
    # The loser loses its database, prekeys and all, but not its vault.
    for file in world.path(loser_name).glob("mobium.db*"):
        file.unlink()
    loser = await world.engine(loser_name)
    await settle(loser)
    ear, hears = Ear(loser), Ear(writer)
    assert (await ear.text()).text == "first"
    await loser.send(writer.me, "second")
    assert (await hears.text()).text == "second"
    await writer.send(key, "third")
    assert (await ear.text()).text == "third"
    await server.drained(bytes.fromhex(key))
    assert [line.text for line in await loser.history(writer.me)] == ["first", "second", "third"]


async def test_garbage_is_recorded_acknowledged_and_blocks_nothing(
    world: World, server: HostileServer
) -> None:
    alice, bob = await world.pair()
    keys = bytes.fromhex(alice.me), bytes.fromhex(bob.me)
    for payload in (b"", b"\0", b"plain text", b"\x01" * 569, b"\x02" * 2311, os.urandom(569)):
        await server.forge(keys[1], keys[0], payload)
    ear = Ear(alice)
    await bob.send(alice.me, "real")
    assert (await ear.text()).text == "real"
    await server.drained(keys[0])
    assert len(await tx(alice, unopened)) == 6
    assert [line.text for line in await alice.history(bob.me)] == ["real"]


async def test_one_retry_session_an_hour(world: World, server: HostileServer) -> None:
    alice, bob = await world.pair()
    await alice.wait(await alice.send("Bob", "hello"), "delivered", 5)
    await bob.wait(await bob.send("Alice", "hello"), "delivered", 5)
    keys = bytes.fromhex(alice.me), bytes.fromhex(bob.me)

    async def forge_and_count(count: int) -> int:
        before = len([each for each in server.sent_by(keys[0]) if each.payload[0] == 2])
        for _ in range(count):
            await server.forge(keys[1], keys[0], b"\x01" + os.urandom(568))
        await server.drained(keys[0])
        await until(lambda: tx(alice, nothing_due, inside(alice).now()))
        after = [each for each in server.sent_by(keys[0]) if each.payload[0] == 2]
        return len(after) - before

    assert await forge_and_count(1) == 1
    assert await forge_and_count(3) == 0
    world.clock.offset += 3_700
    assert await forge_and_count(1) == 1
    assert await tx(alice, unasked) == 0, "after an hour, one retry names all of them"


async def test_a_retry_that_was_refused_for_good_is_begun_again_in_an_hour(
    world: World, server: HostileServer
) -> None:
    alice, bob = await world.pair()
    await alice.wait(await alice.send("Bob", "hello"), "delivered", 5)
    keys = bytes.fromhex(alice.me), bytes.fromhex(bob.me)
    retries: list[bytes] = []

    def refuse(sent: SendMessage) -> Error:
        retries.append(sent.id)
        return Error("unknown_recipient", "The server does not know this recipient.", id=sent.id)

    server.cheat.answer, honest = refuse, server.cheat.answer
    await server.forge(keys[1], keys[0], b"\x01" + os.urandom(568))

    async def refused() -> bool:
        return bool(retries) and await tx(alice, unasked) == 1

    await until(refused)
    server.cheat.answer = honest
    await server.forge(keys[1], keys[0], b"\x01" + os.urandom(568))
    await server.drained(keys[0])
    await until(lambda: tx(alice, nothing_due, inside(alice).now()))
    assert len(retries) == 1, "not within the hour"
    assert await tx(alice, unasked) == 2
    world.clock.offset += 3_700
    await server.forge(keys[1], keys[0], b"\x01" + os.urandom(568))

    async def asked() -> bool:
        return await tx(alice, unasked) == 0

    await until(asked)


async def test_a_retry_that_expired_is_begun_again(world: World, server: HostileServer) -> None:
    alice, bob = await world.pair()
    await alice.wait(await alice.send("Bob", "hello"), "delivered", 5)
    keys = bytes.fromhex(alice.me), bytes.fromhex(bob.me)
    server.cheat.answer = lambda _sent: None
    await server.forge(keys[1], keys[0], b"\x01" + os.urandom(568))

    async def asked() -> bool:
        return await tx(alice, unasked) == 0 and bool(await tx(alice, waiting))

    await server.drained(keys[0])
    await until(asked)
    await alice.disconnect()
    await tx(alice, lambda tx: tx.execute("UPDATE server SET message_ttl = 86400"))
    await tx(alice, maintain, inside(alice).now() + 86_400 + 60)
    assert await tx(alice, waiting) == 0
    assert await tx(alice, unasked) == 1


async def test_nobody_but_contacts_is_asked(world: World, server: HostileServer) -> None:
    alice, bob = await world.pair()
    stranger = await world.engine("stranger")
    await settle(stranger)
    keys = [bytes.fromhex(engine.me) for engine in (alice, bob, stranger)]
    await server.forge(keys[2], keys[0], b"\x01" + os.urandom(568))
    await server.drained(keys[0])
    await bob.wait(await bob.send("Alice", "hello"), "delivered", 5)
    assert [each.recipient for each in server.sent_by(keys[0])] == [keys[1]]
    assert await alice.contacts.requests() == []


@pytest.mark.parametrize("smaller_calls", [True, False])
async def test_a_session_that_only_signals_went_in_is_given_up_as_well(
    world: World, smaller_calls: bool
) -> None:
    """Whoever was called lost its database before it had ever answered: nobody keeps what a signal said, so
    a retry cannot name the session in which it went.
    """
    caller_name, called_name = await in_order(world, smaller_calls)
    caller = await world.engine(caller_name)
    async with world.opened(called_name) as called:
        key = bytes.fromhex(called.me)
        await settle(called, caller)
        await caller.contacts.add(called.me)
        # To the other one the caller is no contact yet, so it is not opened, nor answered.
        assert await online(caller).signals.send(key, signal())
    for file in world.path(called_name).glob("mobium.db*"):
        file.unlink()
    called = await world.engine(called_name)
    await settle(called)
    await called.contacts.add(caller.me)
    heard: list[bytes] = []
    online(called).signals._heard = lambda sender, _said: heard.append(sender)

    async def rings() -> bool:
        await online(caller).signals.send(key, signal())
        return bool(heard)

    await until(rings)
    assert heard[0].hex() == caller.me


def signal() -> MediaRequest:
    return MediaRequest(os.urandom(16), 1, bytes(32), 1, 1, "key")
