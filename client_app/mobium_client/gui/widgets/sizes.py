"""Which screen size is chosen: a button that unfolds three."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import customtkinter as ctk

from mobium.client import SCREEN_PRESETS
from mobium_client.gui.view import Kit
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.hint import Hint

__all__ = ["ScreenButton"]

_SHOW, _STOP = "monitor_share", "monitor_off"


class ScreenButton(ctk.CTkFrame):
    """`share` is called with the name of a size, `stop` when the screen is not to be shown any more."""

    def __init__(
        self, parent: Any, kit: Kit, share: Callable[[str], object], stop: Callable[[], object]
    ) -> None:
        super().__init__(parent, fg_color="transparent")
        self._kit = kit
        self._share = share
        self._stop = stop
        self._sharing = ""
        self._open = False
        self._narrow = False
        self._build()
        self._connect()
        self.render()

    def _build(self) -> None:
        self.main = Button(self, self._kit, "Show screen", self._pressed, icon=_SHOW)
        self.main.pack(side="left")
        Hint(self.main, self._kit, "Show your screen, or no more")
        self.sizes = {
            name: Button(self, self._kit, name, lambda name=name: self._take(name), look="plain")  # type: ignore[misc]
            for name in SCREEN_PRESETS
        }

    def _connect(self) -> None:
        """The buttons do it."""

    def render(self) -> None:
        """One button, or the sizes beside it."""
        if self._sharing:
            words, icon = f"Stop showing · {self._sharing}", _STOP
        else:
            words, icon = "Which size?" if self._open else "Show screen", _SHOW
        self.main.change(text="" if self._narrow else words, icon=icon)
        for button in self.sizes.values():
            if self._open and not self._sharing:
                button.pack(side="left", padx=(4, 0))
            else:
                button.pack_forget()

    def destroy(self) -> None:
        """The button goes."""
        super().destroy()

    def show(self, sharing: str, *, enabled: bool = True, narrow: bool = False) -> None:
        """`sharing` is the size in which the screen is shown, or empty; `narrow` leaves the words away."""
        self.main.change(enabled=enabled)
        if narrow is not self._narrow:
            self._narrow = narrow
            self.render()
        if sharing != self._sharing or (self._open and not enabled):
            self._sharing, self._open = sharing, False
            self.render()

    def _pressed(self) -> None:
        if self._sharing:
            self._stop()
        else:
            self._open = not self._open
            self.render()

    def _take(self, name: str) -> None:
        self._open = False
        self.render()
        self._share(name)
