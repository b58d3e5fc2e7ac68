"""A profile that is open: one task of the background loop holds the engine until it is locked.

While it is open every event of the engine goes to the dispatcher, between `SessionOpened` and `SessionEnded`.
Not its concern: what is shown meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from mobium.client import Engine
from mobium.client.profile import Profile
from mobium.errors import MobiumError
from mobium_client.gui.models.presenter import Bridge, told

__all__ = ["OpenEngine", "Session", "SessionEnded", "SessionOpened"]

OpenEngine = Callable[[Path, str], AbstractAsyncContextManager[Engine]]
"""`Engine.open`, or what stands for it."""


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A profile was opened with its password."""

    profile: Profile
    engine: Engine


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The open profile is locked: keys are wiped, the socket is closed. `reason` is a sentence if nobody
    asked.
    """

    profile: Profile
    reason: str = ""


class Session:
    """Opens profiles, one at a time, and locks them."""

    def __init__(self, bridge: Bridge, open_engine: OpenEngine = Engine.open) -> None:
        self._bridge = bridge
        self._open_engine = open_engine
        self._one = asyncio.Lock()
        self._leave: asyncio.Event | None = None

    def open(self, profile: Profile, password: str, failed: Callable[[str], object]) -> None:
        """Open a profile: `SessionOpened` is told, or `failed` called with a sentence."""

        def fail(error: Exception) -> None:
            if not isinstance(error, MobiumError):
                self._bridge.note(error)
            failed(told(error))

        self._bridge.submit(self._hold(profile, password), lambda _: None, fail)

    def lock(self) -> None:
        """Lock what is open; `SessionEnded` is told once that is done."""
        self._bridge.submit(self._let_go())

    async def _let_go(self) -> None:
        leave = self._leave
        if leave is not None:
            await self._bridge.settled()
            leave.set()

    async def _hold(self, profile: Profile, password: str) -> None:
        """Raises what the opening raised; what happens later is told by `SessionEnded`."""
        async with self._one:  # whoever is quick waits until the last one is locked
            opened = False
            reason = ""
            try:
                async with self._open_engine(profile.folder, password) as engine:
                    opened = True
                    del password
                    self._bridge.tell(SessionOpened(profile, engine))
                    await self._forward(engine)
            except MobiumError as error:
                if not opened:
                    raise
                reason = told(error)
            except Exception as error:
                if not opened:
                    raise
                self._bridge.note(error)
                reason = told(error)
            finally:
                self._leave = None
                if opened:
                    self._bridge.tell(SessionEnded(profile, reason))

    async def _forward(self, engine: Engine) -> None:
        """Hand the engine's events on until somebody locks."""
        leave = self._leave = asyncio.Event()

        async def hand_on() -> None:
            async for event in engine.events():
                self._bridge.tell(event)

        async with asyncio.TaskGroup() as group:
            forwarding = group.create_task(hand_on())
            await leave.wait()
            forwarding.cancel()
