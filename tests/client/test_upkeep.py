"""Prekey upkeep and what time does to a profile."""

from __future__ import annotations

import pytest

from mobium.client import Engine
from mobium.client.maintenance import maintain
from mobium.client.store import incoming, messages, outgoing, prekeys
from mobium.client.store.database import Tx
from mobium.client.upkeep import Upkeep, _parts
from mobium.crypto import PrekeyKind
from mobium.errors import NotConnected
from mobium.protocol import codec, limits
from mobium.protocol import messages as m
from tests.support.engines import Ear, World, inside, online, settle, tx
from tests.support.hostile import Account, Envelope, HostileServer

DAY = 86_400


def account(server: HostileServer, engine: Engine) -> Account:
    return server.accounts[bytes.fromhex(engine.me)]


def _held(tx: Tx) -> dict[str, int]:
    return dict(tx.all("SELECT kind, count(*) FROM prekey GROUP BY kind"))


async def keep(engine: Engine) -> None:
    await online(engine).upkeep.run_once(1 << 20)


async def test_a_new_store_publishes_a_full_stock_and_resets(world: World, server: HostileServer) -> None:
    alice = await world.engine("alice")
    await settle(alice)
    published = account(server, alice)
    assert (len(published.one_time), len(published.kem_one_time)) == (100, 20)
    assert published.signed is not None
    assert await tx(alice, _held) == {"signed": 1, "last_resort": 1, "one_time": 100, "kem_one_time": 20}
    frames = [codec.decode_client(frame) for _, frame in server.arrived]
    [publication] = [frame for frame in frames if isinstance(frame, m.PublishPrekeys)]
    assert publication.reset
    before = len(server.arrived)
    await keep(alice)
    assert len(server.arrived) == before + 1, "all is well: it only asked"


async def test_a_stock_is_refilled_below_five_and_nothing_is_published_twice(
    world: World, server: HostileServer
) -> None:
    alice = await world.engine("alice")
    await settle(alice)
    published = account(server, alice)
    seen = {key.id for key in published.one_time}
    for _ in range(95):
        published.one_time.popleft()
    await keep(alice)
    assert len(published.one_time) == 5
    published.one_time.popleft()
    for _ in range(17):
        published.kem_one_time.popleft()
    await keep(alice)
    assert (len(published.one_time), len(published.kem_one_time)) == (100, 20)
    fresh = {key.id for key in list(published.one_time)[4:]}
    assert len(fresh) == 96
    assert not fresh & seen


async def test_keys_are_replaced_weekly_and_old_ones_deleted_two_weeks_later(
    world: World, server: HostileServer
) -> None:
    alice = await world.engine("alice")
    await settle(alice)
    published = account(server, alice)
    first = published.signed
    assert first is not None
    for _ in range(3):
        world.clock.offset += 6 * DAY / 3
        await keep(alice)
        await tx(alice, maintain, inside(alice).now())
    assert published.signed == first
    await step(world, alice, 2)
    second = published.signed
    assert second not in (None, first)
    held = prekeys.StoredPrekeys

    async def holds(key: m.WirePrekey | None) -> bool:
        assert key is not None
        return await tx(alice, lambda tx: held(tx).private(PrekeyKind.SIGNED, key.id)) is not None

    assert await holds(first)
    await step(world, alice, 12)  # the thirteenth day since, so that a second on the way changes nothing
    assert await holds(first), "messages under way may still need it"
    await step(world, alice, 3)
    assert not await holds(first)
    assert await holds(published.signed)


async def step(world: World, engine: Engine, days: int) -> None:
    """Let days pass, as an engine that runs sees them."""
    for _ in range(days):
        world.clock.offset += DAY
        await keep(engine)
        await online(engine)._note_drained()
        await tx(engine, maintain, inside(engine).now())


