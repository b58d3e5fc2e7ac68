"""Which screen follows on which: start, first run, picker, unlock, main, lock.

Not its concern: what a screen does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from mobium.client.profile import Profile, Profiles
from mobium_client.gui.models.context import Context, Opened
from mobium_client.gui.models.dispatch import Dispatcher
from mobium_client.gui.models.first_run import FirstRun
from mobium_client.gui.models.main import Main
from mobium_client.gui.models.picker import Picker
from mobium_client.gui.models.preferences import Preferences
from mobium_client.gui.models.presenter import Bridge, Later, told
from mobium_client.gui.models.router import Overlays, Router
from mobium_client.gui.models.session import Session, SessionEnded, SessionOpened
from mobium_client.gui.models.unlock import Unlock

__all__ = ["Desktop"]


class Desktop:
    """The desktop without its window."""

    def __init__(
        self,
        bridge: Bridge,
        events: Dispatcher,
        later: Later,
        now: Callable[[], datetime],
        preferences: Preferences,
        profiles: Profiles,
        session: Session | None = None,
    ) -> None:
        self.session = session or Session(bridge)
        self.context = Context(
            bridge, events, later, now, preferences, Router(bridge), Overlays(bridge), profiles
        )
        self._opened: Opened | None = None
        self._several = False
        events.on(SessionOpened, self._on_opened)
        events.on(SessionEnded, self._on_ended)

    def start(self, name: str | None = None) -> None:
        """Look for profiles, and show what follows: `name` is the profile that somebody asked for."""
        self.context.bridge.submit(
            asyncio.to_thread(self.context.profiles.all),
            lambda found: self._choose(found, name),
            lambda error: self.context.router.go(FirstRun(self.context, self.start, told(error))),
        )

    def lock(self) -> None:
        """Wipe the keys and close the socket; meanwhile nothing of the profile is shown any more."""
        if self._opened is not None:
            self._leave("")
            self.session.lock()

    def close(self) -> None:
        """The window goes: every presenter ends. The bridge locks what is open when it stops."""
        self.context.overlays.clear()
        if (screen := self.context.router.state) is not None:
            screen.close()

    def _choose(self, found: list[Profile], name: str | None) -> None:
        self._several = len(found) > 1
        wanted = [profile for profile in found if profile.name == name] if name else found
        if len(wanted) == 1:
            self._ask(wanted[0])
        elif found:
            self.context.router.go(Picker(self.context, found, self._ask))
        else:
            self.context.router.go(FirstRun(self.context, self.start))

    def _ask(self, profile: Profile, notice: str = "") -> None:
        self.context.router.go(
            Unlock(
                self.context,
                self.session,
                profile,
                others=self.start if self._several else None,
                notice=notice,
            )
        )

    def _on_opened(self, event: SessionOpened) -> None:
        self._opened = Opened(self.context, event.profile, event.engine, self.lock)
        self.context.preferences.change(last_profile=event.profile.name)
        self.context.router.go(Main(self._opened))

    def _on_ended(self, event: SessionEnded) -> None:
        if self._opened is not None:  # nobody asked for it
            self._leave(event.reason)

    def _leave(self, notice: str) -> None:
        opened, self._opened = self._opened, None
        assert opened is not None
        self.context.overlays.clear()
        self._ask(opened.profile, notice)
