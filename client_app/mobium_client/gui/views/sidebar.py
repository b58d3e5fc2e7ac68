"""The left column: who one is, and the list of conversations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import customtkinter as ctk

from mobium_client.gui.models.main import Main
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.hint import Hint
from mobium_client.gui.widgets.row_list import RowList
from mobium_client.gui.widgets.sentence import Sentence

__all__ = ["Sidebar"]

_DOTS = {"good": "circle", "waiting": "circle_slice_4", "off": "circle_outline"}
_PROBLEM = 360  # pixels of a sentence, at most
_BESIDE = 1.4  # with larger text the buttons below stand one over the other
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
        lock = Button(
            top, self.kit, "", self.presenter.lock, look="plain", icon="lock_outline", tone=colors.muted
        )
        lock.pack(side="right")
        Hint(lock, self.kit, "Lock (Ctrl+L)")
        self.settings = Button(
            top, self.kit, "", self.presenter.show_settings, look="plain", icon="cog_outline",
            tone=colors.muted,
        )  # fmt: skip
        self.settings.pack(side="right")
        Hint(self.settings, self.kit, "Settings (Ctrl+,)")
        words = ctk.CTkFrame(top, fg_color="transparent")
        words.pack(side="left", fill="x", expand=True, padx=(12, 4))
        self._name = ctk.CTkLabel(
            words, text="", font=theme.font("strong"), text_color=colors.text, anchor="w", height=18
        )
        self._name.pack(fill="x")
        self.state = Button(words, self.kit, "", self.presenter.show_connection, look="plain", width=1)
        self.state.configure(
            font=theme.font("small"), anchor="w", height=theme.grown(22), border_spacing=0, corner_radius=2
        )
        self.state.pack(fill="x")
        Hint(self.state, self.kit, "The connection (Ctrl+Shift+K)")
        below = ctk.CTkFrame(self, fg_color="transparent")
        below.pack(side="bottom", fill="x", padx=12, pady=(4, 12))
        self.new_channel = Button(
            below, self.kit, "New channel", self.presenter.new_channel, look="plain", icon="pound"
        )
        beside: Literal["left", "top"] = "left" if theme.scale <= _BESIDE else "top"
        self.new_channel.pack(side=beside, fill="x", expand=True)
        self.join = Button(
            below, self.kit, "Join by link", self.presenter.join_channel, look="plain", icon="link_variant"
        )
        self.join.pack(side=beside, fill="x", expand=True, padx=(4 if beside == "left" else 0, 0))
        tools = ctk.CTkFrame(self, fg_color="transparent")
        tools.pack(fill="x", padx=(20, 14), pady=(0, 8))
        self.new_message = Button(
            tools, self.kit, "", self.presenter.new_message, look="plain", icon="message_plus_outline"
        )
        self.new_message.pack(side="right", padx=(4, 0))
        Hint(self.new_message, self.kit, "New message (Ctrl+N)")
        self.search = Field(tools, self.kit, hint="Search", changed=self.presenter.search.type, width=120)
        self.search.pack(side="left", fill="x", expand=True)
        self._problem = Sentence(self, self.kit, _PROBLEM, fills=True)
        self._problem.pack(fill="x", padx=20)
        self.list = RowList(self, self.kit, self._open, self.presenter.list.move)
        self._empty = ctk.CTkLabel(
            self,
            text=_EMPTY,
            font=theme.font("body"),
            text_color=colors.muted,
            wraplength=240,
            justify="left",
        )
        for widget in (self.settings, lock, self.new_message, below):
            widget.lift()  # Tab goes by this order

    def _connect(self) -> None:
        self.chosen: Callable[[], object] = lambda: None
        """What follows when a conversation was opened, to write in it."""
        self.search.entry.bind("<Escape>", lambda _: self._end_search())
        self.search.entry.bind("<Return>", lambda _: self._open(0))
        self.search.entry.bind("<Down>", lambda _: self.list.focus_set())
        self.follow(self.presenter.status, self._render_status)
        self.follow(self.presenter.list, self._render_list)
        self.follow(self.presenter.search, self._render_list)

    def _render_status(self) -> None:
        state = self.presenter.status.state
        colors = self.kit.theme.colors
        stopped = colors.danger if state.lasting else colors.muted
        color = {"good": colors.good, "waiting": colors.warning, "off": stopped}[state.tone]
        self._name.configure(text=state.name)
        self.state.configure(
            text=state.words, text_color=color, image=self.kit.icons.image(_DOTS[state.tone], 10, color)
        )

    def _render_list(self) -> None:
        listed, search = self.presenter.list.state, self.presenter.search.state
        rows = search.rows if search.text else listed.rows
        nothing = "Nothing was found." if search.searched else _EMPTY
        problem = search.problem or listed.problem
        self._problem.say(problem)
        waiting = not search.searched if search.text else not listed.loaded
        if not rows and not waiting:
            self.list.pack_forget()
            self._empty.configure(text="" if problem else nothing)
            self._empty.pack(padx=20, pady=24, anchor="w")
        elif rows or not search.text:
            self._empty.pack_forget()
            self.list.pack(fill="both", expand=True)
        self.list.show(rows, listed.selected)

    def _open(self, place: int) -> None:
        if self.presenter.search.state.text:
            self.presenter.search.open(place)
        elif place < len(self.presenter.list.state.rows):
            self.presenter.list.open(self.presenter.list.state.rows[place].target)
        self.chosen()

    def _end_search(self) -> None:
        self.search.clear()
        self.presenter.search.type("")
