"""One of several, or yes or no: rows that the keyboard reaches, with a sign beside the words.

Not its concern: what is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import customtkinter as ctk

from mobium_client.gui.view import Kit
from mobium_client.gui.widgets.button import Button

__all__ = ["Choices", "Switch"]

T = TypeVar("T")

_APART = 4
_BESIDE = 32  # pixels of a row beside its words and its sign
_ON, _OFF = "radiobox_marked", "radiobox_blank"
_YES, _NO = "checkbox_marked_outline", "checkbox_blank_outline"


class Choices(ctk.CTkFrame, Generic[T]):
    """`chosen` is called with the value of the row that somebody chooses."""

    def __init__(
        self, parent: Any, kit: Kit, chosen: Callable[[T], object], *, across: int | None = None
    ) -> None:
        """`across`: side by side in so many pixels of the design, instead of one below the other."""
        super().__init__(parent, fg_color="transparent")
        self._kit = kit
        self._chosen = chosen
        self._across = across
        self._offered: tuple[tuple[T, str], ...] = ()
        self._rows: list[Button] = []

    def show(self, options: Sequence[tuple[T, str]], chosen: T) -> None:
        """Show these values with their words, one of them chosen."""
        if tuple(options) != self._offered:
            self._offered = tuple(options)
            for row in self._rows:
                row.destroy()
            self._rows = [self._row(value, words) for value, words in options]
            self._arrange()
        for row, (value, _) in zip(self._rows, self._offered, strict=True):
            row.change(icon=_ON if value == chosen else _OFF)

    def destroy(self) -> None:
        """The rows go."""
        super().destroy()

    @property
    def rows(self) -> list[Button]:
        """The buttons of the rows."""
        return self._rows

    def _row(self, value: T, words: str) -> Button:
        row = Button(self, self._kit, words, lambda: self._chosen(value), look="plain", icon=_OFF)
        row.configure(anchor="w")
        return row

    def _arrange(self) -> None:
        """One below the other, or in as many columns as there is room for."""
        if self._across is None:
            for row in self._rows:
                row.pack(fill="x", pady=1)
            return
        theme = self._kit.theme
        words = max(theme.font("body").measure(words) for _, words in self._offered)
        widest = words + theme.grown(20) + _BESIDE + _APART
        columns = max(1, int(self._across // widest))
        for place, row in enumerate(self._rows):
            row.grid(
                row=place // columns, column=place % columns, sticky="w", padx=(0, _APART), pady=(0, _APART)
            )


class Switch(Button):
    """Yes or no; `changed` is called with the other one."""

    def __init__(self, parent: Any, kit: Kit, words: str, changed: Callable[[bool], object]) -> None:
        self.on = False
        super().__init__(parent, kit, words, lambda: changed(not self.on), look="plain", icon=_NO)
        self.configure(anchor="w")

    def show(self, *, on: bool, enabled: bool = True) -> None:
        """Show how it is."""
        self.on = on
        self.change(icon=_YES if on else _NO, enabled=enabled)
