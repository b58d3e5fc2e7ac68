"""The pane of a contact."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.models.contact import CHANGED, ContactPane
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.key_groups import KeyGroups
from mobium_client.gui.widgets.qr import qr_image
from mobium_client.gui.widgets.sentence import Sentence

__all__ = ["ContactView"]

_WIDTH = 252
_CODE = 168


class ContactView(View[ContactPane]):
    """Draws a contact."""

    def _build(self) -> None:
        theme = self.kit.theme
        colors = theme.colors
        self.configure(fg_color=colors.side)
        top = ctk.CTkFrame(self, fg_color="transparent")
        top.pack(fill="x", padx=(24, 12), pady=(12, 0))
        ctk.CTkLabel(top, text="Contact", font=theme.font("title"), text_color=colors.text).pack(side="left")
        self.close = Button(
            top, self.kit, "", self.presenter.fold, look="plain", icon="close", tone=colors.muted
        )
        self.close.pack(side="right")
        body = ctk.CTkFrame(self, fg_color="transparent")
        body.pack(fill="both", expand=True, padx=24, pady=(12, 16))
        key = self.presenter.state.key
        head = ctk.CTkFrame(body, fg_color="transparent")
        head.pack(fill="x")
        ctk.CTkLabel(head, text="", image=self.kit.avatars.image(key, theme.grown(56))).pack(side="left")
        self.nickname = Field(head, self.kit, "Nickname", done=lambda _: self._rename(), width=160)
        self.nickname.pack(side="left", fill="x", expand=True, padx=(16, 0))
        self._trust = Sentence(body, self.kit, width=_WIDTH)
        self._trust.pack(fill="x", pady=(16, 0))
        self._number_head = ctk.CTkLabel(
            body, text="Safety number", font=theme.font("strong"), text_color=colors.text, anchor="w"
        )
        self._number_head.pack(fill="x", pady=(12, 0))
        self._number = KeyGroups(body, self.kit)
        self._instead = ctk.CTkLabel(
            body, text="", font=theme.font("body"), text_color=colors.muted, justify="left", anchor="w",
            wraplength=_WIDTH,
        )  # fmt: skip
        self._code = ctk.CTkLabel(body, text="")
        self._buttons = ctk.CTkFrame(body, fg_color="transparent")
        self._buttons.pack(side="bottom", fill="x")
        self._problem = Sentence(body, self.kit, width=_WIDTH)
        self._problem.pack(side="bottom", fill="x", pady=(0, 8))
        self._shown: tuple[Any, ...] = ()
        self._named = False  # whether the field holds a nickname; before that it says nothing

    def _connect(self) -> None:
        self.nickname.entry.bind("<FocusOut>", lambda _: self._rename(), add=True)

    def render(self) -> None:
        """Show what is known."""
        state = self.presenter.state
        if state.loaded and (not self._named or not self._types()):
            self._named = True
            self.nickname.put(state.nickname)
        self._problem.say(state.problem)
        shown = (state.number, state.no_number, state.verified, state.changed, state.blocked, state.loaded)
        if shown == self._shown:
            return
        self._shown = shown
        if state.changed:
            self._trust.say(CHANGED, "danger")
        elif state.verified:
            self._trust.say("Verified: you have compared the safety number.", "good")
        elif state.loaded:
            self._trust.say("Not verified: compare the safety number, in a call or face to face.", "muted")
        self._show_number(state.number, state.no_number)
        self._show_buttons()

    def _types(self) -> bool:
        return self.nickname.entry.focus_get() is self.nickname.entry._entry

    def _rename(self) -> None:
        if self._named:
            self.presenter.rename(self.nickname.text)

    def _show_number(self, number: str, instead: str) -> None:
        for widget in (self._number, self._instead, self._code):
            widget.pack_forget()
        if number:
            groups = number.split()
            self._number.show(groups)
            self._number.pack(anchor="w", pady=(4, 0))
            self._code.configure(image=qr_image("".join(groups), _CODE))
            self._code.pack(pady=(12, 0))
        else:
            self._instead.configure(text=instead)
            self._instead.pack(fill="x", pady=(4, 0))

    def _show_buttons(self) -> None:
        state, presenter = self.presenter.state, self.presenter
        pressed = str(self.tk.call("focus")).startswith(f"{self._buttons}.")
        for child in self._buttons.winfo_children():
            child.destroy()
        if pressed:  # not on what takes back what was just done
            self.close.focus_set()
        if state.changed:
            self._button("Accept this key", presenter.accept_key, "primary")
        elif state.verified:
            self._button("Take the verification back", presenter.unverify, "quiet")
        elif state.number:
            self._button("The numbers are the same", presenter.verify, "primary")
        if state.blocked:
            self._button("Unblock", presenter.unblock, "quiet")
        elif state.loaded:
            self._button("Block", presenter.block, "danger")

    def _button(self, word: str, command: Any, look: Any) -> None:
        Button(self._buttons, self.kit, word, command, look=look).pack(fill="x", pady=(8, 0))
