"""A sender key that came as the answer to a request, and then, from further back, as it was sent first:
nothing that lies between stays closed, and nothing rolls back.
"""

from __future__ import annotations

import os

from mobium.client import Engine, maintenance
from mobium.client.store import chains, channels, posts
from mobium.client.store.database import Row, Tx
from mobium.crypto.group import SenderKey
from mobium.protocol import content
from tests.support.channel_world import ChannelWorld, calm, said, shows
from tests.support.engines import PATIENCE, inside, online, tx


async def distribution(writer: Engine) -> bytes:
    """Somebody's own chain as it is now, for others."""

    def read(tx: Tx) -> bytes:
        [channel] = channels.every(tx)
        held = chains.own(tx, channel.id)
        assert held is not None
        return SenderKey.from_bytes(held.state).distribution()

    return await tx(writer, read)


async def hand(writer: Engine, reader: Engine, data: bytes) -> None:
    """Send a distribution, as a retry or an answer does."""

    def queue(tx: Tx) -> None:
        [channel] = channels.every(tx)
        peer = tx.value("SELECT id FROM peer WHERE ed = ?", bytes.fromhex(reader.me))
        now = inside(writer).now()
        posts.add_handout(
            tx, channel.id, peer, content.encode(content.Distribution(os.urandom(16), 0, data)), now
        )

    await tx(writer, queue)
    online(writer).wake()
    await calm(writer)


async def chain_of(reader: Engine) -> Row:
    """The chain that somebody holds."""
    rows: list[Row] = await tx(reader, lambda tx: tx.all("SELECT state, begins, earlier FROM receiver_chain"))
    return rows[0]


async def without_chain(town: ChannelWorld) -> tuple[Engine, Engine, bytes]:
    """Alice and Bob, who has lost her chain after her first message, and the chain as it was then."""
    alice, bob = await town.gather("alice", "bob")
    await said(alice, "0")
    await shows(bob, ["0"])
    await bob.settled(PATIENCE)
    await tx(bob, lambda tx: tx.execute("DELETE FROM receiver_chain"))
    return alice, bob, await distribution(alice)


async def test_what_lies_before_an_answer_opens_when_the_first_key_comes(town: ChannelWorld) -> None:
    alice, bob, first = await without_chain(town)
    for text in ("1", "2"):
        await said(alice, text)
    await shows(bob, ["0", "(closed)", "(closed)"])
    await hand(alice, bob, await distribution(alice))
    await said(alice, "3")
    await shows(bob, ["0", "(closed)", "(closed)", "3"])
    before = await chain_of(bob)
    await hand(alice, bob, first)
    await shows(bob, ["0", "1", "2", "3"])
    assert await chain_of(bob) == before, "what came before does not stay, and what came later is as it was"
    await hand(alice, bob, first)
    await said(alice, "4")
    await shows(bob, ["0", "1", "2", "3", "4"])
    assert await tx(bob, lambda tx: tx.all("SELECT * FROM closed")) == []


async def test_both_keys_may_come_before_what_they_open(town: ChannelWorld) -> None:
    """In the mailbox, which is read before the history."""
    alice, bob, first = await without_chain(town)
    await bob.disconnect()
    for text in ("1", "2"):
        await said(alice, text)
    await hand(alice, bob, await distribution(alice))
    await hand(alice, bob, first)
    await said(alice, "3")
    await bob.connect(town.url)
    await shows(bob, ["0", "1", "2", "3"])
    assert (await chain_of(bob))[2] is None, "everything before it was read"
    await said(alice, "4")
    await shows(bob, ["0", "1", "2", "3", "4"])


async def test_an_answer_may_come_before_what_lies_before_it(town: ChannelWorld) -> None:
    alice, bob, first = await without_chain(town)
    await bob.disconnect()
    for text in ("1", "2"):
        await said(alice, text)
    await hand(alice, bob, await distribution(alice))
    await said(alice, "3")
    await bob.connect(town.url)
    await shows(bob, ["0", "(closed)", "(closed)", "3"])
    await hand(alice, bob, first)
    await shows(bob, ["0", "1", "2", "3"])


async def test_what_stays_closed_is_kept_for_its_life_and_not_asked_for(town: ChannelWorld) -> None:
    alice, bob, _ = await without_chain(town)
    await said(alice, "1")
    await shows(bob, ["0", "(closed)"])
    await hand(alice, bob, await distribution(alice))
    await said(alice, "2")
    await shows(bob, ["0", "(closed)", "2"])
    assert len(await tx(bob, lambda tx: tx.all("SELECT * FROM closed"))) == 1
    town.clock.offset += 11
    online(bob).sync.wake()
    await bob.settled(PATIENCE)
    assert await tx(bob, lambda tx: tx.all("SELECT * FROM asked")) == []
    now = inside(bob).now()
    for later in (0, 86_400, 31 * 86_400, 31 * 86_400, 32 * 86_400):
        await tx(bob, maintenance.maintain, now + later)
    assert await tx(bob, lambda tx: tx.all("SELECT * FROM closed")) == []


async def test_another_chain_of_the_same_id_changes_nothing(town: ChannelWorld) -> None:
    """Of which its sender says that it came earlier."""
    alice, bob, first = await without_chain(town)
    await said(alice, "1")
    await shows(bob, ["0", "(closed)"])
    await hand(alice, bob, await distribution(alice))
    await said(alice, "2")
    await shows(bob, ["0", "(closed)", "2"])
    before = await chain_of(bob)
    place = 1 + 32 + 4 + 4  # version, channel, key id, iteration
    await hand(alice, bob, first[:place] + os.urandom(32) + first[place + 32 :])
    await said(alice, "3")
    await shows(bob, ["0", "(closed)", "2", "3"])
    assert (await chain_of(bob))[2] is None
    assert (await chain_of(bob))[0] != before[0]
