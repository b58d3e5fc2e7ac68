"""A long list of people or things, of which only the rows that can be seen are drawn.

One canvas of the size of its place, whatever the length: an X11 window cannot be higher than 32,767 pixels.
Not its concern: what is in the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import customtkinter as ctk

from mobium_client.gui.theme import Role
from mobium_client.gui.view import Kit

__all__ = ["Item", "ItemList", "Tone"]

_ROW = 48  # pixels at 100 %
_PICTURE = 32

Tone = Literal["muted", "good", "warning", "danger"]


@dataclass(frozen=True, slots=True)
class Item:
    """One row: a title, and below it a sentence with an icon. `picture` is a key whose picture stands before
    it, or empty.
    """

    key: str
    title: str
    detail: str = ""
    icon: str = ""
    tone: Tone = "muted"
    picture: str = ""


_ROLES: tuple[Role, ...] = ("strong", "small")


class ItemList(ctk.CTkFrame):
    """Shows items; `chosen` is called with the key of the one that is clicked or taken by Enter."""

    def __init__(self, parent: Any, kit: Kit, chosen: Callable[[str], object], color: str) -> None:
        super().__init__(parent, corner_radius=0, fg_color=color)
        self._kit = kit
        self._chosen = chosen
        self._color = color
        self._items: Sequence[Item] = ()
        self._selected = ""
        self._at = 0  # the row of the keyboard
        self._over: int | None = None
        self._top = 0.0
        self._build()
        self._connect()

    def _build(self) -> None:
        theme = self._kit.theme
        self.row = theme.raw(theme.grown(_ROW))
        self.canvas = ctk.CTkCanvas(self, highlightthickness=0, bg=self._color, takefocus=0, height=1)
        self.canvas.grid(row=0, column=0, sticky="nsew")
        self.columnconfigure(0, weight=1)
        self.rowconfigure(0, weight=1)
        self._bar = ctk.CTkScrollbar(
            self, command=self._scrolled, width=10, fg_color=self._color, button_color=theme.colors.line,
            button_hover_color=theme.colors.muted,
        )  # fmt: skip
        self._rulers = {role: theme.ruler(role) for role in _ROLES}

    def _connect(self) -> None:
        canvas = self.canvas
        canvas.bind("<Configure>", lambda _: self.render())
        canvas.bind("<Button-1>", self._clicked)
        canvas.bind("<Motion>", lambda event: self._hover(self._place(event.y)))
        canvas.bind("<Leave>", lambda _: self._hover(None))
        canvas.bind("<FocusIn>", lambda _: self.render())
        canvas.bind("<FocusOut>", lambda _: self.render())
        canvas.bind("<MouseWheel>", lambda event: self._move_top(-event.delta / 120))
        canvas.bind("<Button-4>", lambda _: self._move_top(-1))
        canvas.bind("<Button-5>", lambda _: self._move_top(1))
        for key, steps in (("<Up>", -1), ("<Down>", 1), ("<Prior>", -8), ("<Next>", 8)):
            canvas.bind(key, lambda _, steps=steps: self._step(steps))
        for key in ("<Return>", "<KP_Enter>", "<space>"):
            canvas.bind(key, lambda _: self._take())

    def show(self, items: Sequence[Item], selected: str = "") -> None:
        """Show other items; `selected` is the key of the one that is marked."""
        if (items, selected) != (self._items, self._selected):
            self._items, self._selected = items, selected
            self._at = min(self._at, max(0, len(items) - 1))
            self.canvas.configure(takefocus=int(bool(items)))  # Tab stops where something can be done
            self.render()

    def render(self) -> None:
        """Draw the rows that can be seen."""
        canvas = self.canvas
        canvas.delete("all")
        if canvas.winfo_width() <= 1:  # it has no place yet
            return
        visible = max(1, canvas.winfo_height())
        whole = len(self._items) * self.row
        self._top = min(max(self._top, 0.0), max(0.0, whole - visible))
        first = int(self._top // self.row)
        last = min(len(self._items), int((self._top + visible) // self.row) + 1)
        for place in range(first, last):
            self._draw_row(place, place * self.row - int(self._top))
        if whole > visible:
            self._bar.grid(row=0, column=1, sticky="ns")
            self._bar.set(self._top / whole, (self._top + visible) / whole)
        else:
            self._bar.grid_forget()

    def destroy(self) -> None:
        """The list goes."""
        super().destroy()

    # ------------------------------------------------------------ drawing

    def _draw_row(self, place: int, y: int) -> None:
        theme, canvas, item = self._kit.theme, self.canvas, self._items[place]
        colors, px = theme.colors, theme.raw
        width, middle = canvas.winfo_width(), y + self.row // 2
        selected = item.key == self._selected
        ground = colors.selected if selected else colors.hover if place == self._over else self._color
        if ground != self._color:
            picture = self._kit.icons.pill(width - px(16), self.row - px(4), ground, px(8))
            canvas.create_image(px(8), y + px(2), image=picture, anchor="nw")
        if place == self._at and canvas.focus_get() is canvas:
            canvas.create_rectangle(
                px(8), y + px(2), width - px(9), y + self.row - px(3), outline=colors.accent, width=px(2)
            )
        left, right = px(16), width - px(16)
        if item.picture:
            side = px(theme.grown(_PICTURE))
            picture = self._kit.avatars.photo(item.picture, side)
            canvas.create_image(left, middle, image=picture, anchor="w")
            left += side + px(10)
        upper = middle - px(theme.grown(9)) if item.detail else middle
        lower = middle + px(theme.grown(9))
        title = self._short("strong", item.title, right - left)
        canvas.create_text(
            left, upper, text=title, anchor="w", fill=colors.text, font=theme.raw_font("strong")
        )
        if not item.detail:
            return
        color = getattr(colors, item.tone)
        if item.icon:
            size = px(theme.grown(14))
            canvas.create_image(left, lower, image=self._kit.icons.photo(item.icon, size, color), anchor="w")
            left += size + px(4)
        detail = self._short("small", item.detail, right - left)
        canvas.create_text(left, lower, text=detail, anchor="w", fill=color, font=theme.raw_font("small"))

    def _short(self, role: Role, text: str, room: int) -> str:
        return self._rulers[role].short(text, room)

    # ------------------------------------------------------------ moving

    def _place(self, y: int) -> int | None:
        place = int((y + self._top) // self.row)
        return place if 0 <= place < len(self._items) else None

    def _hover(self, place: int | None) -> None:
        if place != self._over:
            self._over = place
            self.render()

    def _clicked(self, event: Any) -> None:
        self.canvas.focus_set()
        place = self._place(event.y)
        if place is not None:
            self._at = place
            self._take()

    def _take(self) -> str:
        if self._items:
            self._chosen(self._items[self._at].key)
        return "break"

    def _step(self, steps: int) -> str:
        if self._items:
            self._at = min(max(self._at + steps, 0), len(self._items) - 1)
            top, visible = self._at * self.row, self.canvas.winfo_height()
            self._top = min(self._top, top) if top < self._top else max(self._top, top + self.row - visible)
            self.render()
        return "break"

    def _move_top(self, rows: float) -> None:
        self._top += rows * self.row
        self.render()

    def _scrolled(self, what: str, amount: str, unit: str = "units") -> None:
        if what == "moveto":
            self._top = float(amount) * len(self._items) * self.row
        else:
            self._top += float(amount) * (self.canvas.winfo_height() if unit == "pages" else self.row)
        self.render()
