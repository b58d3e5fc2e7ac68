"""What a button without words does, shown beneath it while the mouse rests there or the keyboard is on it."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.view import Kit

__all__ = ["Hint"]

_PATIENCE = 500  # milliseconds


class Hint:
    """The words of one widget."""

    def __init__(self, widget: Any, kit: Kit, text: str) -> None:
        self._widget = widget
        self._kit = kit
        self._text = text
        self._label: Any = None
        self._waiting: str | None = None
        self._build()
        self._connect()

    def _build(self) -> None:
        """The label is made when it is shown."""

    def _connect(self) -> None:
        self._widget.bind("<Enter>", lambda *_: self._wait(), add=True)
        self._widget.bind("<Leave>", lambda *_: self.destroy(), add=True)
        self._widget.bind("<FocusIn>", lambda *_: self._wait(), add=True)
        self._widget.bind("<FocusOut>", lambda *_: self.destroy(), add=True)
        self._widget.bind("<Button-1>", lambda *_: self.destroy(), add=True)
        self._widget.bind("<Destroy>", lambda *_: self.destroy(), add=True)

    def render(self) -> None:
        """Show the words."""
        self._waiting = None
        if not self._widget.winfo_exists() or self._label is not None:
            return
        colors = self._kit.theme.colors
        window = self._widget.winfo_toplevel()
        self._label = ctk.CTkLabel(
            window, text=self._text, font=self._kit.theme.font("small"), text_color=colors.text,
            fg_color=colors.raised, corner_radius=6, padx=8, height=28,
        )  # fmt: skip
        self._label.update_idletasks()
        left = self._widget.winfo_rootx() - window.winfo_rootx() + self._widget.winfo_width() // 2
        wide = self._label.winfo_reqwidth()
        left = min(max(4, left - wide // 2), max(4, window.winfo_width() - wide - 4))
        top = self._widget.winfo_rooty() - window.winfo_rooty() + self._widget.winfo_height() + 4
        density = self._kit.theme.density
        self._label.place(x=left / density, y=top / density)

    def destroy(self) -> None:
        """The words go."""
        if self._waiting is not None:
            self._widget.after_cancel(self._waiting)
            self._waiting = None
        if self._label is not None:
            self._label.destroy()
            self._label = None

    def _wait(self) -> None:
        self.destroy()
        self._waiting = self._widget.after(_PATIENCE, self.render)
