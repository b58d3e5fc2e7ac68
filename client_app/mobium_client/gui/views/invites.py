"""The dialog of the ways into a channel."""

from __future__ import annotations

from collections.abc import Callable

import customtkinter as ctk

from mobium_client.gui.models.invites import LASTING, USES, Invites
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.choices import Choices
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.item_list import Item, ItemList
from mobium_client.gui.widgets.qr import qr_image
from mobium_client.gui.widgets.sentence import Sentence
from mobium_client.gui.widgets.sheet import Sheet

__all__ = ["InvitesView"]

_LEFT = 440
_SIDE = 240
_APART = 24
_LIST = 116


class InvitesView(View[Invites]):
    """What is chosen on the left, the link and its picture on the right."""

    def _build(self) -> None:
        private = self.presenter.state.private
        self._chosen = ""
        self._drawn = ""
        self._asks = False
        title = f"Invite into {self.presenter.state.label}"[:60]
        wanted = _LEFT + _SIDE + _APART if private else _SIDE
        sheet = Sheet(self, self.kit, title, width=wanted)
        body = sheet.inside
        beside = sheet.room >= self.kit.theme.grown(_LEFT) + _SIDE + _APART  # else the link stands below
        body.columnconfigure(0, weight=1)
        left = ctk.CTkFrame(body, fg_color="transparent", width=_LEFT)
        if private:
            left.grid(row=0, column=0, sticky="nsew", padx=(0, _APART if beside else 0))
            self._build_choices(left)
        right = ctk.CTkFrame(body, fg_color="transparent", width=_SIDE)
        right.grid(row=0 if beside else 1, column=1 if private and beside else 0, sticky="n")
        self._build_link(right)
        self._problem = Sentence(body, self.kit, sheet.room)
        self._problem.grid(row=2, column=0, columnspan=2, sticky="ew", pady=(8, 0))
        buttons = self._buttons = ctk.CTkFrame(body, fg_color="transparent")
        buttons.grid(row=3, column=0, columnspan=2, sticky="ew", pady=(16, 0))
        self.done = Button(buttons, self.kit, "Done", self.presenter.close_dialog, width=120)
        self.done.pack(side="right")
        if private:
            self.renew = Button(
                buttons, self.kit, "Revoke every link", self.presenter.renew, look="danger", icon="key_change"
            )
            self.renew.pack(side="left")
            self.revoke = Button(buttons, self.kit, "Revoke the chosen link", self._revoke, look="danger")
            self.revoke.pack(side="left", padx=8)
            self._build_question(body, sheet.room)
        sheet.adopt()

    def _build_question(self, parent: ctk.CTkFrame, room: int) -> None:
        """What stands in place of the buttons while something is asked."""
        self._asking = ctk.CTkFrame(parent, fg_color="transparent")
        self._question = Sentence(self._asking, self.kit, room)
        self._question.pack(fill="x", pady=(0, 12))
        self.no = Button(self._asking, self.kit, "Cancel", self.presenter.take_back)
        self.no.pack(side="right")
        self.yes = Button(self._asking, self.kit, "", self.presenter.confirm, look="danger")
        self.yes.pack(side="right", padx=8)

    def _build_choices(self, parent: ctk.CTkFrame) -> None:
        theme = self.kit.theme
        self.uses = self._choices(parent, "For how many people", self.presenter.choose_uses)
        self.lasting = self._choices(parent, "For how long", self.presenter.choose_lasting)
        self.make = Button(parent, self.kit, "Make a link", self.presenter.make, look="primary")
        self.make.pack(fill="x", pady=(4, 16))
        self._heading = ctk.CTkLabel(
            parent, text="Links in force", font=theme.font("small"), text_color=theme.colors.muted, anchor="w"
        )
        self._heading.pack(fill="x")
        self.list = ItemList(parent, self.kit, self._choose, theme.colors.raised)
        self.list.configure(height=theme.grown(_LIST))
        self.list.grid_propagate(False)
        self.list.pack(fill="both", expand=True)

    def _choices(self, parent: ctk.CTkFrame, words: str, chosen: Callable[[str], object]) -> Choices[str]:
        theme = self.kit.theme
        ctk.CTkLabel(
            parent, text=words, font=theme.font("small"), text_color=theme.colors.muted, anchor="w"
        ).pack(fill="x")
        made: Choices[str] = Choices(parent, self.kit, chosen, across=_LEFT)
        made.pack(fill="x", pady=(4, 8))
        return made

    def _build_link(self, parent: ctk.CTkFrame) -> None:
        theme = self.kit.theme
        self._code = ctk.CTkLabel(parent, text="", width=_SIDE, height=_SIDE)
        self._code.pack()
        self.link = Field(parent, self.kit, width=_SIDE)
        self.copy = Button(parent, self.kit, "Copy the link", self._copy, icon="content_copy")
        self._about = ctk.CTkLabel(
            parent, text="", font=theme.font("small"), text_color=theme.colors.muted, justify="left",
            wraplength=_SIDE, anchor="w",
        )  # fmt: skip
        self._about.pack(side="bottom", fill="x", pady=(8, 0))

    def render(self) -> None:
        """Show the link, those in force, and what went wrong."""
        state, colors = self.presenter.state, self.kit.theme.colors
        if state.link != self._drawn:
            self._drawn = state.link
            self.link.put(state.link)
            self.copy.change(text="Copy the link", icon="content_copy")
            if state.link:
                self._code.configure(image=qr_image(state.link, _SIDE), text="")
                self.link.pack(fill="x", pady=(8, 8))
                self.copy.pack(fill="x")
            else:
                self.link.pack_forget()
                self.copy.pack_forget()
        if not state.link:
            empty = self.kit.icons.image("qrcode", 64, colors.line)
            self._code.configure(image=empty, text="" if state.private else "Making the link …")
        self._about.configure(text=state.about or "A link that you make here is shown with its QR code.")
        self._problem.say(state.problem or state.said, "danger" if state.problem else "good")
        if not state.private:
            return
        self.uses.show([(word, word) for word in USES], state.uses)
        self.lasting.show([(word, word) for word in LASTING], state.lasting)
        count = len(state.rows)
        self._heading.configure(
            text="Links in force" if count else "No link is in force." if state.loaded else ""
        )
        items = [Item(row.id, row.words, f"made by {row.maker}", "link_variant") for row in state.rows]
        self._chosen = self._chosen if any(item.key == self._chosen for item in items) else ""
        self.list.show(items, self._chosen)
        self.make.change(enabled=not state.busy)
        self.renew.change(enabled=not state.busy)
        self.revoke.change(enabled=bool(self._chosen) and not state.busy)
        self._render_question()

    def _render_question(self) -> None:
        ask = self.presenter.state.ask
        if ask is not None:
            self._question.say(ask.question, "warning")
            self.yes.change(text=ask.word)
        asks = ask is not None
        if asks is self._asks:
            return
        self._asks = asks
        gone, comes = (self._buttons, self._asking) if asks else (self._asking, self._buttons)
        gone.grid_remove()
        comes.grid(row=3, column=0, columnspan=2, sticky="ew", pady=(16, 0))
        self.update_idletasks()  # the focus goes to what has its place
        (self.no if asks else self.renew).focus_set()

    def _choose(self, key: str) -> None:
        self._chosen = "" if key == self._chosen else key
        self.render()

    def _revoke(self) -> None:
        if self._chosen:
            self.presenter.revoke(self._chosen)

    def _copy(self) -> None:
        self.clipboard_clear()
        self.clipboard_append(self.presenter.state.link)
        self.copy.change(text="Copied", icon="check")
