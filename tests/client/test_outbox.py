"""Sending: refusals that pass and refusals that do not, order, pace, and what a person is told."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from mobium.client import outbox
from mobium.client.maintenance import maintain
from mobium.client.pace import Pace
from mobium.errors import InvalidInput, MobiumError, ServerRefused
from mobium.protocol import messages as m
from mobium.protocol.codes import ErrorCode
from tests.support.engines import PATIENCE, Ear, World, inside, online, settle, tx
from tests.support.hostile import Envelope, HostileServer, altered


class Refusing:
    """A server that refuses what `while_true` says, with a code."""

    def __init__(self, server: HostileServer, code: str, retry_after: float | None = None) -> None:
        self.server, self.code, self.retry_after = server, code, retry_after
        self.answer, self.forward = server.cheat.answer, server.cheat.forward
        self.refused: list[bytes] = []
        server.cheat.answer = self._answer
        server.cheat.forward = lambda _envelope: ()

    def _answer(self, sent: m.SendMessage) -> m.ServerMessage:
        self.refused.append(sent.payload)
        return m.Error(self.code, "whatever the server says", sent.rid, sent.id, self.retry_after)

    def relent(self) -> None:
        self.server.cheat.answer, self.server.cheat.forward = self.answer, self.forward


@pytest.fixture
def short_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobium.client.lanes._FIRST_HOLD", 0.1)
    monkeypatch.setattr("mobium.client.lanes._LONGEST_HOLD", 0.2)


@pytest.mark.parametrize("code", [ErrorCode.QUEUE_FULL, ErrorCode.STORAGE, ErrorCode.RATE_LIMITED])
async def test_what_is_refused_for_now_is_kept_and_goes_out_in_order(
    world: World, server: HostileServer, short_holds: None, code: ErrorCode
) -> None:
    alice, bob = await world.pair()
    eyes, ear = Ear(alice), Ear(bob)
    refusing = Refusing(server, code, 0.1 if code is ErrorCode.RATE_LIMITED else None)
    sent = [await alice.send("Bob", f"{number}") for number in range(6)]
    if code is ErrorCode.QUEUE_FULL:
        told = await eyes.state(sent[0], "queued")
        assert "mailbox is full" in told.reason
        assert "whatever" not in told.reason
    await server.sent_count(len(refusing.refused) + 1)
    refusing.relent()
    assert await ear.texts(6) == [f"{number}" for number in range(6)]
    assert await alice.wait(sent[-1], "sent", 10) in {"sent", "delivered"}
    assert [line.reason for line in await alice.history("Bob")] == [""] * 6
    firsts = set(refusing.refused[:1])
    assert any(each.payload in firsts for each in server.sent[1:]), "the same bytes go again"


async def test_nothing_overtakes_a_refusal_that_passes_while_the_store_is_slow(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is looked for while the first is under way; the first's refusal comes, and its short pause
    ends, before the store has answered.
    """
    alice, bob = await world.pair()
    ear = Ear(bob)
    honest, forward, real = server.cheat.answer, server.cheat.forward, outbox._prepare
    looking, go = threading.Event(), threading.Event()

    def slow(*args: Any) -> Any:
        looking.set()
        assert go.wait(PATIENCE)
        return real(*args)

    server.cheat.answer, server.cheat.forward = lambda _: None, lambda _: ()
    before = len(server.sent)
    await alice.send("Bob", "first")
    await server.sent_count(before + 1)
    monkeypatch.setattr(outbox, "_prepare", slow)
    looking.clear()
    await alice.send("Bob", "second")
    assert await asyncio.to_thread(looking.wait, PATIENCE)
    server.cheat.answer, server.cheat.forward = honest, forward
    refused = server.sent[-1].id
    await server.say(bytes.fromhex(alice.me), m.Error("rate_limited", "", None, refused, 0.01))
    lanes = online(alice).outbox._lanes
    async with asyncio.timeout(PATIENCE):
        while not lanes._holds:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    go.set()
    assert await ear.texts(2) == ["first", "second"]


