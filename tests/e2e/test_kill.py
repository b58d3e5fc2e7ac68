"""Server or client is killed at random moments under load; nothing that was acknowledged may be lost.

Two users talk through a real server process; one of them lives in a process of its own. In every schedule
both send at once, and at a random moment the server, the client or both get SIGKILL. Then everything is
started again, and what each sender has seen acknowledged is compared with what the other side shows. A
schedule counts only if messages were unacknowledged at the kill. MOBIUM_SCHEDULES says how many must count.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mobium.client import Engine, MessageStateChanged
from tests.support.engines import PASSWORD, PATIENCE, fast_folder, fast_vault, inside, settle, until
from tests.support.nursery import Nursery
from tests.support.remote import CHILDREN, Remote, nothing_queued, tell_sends
from tests.support.server import ACKNOWLEDGE_EARLY, ServerProcess, randomness, schedules

TEXTS = 25  # of each side in one schedule
VICTIMS = ("server", "server", "client", "both")


@dataclass
class Score:
    """What the summary prints."""

    acknowledged: int = 0
    in_flight: int = 0
    resent: int = 0
    shown: int = 0
    killed: Counter[str] = field(default_factory=Counter)


@dataclass
class Here:
    """The user in this process: the engine, what it queued, and what it has seen acknowledged."""

    engine: Engine
    queued: dict[str, str] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)

    async def listen(self) -> None:
        async for event in self.engine.events():
            if isinstance(event, MessageStateChanged) and event.state in {"sent", "delivered"}:
                self.sent.add(event.id)

    async def say(self, peer: str, text: str) -> None:
        self.queued[await self.engine.send(peer, text)] = text

    @property
    def unacknowledged(self) -> int:
        return len(self.queued.keys() - self.sent)


@dataclass
class Table:
    """Everything that lasts over the schedules: the conversation goes on from one to the next."""

    folder: Path
    server: ServerProcess
    nursery: Nursery
    here: Here
    there: str
    out: list[str]
    stack: AsyncExitStack
    score: Score = field(default_factory=Score)
    queued_there: dict[str, str] = field(default_factory=dict)

    async def schedule(
        self, number: int, chance: random.Random, victims: tuple[str, ...] = VICTIMS, away: bool | None = None
    ) -> bool:
        """One schedule; returns whether it counts.

        With `away` the user here is offline, so that only the server has the messages.
        """
        victim = chance.choice(victims)
        away = chance.random() < 0.5 if away is None else away
        async with Remote(self.nursery, self.folder / "there", self.server.url) as there:
            if away:
                await self.here.engine.disconnect()
            else:
                await self.here.engine.connect(self.server.url, wait=False)
            for index in range(TEXTS):
                there.order(peer=self.here.engine.me, text=f"{number}.{index}")
            in_flight = await self._kill(victim, there, chance)
        self.queued_there |= there.queued
        self.out += there.out
        sent = there.sent
        if victim in {"server", "both"}:
            await asyncio.to_thread(self.server.start)
        counts = in_flight > 0
        if counts:
            self.score.in_flight += in_flight
            self.score.killed[victim] += 1
        await self._compare(number, sent)
        return counts

    async def _kill(self, victim: str, there: Remote, chance: random.Random) -> int:
        """Send from here too, and kill at a random moment; returns how many messages were under way."""

        async def speak() -> None:
            for index in range(TEXTS):
                await self.here.say(self.there, f"{there.last['pid']}.{index}")

        at = chance.randrange(1, TEXTS)
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(speak())
            if victim != "client" and chance.random() < 0.5:
                # The client there kills the server the moment that it is told that a message was taken.
                there.order(kill=self.server.pid, at=at)
                await there.until(lambda: "killed" in there.last)
            else:
                await there.until(lambda: len(there.queued) >= at)
                await asyncio.sleep(chance.uniform(0, 0.15))
            if victim != "client":
                self.server.kill()
            in_flight = there.unacknowledged + self.here.unacknowledged
            if victim == "server":
                await there.until(lambda: len(there.queued) == TEXTS)
            else:
                await there.kill()
            await speaking
        return in_flight

    async def _compare(self, number: int, sent: set[str]) -> None:
        """Start the client again, let everything settle, and hold what is shown against what was sent."""
        here = self.here.engine
        await here.connect(self.server.url)
        async with Remote(self.nursery, self.folder / "there", self.server.url) as there:
            # Whatever comes, comes before these: mailboxes keep their order.
            there.order(peer=here.me, text=f"end of {number}")
            await self.here.say(there.me, f"end of {number}")
            await there.quiet()
            await until(lambda: inside(here).store.run(nothing_queued))
            await until(lambda: self._ended(number))
            lines = await there.history(here.me)
        self.queued_there |= there.queued
        self.out += there.out
        history = [line for line in await here.history(self.there, limit=1_000_000) if line.kind == "text"]
        shown_here = [line.id for line in history if not line.outgoing]
        shown_there = [line for line, outgoing, _ in lines if not outgoing]
        lost = sent - set(shown_here) | self.here.sent - set(shown_there)
        assert not lost, f"acknowledged by the server and lost: {len(lost)}"
        assert shown_here == [line for line, outgoing, _ in lines if outgoing]
        assert shown_there == [line.id for line in history if line.outgoing]
        assert self.queued_there.keys() <= set(shown_here)
        assert self.here.queued.keys() <= set(shown_there)
        assert [line.text for line in history if not line.outgoing] == [
            text for _, outgoing, text in lines if outgoing
        ]
        self.score.acknowledged += len(sent)
        self.score.shown = len(shown_here) + len(shown_there)
        self.score.resent = sum(count - 1 for count in Counter(self.out).values())

    async def _ended(self, number: int) -> bool:
        history = await self.here.engine.history(self.there, limit=5)
        return any(message.text == f"end of {number}" and not message.outgoing for message in history)


@asynccontextmanager
async def table(folder: Path, patch: pytest.MonkeyPatch, fault: str | None = None) -> AsyncIterator[Table]:
    """A server process, a user here and one there who know each other."""
    fast_vault(patch)
    out: list[str] = []
    tell_sends(patch, out.append)
    for name in ("here", "there"):
        await Engine.create(folder / name, PASSWORD)
    settings = {"SC_RATE_GENERAL": "0", "SC_MAX_OFFLINE_MESSAGES": "100000"}
    async with AsyncExitStack() as stack:
        server = stack.enter_context(ServerProcess(folder / "server", settings, fault))
        nursery = await stack.enter_async_context(Nursery(CHILDREN))
        engine = await stack.enter_async_context(Engine.open(folder / "here", PASSWORD, receipt_delay=0.05))
        await engine.connect(server.url)
        await settle(engine)
        async with Remote(nursery, folder / "there", server.url) as there:
            await engine.contacts.add(there.me)
            there.order(peer=engine.me, text="first")
            await there.quiet()
        here = Here(engine)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        listening = group.create_task(here.listen())
        stack.callback(listening.cancel)
        yield Table(folder, server, nursery, here, there.me, out, stack)


@pytest.mark.once
async def test_nothing_that_was_acknowledged_is_lost(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, counted, number = schedules(), 0, 0
    with fast_folder() as folder:
        async with table(folder, monkeypatch) as world:
            while counted < wanted:
                assert number < 4 * wanted, "too few schedules had messages under way"
                try:
                    async with asyncio.timeout(6 * PATIENCE):
                        counted += await world.schedule(number, randomness(seed, number))
                except BaseException as error:
                    error.add_note(f"schedule {number}, MOBIUM_TEST_SEED={seed}")
                    raise
                number += 1
            score = world.score
    print(
        f"\n{counted} kills that count ({dict(score.killed)}), seed {seed}:"
        f" acknowledged {score.acknowledged}, in flight at the kill {score.in_flight},"
        f" resent {score.resent}, shown {score.shown}"
    )


@pytest.mark.once
async def test_a_server_that_acknowledges_before_its_commit_is_caught(
    seed: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with table(tmp_path, monkeypatch, ACKNOWLEDGE_EARLY) as world:
        for number in range(40):
            try:
                await world.schedule(number, randomness(seed, number), ("server",), away=True)
            except AssertionError as error:
                print(f"\ncaught in schedule {number}, seed {seed}: {error}")
                return
    pytest.fail(f"the faulty server was not caught, MOBIUM_TEST_SEED={seed}")
