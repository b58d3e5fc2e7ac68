"""Where recovery words are typed or pasted, with how many are there and what is wrong below.

Not its concern: what the words open.
"""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium.client.checks import WORD_COUNT
from mobium_client.gui.models.recover_words import RecoverWords
from mobium_client.gui.view import Kit, View
from mobium_client.gui.widgets.sentence import Sentence

__all__ = ["WordsBox"]


class WordsBox(View[RecoverWords]):
    """Draws the judgement of what is typed."""

    def __init__(self, parent: Any, kit: Kit, presenter: RecoverWords, width: int) -> None:
        self._room = width
        super().__init__(parent, kit, presenter, kit.theme.colors.raised)

    def _build(self) -> None:
        theme = self.kit.theme
        colors = theme.colors
        self._ground = ctk.CTkFrame(
            self, corner_radius=8, fg_color=colors.field, border_width=2, border_color=colors.field
        )
        self._ground.pack(fill="x")
        box = ctk.CTkTextbox(
            self._ground, width=self._room - 24, height=theme.grown(150), corner_radius=0, border_spacing=0,
            wrap="word", fg_color=colors.field, text_color=colors.text, font=theme.font("body"),
            scrollbar_button_color=colors.line, scrollbar_button_hover_color=colors.muted,
        )  # fmt: skip
        box.pack(fill="x", padx=12, pady=10)
        self.box = box._textbox
        self.box.configure(undo=False, spacing2=4, selectbackground=colors.fill,
                           selectforeground=colors.on_fill, insertbackground=colors.text)  # fmt: skip
        self._count = ctk.CTkLabel(
            self, text="", font=theme.font("small"), text_color=colors.muted, anchor="w",
            height=theme.grown(20),
        )  # fmt: skip
        self._count.pack(fill="x", pady=(6, 0))
        self._said = Sentence(self, self.kit, self._room)
        self._said.pack(fill="x", pady=(4, 0))

    def _connect(self) -> None:
        self.box.bind("<<Modified>>", self._modified)
        self.box.bind("<Tab>", self._leave)
        self.box.bind("<FocusIn>", lambda _: self._ring(shown=True), add=True)
        self.box.bind("<FocusOut>", lambda _: self._ring(shown=False), add=True)

    def render(self) -> None:
        """Show the judgement."""
        state = self.presenter.state
        self._count.configure(text=f"{state.count} of {WORD_COUNT} words")
        if state.ready:
            self._said.say("These 24 words belong together.", "good")
        else:
            self._said.say(state.problem)

    def destroy(self) -> None:
        """The words go."""
        self.box.delete("1.0", "end")
        super().destroy()

    @property
    def text(self) -> str:
        """What was typed."""
        return str(self.box.get("1.0", "end-1c"))

    def put(self, text: str) -> None:
        """Show another text, as if it had been pasted."""
        self.box.delete("1.0", "end")
        self.box.insert("1.0", text)

    def focus_set(self) -> None:
        """Begin to type."""
        self.box.focus_set()

    def _modified(self, _: object) -> None:
        if self.box.edit_modified():
            self.box.edit_modified(False)
            self.presenter.type(self.text)

    def _leave(self, _: object) -> str:
        self.box.tk_focusNext().focus_set()
        return "break"

    def _ring(self, *, shown: bool) -> None:
        colors = self.kit.theme.colors
        self._ground.configure(border_color=colors.accent if shown else colors.field)
