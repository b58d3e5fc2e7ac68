"""A card in the middle of a screen that scrolls where it is higher: a picture, a title, a sentence, room for
widgets.

Not its concern: what stands on it.
"""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.view import Kit, window_width
from mobium_client.gui.widgets.scroll import Scroll

__all__ = ["Sheet"]

_WIDTH = 440
_LEAST = 280
_AROUND = 136  # pixels beside the text: the card's edges, the bar


class Sheet(Scroll):
    """`inside` takes the widgets of the screen; `room` is how wide text may be there."""

    def __init__(
        self, parent: Any, kit: Kit, title: str, text: str = "", icon: str | None = None, width: int = _WIDTH
    ) -> None:
        self._title = title
        self._text = text
        self._icon = icon
        window = window_width(parent)
        self.room = round(min(kit.theme.grown(width), max(_LEAST, window - _AROUND)))
        super().__init__(parent, kit, kit.theme.colors.base, centered=True)
        self.pack(fill="both", expand=True)

    def _build(self) -> None:
        super()._build()
        theme = self._kit.theme
        colors = theme.colors
        card = ctk.CTkFrame(
            self.body, corner_radius=16, fg_color=colors.raised, border_width=1, border_color=colors.line
        )
        card.pack(pady=24, padx=16)
        frame = ctk.CTkFrame(card, fg_color="transparent", width=self.room)
        frame.pack(padx=36, pady=32, fill="both", expand=True)
        ctk.CTkFrame(frame, fg_color="transparent", width=self.room, height=1).pack()
        if self._icon is not None:
            picture = self._kit.icons.image(self._icon, theme.grown(36), colors.accent)
            ctk.CTkLabel(frame, text="", image=picture).pack(anchor="w", pady=(0, 12))
        ctk.CTkLabel(
            frame, text=self._title, font=theme.font("display"), text_color=colors.text, justify="left",
            wraplength=self.room,
        ).pack(anchor="w")  # fmt: skip
        if self._text:
            self.say(frame, self._text).pack(anchor="w", pady=(8, 0))
        self.inside = ctk.CTkFrame(frame, fg_color="transparent", width=self.room)
        self.inside.pack(fill="both", expand=True, pady=(20, 0))

    def say(self, parent: Any, text: str) -> Any:
        """A paragraph, as wide as the card."""
        theme = self._kit.theme
        return ctk.CTkLabel(
            parent, text=text, font=theme.font("body"), text_color=theme.colors.muted, justify="left",
            wraplength=self.room, anchor="w",
        )  # fmt: skip
