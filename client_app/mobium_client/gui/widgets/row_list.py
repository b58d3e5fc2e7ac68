"""A long list of conversations of which only the rows that can be seen are drawn.

One canvas of the size of the window, whatever the length: an X11 window cannot be higher than 32,767 pixels.
Not its concern: what is in the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import customtkinter as ctk

from mobium_client.gui.models.conversations import Row
from mobium_client.gui.models.words import STATES
from mobium_client.gui.theme import Role
from mobium_client.gui.view import Kit

__all__ = ["RowList"]

_ROW = 64  # pixels at 100 %
_FIELDS = 12
_ROLES: tuple[Role, ...] = ("strong", "body", "small")


class RowList(ctk.CTkFrame):
    """Shows rows; `chosen` is called with the place of the one that is clicked or opened by Enter."""

    def __init__(
        self,
        parent: Any,
        kit: Kit,
        chosen: Callable[[int], object],
        moved: Callable[[int], object],
    ) -> None:
        """`moved` is called with +1 or -1 by the arrow keys."""
        super().__init__(parent, corner_radius=0, fg_color=kit.theme.colors.side)
        self._kit = kit
        self._chosen = chosen
        self._moved = moved
        self._rows: Sequence[Row] = ()
        self._selected: str | None = None
        self._over: int | None = None
        self._stale = True
        self.by_key = False
        """Whether an arrow key is just opening another row, so that the focus is to stay here."""
        self._top = 0.0  # pixels above the visible part
        self._build()
        self._connect()

    def _build(self) -> None:
        theme = self._kit.theme
        self._height = theme.raw(theme.grown(_ROW))
        self._paper = ctk.CTkCanvas(self, highlightthickness=0, bg=theme.colors.side, takefocus=1)
        self._paper.pack(side="left", fill="both", expand=True)
        self._bar = ctk.CTkScrollbar(
            self, command=self._scrolled, width=10, fg_color=theme.colors.side,
            button_color=theme.colors.line, button_hover_color=theme.colors.muted,
        )  # fmt: skip
        self._rulers = {role: theme.ruler(role) for role in _ROLES}

    def _connect(self) -> None:
        canvas = self._paper
        canvas.bind("<Configure>", lambda _: self.render())
        canvas.bind("<Button-1>", self._clicked)
        canvas.bind("<Motion>", lambda event: self._hover(event.y))
        canvas.bind("<Leave>", lambda _: self._hover(None))
        canvas.bind("<FocusIn>", lambda _: self.render())
        canvas.bind("<FocusOut>", lambda _: self.render())
        canvas.bind("<MouseWheel>", lambda event: self._wheel(-event.delta / 120))
        canvas.bind("<Button-4>", lambda _: self._wheel(-1))
        canvas.bind("<Button-5>", lambda _: self._wheel(1))
        canvas.bind("<Return>", lambda _: self._entered())
        for key, steps in (("<Up>", -1), ("<Down>", 1), ("<Prior>", -8), ("<Next>", 8)):
            canvas.bind(key, lambda _, steps=steps: self._stepped(steps))

    def show(self, rows: Sequence[Row], selected: str | None) -> None:
        """Show other rows; the one that is newly selected comes into sight."""
        moved = selected != self._selected
        if not moved and rows == self._rows and not self._stale:
            return
        self._stale = False
        self._rows, self._selected = rows, selected
        if moved:
            self._reveal()
        self.render()

    def render(self) -> None:
        """Draw the rows that can be seen."""
        canvas = self._paper
        canvas.delete("all")
        if canvas.winfo_width() <= 1:  # it has no place yet
            return
        visible = max(1, canvas.winfo_height())
        whole = len(self._rows) * self._height
        self._top = min(max(self._top, 0.0), max(0.0, whole - visible))
        first = int(self._top // self._height)
        last = min(len(self._rows), int((self._top + visible) // self._height) + 1)
        for place in range(first, last):
            self._draw_row(place, place * self._height - int(self._top))
        if whole > visible:
            self._bar.pack(side="right", fill="y")
            self._bar.set(self._top / whole, (self._top + visible) / whole)
        else:
            self._bar.pack_forget()

    def focus_set(self) -> None:
        """Take the focus of the keyboard."""
        self._paper.focus_set()

    def destroy(self) -> None:
        """The list goes."""
        super().destroy()

    # ------------------------------------------------------------ drawing

    def _draw_row(self, place: int, y: int) -> None:
        theme, canvas, row = self._kit.theme, self._paper, self._rows[place]
        colors, px = theme.colors, theme.raw
        width, middle = canvas.winfo_width(), y + self._height // 2
        selected = row.target == self._selected
        ground = colors.selected if selected else colors.hover if place == self._over else colors.side
        if ground != colors.side:
            self._ground(px(8), y + px(2), width - px(8), y + self._height - px(2), ground)
        if place in self._marked() and canvas.focus_get() is canvas:
            canvas.create_rectangle(
                px(8), y + px(2), width - px(9), y + self._height - px(3), outline=colors.accent, width=px(2)
            )
        side = px(theme.grown(40))
        picture = self._kit.avatars.photo(row.key, side, square=row.kind == "channel")
        canvas.create_image(px(20), middle, image=picture, anchor="w")
        left, right = px(20) + side + px(_FIELDS), width - px(20)
        upper, lower = middle - px(theme.grown(10)), middle + px(theme.grown(11))
        taken = self._measure("small", row.time) + px(8) if row.time else 0
        canvas.create_text(
            right, upper, text=row.time, anchor="e", fill=colors.muted, font=theme.raw_font("small")
        )
        title = self._short("strong", row.title, right - taken - left)
        canvas.create_text(
            left, upper, text=title, anchor="w", fill=colors.text, font=theme.raw_font("strong")
        )
        end = right - self._badge(row, right, lower)
        said, color = row.preview, colors.muted
        if row.draft:
            said, color = f"Draft: {row.draft}", colors.accent
        elif row.changed:
            said, color = "The key has changed", colors.danger
        elif row.state in {"failed", "expired", "queued"}:
            said = f"{STATES[row.state]}: {row.preview.removeprefix('You: ')}"
            color = colors.muted if row.state == "queued" else colors.danger
        elif row.blocked:
            said = "Blocked"
        elif row.request and not row.preview.startswith("You: "):
            said = f"Request: {row.preview}"
        text = self._short("body", said, end - left)
        canvas.create_text(left, lower, text=text, anchor="w", fill=color, font=theme.raw_font("body"))

    def _badge(self, row: Row, right: int, middle: int) -> int:
        """How many pixels the number of unread messages takes."""
        if not row.unread:
            return 0
        theme, px = self._kit.theme, self._kit.theme.raw
        text = str(row.unread) if row.unread < 1000 else "999+"
        high = px(theme.grown(20))
        wide = max(high, self._measure("small", text) + px(12))
        picture = self._kit.icons.pill(wide, high, theme.colors.fill)
        self._paper.create_image(right, middle, image=picture, anchor="e")
        self._paper.create_text(
            right - wide / 2, middle, text=text, fill=theme.colors.on_fill, font=theme.raw_font("small")
        )
        return wide + px(8)

    def _ground(self, left: int, top: int, right: int, bottom: int, color: str) -> None:
        picture = self._kit.icons.pill(right - left, bottom - top, color, self._kit.theme.raw(10))
        self._paper.create_image(left, top, image=picture, anchor="nw")

    def _measure(self, role: Role, text: str) -> int:
        return self._rulers[role].width(text)

    def _short(self, role: Role, text: str, room: int) -> str:
        """`text` in at most `room` pixels, with an ellipsis where it was cut."""
        order = self._kit.theme.order
        return order.seen(self._rulers[role].short(text, room))

    # ------------------------------------------------------------ moving

    def _reveal(self) -> None:
        for place, row in enumerate(self._rows):
            if row.target == self._selected:
                visible = self._paper.winfo_height()
                top = place * self._height
                if visible > self._height:
                    self._top = (
                        min(self._top, top)
                        if top < self._top
                        else max(self._top, top + self._height - visible)
                    )
                return

    def _scrolled(self, what: str, amount: str, unit: str = "units") -> None:
        if what == "moveto":
            self._top = float(amount) * len(self._rows) * self._height
        else:
            self._top += float(amount) * (self._height if unit == "units" else self._paper.winfo_height())
        self.render()

    def _wheel(self, steps: float) -> None:
        self._top += steps * self._height
        self.render()

    def _at(self, y: int) -> int | None:
        place = int((self._top + y) // self._height)
        return place if 0 <= place < len(self._rows) else None

    def _hover(self, y: int | None) -> None:
        over = None if y is None else self._at(y)
        if over != self._over:
            self._over = over
            self._paper.configure(cursor="" if over is None else "hand2")
            self.render()

    def _stepped(self, steps: int) -> None:
        self.by_key = True
        try:
            self._moved(steps)
        finally:
            self.by_key = False

    def _marked(self) -> Sequence[int]:
        """The places of the selected conversation, or that of the first one, where the keys begin."""
        return [place for place, row in enumerate(self._rows) if row.target == self._selected] or [0]

    def _entered(self) -> None:
        """Enter opens the selected row, or the first."""
        if self._rows:
            self._chosen(self._marked()[0])

    def _clicked(self, event: Any) -> None:
        place = self._at(event.y)
        if place is not None:
            self.after_idle(self._chosen, place)  # CustomTkinter gives the focus to what is clicked, before