async def test_a_publication_whose_answer_was_lost_is_not_repeated(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await world.engine("alice")
    await settle(alice)
    world.clock.offset += 8 * DAY
    published = account(server, alice)
    old = published.signed
    request = online(alice).link.request

    async def lose(message: m.ClientMessage) -> m.ServerMessage:
        answer = await request(message)
        if isinstance(message, m.PublishPrekeys):
            raise NotConnected("The connection broke.")
        return answer

    with pytest.raises(NotConnected):
        await Upkeep(inside(alice), lose, online(alice).address.host).run_once(1 << 20)
    new = published.signed
    assert new != old
    before = len(server.arrived)
    await keep(alice)
    assert published.signed == new
    assert len(server.arrived) == before + 1
    assert new is not None
    assert await tx(alice, _replaced, new.id) == 1, "the server has the new one, so the old one is replaced"


def _replaced(tx: Tx, in_force: int) -> int:
    rows = tx.all("SELECT id FROM prekey WHERE kind = 'signed' AND replaced_at IS NOT NULL")
    assert in_force not in [row[0] for row in rows]
    return len(rows)


async def test_a_clock_that_was_far_ahead_is_mended(world: World, server: HostileServer) -> None:
    """Initiators refuse keys that expire too late, so such keys must go at once when the clock is right
    again.
    """
    world.clock.offset = 300 * DAY
    alice = await world.engine("alice")
    await settle(alice)
    world.clock.offset = 0
    await keep(alice)
    bob = await world.engine("bob")
    await settle(bob)
    ear = Ear(alice)
    await bob.send(alice.me, "hello")
    assert (await ear.text()).text == "hello"


async def test_a_stock_is_replaced_before_its_keys_are_refused(world: World, server: HostileServer) -> None:
    alice = await world.engine("alice")
    await settle(alice)
    seen = {key.id for key in account(server, alice).one_time}
    await step(world, alice, 47)
    published = account(server, alice)
    assert len(published.one_time) == 100
    assert not seen & {key.id for key in published.one_time}
    world.clock.offset += 20 * DAY
    bob = await world.engine("bob")
    await settle(bob)
    assert all(key.expires > moment(world) for key in published.one_time)
    ear = Ear(alice)
    await bob.send(alice.me, "hello")
    assert (await ear.text()).text == "hello"
    await keep(alice)
    await step(world, alice, 16)
    assert (await tx(alice, _held))["one_time"] == 99, "the old stock is gone here, too"


def moment(world: World) -> int:
    return int(world.clock())


async def test_a_jump_of_the_clock_deletes_nothing(world: World) -> None:
    alice, bob = await world.pair()
    await alice.wait(await alice.send("Bob", "hello"), "delivered", 5)

    def counts(tx: Tx) -> list[int]:
        tables = ("opened", "shown", "session", "prekey", "sent")
        return [int(tx.value(f"SELECT count(*) FROM {table}")) for table in tables]

    now = inside(bob).now()
    before = await tx(bob, counts)
    await tx(bob, maintain, now)
    await tx(bob, maintain, now + 400 * DAY)
    await tx(bob, maintain, now)
    assert await tx(bob, counts) == before
    ear = Ear(bob)
    await alice.send("Bob", "again")
    await ear.text("again")
    later = now + 400 * DAY
    await tx(bob, maintain, later)
    await tx(bob, maintain, later + 3_600)
    assert (await tx(bob, counts))[:3] == [0, 0, 0], "a clock that stays is believed"


async def test_a_small_frame_limit_splits_a_publication() -> None:
    def key(number: int, size: int) -> m.WirePrekey:
        return m.WirePrekey(number, 1, bytes(size), bytes(64))

    publication = m.PublishPrekeys(
        signed=key(1, 32),
        last_resort=key(2, 1_568),
        one_time=[key(number, 32) for number in range(10, 110)],
        kem_one_time=[key(number, 1_568) for number in range(200, 220)],
        reset=True,
    )
    for message_size in (512, 4_096, 16_384, 1 << 20):
        parts = list(_parts(publication, message_size))
        assert [part.reset for part in parts] == [True] + [False] * (len(parts) - 1)
        assert parts[0].signed == publication.signed
        assert all(len(codec.encode(part)) <= message_size + limits.FRAME_OVERHEAD for part in parts)
        for name in ("one_time", "kem_one_time"):
            sent = [each.id for part in parts for each in getattr(part, name)]
            assert sorted(sent) == [each.id for each in getattr(publication, name)]
    assert len(list(_parts(publication, 1 << 20))) == 1


async def test_a_message_that_does_not_arrive_is_shown_as_missing_until_it_does(
    world: World, server: HostileServer
) -> None:
    alice, bob = await world.pair()
    await alice.wait(await alice.send("Bob", "before"), "delivered", 5)
    withheld: list[Envelope] = []
    honest = server.cheat.forward

    def withhold(envelope: Envelope) -> tuple[Envelope, ...]:
        withheld.append(envelope)
        return ()

    server.cheat.forward = withhold
    for text in ("lost 1", "lost 2"):
        await alice.wait(await alice.send("Bob", text), "sent", 5)
    server.cheat.forward = honest
    ear = Ear(bob)
    await alice.send("Bob", "after")
    await ear.text("after")

    async def lines() -> list[str | int | None]:
        return [line.text or line.missing for line in await bob.history("Alice")]

    assert await lines() == ["before", "after"], "it may still be under way"
    world.clock.offset += 601
    assert await lines() == ["before", 2, "after"]
    assert [line.kind for line in await bob.history("Alice")] == ["text", "missing", "text"]
    await server.put(withheld[1])
    await ear.text("lost 2")
    assert await lines() == ["before", 1, "after", "lost 2"]
    await server.put(withheld[0])
    await ear.text("lost 1")
    assert await lines() == ["before", "after", "lost 2", "lost 1"]


async def test_memories_end_but_what_is_in_the_history_is_never_shown_twice(world: World) -> None:
    alice, bob = await world.pair()
    ear = Ear(bob)
    sent = await alice.send("Bob", "once")
    await ear.text()
    later = inside(bob).now() + 40 * DAY
    await tx(bob, incoming.forget, later)
    position = (await alice.message(sent)).position
    await tx(alice, _queue_again, position)
    online(alice).wake()
    await alice.send("Bob", "next")
    await ear.text("next")
    assert [line.text for line in await bob.history("Alice")] == ["once", "next"]


def _queue_again(tx: Tx, position: int) -> None:
    plaintext = messages.plaintext(tx, position)
    assert plaintext is not None
    peer = tx.value("SELECT peer FROM message WHERE id = ?", position)
    outgoing.add(tx, peer, plaintext, position, 0)
