"""A client is killed at every step of a conversation (docs/THREATS.md, A8).

After each death the profile is opened again and the conversation goes on. Then nothing that `send` returned
for is lost, nothing is shown twice, everything is in order, and no number of a chain was used for two
different payloads, so no key and nonce were either.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest

from mobium.client import Engine, MessageReceived
from mobium.crypto.pqxdh import HEADER_SIZE
from tests.support.crash import Run, listening, live
from tests.support.engines import PATIENCE, World, fast_vault, settle, until
from tests.support.hostile import HostileServer
from tests.support.nursery import Nursery

HERE = [f"a{number}" for number in range(5)]
NEVER = 1 << 30
SOME = 20  # of the steps at which a client dies in an ordinary run; --long dies at all
CHILDREN = "tests.support.crash"
THERE = [f"b{number}" for number in range(5)]


async def answer(engine: Engine, stop: asyncio.Event) -> None:
    """The peer: answers a-something with b-something."""
    stream = engine.events()

    async def run() -> None:
        async for event in stream:
            if isinstance(event, MessageReceived) and event.text in HERE:
                await engine.send(event.peer, f"b{event.text[1:]}")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        await stop.wait()
        task.cancel()


def numbers_used(server: HostileServer, sender: bytes) -> list[tuple[bytes, bytes]]:
    """(ratchet key ‖ number, payload) of everything that a sender let out, handshake headers taken off."""
    used = set()
    for envelope in server.sent_by(sender):
        message = envelope.payload[HEADER_SIZE:] if envelope.payload[0] == 2 else envelope.payload
        used.add((message[1:33] + message[37:41], message))
    return sorted(used)


async def live_and_die(world: World, nursery: Nursery, step: int, fault: str = "") -> tuple[int, int]:
    """One death, and what stands after it. Returns the client's exit code and the number of its steps."""
    folder = world.folder / f"step{step}{fault[:1]}"
    folder.mkdir()
    stop = asyncio.Event()
    async with HostileServer() as server, listening(server, folder / "socket"):
        here = World(folder, server.connect, server.url, world.clock)
        for name in ("alice", "bob"):
            shutil.copytree(world.path(name), here.path(name))
        async with here, asyncio.TaskGroup() as group:
            bob = await here.engine("bob")
            await settle(bob)
            group.create_task(answer(bob, stop))
            alice_path, socket, report = (str(folder / name) for name in ("alice", "socket", "report"))
            run = Run(alice_path, socket, server.url, report, bob.me, step or NEVER, fault)
            code, noted = await live(nursery, run)
            alice = await here.engine("alice")
            promised = [line["text"] for line in noted if "sent" in line]
            try:
                await check(alice, bob, server, promised)
            finally:
                stop.set()
    shutil.rmtree(folder)
    return code, sum(line.get("steps", 0) for line in noted)


async def check(alice: Engine, bob: Engine, server: HostileServer, promised: list[str]) -> None:
    there = [message.text for message in await alice.history(bob.me, limit=100) if message.outgoing]
    assert there[: len(promised)] == promised, "a message was lost that send had returned for"
    for text in HERE[len(there) :]:
        await alice.send(bob.me, text)

    async def all_shown() -> bool:
        shown = await texts(bob, alice), await texts(alice, bob)
        return all(set(got) == set(wanted) for got, wanted in zip(shown, (HERE, THERE), strict=True))

    try:
        await until(all_shown)
    except TimeoutError:
        raise AssertionError(f"shown: {await texts(bob, alice)} and {await texts(alice, bob)}") from None
    # What came again by mistake would come right behind; a last message each way flushes it out.
    for sender, receiver in ((alice, bob), (bob, alice)):
        await sender.send(receiver.me, "last")
        await until(lambda s=sender, r=receiver: ends_with_last(r, s))  # type: ignore[misc]
    assert await texts(bob, alice) == [*HERE, "last"]
    assert await texts(alice, bob) == [*THERE, "last"]
    for engine in (alice, bob):
        used = Counter(number for number, _ in numbers_used(server, bytes.fromhex(engine.me)))
        assert max(used.values()) == 1, "a number was used for two payloads"


async def texts(receiver: Engine, sender: Engine) -> list[str | None]:
    return [message.text for message in await receiver.history(sender.me, limit=100) if not message.outgoing]


async def ends_with_last(receiver: Engine, sender: Engine) -> bool:
    return (await texts(receiver, sender))[-1:] == ["last"]


@pytest.fixture
async def profiles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two profiles that were never opened, to be copied for each life."""
    fast_vault(monkeypatch)
    async with HostileServer() as server:
        world = World(folder, server.connect, server.url)
        for name in ("alice", "bob"):
            await world.create(name)
    return world


@pytest.mark.once
async def test_death_at_every_step(profiles: World, seed: int, pytestconfig: pytest.Config) -> None:
    async with Nursery(CHILDREN) as nursery:
        code, steps = await live_and_die(profiles, nursery, 0)
    assert code == 0
    assert steps > 60, f"the script has {steps} steps, too few to mean anything"
    every = range(1, steps + 1)
    long = pytestconfig.getoption("--long")
    left = iter(every if long else sorted(random.Random(f"{seed}").sample(every, SOME)))
    deaths = []

    async def some() -> None:
        async with Nursery(CHILDREN) as nursery:
            for step in left:
                try:
                    async with asyncio.timeout(4 * PATIENCE):
                        code, _ = await live_and_die(profiles, nursery, step)
                except AssertionError as error:
                    error.add_note(f"the client died at step {step} of about {steps}, seed {seed}")
                    raise
                assert code in (-signal.SIGKILL, 0), f"step {step}: ended with {code}"
                deaths.append(code == -signal.SIGKILL)

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(some())
    print(f"\n{sum(deaths)} deaths at {steps} steps")
    # Batches differ from life to life, more so on a busy machine: some lives are over before their step.
    assert sum(deaths) > len(deaths) / 2


@pytest.mark.once
@pytest.mark.parametrize("fault", ["acknowledge first", "commit late"])
async def test_without_the_order_of_commits_death_is_noticed(
    profiles: World, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.client.test_crash.PATIENCE", 2.0)
    monkeypatch.setattr("tests.support.engines.PATIENCE", 2.0)
    # Batches differ from life to life, so that one pass in six or so meets no step that tells.
    left, noticed = iter([*range(85, 185)] * 3), 0

    async def some() -> None:
        nonlocal noticed
        async with Nursery(CHILDREN) as nursery:
            for step in left:
                try:
                    await live_and_die(profiles, nursery, step, fault)
                except* AssertionError:
                    noticed = step
                if noticed:
                    return

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(some())
    assert noticed, "a client that is not safe died three hundred times, and nobody noticed"
    print(f"\nnoticed at step {noticed}")