async def test_a_full_mailbox_does_not_hold_up_another_contact(world: World, server: HostileServer) -> None:
    alice, bob = await world.pair()
    carol = await world.engine("carol")
    await settle(carol)
    full = bytes.fromhex(bob.me)
    honest, forward = server.cheat.answer, server.cheat.forward

    def answer(sent: m.SendMessage) -> m.ServerMessage | None:
        return m.Error("queue_full", "", sent.rid, sent.id) if sent.recipient == full else honest(sent)

    def forwarded(envelope: Envelope) -> object:
        return () if envelope.recipient == full else forward(envelope)

    server.cheat.answer, server.cheat.forward = answer, forwarded  # type: ignore[assignment]
    waiting = await alice.send("Bob", "full")
    sent = await alice.send(carol.me, "not full")
    assert await alice.wait(sent, "sent", 5) in {"sent", "delivered"}
    assert (await alice.message(waiting)).state == "queued"


async def test_what_waits_behind_a_refused_message_says_why(world: World, server: HostileServer) -> None:
    """Also after a restart, when the first one's reason is no news."""
    async with world.opened("bob") as bob:
        await settle(bob)
        key = bob.me
    honest = server.cheat.answer, server.cheat.forward
    Refusing(server, ErrorCode.QUEUE_FULL)
    async with world.opened("alice") as alice:
        eyes = Ear(alice)
        first = await alice.send(key, "first")
        assert "mailbox is full" in (await eyes.state(first, "queued")).reason
    async with world.opened("alice", connect=False) as alice:
        eyes = Ear(alice)
        second = await alice.send(key, "second")
        await alice.connect()
        assert "mailbox is full" in (await eyes.state(second, "queued")).reason
        server.cheat.answer, server.cheat.forward = honest
    async with world.opened("alice") as alice:
        await alice.wait(second, "sent", 5)
        assert [(line.state, line.reason) for line in await alice.history(key)] == [("sent", "")] * 2


async def test_what_is_written_to_who_has_not_connected_yet_waits_in_order(
    world: World, short_holds: None
) -> None:
    alice = await world.engine("alice")
    eyes = Ear(alice)
    async with world.opened("bob", connect=False) as bob:
        key = bob.me
    sent = [await alice.send(key, f"{number}") for number in range(3)]
    told = await eyes.state(sent[0], "queued")
    assert "has connected to this server yet" in told.reason
    await alice.settled(PATIENCE)  # which does not wait for somebody who may never come
    sent.append(await alice.send(key, "3"))
    await alice.settled(PATIENCE)
    assert [(line.state, line.code) for line in await alice.history(key)][:3] == [
        ("queued", "no_prekeys")
    ] * 3
    bob = await world.engine("bob")
    ear = Ear(bob)
    assert await ear.texts(4) == ["0", "1", "2", "3"]
    assert [await alice.wait(each, "sent", 10) for each in sent]
    with pytest.raises(InvalidInput):
        await alice.retry(sent[0])
    with pytest.raises(InvalidInput):
        await alice.retry("00" * 16)


async def test_who_writes_first_after_all_is_answered_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.lanes._FIRST_HOLD", 10_000.0)
    alice = await world.engine("alice")
    eyes = Ear(alice)
    async with world.opened("bob", connect=False) as bob:
        key = bob.me
    sent = await alice.send(key, "are you there?")
    await eyes.state(sent, "queued")
    bob = await world.engine("bob")
    ear = Ear(bob)
    await bob.send(alice.me, "I am")
    assert (await ear.text()).text == "are you there?"


async def test_a_peer_whom_this_server_does_not_know_is_waited_for(
    world: World, server: HostileServer, short_holds: None
) -> None:
    """There is a session, from another server or from before a long absence."""
    alice, bob = await world.pair()
    await alice.wait(await alice.send("Bob", "hello"), "delivered", 5)
    eyes, ear = Ear(alice), Ear(bob)
    refusing = Refusing(server, ErrorCode.UNKNOWN_RECIPIENT)
    sent = [await alice.send("Bob", f"{number}") for number in range(3)]
    assert "compare the key" in (await eyes.state(sent[0], "queued")).reason
    await alice.settled(PATIENCE)
    await server.sent_count(len(refusing.refused) + 1)
    assert len(set(refusing.refused)) == 1, "nothing overtakes it"
    refusing.relent()
    assert await ear.texts(4) == ["hello", "0", "1", "2"]


async def test_what_a_server_can_never_take_fails_with_our_own_words(
    world: World, server: HostileServer
) -> None:
    alice, _ = await world.pair()
    Refusing(server, "no_such_code")
    sent = await alice.send("Bob", "hello")
    with pytest.raises(ServerRefused, match="refused the message"):
        await alice.wait(sent, "sent", 5)


