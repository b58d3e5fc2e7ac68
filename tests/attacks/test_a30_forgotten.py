"""A30: strangers make a reader forget somebody, or a channel, while something of theirs is on its way: what
is stored meanwhile must not stop everything else.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from mobium.client.rosters import break_channel
from mobium.client.store import channels, peers
from mobium.client.store.database import Tx
from mobium.crypto import Identity, Session
from mobium.crypto.group import SenderKey
from mobium.protocol import content
from mobium.protocol import messages as m
from tests.attacks.people import Person, Scene, bundle_of
from tests.attacks.rooms import Room, gather
from tests.support.engines import tx, until

STRANGERS = 205  # more than are remembered


async def flood(scene: Scene, victim: Person) -> None:
    """So many strangers knock, without a word, that those before them are forgotten."""
    bundle = bundle_of(victim)
    for _ in range(STRANGERS):
        who = Identity.generate()[0]
        session = Session.initiate(who, bundle, pinned_x=None, now=int(time.time()))
        said = content.encode(content.Receipt(os.urandom(16), 0, "read", [os.urandom(16)]))
        await scene.server.forge(who.public, victim.key, session.encrypt(said)[0])
    await scene.server.drained(victim.key)


async def is_forgotten(by: Person, whom: Person) -> bool:
    return await tx(by.engine, peers.by_key, whom.key) is None


async def keys_on_their_way(by: Person, whom: Person) -> int:
    """How many sender keys wait to be handed to somebody."""
    peer = await tx(by.engine, peers.by_key, whom.key)
    assert peer is not None
    count = "SELECT count(*) FROM handout WHERE peer = ?"
    return int(await tx(by.engine, lambda tx: tx.value(count, peer.id)))


async def test_a_sender_key_that_waits_for_one_who_is_forgotten(folder: Path) -> None:
    """Her mailbox was full when the key came, then she was removed, and forgotten."""
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "mallory", "bob")  # bob came last: no line of hers protects her
        alice, mallory, bob = room.people
        handle = scene.server.channels._handlers[m.Distribute]

        async def full(who: bytes, message: m.Distribute) -> None:
            if who != bob.key or all(each.recipient != mallory.key for each in message.distributions):
                await handle(who, message)
                return
            for each in message.distributions:
                if each.recipient != mallory.key:
                    await scene.server.channels.hand(who, each.recipient, message.channel_id, each.payload)
            refused = [m.NotTaken(mallory.key, "queue_full", 60.0)]
            await scene.server.say(who, m.Accepted(message.id, message.rid, None, refused))

        scene.server.channels._handlers[m.Distribute] = full
        await room.says(bob, "hello", until=None)

        async def delayed() -> bool:
            waits = "SELECT count(*) FROM handout WHERE payload IS NOT NULL AND not_before > 0"
            return bool(await tx(bob.engine, lambda tx: tx.value(waits)))

        await until(delayed)
        await alice.engine.remove(room.name, mallory.key)
        await room.caught_up(bob)
        assert await keys_on_their_way(bob, mallory) == 0  # one for Alice may be
        await flood(scene, bob)
        assert await is_forgotten(bob, mallory)
        scene.world.clock.offset += 61
        await room.hear("hello", alice)
        await room.told(bob, "again", alice)


async def test_a_sender_key_of_one_who_is_forgotten_before_a_join_is_known(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, mallory, bob = [await scene.person(name) for name in ("alice", "mallory", "bob")]
        channel = await alice.engine.create_channel("garden")
        room = Room(scene, bytes.fromhex(channel.id), [alice, mallory])
        link = await alice.engine.invite(room.name, 0)
        await mallory.engine.join(link)
        cheat = scene.server.channels.cheat
        cheat.appended = lambda actor, answer: None if actor == bob.key else answer  # it is lost
        joining = asyncio.create_task(bob.engine.join(link))

        async def waits() -> bool:
            return [each.state for each in await bob.engine.channels.list()] == ["joining"]

        await until(waits)
        chain = SenderKey.create(room.id, mallory.key, room.roster.index, room.roster.head)
        session = Session.initiate(
            mallory.engine.identity, bundle_of(bob), pinned_x=None, now=int(time.time())
        )
        given = content.encode(content.Distribution(os.urandom(16), 0, chain.distribution("")))
        await scene.server.channels.hand(mallory.key, bob.key, room.id, session.encrypt(given)[0])
        await scene.server.drained(bob.key)
        await flood(scene, bob)
        assert await is_forgotten(bob, mallory)
        await bob.engine.disconnect()
        await asyncio.gather(joining, return_exceptions=True)
        cheat.appended = lambda _, answer: answer
        await bob.engine.connect(scene.server.url)
        room.people.append(bob)
        await room.becomes("member", bob)
        await room.told(alice, "welcome", bob)


@pytest.mark.parametrize("state", ["left", "broken"])
async def test_a_channel_is_forgotten_while_its_history_is_on_its_way(state: str, folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice", "bob")
        alice, bob = room.people
        gate, asked = asyncio.Event(), asyncio.Event()
        handle = scene.server.channels._handlers[m.GetHistory]
        late: list[asyncio.Task[None]] = []

        async def answer(who: bytes, message: m.GetHistory) -> None:
            await gate.wait()
            await handle(who, message)

        async def slow(who: bytes, message: m.GetHistory) -> None:
            if who != bob.key or asked.is_set():
                await handle(who, message)
                return
            asked.set()
            late.append(asyncio.create_task(answer(who, message)))

        def is_broken(tx: Tx) -> None:
            row = channels.by_key(tx, room.id)
            assert row is not None
            break_channel(tx, row, "It does not add up.", 0)

        if state == "broken":
            await tx(bob.engine, is_broken)
        scene.server.channels._handlers[m.GetHistory] = slow
        await scene.server.say(bob.key, m.ChannelHead(room.id, room.book.head + 5))
        await asyncio.wait_for(asked.wait(), 5)
        if state == "left":
            await bob.engine.leave(room.name)
        await bob.engine.channels.forget(room.name)
        gate.set()
        await asyncio.gather(*late)
        await alice.says(bob, "still there?")
        await bob.hears("still there?")
        assert await bob.engine.channels.list() == []
