"""A part of the screen that scrolls when what is in it is higher; what gets the focus comes into sight.

CustomTkinter's own scrollable frame leaves bindings behind each time one goes. For some dozens of widgets: an
X11 window cannot be higher than 32,767 pixels. Not its concern: long lists (`row_list`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import customtkinter as ctk

from mobium_client.gui.view import Kit

__all__ = ["Scroll"]

_STEP = 48  # pixels of one turn of the wheel
_PAGE = 0.8  # of what is seen
_DRAWN = 50  # pixels; what is less high was not laid out yet
_MARGIN = 24  # pixels that are shown above and below what has the focus


class Scroll(ctk.CTkFrame):
    """`body` takes the widgets; call `adopt` after some were added."""

    def __init__(self, parent: Any, kit: Kit, color: str, *, centered: bool = False) -> None:
        """`centered`: a body that is less high than the room stands in its middle."""
        super().__init__(parent, corner_radius=0, fg_color=color)
        self._kit = kit
        self._color = color
        self._centered = centered
        self._needed = False
        self._focus_tag = f"Scroll{self}"
        self._build()
        self._connect()

    def _build(self) -> None:
        colors = self._kit.theme.colors
        self._paper = ctk.CTkCanvas(self, highlightthickness=0, bg=self._color, takefocus=0)
        self._paper.grid(row=0, column=0, sticky="nsew")
        self.columnconfigure(0, weight=1)
        self.rowconfigure(0, weight=1)
        self._bar = ctk.CTkScrollbar(
            self, command=self._paper.yview, width=12, fg_color=self._color, button_color=colors.line,
            button_hover_color=colors.muted,
        )  # fmt: skip
        self.body = ctk.CTkFrame(self._paper, corner_radius=0, fg_color=self._color)
        # for all its keys, Tab does not stop there
        self.tk.call(self.body._w, "configure", "-takefocus", 0)
        self._item = self._paper.create_window(0, 0, window=self.body, anchor="nw")
        self._paper.configure(yscrollcommand=self._bar.set)

    def _connect(self) -> None:
        self._paper.bind("<Configure>", lambda _: self._resized())
        self.body.bind("<Configure>", lambda _: self.render())
        self._catch_wheel(self._paper)
        self.tk.call("bind", self._focus_tag, "<FocusIn>", self._register(self._focused))
        for key, pages in (("<Prior>", -_PAGE), ("<Next>", _PAGE)):
            self._on(self.body, key, partial(self._turn_pages, pages))
        for key, steps in (("<Up>", -1), ("<Down>", 1)):
            self._on(self.body, key, partial(self._turn, steps))

    def adopt(self) -> None:
        """Let the wheel turn over everything that is in the body, and follow the focus."""
        waiting = [self.body]
        while waiting:
            widget = waiting.pop()
            waiting += widget.winfo_children()
            if not getattr(widget, "mobium_adopted", False):
                widget.mobium_adopted = True
                self._catch_wheel(widget)
                # bound to the widget itself it would make a place for Tab of every label
                widget.bindtags((*widget.bindtags(), self._focus_tag))

    def begin(self, widget: Any) -> None:
        """Give the focus to a widget at the end, unless one has to scroll to see it: then the keys that turn
        pages do so first, and Tab leads to it.
        """
        self.update_idletasks()  # so that it is known
        (self.body if self._needed else widget).focus_set()

    def render(self) -> None:
        """Fit the body to the width, and show the bar if it is higher than the room."""
        wide, high = self._paper.winfo_width(), self._paper.winfo_height()
        needed = self.body.winfo_reqheight()
        self._paper.itemconfigure(self._item, width=wide)
        top = (high - needed) // 2 if self._centered and needed < high else 0
        self._paper.coords(self._item, 0, top)
        self._paper.configure(scrollregion=(0, 0, wide, max(needed, high)))
        if (needed > high) != self._needed:
            self._needed = needed > high
            if self._needed:
                self._bar.grid(row=0, column=1, sticky="ns")
            else:
                self._bar.grid_forget()
        if not self._needed:
            self._paper.yview_moveto(0)

    def destroy(self) -> None:
        """The part goes."""
        self.tk.call("bind", self._focus_tag, "<FocusIn>", "")
        super().destroy()

    def _catch_wheel(self, widget: Any) -> None:
        for event, steps in (("<Button-4>", -1), ("<Button-5>", 1)):
            self._on(widget, event, partial(self._turn, steps))

    @staticmethod
    def _on(widget: Any, event: str, call: Callable[[], object]) -> None:
        """As `bind` of Tk does it; that of CustomTkinter's widgets passes it on to their insides too."""
        widget.tk.call("bind", widget._w, event, f"+{widget._register(call)}")

    def _resized(self) -> None:
        """Begin at the top again, unless what has the focus is further down."""
        self.render()
        self._paper.yview_moveto(0)
        self._focused()

    def _turn(self, steps: int) -> None:
        if self._needed:
            self._move(self._paper.canvasy(0) + steps * self._kit.theme.raw(_STEP))

    def _turn_pages(self, pages: float) -> None:
        if self._needed:
            self._move(self._paper.canvasy(0) + pages * self._paper.winfo_height())

    def _focused(self) -> None:
        focused = self.focus_get()
        if focused is not None and str(focused).startswith(f"{self.body}."):
            self._show(focused)

    def _show(self, widget: Any) -> None:
        """Bring a widget into sight."""
        self.update_idletasks()  # so that everything is in its place
        if not self._needed or self._paper.winfo_height() < _DRAWN:
            return
        top = widget.winfo_rooty() - self.body.winfo_rooty()
        margin, high = self._kit.theme.raw(_MARGIN), self._paper.winfo_height()
        seen = self._paper.canvasy(0)
        if top - margin < seen:
            self._move(top - margin)
        elif top + widget.winfo_height() + margin > seen + high:
            self._move(min(top - margin, top + widget.winfo_height() + margin - high))

    def _move(self, top: float) -> None:
        whole = max(1, self.body.winfo_reqheight())
        self._paper.yview_moveto(max(0.0, top) / whole)
