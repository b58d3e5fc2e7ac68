"""A card in the middle of an empty screen: a picture, a title, a sentence, and room for widgets."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.view import Kit

__all__ = ["Card"]

_WIDTH = 400


class Card(ctk.CTkFrame):
    """`body` takes the widgets of the screen."""

    def __init__(
        self, parent: Any, kit: Kit, title: str, text: str = "", icon: str | None = None, width: int = _WIDTH
    ) -> None:
        colors = kit.theme.colors
        super().__init__(
            parent, corner_radius=16, fg_color=colors.raised, border_width=1, border_color=colors.line
        )
        self._kit = kit
        self._title = title
        self._text = text
        self._icon = icon
        self._width = width
        self._build()
        self._connect()
        self.render()

    def _build(self) -> None:
        theme = self._kit.theme
        colors = theme.colors
        inside = ctk.CTkFrame(self, fg_color="transparent", width=self._width)
        inside.pack(padx=40, pady=36, fill="both", expand=True)
        if self._icon is not None:
            picture = self._kit.icons.image(self._icon, 40, colors.accent)
            ctk.CTkLabel(inside, text="", image=picture).pack(anchor="w", pady=(0, 16))
        self.title = ctk.CTkLabel(
            inside, text=self._title, font=theme.font("display"), text_color=colors.text, justify="left",
            wraplength=self._width,
        )  # fmt: skip
        self.title.pack(anchor="w")
        self.text = ctk.CTkLabel(
            inside, text=self._text, font=theme.font("body"), text_color=colors.muted, justify="left",
            wraplength=self._width,
        )  # fmt: skip
        if self._text:
            self.text.pack(anchor="w", pady=(8, 0))
        self.body = ctk.CTkFrame(inside, fg_color="transparent", width=self._width)
        self.body.pack(fill="both", expand=True, pady=(24, 0))

    def _connect(self) -> None:
        """Nothing is done on the card itself."""

    def render(self) -> None:
        """In the middle of its parent."""
        self.place(relx=0.5, rely=0.48, anchor="center")

    def destroy(self) -> None:
        """The card goes."""
        super().destroy()
