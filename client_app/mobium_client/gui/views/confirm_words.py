"""The recovery words, large and numbered; then three of them are asked back."""

from __future__ import annotations

from functools import partial
from typing import Any

import customtkinter as ctk

from mobium_client.gui.models.confirm_words import ConfirmWords
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.sentence import Sentence
from mobium_client.gui.widgets.sheet import Sheet

__all__ = ["ConfirmWordsView"]

_SHOW = (
    "Write these 24 words down now, on paper and in this order. They are the only way back to your "
    "identity if you lose this machine or forget your password. Whoever has them can write as you: keep them "
    "as you would keep money, and never in a photograph or a file."
)
_ASK = "Type three of them, from your paper, so that no slip stays unseen."
_COLUMNS = 4
_COLUMN = 150  # pixels at 100 %: a number and eight letters
_WIDTH = 640


class ConfirmWordsView(View[ConfirmWords]):
    """Draws the words, or the question."""

    def _build(self) -> None:
        self._step = ""
        self._sheet: Any = None
        self.fields: list[Field] = []

    def render(self) -> None:
        """Show the step, and how it went."""
        state = self.presenter.state
        if state.step != self._step:
            self._step = state.step
            if self._sheet is not None:
                self._sheet.destroy()
            if state.step == "show":
                self._show()
            else:
                self._ask()
            self._sheet.adopt()
        self._said.say(state.problem)
        self.button.change(enabled=not state.busy)

    def destroy(self) -> None:
        """The words go."""
        for field in self.fields:
            field.clear()
        super().destroy()

    def _show(self) -> None:
        theme = self.kit.theme
        self._sheet = Sheet(self, self.kit, "Your 24 words", _SHOW, "key_outline", _WIDTH)
        inside = self._sheet.inside
        self._said = Sentence(inside, self.kit, self._sheet.room)
        self._said.pack(fill="x", pady=(0, 12))
        grid = ctk.CTkFrame(inside, fg_color=theme.colors.field, corner_radius=12)
        grid.pack(fill="x")
        words = self.presenter.state.words
        columns = max(1, min(_COLUMNS, self._sheet.room // theme.grown(_COLUMN)))
        rows = -(-len(words) // columns)
        for column in range(columns):
            grid.columnconfigure(column, weight=1, uniform="words")
        for place, word in enumerate(words):
            cell = ctk.CTkFrame(grid, fg_color="transparent")
            cell.grid(
                row=place % rows, column=place // rows, sticky="w", padx=(16, 4),
                pady=(12 if place % rows == 0 else 3, 12 if place % rows == rows - 1 else 3),
            )  # fmt: skip
            ctk.CTkLabel(
                cell, text=f"{place + 1}", width=theme.grown(24), anchor="e", font=theme.font("small"),
                text_color=theme.colors.muted,
            ).pack(side="left")  # fmt: skip
            ctk.CTkLabel(
                cell, text=word, font=theme.font("title"), text_color=theme.colors.text, padx=8
            ).pack(side="left")
        self.fields = []
        self.button = Button(inside, self.kit, "I have written them down", self.presenter.ask, look="primary")
        self.button.pack(fill="x", pady=(20, 0))
        Button(inside, self.kit, "Later: ask me at the next start", self.presenter.later, look="plain").pack(
            fill="x", pady=(8, 0)
        )
        # not on the button: a key that was meant for the screen before must not pass the words over
        self.soon(self._sheet.body, self._sheet.body.focus_set)

    def _ask(self) -> None:
        self._sheet = Sheet(self, self.kit, "Are they on your paper?", _ASK, "pencil_outline")
        inside = self._sheet.inside
        places = self.presenter.state.places
        self.fields = []
        for number, place in enumerate(places):
            field = Field(
                inside, self.kit, f"Word {place + 1}", width=self._sheet.room,
                done=partial(self._next, number),
            )  # fmt: skip
            field.pack(fill="x", pady=(0, 12))
            self.fields.append(field)
        self._said = Sentence(inside, self.kit, self._sheet.room)
        self._said.pack(fill="x")
        self.button = Button(inside, self.kit, "Go on", self._answer, look="primary")
        self.button.pack(fill="x", pady=(8, 0))
        Button(inside, self.kit, "Show me the words again", self.presenter.show, look="plain").pack(
            fill="x", pady=(8, 0)
        )
        self.soon(self.fields[0], self.fields[0].focus_set)

    def _next(self, number: int, _typed: str) -> None:
        if number + 1 < len(self.fields):
            self.fields[number + 1].focus_set()
        else:
            self._answer()

    def _answer(self) -> None:
        self.presenter.answer([field.text for field in self.fields])
