"""A client in channels is killed between every two transactions (docs/THREATS.md, A8): while it makes one,
comes in, leaves, removes somebody, sends and receives.

After each death the profile is opened again and goes on. Then no message that `send` returned for is lost,
none is shown twice, everything is in order, no number of a chain was used for two payloads, and everybody who
is in has the secret in force.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mobium.client import Engine, MessageReceived
from mobium.crypto.group import message_head
from mobium.errors import ServerRefused
from mobium.protocol.messages import ChannelMessage, Entry, History, ServerMessage
from mobium_server.storage.memory import MemoryStorage
from tests.support.channel_crash import ChannelRun, live
from tests.support.channel_world import ChannelWorld, channel_world, equal_secrets, row_of, texts
from tests.support.clocks import Hands
from tests.support.engines import PATIENCE, fast_vault, online, settle, until
from tests.support.nursery import Nursery
from tests.support.server import server as real_server

NEVER = 1 << 30
SOME = 24  # of the steps at which a client dies in an ordinary run; --long dies at all
HERE = ["b0", "b1", "b2"]
THERE = ["a0", "a1", "a2"]


async def answer(alice: Engine, stop: asyncio.Event) -> None:
    """The owner: answers b-something with a-something, and makes whoever wrote b1 an admin."""
    stream = alice.events()

    async def run() -> None:
        async for event in stream:
            if isinstance(event, MessageReceived) and event.text in HERE:
                await alice.send("#garden", f"a{event.text[1:]}")
                if event.text == "b1":
                    await alice.set_role("#garden", event.peer, "admin")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        await stop.wait()
        task.cancel()


async def live_and_die(profiles: Path, folder: Path, nursery: Nursery, step: int) -> tuple[int, int]:
    """One death, and what stands after it. Returns the client's exit code and the number of its steps."""
    stop, hands = asyncio.Event(), Hands()
    shutil.copytree(profiles, folder)
    async with (
        real_server(folder / "server", storage=MemoryStorage(1_000), clock=hands.clock()) as server,
        channel_world(folder, server.url, hands) as town,
        asyncio.TaskGroup() as group,
    ):
        alice, carol = await town.people("alice", "carol")
        await settle(alice, carol)
        garden = (await alice.create_channel("garden")).id
        link = await alice.invite("#garden", uses=0)
        await carol.join(link)
        group.create_task(answer(alice, stop))
        bob, report = str(folder / "bob"), str(folder / "report")
        run = ChannelRun(bob, server.url, report, link, carol.me, step or NEVER)
        code, noted = await live(nursery, run)
        try:
            promised = [line["text"] for line in noted if "sent" in line]
            await check(town, (alice, carol), garden, link, promised)
        finally:
            stop.set()
    shutil.rmtree(folder)
    return code, sum(line.get("steps", 0) for line in noted)


async def check(
    town: ChannelWorld, others: tuple[Engine, Engine], garden: str, link: str, promised: list[str]
) -> None:
    """The client goes on where it died, and everything ends right."""
    alice, carol = others
    bob = await town.engine("bob")
    await asyncio.wait_for(_listed(bob), PATIENCE)
    if garden not in [channel.id for channel in await bob.channels.list() if channel.state == "member"]:
        await bob.join(link)
    await finish(alice, bob, carol, f"#{garden}", promised)
    await shown_once(alice, bob, f"#{garden}")
    assert not {"b2", "a2"} & set(await texts(carol, f"#{garden}")), "somebody who was removed read on"

    await until(lambda: equal_secrets(garden, alice, bob))
    assert (await row_of(carol, garden)).secret != (await row_of(alice, garden)).secret
    for channel in await bob.channels.list():
        assert channel.state in (("member",) if channel.id == garden else ("member", "left", "joining"))
        if channel.name == "mine" and channel.state == "member":
            await bob.leave(f"#{channel.id}")
    numbers_used_once(town.tap("alice").got)


