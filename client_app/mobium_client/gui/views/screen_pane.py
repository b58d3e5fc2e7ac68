"""The pane of a shared screen: one picture, into which each new one is pasted."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk
from PIL import Image, ImageTk

from mobium_client.gui.models.screen_pane import ScreenPane
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button

__all__ = ["ScreenPaneView"]

_EMPTY = "Waiting for the first picture …"


class ScreenPaneView(View[ScreenPane]):
    """Draws a screen as large as its place allows. The next picture is asked for when this one was drawn."""

    def _build(self) -> None:
        theme = self.kit.theme
        colors = theme.colors
        head = ctk.CTkFrame(self, fg_color="transparent")
        head.pack(fill="x", padx=16, pady=8)
        ctk.CTkLabel(
            head, text="", image=self.kit.avatars.image(self.presenter.state.key, theme.grown(24))
        ).pack(side="left", padx=(4, 8))
        self._title = ctk.CTkLabel(
            head, text="", font=theme.font("strong"), text_color=colors.text, anchor="w"
        )
        if self.presenter.can_leave:
            self.leave = Button(
                head, self.kit, "Back to the conversation", self.presenter.leave, look="plain", icon="close"
            )
            self.leave.pack(side="right")
        self._title.pack(side="left", fill="x", expand=True)
        self.canvas = ctk.CTkCanvas(self, highlightthickness=0, bg="#000000")
        self.canvas.pack(fill="both", expand=True)
        self._words = self.canvas.create_text(
            0, 0, text=_EMPTY, fill="#c8ccd4", font=theme.raw_font("body"), anchor="center"
        )
        self._item = self.canvas.create_image(0, 0, anchor="center")
        self.photo: Any = None
        self._seen = 0

    def _connect(self) -> None:
        self.canvas.bind("<Configure>", lambda event: self._resized(event.width, event.height))

    def render(self) -> None:
        """Paste the newest picture."""
        state = self.presenter.state
        self._title.configure(text=state.title)
        picture = state.picture
        if picture is None or state.count == self._seen:
            return
        self._seen = state.count
        image = Image.frombuffer("RGB", (picture.width, picture.height), picture.rgb, "raw", "RGB", 0, 1)
        if self.photo is None or (self.photo.width(), self.photo.height()) != image.size:
            self.photo = ImageTk.PhotoImage(image)
            self.canvas.itemconfigure(self._item, image=self.photo)
        else:
            self.photo.paste(image)
        self.canvas.itemconfigure(self._words, text="")
        self.after_idle(self._taken)

    def destroy(self) -> None:
        """The pane goes, and with it what was shown."""
        self.photo = None
        super().destroy()

    def _resized(self, width: int, height: int) -> None:
        for item in (self._words, self._item):
            self.canvas.coords(item, width // 2, height // 2)
        self.presenter.fit(width, height)

    def _taken(self) -> None:
        if self.winfo_exists():
            self.presenter.taken()