async def test_a_bundle_that_does_not_verify_fails_the_message(world: World, server: HostileServer) -> None:
    alice, bob = await world.pair()
    honest = server.cheat.bundle
    server.cheat.bundle = lambda _asker, bundle: altered(
        bundle, signed=altered(bundle.signed, signature=bytes(64))
    )
    sent = await alice.send("Bob", "hello")
    with pytest.raises(MobiumError):
        await alice.wait(sent, "sent", 5)
    server.cheat.bundle = honest
    ear = Ear(bob)
    await alice.retry(sent)
    assert (await ear.text()).id == sent


async def test_what_could_not_go_out_in_time_expires_and_can_be_sent_again(world: World) -> None:
    async with world.opened("bob") as bob:
        await settle(bob)
        key = bob.me
    async with world.opened("alice", connect=False) as alice:
        sent = await alice.send(key, "old news")
        for _ in range(2):  # a clock that jumps deletes nothing at first
            assert (await alice.message(sent)).state == "queued"
            world.clock.offset += 31 * 86_400
            await tx(alice, maintain, inside(alice).now())
        await tx(alice, maintain, inside(alice).now())
        message = await alice.message(sent)
        assert (message.state, message.reason[:18]) == ("expired", "It could not be se")
        with pytest.raises(MobiumError, match="30 days"):
            await alice.wait(sent, "sent", 5)
        world.clock.offset = 0
        await alice.retry(sent)
    bob = await world.engine("bob")
    ear = Ear(bob)
    alice = await world.engine("alice")
    assert (await ear.text()).text == "old news"


async def test_waiting_ends_with_a_timeout_or_with_the_profile(world: World) -> None:
    alice = await world.engine("alice", connect=False)
    bob = await world.engine("bob", connect=False)
    sent = await alice.send(bob.me, "hello")
    with pytest.raises(TimeoutError):
        await alice.wait(sent, "sent", 0.05)
    for wrong in ("zz", "00" * 16, ""):
        with pytest.raises(InvalidInput):
            await alice.wait(wrong, "sent", 1)


async def test_the_pace_keeps_to_a_rate_and_to_pauses() -> None:
    now = 100.0
    pace = Pace(lambda: now)

    def taken(seconds: float) -> int:
        nonlocal now
        end, count = now + seconds, 0
        while now < end:
            delay = pace._wait()
            if delay > 0:
                now += delay
            else:
                count += 1
                assert count < 10_000
        return count

    pace.limit(10, 20)
    first = taken(1)
    assert 16 <= first <= 26, "the burst, and what came in a second"
    assert 7 <= taken(1) <= 9
    pace.pause(5)
    assert taken(4.9) == 0
    assert taken(1) <= 16 + 9
    pace.charge(8)  # a page counted as eight
    assert taken(1) <= 1
    for _ in range(100):
        pace.charge(5)
    assert taken(2) == 0  # two seconds of debt, no more
    assert 7 <= taken(1) <= 9
    pace.limit(0, 0)
    pace.charge(5)
    assert pace._wait() == 0


async def test_who_waits_longest_for_the_pace_goes_first() -> None:
    pace = Pace(asyncio.get_running_loop().time)
    pace.limit(1_000, 20)
    order: list[str] = []

    async def take(name: str, cost: int) -> None:
        await pace.take(cost)
        order.append(name)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(take("first", 16))
        await asyncio.sleep(0)
        group.create_task(take("large", 16))
        await asyncio.sleep(0)
        for number in range(3):
            group.create_task(take(f"small {number}", 1))
    assert order == ["first", "large", "small 0", "small 1", "small 2"]


async def test_an_answer_that_never_comes_is_asked_for_again(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.lanes._ANSWER_TIME", 0.2)
    alice, bob = await world.pair()
    honest = server.cheat.answer
    server.cheat.answer = lambda _sent: None
    ear = Ear(bob)
    sent = await alice.send("Bob", "hello")
    await ear.text("hello")
    await server.sent_count(2)
    server.cheat.answer = honest
    await alice.wait(sent, "sent", 5)
    assert len({each.payload for each in server.sent_by(bytes.fromhex(alice.me))}) == 1
    assert len(await bob.history("Alice")) == 1