async def finish(alice: Engine, bob: Engine, carol: Engine, name: str, promised: list[str]) -> None:
    """What the script would have done if nobody had died."""
    mine = [line.text for line in await bob.history(name, limit=100) if line.outgoing]
    assert mine[: len(promised)] == promised, "a message was lost that send had returned for"
    for text in HERE[len(mine) : 2]:
        await bob.send(name, text)

    async def admin() -> bool:
        return (await bob.channels.get(name)).role == "admin" and "a1" in await texts(bob, name)

    await until(admin)
    if carol.me in [member.key for member in await bob.members(name)]:
        with suppress(ServerRefused):  # the one who died had done so, and that is heard just now
            await bob.remove(name, carol.me)
    if len(mine) < 3:
        await bob.send(name, "b2")

    async def all_there() -> bool:
        return "b2" in await texts(alice, name) and "a2" in await texts(bob, name)

    await until(all_there)


async def shown_once(alice: Engine, bob: Engine, name: str) -> None:
    """Both show everything, once and in order; what came again by mistake comes before a last message."""
    lasts = [f"last of {one.me}" for one in (alice, bob)]
    for one, other, last in ((alice, bob, lasts[0]), (bob, alice, lasts[1])):
        await one.send(name, last)
        await until(lambda other=other, last=last: _has(other, name, last))  # type: ignore[misc]
    for one in (alice, bob):
        shown = await texts(one, name)
        assert [text for text in shown if text in HERE] == HERE
        assert [text for text in shown if text in THERE] == THERE
        assert sorted(map(str, shown)) == sorted([*HERE, *THERE, *lasts])


def numbers_used_once(heard: list[ServerMessage]) -> None:
    """No number of any sender's chain stands in two payloads."""
    used: dict[tuple[bytes, int, int], set[bytes]] = defaultdict(set)
    for message in heard:
        entries: list[Any] = message.entries if isinstance(message, History) else [message]
        for entry in entries:
            if isinstance(entry, ChannelMessage | Entry) and entry.sender is not None:
                used[(entry.sender, *message_head(entry.payload))].add(entry.payload)
    assert used
    assert all(len(payloads) == 1 for payloads in used.values()), "a number was used for two payloads"


async def _listed(engine: Engine) -> None:
    await online(engine).sync.listed.wait()


async def _has(engine: Engine, channel: str, text: str) -> bool:
    return text in await texts(engine, channel)


@pytest.fixture
async def profiles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three profiles that were never opened, to be copied for each life."""
    fast_vault(monkeypatch)
    monkeypatch.setattr("mobium.client.link._FIRST_DELAY", 0.02)
    async with channel_world(folder / "profiles", "", Hands()) as town:
        (folder / "profiles").mkdir()
        for name in ("alice", "bob", "carol"):
            await town.create(name)
    return folder / "profiles"


@pytest.mark.once
async def test_death_at_some_steps(
    profiles: Path, folder: Path, seed: int, pytestconfig: pytest.Config
) -> None:
    async with Nursery("tests.support.channel_crash") as nursery:
        code, steps = await live_and_die(profiles, folder / "whole", nursery, 0)
    assert code == 0
    assert steps > 80, f"the script has {steps} steps, too few to mean anything"
    every = list(range(1, steps + 1))
    long = pytestconfig.getoption("--long")
    left = iter(every if long else sorted(random.Random(f"{seed}").sample(every, SOME)))
    deaths = 0

    async def some() -> None:
        nonlocal deaths
        async with Nursery("tests.support.channel_crash") as nursery:
            for step in left:
                try:
                    async with asyncio.timeout(4 * PATIENCE):
                        code, _ = await live_and_die(profiles, folder / f"step{step}", nursery, step)
                except BaseException as error:
                    error.add_note(f"the client died at step {step} of about {steps}, seed {seed}")
                    raise
                # Batches differ from life to life, so the last steps may not be reached.
                assert code == -signal.SIGKILL or step > 0.6 * steps, f"step {step}: ended with {code}"
                deaths += code == -signal.SIGKILL

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(some())
    print(f"\n{deaths} deaths at {steps} steps")
