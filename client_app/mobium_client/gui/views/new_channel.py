"""The dialog in which a channel is made."""

from __future__ import annotations

import customtkinter as ctk

from mobium_client.gui.models.new_channel import NewChannel
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.choices import Choices
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.sentence import Sentence
from mobium_client.gui.widgets.sheet import Sheet

__all__ = ["NewChannelView"]

_WIDTH = 440
_ACCESS = ((True, "Private"), (False, "Open"))


class NewChannelView(View[NewChannel]):
    """Asks for a name, a topic, and who may come in."""

    def _build(self) -> None:
        theme = self.kit.theme
        sheet = Sheet(self, self.kit, "New channel", width=_WIDTH)
        body, room = sheet.inside, sheet.room
        self.name = Field(
            body, self.kit, "Name", hint="garden", changed=self.presenter.name, done=lambda _: self._create(),
            width=room,
        )  # fmt: skip
        self.name.pack(fill="x")
        self._alike = Sentence(body, self.kit, room)
        self._alike.pack(fill="x", pady=(4, 0))
        self.topic = Field(body, self.kit, "Topic, if you like", done=lambda _: self._create(), width=room)
        self.topic.pack(fill="x", pady=(12, 16))
        ctk.CTkLabel(
            body, text="Who may come in", font=theme.font("small"), text_color=theme.colors.muted, anchor="w"
        ).pack(fill="x", pady=(0, 4))
        self.choice: Choices[bool] = Choices(body, self.kit, self._choose, across=room)
        self.choice.pack(fill="x", pady=(0, 4))
        self._meaning = ctk.CTkLabel(
            body, text="", font=theme.font("small"), text_color=theme.colors.muted, justify="left",
            wraplength=room, anchor="w",
        )  # fmt: skip
        self._meaning.pack(fill="x")
        self._problem = Sentence(body, self.kit, room)
        self._problem.pack(fill="x", pady=(8, 0))
        buttons = ctk.CTkFrame(body, fg_color="transparent")
        buttons.pack(fill="x", pady=(16, 0))
        self.create = Button(buttons, self.kit, "Create", self._create, look="primary", width=120)
        self.create.pack(side="right")
        Button(buttons, self.kit, "Cancel", self.presenter.cancel, look="plain").pack(side="right", padx=8)
        sheet.adopt()

    def _connect(self) -> None:
        self.soon(self.name, self.name.focus_set)

    def render(self) -> None:
        """Show what it means, and what went wrong."""
        state = self.presenter.state
        self.choice.show(_ACCESS, state.private)
        self._meaning.configure(text=state.meaning)
        self._alike.say(state.alike, "warning")
        self._problem.say(state.problem)
        self.create.change(text="Creating …" if state.busy else "Create", enabled=not state.busy)

    def _choose(self, private: bool) -> None:
        self.presenter.choose(private=private)

    def _create(self) -> None:
        self.presenter.create(self.name.text, self.topic.text)
