"""A line to type into, with its name above it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import customtkinter as ctk

from mobium_client.gui.view import Kit

__all__ = ["Field"]


class Field(ctk.CTkFrame):
    """`done` is called with the text on Enter, `changed` when it was typed into, pasted or cut. A `secret` is
    shown as dots.
    """

    def __init__(
        self,
        parent: Any,
        kit: Kit,
        name: str = "",
        *,
        done: Callable[[str], object] = lambda _: None,
        changed: Callable[[str], object] | None = None,
        hint: str = "",
        secret: bool = False,
        width: int = 320,
    ) -> None:
        super().__init__(parent, fg_color="transparent")
        self._kit = kit
        self._name = name
        self._hint = hint
        self._secret = secret
        self._width = width
        self._done = done
        self._changed = changed
        self._last = ""
        self._build()
        self._connect()
        self.render()

    def _build(self) -> None:
        theme = self._kit.theme
        colors = theme.colors
        self.columnconfigure(0, weight=1)
        if self._name:
            label = ctk.CTkLabel(self, text=self._name, font=theme.font("small"), text_color=colors.muted)
            label.grid(row=0, column=0, sticky="w", pady=(0, 4))
        self.entry = ctk.CTkEntry(
            self,
            width=self._width,
            height=theme.grown(40),
            corner_radius=8,
            border_width=2,
            border_color=colors.field,
            fg_color=colors.field,
            text_color=colors.text,
            placeholder_text=self._hint or None,
            placeholder_text_color=colors.muted,
            show="•" if self._secret else "",
            font=theme.font("body"),
        )
        self.entry.grid(row=1, column=0, sticky="ew")

    def _connect(self) -> None:
        self.entry.bind("<Return>", lambda _: self._done(self.entry.get()))
        self.entry.bind("<KP_Enter>", lambda _: self._done(self.entry.get()))
        self.entry.bind("<FocusIn>", lambda _: self._ring(shown=True))
        self.entry.bind("<FocusOut>", lambda _: self._ring(shown=False))
        if self._changed is not None:
            for event in ("<KeyRelease>", "<<Paste>>", "<<PasteSelection>>", "<<Cut>>"):
                self.entry.bind(event, lambda _: self.after_idle(self._look), add=True)

    def render(self) -> None:
        """Nothing of it changes by itself."""

    def destroy(self) -> None:
        """The field goes."""
        self._last = ""
        super().destroy()

    @property
    def text(self) -> str:
        """What was typed."""
        return str(self.entry.get())

    def clear(self) -> None:
        """Empty it."""
        self.entry.delete(0, "end")
        self._last = ""

    def put(self, text: str) -> None:
        """Show another text."""
        self.clear()
        self.entry.insert(0, text)
        self._last = text

    def focus_set(self) -> None:
        """Take the focus of the keyboard."""
        self.entry.focus_set()

    def select(self) -> None:
        """Take the focus, with all of the text selected, so that typing replaces it."""
        self.entry.focus_set()
        self.entry.select_range(0, "end")

    def enable(self, *, enabled: bool) -> None:
        """Whether anything can be typed."""
        self.entry.configure(state="normal" if enabled else "disabled")

    def _look(self) -> None:
        """A key that changes nothing, as Enter, leaves standing what was answered to it."""
        if self._changed is not None and self.winfo_exists() and self.text != self._last:
            self._last = self.text
            self._changed(self._last)

    def _ring(self, *, shown: bool) -> None:
        colors = self._kit.theme.colors
        self.entry.configure(border_color=colors.accent if shown else colors.field)
