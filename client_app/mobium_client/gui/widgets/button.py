"""A button that the keyboard reaches, and that shows when it has the focus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import customtkinter as ctk

from mobium_client.gui.view import Kit

__all__ = ["Button", "Look"]

Look = Literal["primary", "quiet", "plain", "danger"]


class Button(ctk.CTkButton):
    """`primary` is the one thing to do, `quiet` stands beside it, `plain` has no ground, `danger` cannot be
    undone.
    """

    def __init__(
        self,
        parent: Any,
        kit: Kit,
        text: str,
        command: Callable[[], object],
        *,
        look: Look = "quiet",
        icon: str | None = None,
        width: int = 0,
        tone: str | None = None,
    ) -> None:
        """`icon` is a name of Material Design Icons; without a `text` it is the whole button. `tone` is a
        colour for both, instead of the look's own.
        """
        self._kit = kit
        self._look = look
        self._icon = icon
        self._tone = tone
        colors = kit.theme.colors
        ground, over, ink = {
            "primary": (colors.fill, colors.fill_hover, colors.on_fill),
            "quiet": (colors.field, colors.hover, colors.text),
            "plain": ("transparent", colors.hover, colors.text),
            "danger": (colors.field, colors.hover, colors.danger),
        }[look]
        self._ink = tone or ink
        height = kit.theme.grown(36)
        super().__init__(
            parent,
            text=text,
            command=command,
            width=width or (height if not text else 0),
            height=height,
            corner_radius=8,
            border_width=2,
            border_color=colors.fill if look == "primary" else (ground if ground != "transparent" else None),
            fg_color=ground,
            hover_color=over,
            text_color=self._ink,
            text_color_disabled=colors.muted,
            font=kit.theme.font("strong" if look == "primary" else "body"),
            border_spacing=2,
        )
        self._build()
        self._connect()
        self.render()

    def _build(self) -> None:
        self._canvas.configure(takefocus=1)

    def _connect(self) -> None:
        for key in ("<Return>", "<KP_Enter>", "<space>"):
            self._canvas.bind(key, lambda _: self._press(), add=True)
        self._canvas.bind("<FocusIn>", lambda _: self._ring(shown=True), add=True)
        self._canvas.bind("<FocusOut>", lambda _: self._ring(shown=False), add=True)

    def render(self) -> None:
        """Draw the icon."""
        if self._icon is not None:
            size = self._kit.theme.grown(20)
            self.configure(image=self._kit.icons.image(self._icon, size, self._ink))
        self._ring(shown=str(self.tk.call("focus")) == str(self._canvas))

    def change(self, *, icon: str | None = None, text: str | None = None, enabled: bool = True) -> None:
        """Show another icon or text, or be of no use for now."""
        if icon is not None and icon != self._icon:
            self._icon = icon
            self.render()
        if text is not None and text != self.cget("text"):
            self.configure(text=text)
        state = "normal" if enabled else "disabled"
        if state != self.cget("state"):
            self.configure(state=state)

    def destroy(self) -> None:
        """The button goes."""
        super().destroy()

    def focus_set(self) -> None:
        """Take the focus of the keyboard."""
        self._canvas.focus_set()

    def _press(self) -> str:
        self.invoke()
        return "break"

    def _ring(self, *, shown: bool) -> None:
        colors = self._kit.theme.colors
        if shown:
            ring = colors.text if self._look == "primary" else colors.accent
            self.configure(border_width=2, border_color=ring)
        else:
            self.configure(border_width=0)
