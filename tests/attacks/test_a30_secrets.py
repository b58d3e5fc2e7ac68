"""A30: strangers, while somebody comes into a channel, and members flood secrets: so many are kept, they cost
nothing when a statement comes, and they go when it is known whose they are.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mobium.client import rosters
from mobium.client.maintenance import forget_peer
from mobium.client.store import chains, channels, peers
from mobium.client.store.database import Tx
from mobium.crypto.invite import invite_key
from mobium.protocol import content
from mobium.protocol.roster import Kind
from tests.attacks.people import Person, Scene
from tests.attacks.rooms import Room, gather, keyed, says_pairwise, statement
from tests.support.engines import PATIENCE, Clock, inside, online, tx, until

STRANGERS, EACH = 3, 4


async def spares(person: Person) -> int:
    return await tx(person.engine, lambda tx: int(tx.value("SELECT count(*) FROM spare_secret")))


@asynccontextmanager
async def coming_in(scene: Scene, room: Room) -> AsyncIterator[Person]:
    """Bob, the answer to whose joining does not come, and who enters after the block."""
    bob = await scene.person("bob")
    link = await room.people[0].engine.invite(room.name, 0)
    cheat = scene.server.channels.cheat
    cheat.appended = lambda who, answer: None if who == bob.key else answer
    joining = asyncio.create_task(bob.engine.join(link))
    await until(lambda: _state(bob, "joining"))
    yield bob
    joining.cancel()
    await asyncio.gather(joining, return_exceptions=True)
    scene.server.channels.be_honest()
    await bob.engine.disconnect()
    await bob.engine.connect(scene.server.url)
    await room.becomes("member", bob)


async def _state(person: Person, wanted: str) -> bool:
    return [channel.state for channel in await person.engine.channels.list()] == [wanted]


async def flood(scene: Scene, room: Room, bob: Person) -> None:
    """Strangers tell Bob secrets that are none."""
    for number in range(STRANGERS):
        async with scene.visitor(f"stranger {number}") as stranger:

            def meet(tx: Tx) -> None:
                peers.add(tx, bob.key, "contact", 0)

            await tx(stranger.engine, meet)
            for _ in range(EACH):
                told = content.ChannelSecret(os.urandom(16), 0, room.id, os.urandom(32))
                await says_pairwise(stranger, bob, told)
            await scene.server.drained(bob.key)


async def test_strangers_secrets_are_bounded_and_go_on_entering(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "_MAX_EARLY", 5)  # it is 1,000, which takes longer to fill
    async with Scene(folder) as scene:
        room = await gather(scene, "alice")
        async with coming_in(scene, room) as bob:
            await flood(scene, room, bob)
            assert await spares(bob) == 5
        assert await spares(bob) == 0
        await room.told(bob, "I am in", room.people[0])


async def test_without_the_bound_strangers_secrets_have_no_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "_MAX_EARLY", 2**32)  # the defences, off
    monkeypatch.setattr(channels, "drop_strange_secrets", lambda _tx, _channel: None)
    async with Scene(folder) as scene:
        room = await gather(scene, "alice")
        async with coming_in(scene, room) as bob:
            await flood(scene, room, bob)
        assert await spares(bob) == STRANGERS * EACH


async def test_a_stranger_who_is_forgotten_takes_his_secrets_along(folder: Path) -> None:
    async with Scene(folder) as scene:
        room = await gather(scene, "alice")
        async with coming_in(scene, room) as bob:
            await flood(scene, room, bob)

            def forget(tx: Tx) -> None:
                for (peer,) in tx.all("SELECT DISTINCT peer FROM spare_secret"):
                    forget_peer(tx, peer)

            assert await spares(bob) == STRANGERS * EACH
            await tx(bob.engine, forget)
            assert await spares(bob) == 0


# ---------------------------------------------------------------- what they cost

KEPT, SET = 400, 5


async def derived(scene: Scene, monkeypatch: pytest.MonkeyPatch, kept: int) -> int:
    """How many invite keys Bob derives for some statements with a key, while he keeps so many secrets."""
    room = await gather(scene, "alice", "bob")
    alice, bob = room.people
    row = await tx(bob.engine, channels.by_key, room.id)
    assert row is not None

    def fill(tx: Tx) -> None:
        for number in range(kept):
            channels.add_secret(tx, row.id, os.urandom(32), 1_000 + number // 8, 1)

    await tx(bob.engine, fill)
    made = 0

    def counted(secret: bytes) -> Any:
        nonlocal made
        made += 1
        return invite_key(secret)

    for module in (rosters, channels):
        monkeypatch.setattr(module, "invite_key", counted)
    identity = inside(alice.engine).identity
    for _ in range(SET):
        await scene.server.channels.place(
            room.book, statement(room, identity, Kind.SECRET, None, keyed()), to=(bob.key,)
        )
    await room.caught_up(bob)
    return made


async def test_spare_secrets_cost_nothing_at_a_statement(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        assert await derived(scene, monkeypatch, KEPT) == 0


async def test_without_the_stored_key_each_is_derived_at_every_statement(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_trying(tx: Tx, channel: int, key: bytes) -> tuple[bytes, bool] | None:
        derive: Callable[[bytes], Any] = channels.__dict__["invite_key"]  # which is counted
        for secret, mine in tx.all("SELECT secret, peer = 0 FROM spare_secret WHERE channel = ?", channel):
            if derive(secret).public == key:
                return secret, bool(mine)
        return None

    monkeypatch.setattr(channels, "secret_of", by_trying)  # the defence, off
    async with Scene(folder) as scene:
        assert await derived(scene, monkeypatch, KEPT) == SET * KEPT


# ---------------------------------------------------------------- asking for them


async def asked_for(scene: Scene) -> int:
    """An admin sets one secret after the other and tells nobody; returns how often Bob asks in an hour."""
    room = await gather(scene, "alice", "bob", "carol", "dora")
    alice, bob, *_ = room.people
    await room.told(alice, "hello", *room.people[1:])
    identity = inside(alice.engine).identity
    before = len(scene.server.sent_by(bob.key))
    for _ in range(5):
        raw = statement(room, identity, Kind.SECRET, None, keyed())
        await scene.server.channels.place(room.book, raw, to=(bob.key,))
        await room.caught_up(bob)
        scene.world.clock.offset += 600
        online(bob.engine).sync.wake()
        await bob.engine.settled(PATIENCE)
    return len(scene.server.sent_by(bob.key)) - before


async def test_so_many_members_are_asked_for_a_secret_and_each_once_a_day(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "_ASKS", 2)  # it is 8
    async with Scene(folder, Clock()) as scene:
        assert await asked_for(scene) == 2


async def test_without_the_pause_a_secret_is_asked_for_without_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "ASK_PAUSE", 300)  # the defences, off
    monkeypatch.setattr(chains, "_ASKS", 2**32)
    async with Scene(folder, Clock()) as scene:
        assert await asked_for(scene) >= 5 * 3
