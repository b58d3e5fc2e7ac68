"""Engines for tests: profiles that open fast, a clock that can be moved, and ears that wait for events.

The password's key derivation is replaced, since no test here is about its cost; the vault's own tests use the
real one. Not its concern: the server (tests/support/hostile.py in memory, tests/support/server.py for real).
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from mobium.client import ConnectionChanged, Engine, Event, MessageReceived, MessageStateChanged
from mobium.client.core import Core
from mobium.client.online import Online
from mobium.client.store.database import Tx
from mobium.client.transport import Connector
from mobium.crypto import vault
from tests.support.quick import derive

__all__ = [
    "PASSWORD",
    "PATIENCE",
    "Clock",
    "Ear",
    "World",
    "fast_folder",
    "fast_vault",
    "inside",
    "online",
    "settle",
    "tx",
    "until",
]

PASSWORD = "correct horse battery"  # of nobody
PATIENCE = 15.0  # seconds until a wait is a failed test

T = TypeVar("T")
E = TypeVar("E", bound=Event)


def fast_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive vault keys with one hash."""
    monkeypatch.setattr(vault, "_derive", derive)


@contextmanager
def fast_folder() -> Iterator[Path]:
    """A folder in memory where there is one: nothing dies here but processes, so no disk needs to be waited
    for.
    """
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="mobium-", dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class Clock:
    """The time of day, moved by `offset` seconds."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


@dataclass
class Ear:
    """Reads an engine's events and remembers them."""

    engine: Engine
    heard: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stream = self.engine.events()

    async def next(self, kind: type[E], fits: Callable[[E], bool] = lambda _: True) -> E:
        """The next event of that kind that fits; those before it are passed over."""
        async with asyncio.timeout(PATIENCE):
            async for event in self._stream:
                self.heard.append(event)
                if isinstance(event, kind) and fits(event):
                    return event
        raise AssertionError(f"the events ended before a {kind.__name__} came")

    async def text(self, text: str | None = None) -> MessageReceived:
        """The next message received; the one with that text, if one is named."""
        return await self.next(MessageReceived, lambda event: text is None or event.text == text)

    async def texts(self, count: int) -> list[str | None]:
        """The texts of the next `count` messages."""
        return [(await self.text()).text for _ in range(count)]

    async def state(self, message_id: str, state: str) -> MessageStateChanged:
        """A message of one's own reaches that state."""
        return await self.next(
            MessageStateChanged, lambda event: (event.id, event.state) == (message_id, state)
        )

    async def connection(self, state: str) -> ConnectionChanged:
        """The connection reaches that state."""
        return await self.next(ConnectionChanged, lambda event: event.state == state)


@dataclass
class World:
    """Profiles in a folder, and the engines opened on them, which end with the world."""

    folder: Path
    connector: Connector
    url: str
    clock: Clock = field(default_factory=Clock)

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def path(self, name: str) -> Path:
        """Where a profile lies."""
        return self.folder / name

    async def create(self, name: str) -> str:
        """Make a profile; returns its words."""
        return await Engine.create(self.path(name), PASSWORD)

    @asynccontextmanager
    async def opened(self, name: str, *, connect: bool = True, **options: Any) -> AsyncIterator[Engine]:
        """A profile, made if there is none, open for the time of an `async with`."""
        if not (self.path(name) / "vault").exists():
            await self.create(name)
        chosen: dict[str, Any] = {"connector": self.connector, "clock": self.clock, "receipt_delay": 0.0}
        async with Engine.open(self.path(name), PASSWORD, **(chosen | options)) as engine:
            if connect:
                await engine.connect(self.url)
            yield engine

    async def engine(self, name: str, *, connect: bool = True, **options: Any) -> Engine:
        """A profile, made if there is none, open until the world ends."""
        return await self._stack.enter_async_context(self.opened(name, connect=connect, **options))

    async def pair(self) -> tuple[Engine, Engine]:
        """Two connected engines whose prekeys are published, that know each other as contacts."""
        alice, bob = await self.engine("alice"), await self.engine("bob")
        await settle(alice, bob)
        await alice.contacts.add(bob.me, "Bob")
        await bob.contacts.add(alice.me, "Alice")
        return alice, bob


def inside(engine: Engine) -> Core:
    """The parts of an engine."""
    return engine._core


def online(engine: Engine) -> Online:
    """An engine's connection."""
    assert engine._online is not None
    return engine._online


async def tx(engine: Engine, work: Callable[..., T], *args: Any) -> T:
    """Run `work(tx, ...)` in an engine's store."""
    return await inside(engine).store.run(work, *args)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Ask again until it is so; for what no event tells."""
    async with asyncio.timeout(PATIENCE):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def _published(tx: Tx) -> bool:
    return tx.one("SELECT 1 FROM server WHERE published") is not None


async def settle(*engines: Engine) -> None:
    """Wait until these engines have published their prekeys."""
    for engine in engines:
        await until(lambda engine=engine: tx(engine, _published))  # type: ignore[misc]
