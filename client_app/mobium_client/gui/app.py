"""The window: shows the screen of the router and what lies over it, and turns the queue of the bridge.

Not its concern: which screen follows on which (`mobium_client.gui.models.desktop`).
"""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import customtkinter as ctk
import darkdetect
from PIL import ImageTk

from mobium.client.profile import Profiles
from mobium_client.gui import app_icon
from mobium_client.gui.avatars import Avatars
from mobium_client.gui.bridge import POLL, Bridge
from mobium_client.gui.editing import usual_keys
from mobium_client.gui.faces import drawn_faces
from mobium_client.gui.focus import keep_in_sight
from mobium_client.gui.icons import Icons
from mobium_client.gui.models.desktop import Desktop
from mobium_client.gui.models.dispatch import Dispatcher
from mobium_client.gui.models.notifications import NotificationClicked, Notify
from mobium_client.gui.models.preferences import Preferences
from mobium_client.gui.models.presenter import Cancel, Presenter
from mobium_client.gui.models.session import Session, SessionEnded
from mobium_client.gui.models.unopened import Unopened
from mobium_client.gui.notifier import SystemNotifier
from mobium_client.gui.overlay_host import OverlayHost
from mobium_client.gui.registry import view_of
from mobium_client.gui.settings import Settings, load, settings_file
from mobium_client.gui.shortcuts import Shortcuts
from mobium_client.gui.sweeper import Sweeper
from mobium_client.gui.theme import Theme
from mobium_client.gui.view import Kit

__all__ = ["Anew", "App"]

SMALLEST = (800, 560)
_ICON = 64  # pixels
# Whether anything was copied here, by whichever widget.
_WATCH_CLIPBOARD = """
    set ::mobium_copied 0
    trace add execution clipboard enter {apply {{command operation} {
        if {[lindex $command 1] eq "append"} {set ::mobium_copied 1}
    }}}
"""
# `selection own` does not tell who has the clipboard; an application of Tk answers with its own name. Nobody
# is asked where nothing was copied here: asking turns the event loop.
_CLIPBOARD_OWNER = """
    set owner {}
    if {$::mobium_copied} {catch {selection get -selection CLIPBOARD -type TK_APPLICATION} owner}
    set ::mobium_copied 0
    set owner
"""


@dataclass(frozen=True, slots=True)
class Anew:
    """What the next process of this window shows: the profile that was locked, why if nobody asked for it,
    and where the window is (WIDTHxHEIGHT+X+Y).
    """

    profile: str
    notice: str = ""
    place: str = ""


