"""Presenters of the desktop without a window: a bridge that is drained by hand, and timers that are due at
once.

Not its concern: the window (tests/support/desktop.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

from mobium.client.profile import Profiles
from mobium_client.gui.bridge import Bridge
from mobium_client.gui.models.choose_server import ChooseServer
from mobium_client.gui.models.context import Context
from mobium_client.gui.models.desktop import Desktop
from mobium_client.gui.models.dispatch import Dispatcher
from mobium_client.gui.models.main import Main
from mobium_client.gui.models.preferences import Preferences
from mobium_client.gui.models.presenter import Cancel
from mobium_client.gui.models.unlock import Unlock
from mobium_client.gui.settings import Settings

__all__ = ["PATIENCE", "Seat"]

PATIENCE = 20.0  # seconds until a wait is a failed test

T = TypeVar("T")


class Seat:
    """A desktop of the data folder `folder`. Use as a context: what is open is locked at the end."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self.folder = folder
        self.events = Dispatcher()
        self.bridge = Bridge(self.events)
        self.mistakes: list[BaseException] = []
        setattr(self.bridge, "note", self.mistakes.append)  # noqa: B010 - a method is not assigned to
        self.ahead = timedelta()
        """By how much the local clock was set."""
        self._timers: list[tuple[float, Callable[[], object]]] = []
        preferences = Preferences(self.bridge, folder / "desktop.json", settings or Settings())
        self.desktop = Desktop(
            self.bridge,
            self.events,
            self.later,
            lambda: datetime.now().astimezone() + self.ahead,
            preferences,
            Profiles(folder),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.desktop.close()
        assert self.bridge.close(), "the background loop does not end"
        assert self.mistakes == []

    @property
    def context(self) -> Context:
        """The surroundings of all presenters."""
        return self.desktop.context

    @property
    def screen(self) -> Any:
        """The presenter of the screen that is shown."""
        return self.context.router.state

    @property
    def main(self) -> Main:
        """The main screen's."""
        assert isinstance(self.screen, Main)
        return self.screen

    def later(self, seconds: float, work: Callable[[], object]) -> Cancel:
        """A timer, which `until` rings."""
        timer = (time.monotonic() + seconds, work)
        self._timers.append(timer)

        def cancel() -> None:
            if timer in self._timers:
                self._timers.remove(timer)

        return cancel

    def turn(self) -> None:
        """Take what has come, and ring what is due."""
        self.bridge.drain()
        now = time.monotonic()
        due = [timer for timer in self._timers if timer[0] <= now]
        for timer in due:
            if timer in self._timers:
                self._timers.remove(timer)
                timer[1]()

    def until(self, true: Callable[[], object], what: str = "") -> None:
        """Work until something is so."""
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, f"it never came to: {what or true}"
            if self.mistakes:
                raise self.mistakes[0]
            self.turn()
            time.sleep(0.002)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the background loop, and wait for it."""
        found: list[T] = []
        failed: list[Exception] = []
        self.bridge.submit(work, found.append, failed.append)
        self.until(lambda: found or failed)
        if failed:
            raise failed[0]
        return found[0]

    def enter(self) -> None:
        """Wait for the main screen of a profile that is being opened; one that has never reached a server is
        asked for it, and goes on without.
        """
        self.until(lambda: isinstance(self.screen, Main | ChooseServer))
        if isinstance(self.screen, ChooseServer):
            self.screen.finish()
        assert isinstance(self.screen, Main)

    def unlock(self, password: str) -> Main:
        """Open the only profile."""
        self.desktop.start()
        self.until(lambda: isinstance(self.screen, Unlock))
        self.screen.open(password)
        self.enter()
        self.until(lambda: self.main.list.state.loaded)
        return self.main
