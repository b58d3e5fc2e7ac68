"""Where a message is written: grows with its text; Enter sends, Shift+Enter begins a line.

What is typed is drawn in the order in which it is stored where the toolkit knows no other (X11), since the
cursor goes by that; how text that runs to the left will be read stands above it.
"""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.models.composer import Composer
from mobium_client.gui.view import Kit, View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.sentence import Sentence
from mobium_client.gui.wrapping import wrap
from mobium_client.plain import harmless

__all__ = ["ComposerBox"]

_MOST_LINES = 8
_READ = 4  # lines, those around the cursor
_LONG = 4_000  # characters that certainly take so many lines, or nearly
_LONG_LINE = 16_000  # characters that Tk lays out in some milliseconds, all of them with each key
_AROUND = 2_000  # characters before and behind the cursor that are looked at for it
_BESIDE = 4  # pixels of the reading's label beside its text


class ComposerBox(View[Composer]):
    """Draws a composer."""

    def __init__(self, parent: Any, kit: Kit, presenter: Composer) -> None:
        self._version = -1
        self._lines = 0
        self._wraps = True
        super().__init__(parent, kit, presenter)

    def _build(self) -> None:
        theme = self.kit.theme
        colors = theme.colors
        self._problem = Sentence(self, self.kit)
        self._problem.pack(fill="x", padx=28, pady=(0, 4))
        self._ground = ctk.CTkFrame(
            self, corner_radius=12, fg_color=colors.field, border_width=2, border_color=colors.field
        )
        self._ground.pack(fill="x", padx=20, pady=(0, 16))
        self.reading = ctk.CTkLabel(
            self, text="", font=theme.font("body"), text_color=colors.muted, height=0, padx=0, anchor="w"
        )
        self._box = ctk.CTkTextbox(
            self._ground, height=theme.grown(24), corner_radius=0, border_spacing=0, wrap="word",
            fg_color=colors.field, text_color=colors.text, font=theme.font("body"),
            scrollbar_button_color=colors.line, scrollbar_button_hover_color=colors.muted, undo=True,
        )  # fmt: skip
        self._box.pack(side="left", fill="x", expand=True, padx=(14, 4), pady=11)
        self.text = self._box._textbox
        self.text.configure(
            padx=0, pady=0, selectbackground=colors.fill, selectforeground=colors.on_fill,
            insertbackground=colors.text,
        )  # fmt: skip
        self._hint = ctk.CTkLabel(
            self._ground, text="Write a message", font=theme.font("body"), text_color=colors.muted,
            fg_color=colors.field, cursor="xterm",
        )  # fmt: skip
        self._send = Button(
            self._ground, self.kit, "", self._sent, look="plain", icon="send", tone=colors.accent
        )
        self._send.pack(side="right", anchor="s", padx=6, pady=5)

    def _connect(self) -> None:
        self.text.bind("<Return>", self._enter)
        self.text.bind("<KP_Enter>", self._enter)
        self.text.bind("<Shift-Return>", lambda _: None)
        self.text.bind("<Tab>", self._leave_forward)
        self.text.bind("<<Modified>>", self._modified)
        self.text.bind("<Configure>", lambda _: self._grow(), add=True)
        for event in ("<Configure>", "<KeyRelease>", "<ButtonRelease-1>"):
            self.text.bind(event, lambda _: self._read(), add=True)
        self.text.bind("<FocusIn>", lambda _: self._ring(shown=True), add=True)
        self.text.bind("<FocusOut>", lambda _: self._ring(shown=False), add=True)
        self._hint.bind("<Button-1>", lambda _: self.after_idle(self.text.focus_set))

    def render(self) -> None:
        """Show what the composer says; what is being typed here is not touched."""
        state = self.presenter.state
        if state.version != self._version:
            self._version = state.version
            if self._typed() != state.text:
                self.text.delete("1.0", "end")
                self.text.insert("1.0", state.text)
                self.text.edit_reset()
        self._problem.say(state.problem)
        self._send.change(enabled=bool(state.text.strip()))
        if state.text:
            self._hint.place_forget()
        else:
            self._hint.place(x=18, rely=0.5, anchor="w")
        self._wrap()
        self._grow()
        self._read()

    def destroy(self) -> None:
        """The box goes."""
        super().destroy()

    def focus_set(self) -> None:
        """Take the focus of the keyboard."""
        self.text.focus_set()

    def _typed(self) -> str:
        return str(self.text.get("1.0", "end-1c"))

    def _modified(self, _: object) -> None:
        if self.text.edit_modified():
            self.text.edit_modified(False)
            self.presenter.type(self._typed())

    def _enter(self, _: object) -> str:
        self._sent()
        return "break"

    def _sent(self) -> None:
        self.presenter.type(self._typed())
        self.presenter.send()

    def _leave_forward(self, _: object) -> str:
        self._send.focus_set()
        return "break"

    def _wrap(self) -> None:
        """Break lines where the box ends, but for one that would hold up each key: it is drawn in one row."""
        text = self.presenter.state.text
        wraps = len(text) < _LONG_LINE or max(map(len, text.split("\n"))) < _LONG_LINE
        if wraps is not self._wraps:
            self._wraps = wraps
            self.text.configure(wrap="word" if wraps else "none")
            self.text.see("insert")

    def _grow(self) -> None:
        """As high as its text, up to some lines."""
        lines = _MOST_LINES
        if len(self.presenter.state.text) < _LONG:  # Tk would lay all of a long one out to count its lines
            counted = self.text.count("1.0", "end", "displaylines")
            lines = min(lines, max(1, counted[0] if isinstance(counted, tuple) else counted or 1))
        if lines != self._lines:
            self._lines = lines
            line = self.kit.theme.font("body").metrics("linespace")
            self._box.configure(height=lines * line + 4)
            self.text.see("insert")

    def _read(self) -> None:
        """Show how what is written will be read, if that is another order than the one that is drawn."""
        order, theme = self.kit.theme.order, self.kit.theme
        begin, end = f"insert -{_AROUND}c", f"insert +{_AROUND}c"
        if self.text.compare(end, ">", "end-1c"):  # Tk adds a line break of its own
            end = "end-1c"
        text = harmless(str(self.text.get(begin, end)))
        if not order.applies(text):
            self.reading.pack_forget()
            return
        room = self._ground.winfo_width() - theme.raw(28 + _BESIDE)
        before = harmless(str(self.text.get(begin, "insert")))
        rows = wrap(text, max(theme.raw(80), room), theme.ruler("body"))
        at = next((row for row, (_, end) in enumerate(rows) if len(before) <= end), len(rows) - 1)
        first = max(0, min(at - _READ // 2, len(rows) - _READ))
        shown = [text[slice(*row)] for row in rows[first : first + _READ]]
        right = any(order.to_the_right(line) for line in shown)
        self.reading.configure(
            text="\n".join(order.seen(line) for line in shown),
            justify="right" if right else "left",
            anchor="e" if right else "w",
        )
        self.reading.pack(fill="x", padx=34, pady=(0, 6), before=self._ground)

    def _ring(self, *, shown: bool) -> None:
        colors = self.kit.theme.colors
        self._ground.configure(border_color=colors.accent if shown else colors.field)
