"""The desktop's real window on a private display, driven from the thread that draws it.

Not its concern: the display (tests/support/display.py), and what presenters do without any (tests/desktop).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageGrab

if TYPE_CHECKING:
    from mobium_client.gui.app import App
    from mobium_client.gui.settings import Settings

__all__ = ["PATIENCE", "Pilot", "window"]

PATIENCE = 20.0  # seconds until a wait is a failed test


class Pilot:
    """Turns the window's loop until something is so."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.mistakes: list[BaseException] = []
        setattr(app.bridge, "note", self.mistakes.append)  # noqa: B010 - a method is not assigned to
        report = "report_callback_exception"
        setattr(app, report, lambda _kind, error, _trace: self.mistakes.append(error))

    def until(self, true: Callable[[], object], what: str = "", within: float = PATIENCE) -> None:
        """Let the window work until `true()`; a mistake in a callback ends the wait too."""
        end = time.monotonic() + within
        while not true():
            assert time.monotonic() < end, f"it never came to: {what or true}"
            if self.mistakes:
                raise self.mistakes[0]
            self.app.update()
            time.sleep(0.003)
        self.app.update()

    def rest(self, seconds: float = 0.3) -> None:
        """Let the window draw what it has in mind."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.app.update()
            time.sleep(0.005)

    @property
    def screen(self) -> Any:
        """The view that fills the window."""
        return self.app.screen

    def shows(self, name: str) -> bool:
        """Whether the view of this class fills the window."""
        return type(self.screen).__name__ == name

    def unlock(self, password: str) -> None:
        """Type the password of the only profile."""
        self.until(lambda: self.shows("UnlockView"), "the unlock screen")
        self.screen.password.put(password)
        self.screen.button.invoke()
        self.until(lambda: self.shows("MainView") or self.shows("ChooseServerView"), "what follows")
        if self.shows("ChooseServerView"):
            self.screen.presenter.finish()  # a profile that has never reached a server
        self.until(lambda: self.shows("MainView"), "the main screen")
        self.until(lambda: self.screen.presenter.list.state.loaded, "the list of conversations")

    def open(self, title: str) -> Any:
        """Open the conversation of this title in the list; its view is returned."""
        main = self.screen.presenter

        def there() -> bool:
            return any(row.title == title for row in main.list.state.rows)

        self.until(there, f"{title} in the list")
        main.list.open(next(row.target for row in main.list.state.rows if row.title == title))
        self.until(lambda: main.state.conversation.state.loaded, f"the conversation with {title}")
        return self.screen.conversation

    def write(self, text: str) -> None:
        """Type a text into the composer, and press Enter."""
        box = self.screen.conversation.composer.text
        box.focus_force()
        box.insert("insert", text)
        self.rest(0.05)
        box.event_generate("<Return>")
        self.app.update()

    def text(self) -> str:
        """What the conversation shows."""
        return str(self.screen.conversation.lines.text.get("1.0", "end"))

    def shot(self) -> Image.Image:
        """What is on the screen."""
        return ImageGrab.grab(xdisplay=self.app.tk.call("winfo", "screen", ".").rpartition(".")[0])


@contextlib.contextmanager
def window(
    folder: Path, settings: Settings | None = None, profile: str | None = None, **fields: Any
) -> Iterator[Pilot]:
    """The desktop of a data folder, on the display of the environment; locked and gone at the end. It has the
    focus, as from a window manager, of which such a display has none.
    """
    from mobium.client.profile import Profiles
    from mobium_client.gui.app import App

    app = App(profile, profiles=Profiles(folder), settings=settings, **fields)
    pilot = Pilot(app)
    try:
        pilot.until(app.winfo_viewable, "the window")
        app.tk.call("focus", "-force", app.tk.call("focus", "-lastfor", "."))
        pilot.until(app.focus_displayof, "the focus")
        yield pilot
    finally:
        app.close()
        app.end()
    assert pilot.mistakes == []
