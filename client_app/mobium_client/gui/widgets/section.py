"""A section of the settings: titles, paragraphs and what is chosen, one below the other.

Not its concern: which settings there are.
"""

from __future__ import annotations

from typing import Any, TypeVar

import customtkinter as ctk

from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.view import Kit, View

__all__ = ["Section"]

P = TypeVar("P", bound=Presenter[Any])


class Section(View[P]):
    """A view that is `room` pixels wide."""

    def __init__(self, parent: Any, kit: Kit, presenter: P, room: int) -> None:
        self.room = room
        super().__init__(parent, kit, presenter)

    def title(self, text: str, *, first: bool = False) -> None:
        """A title of what follows."""
        theme = self.kit.theme
        ctk.CTkFrame(self, width=self.room, height=1, fg_color="transparent").pack()
        ctk.CTkLabel(
            self, text=text, font=theme.font("title"), text_color=theme.colors.text, anchor="w"
        ).pack(fill="x", pady=(0 if first else 28, 4))  # fmt: skip

    def paragraph(self, text: str) -> Any:
        """A paragraph."""
        theme = self.kit.theme
        label = ctk.CTkLabel(
            self, text=text, font=theme.font("body"), text_color=theme.colors.muted, justify="left",
            anchor="w", wraplength=self.room,
        )  # fmt: skip
        label.pack(fill="x", pady=(0, 8))
        return label
