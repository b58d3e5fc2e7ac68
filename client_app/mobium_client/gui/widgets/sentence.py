"""A sentence that says what is wrong, or how it is; nothing while there is nothing to say."""

from __future__ import annotations

from typing import Any, Literal

import customtkinter as ctk

from mobium_client.gui.view import Kit

__all__ = ["Sentence", "Tone"]

Tone = Literal["danger", "warning", "good", "muted"]

_ICONS = {"danger": "alert_circle_outline", "warning": "alert_outline", "good": "check_circle_outline",
          "muted": "information_outline"}  # fmt: skip
_ICON = 32  # pixels that the icon takes


class Sentence(ctk.CTkFrame):
    """An icon and a sentence, so that the colour is not what says it."""

    def __init__(self, parent: Any, kit: Kit, width: int = 400, *, fills: bool = False) -> None:
        """`width` is where the sentence is broken; with `fills` it is as wide as its place, if that is less
        (the place must not go by what is in it).
        """
        super().__init__(parent, fg_color="transparent", height=0)
        self._kit = kit
        self._width = width
        self._fills = fills
        self._text = ""
        self._tone: Tone = "danger"
        self._build()
        self._connect()
        self.render()

    def _build(self) -> None:
        theme = self._kit.theme
        self._icon = ctk.CTkLabel(self, text="")
        self._label = ctk.CTkLabel(
            self,
            text="",
            font=theme.font("small"),
            justify="left",
            anchor="w",
            wraplength=self._width - _ICON,
        )

    def _connect(self) -> None:
        if self._fills:
            self.bind("<Configure>", lambda event: self._fit(event.width))

    def _fit(self, pixels: int) -> None:
        room = round(pixels / self._kit.theme.density)
        if room > _ICON:
            self._label.configure(wraplength=min(self._width, room) - _ICON)

    def say(self, text: str, tone: Tone = "danger") -> None:
        """Show a sentence, or nothing."""
        if (text, tone) != (self._text, self._tone):
            self._text, self._tone = text, tone
            self.render()

    def render(self) -> None:
        """Show what there is to say."""
        if not self._text:
            self._icon.pack_forget()
            self._label.pack_forget()
            self.configure(height=1)
            return
        color = getattr(self._kit.theme.colors, self._tone)
        self._icon.configure(image=self._kit.icons.image(_ICONS[self._tone], 18, color))
        self._label.configure(text=self._text, text_color=color)
        self._icon.pack(side="left", anchor="n", padx=(0, 8))
        self._label.pack(side="left", fill="x", expand=True)

    def destroy(self) -> None:
        """The sentence goes."""
        super().destroy()
