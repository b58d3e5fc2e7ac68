"""A line above the composer that asks for a decision, with the buttons that take it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import customtkinter as ctk

from mobium_client.gui.view import Kit
from mobium_client.gui.widgets.button import Button, Look
from mobium_client.gui.widgets.sentence import Sentence, Tone

__all__ = ["Banner", "Choice"]

Choice = tuple[str, Look, Callable[[], object]]
"""The word on a button, how it looks, and what it does."""


class Banner(ctk.CTkFrame):
    """Shows a sentence and choices, or nothing."""

    def __init__(self, parent: Any, kit: Kit) -> None:
        colors = kit.theme.colors
        super().__init__(
            parent, corner_radius=12, fg_color=colors.raised, border_width=1, border_color=colors.line
        )
        self._kit = kit
        self._shown: tuple[str, Tone] = ("", "muted")
        self._choices: tuple[Choice, ...] = ()
        self._build()
        self._connect()
        self.render()

    def _build(self) -> None:
        self._said = Sentence(self, self._kit, 640, fills=True)
        self._said.pack(fill="x", padx=16, pady=(12, 0))
        self._row = ctk.CTkFrame(self, fg_color="transparent")
        self._row.pack(anchor="e", padx=12, pady=(8, 12))

    def _connect(self) -> None:
        """The buttons do it."""

    def ask(self, text: str, tone: Tone, choices: tuple[Choice, ...]) -> None:
        """Show a sentence with its choices; nothing for an empty one."""
        words = tuple(choice[:2] for choice in choices)
        if (text, tone) != self._shown or words != tuple(choice[:2] for choice in self._choices):
            self._shown, self._choices = (text, tone), choices
            self.render()

    def render(self) -> None:
        """Show what there is to decide."""
        self._said.say(*self._shown)
        for child in self._row.winfo_children():
            child.destroy()
        for word, look, command in self._choices:
            Button(self._row, self._kit, word, command, look=look).pack(side="left", padx=4)

    def destroy(self) -> None:
        """The banner goes."""
        super().destroy()
