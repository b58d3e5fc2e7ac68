"""Making a profile, step by step."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.models.first_run import FirstRun, Step
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.new_password_fields import NewPasswordFields
from mobium_client.gui.widgets.sentence import Sentence
from mobium_client.gui.widgets.sheet import Sheet
from mobium_client.gui.widgets.words_box import WordsBox

__all__ = ["FirstRunView"]

_WELCOME = (
    "Messages that only you and the others can read, through a server that you or a friend hosts. "
    "There is no account: a key on this machine is your identity."
)
_RECOVER = (
    "Type or paste the 24 words that you wrote down, in their order. Numbers in front of them may stay. "
    "Your identity and your channels come back; messages and nicknames were on the lost machine alone."
)
_CHOOSE = "It opens this profile on this machine. Nobody can reset it; if it is lost, the 24 words help."


class FirstRunView(View[FirstRun]):
    """Draws the step that is asked now."""

    def _build(self) -> None:
        self._step: Step | None = None
        self._sheet: Any = None
        self.name: Field | None = None
        self.words: WordsBox | None = None
        self.password: NewPasswordFields | None = None
        self.buttons: list[Button] = []

    def render(self) -> None:
        """Show the step, and how it went."""
        state = self.presenter.state
        if state.step != self._step:
            self._step = state.step
            if self._sheet is not None:
                self._sheet.destroy()
            self.buttons = []
            {"welcome": self._welcome, "words": self._words, "password": self._password}[state.step]()
            self._sheet.adopt()
        self._said.say(state.problem)
        for button in self.buttons:
            button.change(enabled=not state.busy)
        if self._step == "password":
            words = "Bring the identity back" if state.recover else "Make the profile"
            self.buttons[0].change(text="Making it …" if state.busy else words, enabled=not state.busy)

    # ------------------------------------------------------------ steps

    def _welcome(self) -> None:
        first = "Another profile" if self.presenter.state.back else "Welcome to mobium"
        sheet = self._open(first, _WELCOME, "message_lock_outline")
        self.name = Field(
            sheet.inside, self.kit, "Name of the profile; only this machine shows it", width=sheet.room,
            hint="for example your first name", done=lambda _: self._begin(recover=False),
        )  # fmt: skip
        self.name.pack(fill="x")
        if self.presenter.state.name:
            self.name.put(self.presenter.state.name)
        self._end(sheet)
        self._button("Make a new identity", lambda: self._begin(recover=False), "primary")
        self._button("Bring one back from 24 words", lambda: self._begin(recover=True), "quiet")
        if self.presenter.state.unreadable:
            self._button("Look again for profiles", self.presenter.look_again, "quiet")
        if self.presenter.state.back:
            self._button("Back", self.presenter.back, "plain")
        self.soon(self.name, self.name.focus_set)

    def _words(self) -> None:
        sheet = self._open("Your 24 words", _RECOVER, "key_outline")
        self.words = WordsBox(sheet.inside, self.kit, self.presenter.words, sheet.room)
        self.words.pack(fill="x")
        self._end(sheet)
        self._button("Go on", self._recover, "primary")
        self._button("Back", self.presenter.back, "plain")
        self.soon(self.words, self.words.focus_set)

    def _password(self) -> None:
        sheet = self._open("Choose a password", _CHOOSE, "form_textbox_password")
        self.password = NewPasswordFields(
            sheet.inside, self.kit, self.presenter.password, self._make, sheet.room
        )
        self.password.pack(fill="x")
        self._end(sheet)
        self._button("Make the profile", self._make, "primary")
        self._button("Back", self.presenter.back, "plain")
        self.soon(self.password, self.password.focus_set)

    # ------------------------------------------------------------ inside

    def _open(self, title: str, text: str, icon: str) -> Sheet:
        self._sheet = Sheet(self, self.kit, title, text, icon)
        return self._sheet  # type: ignore[no-any-return]

    def _end(self, sheet: Sheet) -> None:
        self._said = Sentence(sheet.inside, self.kit, sheet.room)
        self._said.pack(fill="x", pady=(8, 0))
        self._below = ctk.CTkFrame(sheet.inside, fg_color="transparent")
        self._below.pack(fill="x", pady=(12, 0))

    def _button(self, words: str, command: Any, look: Any) -> None:
        button = Button(self._below, self.kit, words, command, look=look)
        button.pack(fill="x", pady=(8, 0))
        self.buttons.append(button)

    def _begin(self, *, recover: bool) -> None:
        if self.name is not None:
            self.presenter.begin(self.name.text, recover=recover)

    def _recover(self) -> None:
        if self.words is not None:
            self.presenter.recover(self.words.text)

    def _make(self) -> None:
        if self.password is not None:
            self.presenter.make(self.password.first.text, self.password.second.text)
