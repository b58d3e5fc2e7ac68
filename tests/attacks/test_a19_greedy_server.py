"""A19, the other way round: a server that sends frames of every wrong kind, and numbers that no server means.
It costs a client the connection at most; nothing is shown, nothing is lost, and it comes back.
"""

from __future__ import annotations

import math
import os
import random
from pathlib import Path
from typing import Any

import msgpack
import pytest

from mobium.protocol import codec, limits
from mobium.protocol import messages as m
from tests.attacks.people import Person, Scene, state
from tests.attacks.test_a19_greedy_clients import BOMBS
from tests.support.engines import online
from tests.support.hostile import ALLOWED, HostileServer, altered

pytestmark = pytest.mark.once


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are made again at once."""
    monkeypatch.setattr("mobium.client.link._FIRST_DELAY", 0.0)
    monkeypatch.setattr("mobium.client.link._LONGEST_DELAY", 0.001)


async def raw(server: HostileServer, person: Person, frame: bytes) -> None:
    """Write any bytes to a client, once it is there."""
    account = server.accounts[person.key]
    await server.until(lambda: account.line is not None, "a connection")
    assert account.line is not None
    await account.line.outgoing.put(frame)


async def still_well(alice: Person, bob: Person, text: str) -> None:
    await alice.says(bob, text, "delivered")
    await bob.hears(text)


async def test_frames_of_every_wrong_kind(folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    impatient(monkeypatch)
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await still_well(alice, bob, "hello")
        await scene.server.sent_count(2)
        await scene.server.drained(alice.key)
        before = await state(bob)
        honest = [frame for who, frame in scene.server.left if who == bob.key]
        frames = [*BOMBS.values(), msgpack.packb({"type": "no such type"}), msgpack.packb({"type": 7})]
        for frame in honest[:6]:
            for _ in range(15):
                at = rng.randrange(len(frame))
                frames += [frame[:at], frame[:at] + rng.randbytes(1) + frame[at + 1 :]]
        frames += [codec.encode(m.AuthChallenge(bytes(32), bytes(32), [1])), codec.encode(m.Pong())]
        for frame in frames:
            if not harmless(frame):
                await raw(scene.server, bob, frame)
        await scene.server.until(lambda: scene.server.accounts[bob.key].line is not None, "Bob again")
        assert await state(bob) == before
        await still_well(alice, bob, "the next one")


def harmless(frame: bytes) -> bool:
    """Whether a frame still means something that an honest server says, such as another delivery."""
    try:
        message = codec.decode_server(frame)
    except Exception:  # noqa: BLE001 - whatever a broken frame does to the decoder, it is to be sent
        return False
    return isinstance(message, m.Delivery)


ANSWERS: dict[str, Any] = {
    "something else": lambda rid: m.PrekeyCount(0, 0, 0, 0, rid),
    "a pong": m.Pong,
    "an unknown error": lambda rid: m.Error("no_such_code", "", rid, None, math.nan),
    "a malformed error": lambda rid: m.Error("", "\x1b[2J", rid, None, -math.inf),
    "wait for ever": lambda rid: m.Error("rate_limited", "", rid, None, math.inf),
    "wait less than nothing": lambda rid: m.Error("rate_limited", "", rid, None, -1e300),
    "an endless pause": lambda rid: m.Error("queue_full", "", rid, None, 1e300),
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_answers_that_mean_nothing(answer: str, folder: Path) -> None:
    """A bundle is asked for, and something else comes. The message waits or fails with a sentence."""
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        scene.server.cheat.bundle = lambda _, bundle: ANSWERS[answer](bundle.rid)
        asked = len(scene.server.arrived)
        text = await alice.says(bob, "hello", until=None)
        await scene.server.until(lambda: len(scene.server.arrived) > asked, "a question")
        async with scene.visitor("carol") as carol:  # for everybody else the world goes on
            await carol.engine.send(bob.key, "meanwhile")
            scene.server.be_honest()
            await bob.hears("meanwhile")
        assert (await alice.engine.message(text)).state in ("queued", "failed")
        assert alice.engine.connection == "online"


WELCOMES: dict[str, dict[str, Any]] = {
    "nothing allowed": {"message_size": 0, "offline_messages": 0, "message_ttl": 0},
    "everything allowed": {"message_size": 2**53, "offline_messages": 2**53, "message_ttl": 2**53},
    "no rate": {"rate": math.nan, "burst": 0},
    "less than no rate": {"rate": -1.0, "burst": 0},
    "an endless rate": {"rate": math.inf, "burst": 2**53},
    "no pings": {"ping_interval": math.nan},
}


@pytest.mark.parametrize("welcome", WELCOMES)
async def test_limits_that_mean_nothing(welcome: str, folder: Path) -> None:
    strange = altered(ALLOWED, **WELCOMES[welcome])
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await alice.engine.disconnect()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.support.hostile.ALLOWED", strange)
            await alice.engine.connect()
            await scene.server.say(alice.key, m.PrekeyCount(2**63, 2**63, 2**32 - 1, 2**32 - 1, 2**32 - 1))
        await alice.engine.disconnect()
        await alice.engine.connect()
        await still_well(alice, bob, "hello")


async def test_deliveries_without_end_wait_at_the_server(folder: Path) -> None:
    """A server that knows no window: the client takes as much as it may hold, and the rest when it can."""
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await still_well(alice, bob, "hello")
        box = online(bob.engine).inbox
        scene.server.hold(bob.key)
        for _ in range(600):
            await scene.server.forge(os.urandom(32), bob.key, os.urandom(4_096))
        waiting: list[int] = []

        def all_taken() -> bool:  # looked at whenever something happens
            waiting.append(len(box._waiting))
            return len(scene.server.acknowledged) >= 600

        await scene.server.release(bob.key)
        await scene.server.until(all_taken, "everything acknowledged")
        most = max(waiting)
        assert 0 < most <= 2 * limits.WINDOW_DELIVERIES
        await still_well(alice, bob, "the next one")


async def meets_a_bomb(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene.visitor("bob") as bob:
        monkeypatch.setattr(codec, "unpack_map", msgpack.unpackb)  # the defence, off
        await raw(scene.server, bob, BOMBS["a list that says it is huge"])
        await bob.ear.connection("waiting")


async def test_without_the_strict_reader_a_broken_frame_ends_the_engine(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        with pytest.raises(ExceptionGroup) as failed:
            await meets_a_bomb(scene, monkeypatch)
        assert failed.value.subgroup(ValueError) is not None
