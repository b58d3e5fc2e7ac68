"""Dialogs over the window: a plain ground that covers the screen, and the dialog on it.

They are no windows of their own, since window managers place those where they like. So Tab is kept inside
here: it would lead to what is covered. Not its concern: what a dialog holds.
"""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.focus import confine
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.router import Overlays
from mobium_client.gui.view import Kit

__all__ = ["OverlayHost"]


class OverlayHost:
    """Shows the top one of the dialogs; the focus returns where it was when the last one goes."""

    def __init__(self, window: Any, kit: Kit, overlays: Overlays) -> None:
        self._window = window
        self._kit = kit
        self._overlays = overlays
        self._ground: Any = None
        self._shown: tuple[Presenter[Any] | None, Any] = (None, None)
        self._focus: Any = None
        overlays.watch(self.render)

    @property
    def view(self) -> Any:
        """The view of the dialog that is shown, or None."""
        return self._shown[1]

    def render(self) -> None:
        """Show the top dialog, or none."""
        top = self._overlays.state[-1] if self._overlays.state else None
        before, view = self._shown
        if top is before:
            return
        if before is None:
            self._focus = self._window.focus_get()
            self._ground = ctk.CTkFrame(self._window, corner_radius=0, fg_color=self._kit.theme.colors.base)
            self._ground.place(relx=0, rely=0, relwidth=1, relheight=1)
        if view is not None:
            view.destroy()
        if top is None:
            self._uncover()
            self._shown = (None, None)
            if self._focus is not None and self._focus.winfo_exists():
                self._focus.focus_set()
            return
        made = self._kit.make(self._ground, top)
        made.place(relx=0, rely=0, relwidth=1, relheight=1)
        self._shown = (top, made)
        confine(self._window, self._ground)
        if not str(self._window.tk.call("focus")).startswith(f"{made}."):
            made.focus_set()  # what is typed is not for what is covered
        self.lift()

    def lift(self) -> None:
        """Come to the front, where a screen was drawn meanwhile."""
        if self._ground is not None:
            self._ground.lift()

    def restyle(self, kit: Kit) -> None:
        """Draw anew in another look."""
        self._kit = kit
        if self._ground is not None:
            self._uncover()
        self._shown = (None, None)
        self.render()

    def _uncover(self) -> None:
        self._ground.destroy()
        self._ground = None
        confine(self._window)
