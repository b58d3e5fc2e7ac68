"""What concerns a channel goes to the server of that channel, whichever one is connected."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mobium.client import Engine
from mobium.client.store import chains, outgoing, peers
from mobium.client.store.database import Tx
from mobium.protocol import content
from mobium.protocol.content import Retry
from mobium.protocol.messages import ClientMessage, Distribute, GetPrekeyBundle, SendMessage
from mobium_server.storage.memory import MemoryStorage
from tests.support.channel_world import ChannelWorld, said, shows
from tests.support.engines import PATIENCE, inside, online, tx, until
from tests.support.server import server as real_server


@pytest.fixture
async def elsewhere(folder: Path) -> AsyncIterator[str]:
    """The address of another server."""
    async with real_server(folder / "elsewhere", storage=MemoryStorage(1_000)) as other:
        yield other.url


async def _waits(engine: Engine) -> int:
    return int(await tx(engine, lambda tx: tx.value("SELECT count(*) FROM outbox")))


def told(town: ChannelWorld, name: str) -> list[ClientMessage]:
    """What somebody has sent that names another person."""
    return [message for message in town.tap(name).sent if isinstance(message, SendMessage | GetPrekeyBundle)]


@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_secret_waits_for_the_server_of_its_channel(
    town: ChannelWorld, elsewhere: str, encrypted: bool
) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    channel = f"#{(await alice.channels.get('#garden')).id}"
    if encrypted:
        await said(alice, "one")
        await shows(bob, ["one"])
    tap = town.tap("alice")
    tap.up = lambda message: None if isinstance(message, SendMessage | GetPrekeyBundle) else message
    await alice.remove(channel, carol.me)
    await alice.rename(channel, "orchard")
    if encrypted:
        await until(lambda: _sealed(alice))
    await alice.disconnect()
    tap.honest()
    tap.sent.clear()
    await alice.connect(elsewhere)
    await alice.settled(PATIENCE)  # nothing waits that could go out here
    assert told(town, "alice") == []
    assert await _waits(alice) == 1
    await alice.connect(town.url)
    await alice.settled(PATIENCE)
    await until(lambda: _named(bob, channel, "orchard"))


async def _sealed(engine: Engine) -> bool:
    return bool(await tx(engine, lambda tx: tx.value("SELECT count(*) FROM outbox WHERE payload NOT NULL")))


async def _named(engine: Engine, channel: str, name: str) -> bool:
    return (await engine.channels.get(channel)).name == name


async def test_what_is_asked_for_again_waits_for_it_too(town: ChannelWorld, elsewhere: str) -> None:
    """Bob says by way of another server that he could not open it."""
    alice, bob = await town.gather("alice", "bob")
    channel = f"#{(await alice.channels.get('#garden')).id}"
    await said(alice, "hello")
    await shows(bob, ["hello"])
    await alice.channels.renew(channel)
    await alice.settled(PATIENCE)
    await bob.settled(PATIENCE)
    told = town.tap("alice").all(SendMessage)[-1].payload
    asked = Retry(os.urandom(16), 1, [hashlib.sha256(told).digest()])
    for one in (alice, bob):
        await one.connect(elsewhere)

    def ask(tx: Tx) -> None:
        found = peers.by_key(tx, bytes.fromhex(alice.me))
        assert found is not None
        outgoing.add(tx, found.id, content.encode(asked), None, inside(bob).now())

    await tx(bob, ask)
    online(bob).wake()

    async def queued() -> bool:
        return await _waits(alice) == 1

    await until(queued)
    await alice.settled(PATIENCE)
    await alice.disconnect()
    town.tap("alice").sent.clear()
    await alice.connect(town.url)
    await town.tap("alice").count(SendMessage, 1)
    await alice.settled(PATIENCE)
    assert await _waits(alice) == 0


async def test_a_chain_is_asked_for_on_the_server_of_its_channel(
    town: ChannelWorld, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "_PATIENCE", 0)
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "one")
    await shows(bob, ["one"])
    await bob.settled(PATIENCE)
    town.tap("bob").up = lambda message: None if isinstance(message, SendMessage) else message
    await tx(bob, lambda tx: tx.execute("DELETE FROM receiver_chain"))
    await said(alice, "two")
    await shows(bob, ["one", "(closed)"])
    await bob.disconnect()
    await tx(bob, lambda tx: tx.execute("DELETE FROM outbox"))
    await tx(bob, lambda tx: tx.execute("DELETE FROM asked"))
    town.tap("bob").honest()
    town.tap("bob").sent.clear()
    await bob.connect(elsewhere)
    online(bob).sync.wake()
    await bob.settled(PATIENCE)
    assert told(town, "bob") == []
    assert await tx(bob, lambda tx: tx.all("SELECT * FROM asked")) == []
    await bob.connect(town.url)
    await until(lambda: _answered(town))
    await said(alice, "three")
    await shows(bob, ["one", "(closed)", "three"])


async def _answered(town: ChannelWorld) -> bool:
    return len(town.tap("alice").all(Distribute)) >= 2
