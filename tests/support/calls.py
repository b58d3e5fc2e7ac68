"""People with telephones: engines with a microphone and a speaker of their own, and links between them.

Not its concern: the server between them (tests/support/hostile.py, tests/support/server.py).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mobium.client import CallChanged, Engine
from mobium.media.devices import VirtualDevices
from mobium.media.form import SILENCE
from mobium.media.link import LinkMaker
from mobium.media.sources import MemorySink, PcmSource, Source
from tests.support.engines import Ear, World, settle

__all__ = [
    "Heard",
    "Mouth",
    "Phone",
    "phone",
    "phones",
    "sounds",
    "states",
    "talking",
    "verify",
]


class Mouth:
    """A microphone that says something when it is told to, and is silent before and after."""

    def __init__(self, pcm: bytes = b"") -> None:
        self._said = PcmSource(pcm)
        self.speaks = False
        self.began = 0.0

    def read(self) -> bytes:
        """The next frame."""
        if not self.speaks:
            return SILENCE
        self.began = self.began or time.monotonic()
        return self._said.read() or SILENCE

    def close(self) -> None:
        """Nothing to do."""


class Heard(MemorySink):
    """What was heard, and since when."""

    began = 0.0

    def write(self, pcm: bytes) -> None:
        """One frame more."""
        self.began = self.began or time.monotonic()
        super().write(pcm)


@dataclass
class Phone:
    """Somebody who can be called."""

    name: str
    engine: Engine
    ear: Ear
    devices: VirtualDevices
    heard: Heard
    mouth: Source

    @property
    def me(self) -> str:
        """The identity, hex."""
        return self.engine.me

    async def state(self, state: str, code: str | None = None) -> CallChanged:
        """The call reaches that state; with a code, it ended for that reason."""
        event = await self.ear.next(CallChanged, lambda event: event.state == state)
        assert code is None or event.code == code, (event.code, event.reason)
        return event

    async def call(self, other: Phone) -> str:
        """Call somebody."""
        return await self.engine.call(other.me)

    @property
    def calls(self) -> Any:
        """The engine's calls."""
        return self.engine.calls


@asynccontextmanager
async def phone(
    world: World,
    name: str,
    maker: LinkMaker | None,
    devices: VirtualDevices,
    source: Source | None = None,
    **options: Any,
) -> AsyncIterator[Phone]:
    """Somebody with a microphone that is `source`, for the time of an `async with`."""
    sink, mouth = Heard(), source or Mouth()
    devices.plug_microphone(name, mouth)
    devices.plug_speaker(name, sink)
    async with world.opened(name, **options) as engine:
        engine.calls.use(devices, microphone=name, speaker=name)
        engine.calls.links.maker = maker
        yield Phone(name, engine, Ear(engine), devices, sink, mouth)


@asynccontextmanager
async def phones(
    world: World, maker: LinkMaker | None, *names: str, verified: bool = True, **sources: Source
) -> AsyncIterator[list[Phone]]:
    """People who are contacts of each other, and verified unless told otherwise."""
    devices = VirtualDevices()
    async with AsyncExitStack() as stack:
        people = [
            await stack.enter_async_context(phone(world, name, maker, devices, sources.get(name)))
            for name in names
        ]
        stack.enter_context(devices.running())
        await settle(*(one.engine for one in people))
        for one in people:
            for other in people:
                if one is not other:
                    await one.engine.contacts.add(other.me, other.name)
        if verified:
            await verify(*people)
        yield people


async def verify(*people: Phone) -> None:
    """Everybody exchanges a message with everybody, and marks the others as verified."""
    for one in people:
        for other in people:
            if one is not other:
                await one.engine.wait(await one.engine.send(other.me, "hello"), "delivered", 15)
    for one in people:
        for other in people:
            if one is not other:
                await one.engine.contacts.verify(other.me)


async def talking(caller: Phone, called: Phone) -> str:
    """One calls the other, who accepts; returns the caller's name for the call when both hear each other."""
    key = await caller.call(called)
    await called.state("incoming")
    await called.calls.accept()
    await caller.state("active")
    await called.state("active")
    return key


async def sounds(listener: Phone) -> bool:
    """Whether the voice of the other side is heard now."""
    report = listener.calls.report()
    return report is not None and report.counts.played > 5 and any(listener.heard.pcm[-1920:])


def states(listener: Phone) -> list[str]:
    """The states of calls that somebody was told of."""
    return [event.state for event in listener.ear.heard if isinstance(event, CallChanged)]
