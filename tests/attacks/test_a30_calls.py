"""A30: a stranger rings, or makes somebody look for candidates; a contact rings without end. Nobody learns by
a call who is there, and no address is looked for before a person has accepted.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from mobium.client import calls, signals
from mobium.client.call_state import CallMachine
from mobium.client.store.database import Tx
from mobium.media.link import MemoryNetwork
from mobium.protocol import messages as m
from mobium.protocol.content import Call
from tests.support.calls import phones, states, talking
from tests.support.engines import PATIENCE, World, online, tx
from tests.support.hostile import HostileServer

pytestmark = pytest.mark.needs("libopus")
CALLS = 40


def offer(sdp: str = "v=0") -> Call:
    return Call(os.urandom(16), int(time.time() * 1_000), os.urandom(16), "offer", 0, sdp)


async def rung(folder: Path) -> tuple[list[str], int, int]:
    """A stranger who has written to Bob, and whom he has not answered, rings again and again: Bob's states,
    the signals that he said, and the prekeys that it cost.
    """
    async with (
        HostileServer() as server,
        World(folder, server.connect, server.url) as world,
        phones(world, MemoryNetwork().maker, "bob", "eve") as (bob, eve),
    ):
        await bob.engine.contacts.block(eve.me)
        await bob.engine.contacts.unblock(eve.me)
        await tx(bob.engine, lambda tx: tx.execute("UPDATE peer SET relation = 'request'"))
        before = await tx(bob.engine, _prekeys)
        for _ in range(CALLS):
            await online(eve.engine).signals.send(bytes.fromhex(bob.me), offer())
        await eve.engine.wait(await eve.engine.send(bob.me, "hello?"), "sent", 10)
        await bob.ear.text("hello?")
        await asyncio.sleep(0.1)
        said = [sent for sender, sent in server.signals if sender == bytes.fromhex(bob.me)]
        return states(bob), len(said), before - await tx(bob.engine, _prekeys)


def _prekeys(tx: Tx) -> int:
    return int(tx.value("SELECT count(*) FROM prekey"))


async def test_a_stranger_rings_nowhere_and_learns_nothing(folder: Path) -> None:
    assert await rung(folder) == ([], 0, 0)


async def test_without_the_look_at_who_it_is_a_stranger_rings(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "_is_known", lambda *_: True)  # the defence, off,
    monkeypatch.setattr(calls, "_may_call", lambda *_: True)  # and what would notice
    told, said, _ = await rung(folder)
    assert told[0] == "incoming"
    assert said > 0


async def sought(folder: Path) -> tuple[int, int]:
    """How many links Bob has made, and how often he has asked for servers, for a call that he has not
    accepted.
    """
    made = 0
    network = MemoryNetwork()

    def maker(terms: Any, listener: Any) -> Any:
        nonlocal made
        made += 1
        return network.maker(terms, listener)

    async with (
        HostileServer() as server,
        World(folder, server.connect, server.url) as world,
        phones(world, maker, "alice", "bob") as (alice, bob),
    ):
        alice.calls.links.maker = network.maker
        await alice.call(bob)
        await alice.state("ringing")
        await asyncio.sleep(0.3)
        said = [frame for sender, frame in server.arrived if sender == bytes.fromhex(bob.me)]
        return made, sum(b"get_ice_config" in frame for frame in said)


async def test_no_candidate_is_looked_for_before_somebody_accepts(folder: Path) -> None:
    assert await sought(folder) == (0, 0)


async def test_without_the_wait_for_a_person_anybody_makes_others_look(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(self: CallMachine, peer: bytes, signal: Call, now: float) -> None:
        ring(self, peer, signal, now)
        effects = self.accept(now)
        self._out = effects

    ring = CallMachine._ring
    monkeypatch.setattr(CallMachine, "_ring", at_once)  # the defence, off
    assert await sought(folder) == (1, 1)


async def test_a_contact_who_rings_without_end_rings_once_at_a_time(folder: Path) -> None:
    async with (
        HostileServer() as server,
        World(folder, server.connect, server.url) as world,
        phones(world, MemoryNetwork().maker, "alice", "bob", "eve") as (alice, bob, eve),
    ):
        for _ in range(CALLS):
            await online(eve.engine).signals.send(bytes.fromhex(bob.me), offer())
        await bob.state("incoming")
        await eve.engine.wait(await eve.engine.send(bob.me, "that was it"), "delivered", 10)
        await asyncio.sleep(0.1)
        assert states(bob) == ["incoming"]
        assert len(bob.calls._machine._over) <= 64
        assert len(bob.calls._machine._doubted) <= 8
        await bob.calls.decline()
        await bob.engine.contacts.block(eve.me)
        for _ in range(CALLS):
            server.signals.clear()
            await online(eve.engine).signals.send(bytes.fromhex(bob.me), offer())
        await talking(alice, bob)  # friends get through
        assert not [sent for _, sent in server.signals if sent.recipient == bytes.fromhex(eve.me)]


async def asked(folder: Path) -> tuple[int, int, float]:
    """A contact asks about calls that never were, and about one that is over, again and again: how often Bob
    answers the ones and the other, and the seconds that it took.
    """
    async with (
        HostileServer() as server,
        World(folder, server.connect, server.url) as world,
        phones(world, MemoryNetwork().maker, "alice", "bob", "eve") as (alice, bob, eve),
    ):

        async def ask(said: list[Call]) -> int:
            server.signals.clear()
            for one in said:
                await online(eve.engine).signals.send(bytes.fromhex(bob.me), one)
            await eve.engine.wait(await eve.engine.send(bob.me, "that was it"), "delivered", 10)
            await asyncio.sleep(0.1)
            return sum(sender == bytes.fromhex(bob.me) for sender, _ in server.signals)

        again = [Call(os.urandom(16), 1, os.urandom(16), "again", 0) for _ in range(CALLS)]
        never = await ask(again)
        rings = offer()
        await online(eve.engine).signals.send(bytes.fromhex(bob.me), rings)
        await bob.state("incoming")
        await bob.calls.decline()
        began = time.monotonic()
        over = await ask([rings] * CALLS)
        took = time.monotonic() - began
        await talking(alice, bob)  # friends get through
        return never, over, took


async def test_whoever_asks_about_calls_without_end_is_answered_now_and_then(folder: Path) -> None:
    never, over, took = await asked(folder)
    assert never == 0
    assert 1 <= over <= 6 + took


async def test_without_the_bound_every_question_is_answered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.client.call_steps._RATE", 1e6)  # the defence, off
    _, over, took = await asked(folder)
    assert over > 6 + took


async def test_a_server_that_says_more_than_anybody_hears_is_bounded(folder: Path) -> None:
    async with (
        HostileServer() as server,
        World(folder, server.connect, server.url) as world,
        phones(world, MemoryNetwork().maker, "alice", "bob") as (alice, bob),
    ):
        sender = bytes.fromhex(alice.me)
        for _ in range(2_000):
            await server.say(bytes.fromhex(bob.me), m.Signal(sender, os.urandom(569)))
        assert len(online(bob.engine).signals._waiting) <= 256
        await talking(alice, bob)


async def pushed_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether Alice rings at Bob's, when a contact of his says more than Bob can look at, just behind her."""
    monkeypatch.setattr("mobium.client.call_state.REPEAT", 60.0)  # what is lost stays lost
    async with (
        HostileServer() as server,
        World(folder, server.connect, server.url) as world,
        phones(world, MemoryNetwork().maker, "alice", "bob", "eve") as (alice, bob, eve),
    ):
        looked = asyncio.Event()
        heard = bob.calls.heard

        def flood(sender: bytes, said: Call) -> None:
            heard(sender, said)
            if said.step == "offer":
                for _ in range(500):
                    heard(bytes.fromhex(eve.me), Call(os.urandom(16), 1, os.urandom(16), "again", 0, None))
                asyncio.get_running_loop().call_later(0.5, looked.set)

        monkeypatch.setattr(bob.calls, "heard", flood)
        await alice.call(bob)
        await asyncio.wait_for(looked.wait(), PATIENCE)
        return bob.calls.current is None


async def test_a_contact_who_says_a_lot_pushes_out_nobody_who_calls(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not await pushed_out(folder, monkeypatch)


async def test_without_a_turn_for_each_a_contact_keeps_others_from_ringing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shared:
        """The defence, off: the newest steps, of whomever."""

        def __init__(self) -> None:
            self._steps: deque[tuple[bytes, Call]] = deque(maxlen=64)

        def put(self, peer: bytes, step: Call) -> None:
            self._steps.append((peer, step))

        def take(self) -> tuple[bytes, Call] | None:
            return self._steps.popleft() if self._steps else None

    monkeypatch.setattr(calls, "HeardSteps", Shared)
    assert await pushed_out(folder, monkeypatch)
