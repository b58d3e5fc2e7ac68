"""Servers that take less than they did, that refuse requests, that end: what cannot go out holds up nothing
else, and nobody is asked again and again.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from mobium.client import conversation
from mobium.client.lanes import Lanes
from mobium.client.maintenance import maintain
from mobium.errors import ServerRefused
from mobium.protocol import messages as m
from tests.support import hostile
from tests.support.engines import PATIENCE, Ear, World, inside, online, settle, tx
from tests.support.hostile import HostileServer

pytestmark = pytest.mark.once


async def test_what_no_server_takes_fails_and_what_follows_goes_out(
    world: World, server: HostileServer
) -> None:
    """A frame that large closes the connection, and would do so at every login."""
    bob = await world.engine("bob")
    await settle(bob)
    ear = Ear(bob)
    alice = await world.engine("alice", connect=False)
    large = await alice.send(bob.me, 2_500_000 * "x")  # of no server's limits anything is known yet
    small = await alice.send(bob.me, "small")
    await alice.connect(world.url)
    assert await alice.wait(small, "sent", 5) in {"sent", "delivered"}
    with pytest.raises(ServerRefused, match="larger") as caught:
        await alice.wait(large, "sent", 5)
    assert caught.value.code == "too_large"
    assert (await ear.text()).text == "small"


async def test_what_was_encrypted_for_a_more_generous_server_fails(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, _ = await world.pair()
    await alice.wait(await alice.send("Bob", "hello"), "delivered", 5)
    server.cheat.answer = lambda sent: m.Error("queue_full", "", sent.rid, sent.id)
    server.cheat.forward = lambda _envelope: ()
    before = len(server.sent)
    large = await alice.send("Bob", 600_000 * "x")
    await server.sent_count(before + 1)
    server.be_honest()
    monkeypatch.setattr(hostile, "ALLOWED", hostile.altered(hostile.ALLOWED, message_size=4_096))
    await server.cut(bytes.fromhex(alice.me))
    online(alice).link.retry_now()
    with pytest.raises(ServerRefused, match="larger"):
        await alice.wait(large, "sent", 5)
    assert await alice.wait(await alice.send("Bob", "small"), "sent", 5) in {"sent", "delivered"}


async def test_a_request_that_is_refused_for_now_is_not_repeated_at_once(
    world: World, server: HostileServer
) -> None:
    bob = await world.engine("bob")
    await settle(bob)
    alice = await world.engine("alice")
    await settle(alice)
    asked: list[float] = []

    def bundle(_asker: bytes, bundle: m.PrekeyBundle) -> m.ServerMessage:
        asked.append(asyncio.get_running_loop().time())
        return m.Error("rate_limited", "", bundle.rid, None, 0.3) if len(asked) < 3 else bundle

    server.cheat.bundle = bundle
    assert await alice.wait(await alice.send(bob.me, "hello"), "sent", 5) in {"sent", "delivered"}
    assert asked[2] - asked[0] >= 0.6


async def test_a_connection_that_is_ending_is_not_asked_again_and_again(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = await world.engine("bob")
    await settle(bob)
    alice = await world.engine("alice")
    await settle(alice)
    monkeypatch.setattr(online(alice).link, "_transport", None)  # as while a socket takes its time to close
    count = counted(alice, monkeypatch)
    await alice.send(bob.me, "hello")
    await asyncio.sleep(0.5)
    assert count() < 20


async def test_a_hold_that_is_over_wakes_nobody(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.lanes._FIRST_HOLD", 0.05)
    alice, _ = await world.pair()
    server.cheat.answer = lambda sent: m.Error("queue_full", "", sent.rid, sent.id)
    server.cheat.forward = lambda _envelope: ()
    await alice.send("Bob", "hello")
    await server.sent_count(1)
    await alice.contacts.block("Bob")
    await asyncio.sleep(0.2)
    count = counted(alice, monkeypatch)
    await asyncio.sleep(0.5)
    assert count() == 0


def test_a_hold_that_ended_while_the_store_was_asked_is_not_forgotten() -> None:
    lanes = Lanes()
    lanes.delay(1, now=0.0, seconds=1.0)
    assert lanes.busy(now=0.999) == {1}
    assert lanes.next_change(now=1.001, since=0.999) == 0.0
    assert lanes.busy(now=1.002) == set()
    assert lanes.next_change(now=1.003, since=1.002) is None


def counted(engine: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many transactions the engine makes from now on."""
    store, run, count = inside(engine).store, inside(engine).store.run, [0]

    async def counting(*args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        return await run(*args, **kwargs)

    monkeypatch.setattr(store, "run", counting)
    return lambda: count[0]


async def test_what_was_refused_for_a_month_expires_and_can_be_sent_again(
    world: World, server: HostileServer
) -> None:
    """Also the first in line, which was encrypted when it was refused."""
    alice, bob = await world.pair()
    await alice.wait(await alice.send("Bob", "hello"), "delivered", 5)
    server.cheat.answer = lambda sent: m.Error("queue_full", "", sent.rid, sent.id)
    server.cheat.forward = lambda _envelope: ()
    before = len(server.sent)
    sent = [await alice.send("Bob", text) for text in ("first", "second")]
    await server.sent_count(before + 1)
    world.clock.offset += 31 * 86_400
    for _ in range(2):
        await tx(alice, maintain, inside(alice).now())
    assert [(await alice.message(each)).state for each in sent] == ["expired", "expired"]
    server.be_honest()
    await server.cut(bytes.fromhex(alice.me))
    online(alice).link.retry_now()
    ear = Ear(bob)
    for each in sent:
        await alice.retry(each)
    assert await ear.texts(3) == ["hello", "first", "second"]


async def test_a_block_counts_also_when_its_caller_gave_up(world: World, server: HostileServer) -> None:
    alice, bob = await world.pair()
    await alice.wait(await alice.send("Bob", "hello"), "delivered", 5)
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    committed = asyncio.Event()
    store, run = inside(alice).store, inside(alice).store.run

    async def committed_but_cancelled(*args: Any, **kwargs: Any) -> Any:
        found = await run(*args, **kwargs)
        if "Bob" in args:  # what the connection goes on doing meanwhile is not held up
            committed.set()
            await gate
        return found

    recalls = online(alice).outbox._recalls
    store.run = committed_but_cancelled  # type: ignore[method-assign]
    blocking = asyncio.create_task(alice.contacts.block("Bob"))
    await asyncio.wait_for(committed.wait(), PATIENCE)
    blocking.cancel()
    await asyncio.gather(blocking, return_exceptions=True)
    store.run = run  # type: ignore[method-assign]
    assert (await alice.contacts.get(bob.me)).blocked
    assert online(alice).outbox._recalls > recalls


async def test_a_text_goes_out_though_its_sender_gave_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await world.pair()
    ear = Ear(bob)
    await alice.wait(await alice.send("Bob", "hello"), "delivered", 5)
    await ear.text("hello")
    begun = threading.Event()

    def slow(*args: Any) -> None:
        begun.set()
        time.sleep(0.1)
        queue(*args)

    queue = conversation.queue_text
    monkeypatch.setattr(conversation, "queue_text", slow)
    sending = asyncio.create_task(alice.send("Bob", "never mind"))
    assert await asyncio.to_thread(begun.wait, PATIENCE)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await ear.text("never mind")
