"""Answering and refusing in the desktop mean the call that is shown: another one may ring by the time that
the engine hears of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mobium.client import CallChanged
from mobium_client.gui.models.calling import Calling

SHOWN, PEER = "11" * 16, "22" * 32


class Engine:
    """What is asked of an engine, which asks nothing of anybody."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.calls = self

    async def accept(self, call: str | None = None) -> None:
        self.asked.append(("accept", call))

    async def decline(self, call: str | None = None) -> None:
        self.asked.append(("decline", call))

    async def ready(self) -> None:
        """There are devices."""


class Works:
    """A bridge on which everything waits until it is carried out."""

    def __init__(self) -> None:
        self.waiting: list[Coroutine[Any, Any, Any]] = []

    def submit(self, work: Coroutine[Any, Any, Any], *_: object, **__: object) -> Callable[[], None]:
        self.waiting.append(work)
        return lambda: None


@pytest.mark.parametrize(("act", "asked"), [("answer", "accept"), ("decline", "decline")])
def test_the_call_that_is_shown_is_meant_and_no_other(act: str, asked: str) -> None:
    engine, bridge = Engine(), Works()
    told: dict[type, Callable[[Any], None]] = {}

    def on(kind: type, hear: Callable[[Any], None]) -> Callable[[], None]:
        told[kind] = hear
        return lambda: None

    events = SimpleNamespace(on=on)
    opened = SimpleNamespace(context=SimpleNamespace(bridge=bridge, events=events), engine=engine)
    calling = Calling(cast("Any", opened), cast("Any", engine))
    told[CallChanged](CallChanged(SHOWN, PEER, "incoming", "", ""))
    for work in bridge.waiting:
        work.close()  # who that is
    bridge.waiting.clear()
    getattr(calling, act)()
    [work] = bridge.waiting
    asyncio.run(work)
    assert engine.asked == [(asked, SHOWN)]