class App(ctk.CTk):
    """The desktop in a window."""

    def __init__(
        self,
        profile: str | None = None,
        *,
        profiles: Profiles | None = None,
        settings: Settings | None = None,
        open_engine: Any = None,
        open_link: Callable[[str], object] = webbrowser.open,
        notify: Notify | None = None,
        anew: Anew | None = None,
    ) -> None:
        """`profile` is the one that somebody asked for; `anew` what a process before this one left. The rest
        stands in for what is on the machine.
        """
        file = settings_file()
        chosen = load(file) if settings is None else settings
        system = "light" if (darkdetect.theme() or "").lower() == "light" else "dark"
        ctk.set_appearance_mode("light" if _look(chosen, system) == "light" else "dark")
        drawn_faces()
        super().__init__(className="Mobium")
        self.title("mobium")
        self.tk.eval(_WATCH_CLIPBOARD)
        usual_keys(self)
        keep_in_sight(self)
        self._icon = ImageTk.PhotoImage(app_icon.drawn(_ICON))
        self.iconphoto(True, self._icon)
        self.minsize(*SMALLEST)
        width = max(SMALLEST[0], min(chosen.width, self.winfo_screenwidth()))
        height = max(SMALLEST[1], min(chosen.height, self.winfo_screenheight()))
        self.geometry(f"{width}x{height}")
        self._system = system
        self._opener = open_link
        self._screen: tuple[Presenter[Any] | None, Any] = (None, None)
        self._closing = False
        self._sweeper = Sweeper()
        self._looking: str | None = None
        events = Dispatcher()
        self.bridge = Bridge(events)
        self.preferences = Preferences(self.bridge, file, chosen)
        self._notifier = SystemNotifier()
        self.bridge.submit(self._notifier.run())
        session = Session(self.bridge) if open_engine is None else Session(self.bridge, open_engine)
        self.desktop = Desktop(
            self.bridge, events, self.call_later, lambda: datetime.now().astimezone(), self.preferences,
            profiles or Profiles(), session, notify=notify or self._notifier,
            sweep=self._sweeper.everything,
        )  # fmt: skip
        self.anew: Anew | None = None
        self._replaced = False
        if anew is not None and anew.place:
            self.geometry(anew.place)
        self._looked = (chosen.appearance, chosen.text_scale)
        self._make_kit()
        self._overlays = OverlayHost(self, self.kit, self.desktop.context.overlays)
        self._connect_keys()
        self.desktop.context.router.watch(self._show_screen)
        self.preferences.watch(self._look_again)
        events.on(SessionEnded, self._forget)
        events.on(NotificationClicked, self._come_forward)
        self._poll = self.after(1, self._turn)
        self.desktop.start(profile if anew is None else anew.profile, "" if anew is None else anew.notice)

    # ------------------------------------------------------------ look

    def _make_kit(self) -> None:
        settings = self.preferences.state
        density = float(ctk.ScalingTracker.get_window_dpi_scaling(self))
        self.theme = Theme(settings, self._system, density)
        self.kit = Kit(self.theme, Icons(density), Avatars(density), self._make_view, self._open_link)
        self.configure(fg_color=self.theme.colors.base)

    def restyle(self) -> None:
        """Draw everything anew, after the appearance or the size of text was changed."""
        ctk.set_appearance_mode("light" if _look(self.preferences.state, self._system) == "light" else "dark")
        self._make_kit()
        presenter, view = self._screen
        if view is not None:
            view.destroy()
        self._screen = (None, None)
        if presenter is not None:
            self._show_screen()
        self._overlays.restyle(self.kit)

    def _look_again(self) -> None:
        settings = self.preferences.state
        if self._looked != (settings.appearance, settings.text_scale):
            self._looked = (settings.appearance, settings.text_scale)
            self.after_idle(self.restyle)

    def _make_view(self, parent: Any, presenter: Presenter[Any]) -> Any:
        return view_of(presenter)(parent, self.kit, presenter)

    def _show_screen(self) -> None:
        presenter = self.desktop.context.router.state
        before, view = self._screen
        if presenter is before or presenter is None:
            return
        with ExitStack() as steps:  # what is shown comes, whatever the one before raises when it goes
            steps.callback(self._put_screen, presenter)
            if view is not None:
                view.destroy()

    def _put_screen(self, presenter: Presenter[Any]) -> None:
        made = self._make_view(self, presenter)
        made.place(relx=0, rely=0, relwidth=1, relheight=1)
        self._screen = (presenter, made)
        self._overlays.lift()

    @property
    def screen(self) -> Any:
        """The view that fills the window."""
        return self._screen[1]

    @property
    def overlay(self) -> Any:
        """The view of the dialog that lies over it, or None."""
        return self._overlays.view

    def _open_link(self, address: str) -> None:
        """Have the system open an address, without waiting for its programs."""
        screen = self.desktop.context.router.state

        def answered(opened: bool) -> None:
            # what somebody was sent is not for whoever looks at a profile that was locked meanwhile
            if not opened and not self._closing and self.desktop.context.router.state is screen:
                self.desktop.context.overlays.open(Unopened(self.desktop.context, address))

        def call() -> bool:
            try:
                return self._opener(address) is not False
            except (OSError, webbrowser.Error):
                return False

        self.bridge.apart(call, answered, self.bridge.note)

    # ------------------------------------------------------------ keys and time

    def _connect_keys(self) -> None:
        self.protocol("WM_DELETE_WINDOW", self.close)
        Shortcuts(
            self,
            {
                "l": self.desktop.lock,
                ",": self.desktop.show_settings,
                "shift k": self.desktop.show_connection,
                "n": self.desktop.new_message,
                "f": self._search,
                "q": self.close,
            },
        )
        self.bind("<F1>", lambda _: self.desktop.show_help())
        for key in ("<Any-KeyPress>", "<Any-ButtonPress>", "<Motion>"):
            self.bind_all(key, lambda _: self.desktop.idle.touch(), add=True)
        self.bind("<FocusIn>", self._looked_at, add=True)
        self.bind("<FocusOut>", self._looked_at, add=True)
        self.bind("<Escape>", lambda _: self.desktop.context.overlays.dismiss())

    def _search(self) -> None:
        """Put the focus into the search, where there is one that nothing covers."""
        side = getattr(self.screen, "side", None)
        if side is not None and self.overlay is None:
            side.search.focus_set()

    def _looked_at(self, _: object) -> None:
        """The focus has moved, perhaps to another window or from one."""
        if self._looking is None and not self._closing:
            self._looking = self.after(50, self._look_where)

    def _look_where(self) -> None:
        self._looking = None
        self.desktop.context.attention.change(there=self.focus_displayof() is not None)

    def call_later(self, seconds: float, work: Callable[[], object]) -> Cancel:
        """Call `work` after some seconds, in this thread."""
        pending: str | None = None

        def call() -> None:
            nonlocal pending
            pending = None
            work()

        def cancel() -> None:
            nonlocal pending
            if pending is not None:
                self.after_cancel(pending)
                pending = None

        pending = self.after(max(1, round(seconds * 1000)), call)
        return cancel

    def _turn(self) -> None:
        """Take from the bridge what has come; a mistake in one answer ends no other."""
        try:
            more = self.bridge.drain()
        except Exception as error:  # noqa: BLE001 - the outermost edge
            self.bridge.note(error)
            more = True
        self._sweeper.turn()
        if not self._closing:
            self._poll = self.after(1 if more else round(POLL * 1000), self._turn)

    def replace_when_locked(self) -> None:
        """End with `anew` once a profile was locked, so that a fresh process takes the place of this one."""
        self._replaced = True

    def _come_forward(self, _: NotificationClicked) -> None:
        """Somebody has clicked on a notification."""
        self.deiconify()
        self.lift()
        self.focus_force()

    def _forget(self, event: SessionEnded) -> None:
        """A profile was locked: what was told of it goes, and what was copied from it, unless something else
        was copied since.
        """
        self.bridge.submit(self._notifier.clear())
        with ExitStack() as steps:  # each of them, whatever another raises
            steps.callback(self._renew, event)
            steps.callback(self._sweeper.everything)  # widgets and presenters hold each other
            self._forget_copied()

    def _renew(self, event: SessionEnded) -> None:
        """Make room for a fresh process, where one takes the place of this one."""
        if self._replaced and not self._closing:
            self.anew = Anew(event.profile.name, event.reason, self.geometry())
            self.close()

    def _forget_copied(self) -> None:
        """Empty the clipboard, if what is on it comes from here."""
        if self.tk.eval(_CLIPBOARD_OWNER) == self.tk.call("tk", "appname"):
            self.clipboard_clear()

    def report_callback_exception(self, _kind: object, error: BaseException, _trace: object) -> None:
        """What nobody expected in a callback of the window: into the log file, and nowhere else."""
        self.bridge.note(error)

    def close(self) -> None:
        """Lock what is open, and end."""
        if self._closing:
            return
        self._closing = True
        # Each of them, the last one first, whatever another raises: keys are wiped.
        with ExitStack() as steps:
            steps.callback(self.quit)
            steps.callback(self.bridge.close)
            steps.callback(self._sweeper.everything)
            steps.callback(self.desktop.close)
            steps.callback(self.after_cancel, self._poll)
            steps.callback(self.withdraw)
            steps.callback(self._forget_copied)  # some systems keep it when the window is gone
            self.preferences.change(width=self._current_width, height=self._current_height)

    def end(self) -> None:
        """After the main loop: let go of the window, and of what CustomTkinter still had in mind to do."""
        for pending in self.tk.splitlist(self.tk.call("after", "info")):
            self.tk.call("after", "cancel", pending)  # the widgets delete the commands
        self.destroy()
        self._sweeper.end()


def _look(settings: Settings, system: str) -> str:
    return system if settings.appearance == "system" else settings.appearance
