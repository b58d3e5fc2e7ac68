"""What every view is: a frame that draws a presenter, and the things that all views draw with.

Not its concern: which view belongs to which presenter (`mobium_client.gui.registry`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import customtkinter as ctk

from mobium_client.gui.avatars import Avatars
from mobium_client.gui.icons import Icons
from mobium_client.gui.models.presenter import Cancel, Presenter
from mobium_client.gui.theme import Theme

__all__ = ["Kit", "View", "window_width"]

P = TypeVar("P", bound=Presenter[Any])


@dataclass(frozen=True, slots=True)
class Kit:
    """What views draw with. `make` makes the view of a presenter in a parent; `open_link` shows an address in
    the browser.
    """

    theme: Theme
    icons: Icons
    avatars: Avatars
    make: Callable[[Any, Presenter[Any]], Any]
    open_link: Callable[[str], object]


def window_width(widget: Any) -> float:
    """How wide the window of a widget is, or will be once it is shown, in pixels of the design."""
    return float(widget.winfo_toplevel()._current_width)


class View(ctk.CTkFrame, Generic[P]):
    """A frame that is drawn from a presenter, and drawn again after each of its changes.

    A view derived from it has `_build` (makes the widgets), `_connect` (what they do), `render` (shows the
    state) and, where it has something to take back, `destroy`.
    """

    def __init__(self, parent: Any, kit: Kit, presenter: P, color: str | None = None) -> None:
        super().__init__(parent, corner_radius=0, fg_color=color or kit.theme.colors.base)
        self.kit = kit
        self.presenter = presenter
        self._endings: list[Cancel] = []
        self._build()
        self._connect()
        self.follow(presenter, self.render)

    def _build(self) -> None:
        """Make the widgets."""

    def _connect(self) -> None:
        """Say what they do."""

    def render(self) -> None:
        """Show the state of the presenter."""

    def follow(self, presenter: Presenter[Any], render: Callable[[], object]) -> None:
        """Draw now, and after every change of a presenter, as long as this view is there."""
        self._endings.append(presenter.watch(render))
        render()

    def soon(self, widget: Any, call: Callable[[], object]) -> None:
        """Call something of `widget` once it is drawn, if it is still there."""
        self.after(50, lambda: call() if widget.winfo_exists() else None)

    def destroy(self) -> None:
        """The view goes; its presenter may stay."""
        for ending in self._endings:
            ending()
        self._endings.clear()
        super().destroy()
        forget_timers(self.tk)


def forget_timers(tk: Any) -> None:
    """Cancel the timers of widgets that are gone.

    CustomTkinter's text boxes leave one each. Their commands are deleted with them, and tkinter names a
    command by the address of what it calls: a new one at the same address would be called by the old timer.
    """
    for timer in tk.splitlist(tk.call("after", "info")):
        command = tk.splitlist(tk.splitlist(tk.call("after", "info", timer))[0])[0]
        if not tk.call("info", "commands", command):
            tk.call("after", "cancel", timer)
