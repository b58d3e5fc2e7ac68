"""Which screen follows on which: start, first run, picker, unlock, main, lock.

Not its concern: what a screen does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from typing import Final

from mobium.client.profile import Profile, Profiles
from mobium_client.gui.models.attention import Attention
from mobium_client.gui.models.context import Context, Opened
from mobium_client.gui.models.dispatch import Dispatcher
from mobium_client.gui.models.entry import Entry
from mobium_client.gui.models.first_run import FirstRun
from mobium_client.gui.models.help import Help
from mobium_client.gui.models.idle import Idle
from mobium_client.gui.models.main import Main
from mobium_client.gui.models.notifications import NotificationClicked, Notifications, Notify
from mobium_client.gui.models.picker import Picker
from mobium_client.gui.models.preferences import Preferences
from mobium_client.gui.models.presenter import Bridge, Later, told
from mobium_client.gui.models.router import Overlays, Router
from mobium_client.gui.models.session import Session, SessionEnded, SessionOpened
from mobium_client.gui.models.unlock import Unlock

__all__ = ["Desktop"]


_SOON: Final = 0.01  # seconds


async def _nobody(_title: str, _text: str, _clicked: Callable[[], object]) -> None:
    """Shows nothing."""


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
        *,
        clock: Callable[[], float] = time.time,
        notify: Notify = _nobody,
        sweep: Callable[[], object] = lambda: None,
    ) -> None:
        """`clock` gives seconds that also pass while the machine sleeps; `notify` shows something outside the
        window; `sweep` collects what the views leave behind.
        """
        self.session = session or Session(bridge)
        self.context = Context(
            bridge,
            events,
            later,
            now,
            preferences,
            Router(bridge),
            Overlays(bridge),
            Attention(bridge),
            profiles,
        )
        self._opened: Opened | None = None
        self.idle = Idle(later, clock, preferences, self.lock, self._talking)
        self._clock = clock
        self._notify = notify
        self._sweep = sweep
        self._notifications: Notifications | None = None
        events.on(SessionOpened, self._on_opened)
        events.on(SessionEnded, self._on_ended)
        events.on(NotificationClicked, self._on_clicked)

    def start(self, name: str | None = None, notice: str = "") -> None:
        """Look for profiles, and show what follows: `name` is the profile that somebody asked for, `notice` a
        sentence about it.
        """
        self.context.bridge.submit(
            asyncio.to_thread(self.context.profiles.all),
            lambda found: self._choose(found, name, notice),
            lambda error: self._first_run(problem=told(error)),
        )

    def pick(self) -> None:
        """Show all profiles, and the way to another one."""
        self.context.bridge.submit(
            asyncio.to_thread(self.context.profiles.all),
            self._show_all,
            lambda error: self._first_run(problem=told(error)),
        )

    def show_help(self) -> None:
        """Show the shortcuts, unless they are shown."""
        overlays = self.context.overlays
        if not any(isinstance(dialog, Help) for dialog in overlays.state):
            overlays.open(Help(self.context))

    def show_settings(self) -> None:
        """Show the settings, where the main screen is."""
        if isinstance(screen := self.context.router.state, Main):
            screen.show_settings()

    def new_message(self) -> None:
        """Ask whom to write to, where the main screen is."""
        if isinstance(screen := self.context.router.state, Main):
            screen.new_message()

    def show_connection(self) -> None:
        """Show the connection, where the main screen is."""
        if isinstance(screen := self.context.router.state, Main):
            screen.show_connection()

    @property
    def opened(self) -> Opened:
        """What is open. Raises RuntimeError while nothing is."""
        if self._opened is None:
            raise RuntimeError("no profile is open")
        return self._opened

    def lock(self) -> None:
        """Wipe the keys and close the socket; meanwhile nothing of the profile is shown any more."""
        if self._opened is not None:
            # once the key or the button that said so is done with, which holds its view until then; and
            # whatever a dialog raises that goes
            self.context.later(_SOON, self._lock_engine)
            self._leave("")

    def _lock_engine(self) -> None:
        self._sweep()  # before the engine does so, in its own thread
        self.session.lock()

    def close(self) -> None:
        """The window goes: every presenter ends. The bridge locks what is open when it stops."""
        self.idle.stop()
        with ExitStack() as steps:  # each of them, whatever another raises
            if (screen := self.context.router.state) is not None:
                steps.callback(screen.close)
            self.context.overlays.clear()

    def _choose(self, found: list[Profile], name: str | None, notice: str) -> None:
        wanted = [profile for profile in found if profile.name == name] if name else found
        if len(wanted) == 1:
            self._ask(wanted[0], notice)
        else:
            self._show_all(found)

    def _show_all(self, found: list[Profile]) -> None:
        if found:
            self.context.router.go(Picker(self.context, found, self._ask, self._another))
        else:
            self._first_run()

    def _first_run(self, problem: str = "", others: Callable[[], object] | None = None) -> None:
        self.context.router.go(
            FirstRun(self.context, self.session, self.start, problem=problem, others=others)
        )

    def _another(self) -> None:
        self._first_run(others=self.pick)

    def _ask(self, profile: Profile, notice: str = "", *, locking: bool = False) -> None:
        self.context.router.go(
            Unlock(
                self.context,
                self.session,
                profile,
                others=self.pick,
                notice=notice,
                locking=locking,
            )
        )

    def _on_opened(self, event: SessionOpened) -> None:
        self._opened = Opened(self.context, event.profile, event.engine, self.lock)
        self.context.preferences.change(last_profile=event.profile.name)
        opened = self._opened
        self._notifications = Notifications(opened, self._notify, self._before_eyes, self._clock)
        self.idle.start()
        Entry(opened, self.context.router.go, lambda: self._opened is opened).begin()

    def _on_ended(self, event: SessionEnded) -> None:
        with ExitStack() as steps:  # a password is taken again, whatever goes wrong on the way there
            steps.callback(self._is_locked)
            if self._opened is not None:  # nobody asked for it
                self._leave(event.reason)

    def _is_locked(self) -> None:
        screen = self.context.router.state
        if isinstance(screen, Unlock):
            screen.locked()

    def _on_clicked(self, event: NotificationClicked) -> None:
        """What was told of is shown, unless somebody is at something else that lies over it."""
        screen = self.context.router.state
        if isinstance(screen, Main) and event.target and not self.context.overlays.state:
            screen.show(event.target)

    def _leave(self, notice: str) -> None:
        opened, self._opened = self._opened, None
        notifications, self._notifications = self._notifications, None
        assert opened is not None
        self.idle.stop()
        with ExitStack() as steps:  # each of them, the last one first, whatever another raises
            steps.callback(partial(self._ask, opened.profile, notice, locking=True))
            steps.callback(self.context.overlays.clear)
            if notifications is not None:
                steps.callback(notifications.close)

    def _before_eyes(self, target: str) -> bool:
        """Whether the conversation with a key, or of a channel's label, is what somebody looks at."""
        screen = self.context.router.state
        if self.context.overlays.state or not isinstance(screen, Main) or not self.context.attention.state:
            return False
        shown = screen.state.conversation
        return shown is not None and not screen.hidden and target in {shown.state.target, shown.state.title}

    def _talking(self) -> bool:
        """Whether a call or a voice room is going on, which nobody wants to lose for want of a key."""
        screen = self.context.router.state
        return isinstance(screen, Main) and screen.talk.busy
