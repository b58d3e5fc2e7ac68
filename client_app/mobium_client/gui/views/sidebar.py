"""The left column: who one is, and the list of conversations."""

from __future__ import annotations

import customtkinter as ctk

from mobium_client.gui.models.main import Main
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.row_list import RowList

__all__ = ["Sidebar"]

_DOTS = {"good": "circle", "waiting": "circle_slice_4", "off": "circle_outline"}
_EMPTY = "Nobody has written yet, and you have written to nobody."


class Sidebar(View[Main]):
    """Draws the status and the list of the main screen."""

    def _build(self) -> None:
        theme = self.kit.theme
        colors = theme.colors
        top = ctk.CTkFrame(self, fg_color="transparent")
        top.pack(fill="x", padx=20, pady=(16, 12))
        me = self.presenter.status.state.me
        ctk.CTkLabel(top, text="", image=self.kit.avatars.image(me, theme.grown(40))).pack(side="left")
        Button(
            top, self.kit, "", self.presenter.lock, look="plain", icon="lock_outline", tone=colors.muted
        ).pack(side="right")
        words = ctk.CTkFrame(top, fg_color="transparent")
        words.pack(side="left", fill="x", expand=True, padx=(12, 4))
        self._name = ctk.CTkLabel(
            words, text="", font=theme.font("strong"), text_color=colors.text, anchor="w", height=18
        )
        self._name.pack(fill="x")
        self._state = ctk.CTkLabel(
            words, text="", font=theme.font("small"), anchor="w", compound="left", padx=0, height=18
        )
        self._state.pack(fill="x")
        below = ctk.CTkFrame(self, fg_color="transparent")
        below.pack(side="bottom", fill="x", padx=12, pady=(4, 12))
        self.new_channel = Button(
            below, self.kit, "New channel", self.presenter.new_channel, look="plain", icon="pound"
        )
        self.new_channel.pack(side="left", fill="x", expand=True)
        self.join = Button(
            below, self.kit, "Join by link", self.presenter.join_channel, look="plain", icon="link_variant"
        )
        self.join.pack(side="left", fill="x", expand=True, padx=(4, 0))
        self.list = RowList(self, self.kit, self.presenter.list.open, self.presenter.list.move)
        self._empty = ctk.CTkLabel(
            self,
            text=_EMPTY,
            font=theme.font("body"),
            text_color=colors.muted,
            wraplength=240,
            justify="left",
        )

    def _connect(self) -> None:
        self.follow(self.presenter.status, self._render_status)
        self.follow(self.presenter.list, self._render_list)

    def _render_status(self) -> None:
        state = self.presenter.status.state
        colors = self.kit.theme.colors
        color = {"good": colors.good, "waiting": colors.warning, "off": colors.muted}[state.tone]
        self._name.configure(text=state.name)
        self._state.configure(
            text=f" {state.words}", text_color=color, image=self.kit.icons.image(_DOTS[state.tone], 10, color)
        )

    def _render_list(self) -> None:
        state = self.presenter.list.state
        if state.loaded and not state.rows:
            self.list.pack_forget()
            self._empty.pack(padx=20, pady=24, anchor="w")
        else:
            self._empty.pack_forget()
            self.list.pack(fill="both", expand=True)
        self.list.show(state.rows, state.selected)
