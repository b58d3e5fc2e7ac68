"""The dialog "New message"."""

from __future__ import annotations

import customtkinter as ctk

from mobium_client.gui.models.conversations import Row
from mobium_client.gui.models.new_message import NewMessage
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.card import Card
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.row_list import RowList
from mobium_client.gui.widgets.sentence import Sentence

__all__ = ["NewMessageView"]

_TEXT = "Paste the key or the link that somebody gave you, or choose a contact."


class NewMessageView(View[NewMessage]):
    """Asks whom to write to."""

    def _build(self) -> None:
        theme = self.kit.theme
        card = Card(self, self.kit, "New message", _TEXT, width=440)
        body = card.body
        self.who = Field(
            body,
            self.kit,
            hint="Key, mobium: link, or name",
            changed=self.presenter.type,
            done=self._go,
            width=440,
        )
        self.who.pack(fill="x")
        self.nickname = Field(body, self.kit, "What you want to call them", done=self._go, width=440)
        self._list_ground = ctk.CTkFrame(
            body, height=theme.grown(220), corner_radius=8, fg_color=theme.colors.side
        )
        self._list_ground.pack_propagate(False)
        self.list = RowList(
            self._list_ground,
            self.kit,
            lambda place: self.presenter.choose(self._keys[place]),
            lambda _: None,
        )
        self.list.pack(fill="both", expand=True)
        self._said = Sentence(body, self.kit, width=440)
        buttons = ctk.CTkFrame(body, fg_color="transparent")
        buttons.pack(side="bottom", fill="x", pady=(16, 0))
        self._said.pack(side="bottom", fill="x", pady=(8, 0))
        self.button = Button(buttons, self.kit, "Write", lambda: self._go(""), look="primary", width=120)
        self.button.pack(side="right")
        Button(buttons, self.kit, "Cancel", self._cancel, look="plain", width=100).pack(side="right", padx=8)
        self._keys: list[str] = []

    def _connect(self) -> None:
        self.soon(self.who, self.who.focus_set)

    def render(self) -> None:
        """Show who fits."""
        state = self.presenter.state
        self._said.say(state.problem)
        self.button.change(text="Adding …" if state.busy else "Write", enabled=not state.busy)
        self._keys = [known.key for known in state.known]
        rows = [
            Row(one.key, "person", one.name, one.key, preview="Verified" if one.verified else one.key[:16])
            for one in state.known
        ]
        self.list.show(rows, None)
        if state.names:
            self._list_ground.pack_forget()
            self.nickname.pack(fill="x", pady=(12, 0))
        else:
            self.nickname.pack_forget()
            if state.known:
                self._list_ground.pack(fill="x", pady=(12, 0))
            else:
                self._list_ground.pack_forget()

    def _go(self, _: str) -> None:
        self.presenter.type(self.who.text)
        self.presenter.go(self.nickname.text)

    def _cancel(self) -> None:
        self.presenter.dismiss()
