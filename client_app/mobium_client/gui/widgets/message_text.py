"""The lines of a conversation in one text widget: bubbles are tags with margins, their round ends small
pictures.

A bubble is as wide as its text, which is broken into lines here, since a tag has no padding: each line begins
with a tab. What is selected is copied without those. Only what changed is drawn anew, and of much the newest
at once and the rest little by little, so that the window never stands still, whatever somebody has written.
Not its concern: which lines there are (`mobium_client.gui.models.lines`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import customtkinter as ctk

from mobium_client.gui.models.lines import Bubble, Line
from mobium_client.gui.models.links import JOIN
from mobium_client.gui.view import Kit
from mobium_client.gui.widgets.bubbles import Shapes

__all__ = ["MessageText"]

_RING = 2  # pixels of the frame that shows the focus
# What is drawn at once: some 150 usual lines, in a tenth of a second.
_SLICE = 40_000  # characters
_LINE = 200  # characters that cost as much as a line without any
_PAUSE = 10  # milliseconds between two slices, for everything else


class MessageText(ctk.CTkFrame):
    """`older` is called when somebody has scrolled to the top, `acted` with the word and the value of what is
    clicked: ("retry", id), ("join", link). Web links go to the browser.
    """

    def __init__(
        self,
        parent: Any,
        kit: Kit,
        older: Callable[[], object],
        acted: Callable[[str, str], object],
    ) -> None:
        super().__init__(parent, corner_radius=0, fg_color=kit.theme.colors.base)
        self._kit = kit
        self._older = older
        self._acted = acted
        self._all: Sequence[Line] = ()
        self._lines: Sequence[Line] = ()  # those that are drawn
        self._undrawn = 0  # how many there are above them
        self._heights: list[int] = []  # lines of the widget for each that is drawn
        self._width = 0
        self._later: str | None = None
        self._drawing: str | None = None
        self._sought: int | None = None
        self._awaited = False  # whether what is sought is not drawn yet
        self._was_at_top = True
        self._at_end = True
        self._build()
        self._connect()

    def _build(self) -> None:
        theme = self._kit.theme
        colors = theme.colors
        self._box = ctk.CTkTextbox(
            self, corner_radius=0, border_spacing=0, wrap="char", fg_color=colors.base,
            text_color=colors.text, font=theme.font("body"), scrollbar_button_color=colors.line,
            scrollbar_button_hover_color=colors.muted,
        )  # fmt: skip
        self._box.pack(fill="both", expand=True)
        self.text = self._box._textbox
        self.text.configure(
            font=theme.raw_font("body"), padx=0, pady=theme.raw(12), cursor="", insertwidth=0,
            selectbackground=colors.fill, selectforeground=colors.on_fill, takefocus=1, state="disabled",
            highlightthickness=theme.raw(_RING), highlightbackground=colors.base, highlightcolor=colors.base,
        )  # fmt: skip
        self._shapes = Shapes(self._kit, self.text)

    def _connect(self) -> None:
        self.text.bind("<Configure>", lambda event: self._resized(event.width))
        set_bar = self.text.cget("yscrollcommand")
        self.text.configure(yscrollcommand=lambda *ends: self._scrolled(set_bar, ends))
        self.text.bind("<<Copy>>", self._copy)
        for key, steps in (("<Left>", -1), ("<Right>", 1)):
            self.text.bind(key, lambda _, steps=steps: self._step(steps))
        for key in ("<Return>", "<KP_Enter>"):
            self.text.bind(key, lambda _: self._press())
        self.text.bind("<<TraverseIn>>", lambda _: self._ring(shown=True))
        self.text.bind("<FocusOut>", lambda _: self._ring(shown=False), add=True)
        self._shapes.on_action(self._act)

    def show(self, lines: Sequence[Line]) -> None:
        """Show other lines. Whoever was at the end stays there; else what is read stays where it is."""
        self._all = lines
        if self._width:
            self._undrawn = self._first_drawn(lines)
            self._paint(lines[self._undrawn :])
            self._go_on()

    def _paint(self, lines: Sequence[Line]) -> None:
        at_end = not self._heights or self._sees_end()
        before, same_end = self._differences(lines)
        old_count = len(self._lines)
        anchor = self.text.index("@0,0")
        top_line = int(anchor.split(".")[0])
        first_row = 1 + sum(self._heights[:before])
        old_rows = sum(self._heights[before : old_count - same_end])
        self.text.configure(state="normal")
        if old_rows:
            self.text.delete(f"{first_row}.0", f"{first_row + old_rows}.0")
        pieces = [self._shapes.piece(line, self._width) for line in lines[before : len(lines) - same_end]]
        self._shapes.insert(first_row, pieces)
        self.text.configure(state="disabled")
        fresh = [piece.rows for piece in pieces]
        self._heights[before : old_count - same_end] = fresh
        self._lines = lines
        moved = sum(fresh) - old_rows
        older = moved > 0 and before == 1 and same_end > 0  # the same day goes on above, under the same words
        if at_end:
            self.to_end()
        elif top_line >= first_row or older:
            self.text.yview(f"{max(1, max(top_line, first_row if older else 1) + moved)}.0")

    def render(self) -> None:
        """Draw all lines anew, for another width."""
        self._lines, self._heights, self._undrawn = (), [], 0
        self.text.configure(state="normal")
        self.text.delete("1.0", "end")
        self.text.configure(state="disabled")
        self.show(self._all)

    def destroy(self) -> None:
        """The lines go."""
        for timer in (self._later, self._drawing):
            if timer is not None:
                self.after_cancel(timer)
        super().destroy()

    def to_end(self) -> None:
        """Show the newest line."""
        self.text.see("end-1c")
        self.text.yview_moveto(1.0)

    # ------------------------------------------------------------ inside

    def _first_drawn(self, lines: Sequence[Line]) -> int:
        """From which of `lines` on they are drawn at once: what was drawn, and a slice of what was not."""
        drawn = self._lines
        if self._undrawn:  # the others are coming
            for first in (self._undrawn, len(lines) - len(drawn)):
                if 0 <= first < len(lines) and lines[first] == drawn[0]:
                    return first
            return self._slice(lines, len(lines))
        before, same_end = self._differences(lines)
        first = self._slice(lines, len(lines) - same_end)
        # whoever reads further up keeps what he reads
        return 0 if first <= before or (before > 1 and not self._sees_end()) else first

    @staticmethod
    def _slice(lines: Sequence[Line], end: int) -> int:
        """Where the slice begins that ends before the line `end`: it has one line at least."""
        first, size = end, 0
        while first > 0 and size < _SLICE:
            first -= 1
            size += _LINE + len(lines[first].text)
        return first

    def _go_on(self) -> None:
        if self._undrawn and self._drawing is None:
            self._drawing = self.after(_PAUSE, self._draw_more)

    def _draw_more(self) -> None:
        self._drawing = None
        self._undrawn = self._slice(self._all, self._undrawn)
        self._paint(self._all[self._undrawn :])
        if self._awaited and self._sought is not None:
            self.reveal(self._sought)
        self._go_on()

    def _differences(self, lines: Sequence[Line]) -> tuple[int, int]:
        """How many lines at the beginning, and how many at the end, are as they were."""
        old = self._lines if self._heights else ()
        most = min(len(old), len(lines))
        before = 0
        while before < most and old[before] == lines[before]:
            before += 1
        after = 0
        while after < most - before and old[-1 - after] == lines[-1 - after]:
            after += 1
        return before, after

    def _resized(self, outside: int) -> None:
        if self._at_end:  # a bar has come or gone: what is newest stays in sight
            self.to_end()
        width = outside - 2 * self._kit.theme.raw(_RING)
        if width == self._width or width < 100:
            return
        first = not self._width
        self._width = width
        if first:
            self.render()
            if self._sought is not None:
                self.reveal(self._sought)
            return
        if self._later is not None:
            self.after_cancel(self._later)
        self._later = self.after(60, self._redraw)

    def _redraw(self) -> None:
        self._later = None
        found = self.text.tag_ranges("found")
        in_sight = bool(found) and self.text.dlineinfo(found[0]) is not None
        self.render()
        if self._sought is not None and in_sight:
            self.reveal(self._sought)

    def _scrolled(self, set_bar: str, ends: tuple[Any, ...]) -> None:
        """Whoever has come to the top wants to see what is above."""
        self.text.tk.call(set_bar, *ends)
        # Not by the fraction alone: it is 0 while the heights of new lines above are not known.
        at_top = float(ends[0]) <= 0.0 and self.text.index("@0,0").startswith("1.")
        if at_top and not self._was_at_top and self._lines and not self._undrawn:
            self.after_idle(self._older)
        self._was_at_top = at_top
        self._at_end = self._sees_end()

    def _sees_end(self) -> bool:
        """Whether the end is in sight. Tk's fractions go by heights that it has only guessed at first."""
        return self.text.dlineinfo("end-1c") is not None

    def reveal(self, position: int) -> bool:
        """Bring the message at a position into the middle, and mark it, at the latest once the lines are
        drawn; whether it is there.
        """
        self._sought = position
        self._awaited = False
        row = 1
        for line, height in zip(self._lines, self._heights, strict=True):
            if isinstance(line, Bubble) and line.position == position:
                self._shapes.mark(row, height)
                visible = int(self.text.winfo_height() / max(1, self._kit.theme.raw(20)))
                self.text.yview(f"{max(1, row - visible // 2)}.0")
                return True
            row += height
        # not drawn yet, or how wide it is, is not known
        self._awaited = any(isinstance(line, Bubble) and line.position == position for line in self._all)
        return self._awaited

    def _act(self, action: str, value: str) -> None:
        if action == "link" and value.startswith(JOIN):
            self._acted("join", value)
        elif action == "link":
            self._kit.open_link(value)
        else:
            self._acted(action, value)

    def _copy(self, _: object) -> str:
        """Copy what is selected, as it was written: without the tabs and the breaks that lines have here."""
        if self.text.tag_ranges("sel"):
            self.clipboard_clear()
            self.clipboard_append(self._shapes.written("sel.first", "sel.last"))
        return "break"

    def _ring(self, *, shown: bool) -> None:
        """Whoever comes by the keyboard sees where it is, and goes from link to link by Left and Right."""
        colors = self._kit.theme.colors
        self.text.configure(highlightcolor=colors.accent if shown else colors.base)
        if not shown:
            self._shapes.leave()

    def _step(self, steps: int) -> str:
        place = self._shapes.step(steps)
        if place:
            self.text.see(place)
        return "break"

    def _press(self) -> str:
        self._shapes.press()
        return "break"
