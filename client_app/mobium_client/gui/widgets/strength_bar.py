"""How hard a password is to guess: five parts of a bar, and the words.

Not its concern: the estimate (`mobium_client.gui.models.new_password`).
"""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.view import Kit

__all__ = ["StrengthBar"]

_PARTS = 5


class StrengthBar(ctk.CTkFrame):
    """Shows a score from 0 to 4, and words; nothing for None."""

    def __init__(self, parent: Any, kit: Kit, width: int) -> None:
        super().__init__(parent, fg_color="transparent")
        self._kit = kit
        self._width = width
        self._build()
        self.show(None, "")

    def _build(self) -> None:
        theme = self._kit.theme
        row = ctk.CTkFrame(self, fg_color="transparent")
        row.pack(fill="x", pady=(8, 4))
        self._parts = []
        for place in range(_PARTS):
            part = ctk.CTkFrame(row, width=8, height=6, corner_radius=3, fg_color=theme.colors.field)
            part.pack(side="left", fill="x", expand=True, padx=(0 if not place else 4, 0))
            self._parts.append(part)
        self._words = ctk.CTkLabel(
            self, text="", font=theme.font("small"), text_color=theme.colors.muted, anchor="w",
            justify="left", wraplength=self._width, height=theme.grown(18),
        )  # fmt: skip
        self._words.pack(fill="x")

    def show(self, score: int | None, words: str) -> None:
        """Show another estimate."""
        colors = self._kit.theme.colors
        lit = 0 if score is None else score + 1
        tone = colors.danger if lit <= 2 else colors.warning if lit == 3 else colors.good
        for place, part in enumerate(self._parts):
            part.configure(fg_color=tone if place < lit else colors.field)
        self._words.configure(text=words or "12 characters or more; several words are easy to remember")

    def destroy(self) -> None:
        """The bar goes."""
        super().destroy()
