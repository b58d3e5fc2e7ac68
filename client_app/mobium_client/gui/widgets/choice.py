"""One of several, side by side or one below the other; the mark of the chosen one is not its colour alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import customtkinter as ctk

from mobium_client.gui.view import Kit
from mobium_client.gui.widgets.button import Button

__all__ = ["Choice"]

_ON, _OFF = "radiobox_marked", "radiobox_blank"


class Choice(ctk.CTkFrame):
    """`chosen` is called with the word that is taken."""

    def __init__(
        self,
        parent: Any,
        kit: Kit,
        words: Sequence[str],
        chosen: Callable[[str], object],
        *,
        name: str = "",
        value: str = "",
        columns: int = 2,
    ) -> None:
        """`name` stands above; `value` is the word that is chosen at first, the first one by default."""
        super().__init__(parent, fg_color="transparent")
        self._kit = kit
        self._words = tuple(words)
        self._chosen = chosen
        self._heading = name
        self.value = value or self._words[0]
        self._columns = columns
        self.buttons: dict[str, Button] = {}
        self._build()
        self._connect()
        self.render()

    def _build(self) -> None:
        theme = self._kit.theme
        if self._heading:
            label = ctk.CTkLabel(
                self, text=self._heading, font=theme.font("small"), text_color=theme.colors.muted, anchor="w"
            )
            label.grid(row=0, column=0, columnspan=self._columns, sticky="w", pady=(0, 4))
        for place, word in enumerate(self._words):
            button = Button(self, self._kit, word, lambda word=word: self._take(word), icon=_OFF)  # type: ignore[misc]
            button.configure(anchor="w")
            row, column = divmod(place, self._columns)
            button.grid(
                row=row + 1, column=column, sticky="ew", padx=(0 if not column else 8, 0), pady=(0, 8)
            )
            self.buttons[word] = button
        for column in range(self._columns):
            self.columnconfigure(column, weight=1, uniform="choice")

    def _connect(self) -> None:
        """The buttons do it."""

    def render(self) -> None:
        """Mark the chosen one."""
        for word, button in self.buttons.items():
            button.change(icon=_ON if word == self.value else _OFF)

    def destroy(self) -> None:
        """The choice goes."""
        super().destroy()

    def _take(self, word: str) -> None:
        self.value = word
        self.render()
        self._chosen(word)
