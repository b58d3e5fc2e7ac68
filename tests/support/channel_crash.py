"""Clients in channels that die at a chosen step: before or after a commit, before or after a write to the
socket.

As tests/support/crash.py, over a real server. Not its concern: what is checked after the death.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

import pytest

from mobium.client import ChannelChanged, Engine, MessageReceived
from mobium.client.address import Address
from mobium.client.transport import Transport, dial
from tests.support.channel_world import calm
from tests.support.crash import Steps
from tests.support.engines import PASSWORD, fast_vault
from tests.support.nursery import Nursery, note, noted, nurse

__all__ = ["ChannelRun", "live"]

_PATCH = pytest.MonkeyPatch()  # of a client's process, which ends with it


@dataclass(frozen=True)
class ChannelRun:
    """One client's life, up to the step `step`: it comes in by `link`, talks, removes `stranger` once it may,
    and makes and leaves a channel of its own. `report` is the file for what it did.
    """

    profile: str
    url: str
    report: str
    link: str
    stranger: str
    step: int


class _Counted:
    """A transport whose writes are steps."""

    def __init__(self, steps: Steps, inner: Transport) -> None:
        self._steps, self._inner = steps, inner

    async def send(self, data: bytes) -> None:
        self._steps.step()
        await self._inner.send(data)
        self._steps.step()

    async def receive(self) -> bytes:
        return await self._inner.receive()

    async def close(self) -> None:
        await self._inner.close()


def _counting(steps: Steps) -> Callable[[Address], Awaitable[Transport]]:
    async def connect(address: Address) -> Transport:
        return _Counted(steps, await dial(address))

    return connect


async def _live(run: ChannelRun, steps: Steps) -> None:
    """The script."""
    async with Engine.open(run.profile, PASSWORD, connector=_counting(steps), receipt_delay=0) as engine:
        events = engine.events()

        async def hear(fits: Callable[[Any], bool]) -> None:
            async for event in events:
                if fits(event):
                    return

        await engine.connect(run.url)
        await engine.join(run.link)
        for number in range(2):
            text = f"b{number}"
            note(run.report, sent=await engine.send("#garden", text), text=text)
        await hear(lambda event: isinstance(event, MessageReceived) and event.text == "a1")
        if (await engine.channels.get("#garden")).role != "admin":
            await hear(lambda event: isinstance(event, ChannelChanged) and event.what == "role")
        await engine.remove("#garden", run.stranger)
        note(run.report, removed=True)
        note(run.report, sent=await engine.send("#garden", "b2"), text="b2")
        await hear(lambda event: isinstance(event, MessageReceived) and event.text == "a2")
        await engine.create_channel("mine")
        await engine.leave("#mine")
        note(run.report, left=True)
        await calm(engine)
    note(run.report, steps=steps.count)


def _client(run: ChannelRun) -> None:
    fast_vault(_PATCH)
    steps = Steps(run.step)
    steps.around_commits()
    asyncio.run(_live(run, steps))


async def live(nursery: Nursery, run: ChannelRun) -> tuple[int, list[dict[str, Any]]]:
    """Let a client of `Nursery("tests.support.channel_crash")` live; returns its exit code and its notes."""
    code = await nursery.run(asdict(run))
    return code, noted(run.report)


if __name__ == "__main__":
    nurse(lambda orders: _client(ChannelRun(**orders)))
