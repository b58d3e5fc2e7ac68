"""The dialog in which an invite link leads into a channel."""

from __future__ import annotations

import customtkinter as ctk

from mobium_client.gui.models.join_channel import JoinChannel
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.sentence import Sentence
from mobium_client.gui.widgets.sheet import Sheet

__all__ = ["JoinChannelView"]

_WIDTH = 440
_TEXT = "Paste the link that somebody gave you. It begins with mobium://join/."
_FOUND = "This link stood in a message. You come into its channel once you press Join, and not before."


class JoinChannelView(View[JoinChannel]):
    """Asks for a link, and says what it leads to."""

    def _build(self) -> None:
        theme = self.kit.theme
        said = _FOUND if self.presenter.found else _TEXT
        sheet = Sheet(self, self.kit, "Join by link", said, width=_WIDTH)
        body, room = sheet.inside, sheet.room
        self.link = Field(
            body, self.kit, "Link", hint="mobium://join/…", changed=self.presenter.type,
            done=lambda _: self._join(), width=room,
        )  # fmt: skip
        self.link.pack(fill="x")
        if self.presenter.state.link:
            self.link.put(self.presenter.state.link)
        self.about = ctk.CTkLabel(
            body, text="", font=theme.font("small"), text_color=theme.colors.muted, justify="left",
            wraplength=room, anchor="w",
        )  # fmt: skip
        self.about.pack(fill="x", pady=(8, 0))
        self._problem = Sentence(body, self.kit, room)
        self._problem.pack(fill="x", pady=(8, 0))
        buttons = ctk.CTkFrame(body, fg_color="transparent")
        buttons.pack(fill="x", pady=(16, 0))
        self.join = Button(buttons, self.kit, "Join", self._join, look="primary", width=120)
        self.join.pack(side="right")
        Button(buttons, self.kit, "Cancel", self.presenter.cancel, look="plain").pack(side="right", padx=8)
        sheet.adopt()

    def _connect(self) -> None:
        self.link.entry.bind("<<Paste>>", lambda _: self.after_idle(self._look), add=True)
        # whoever has opened a link by Enter, and holds it a little long, joins nothing by it
        self.soon(self, self.focus_set if self.presenter.found else self.link.focus_set)

    def render(self) -> None:
        """Show what the link says, and what went wrong."""
        state = self.presenter.state
        where = f" On {state.server}." if state.server else ""
        self.about.configure(text=f"{state.meaning}{where}")
        if state.meaning:
            self.about.pack(fill="x", pady=(8, 0), before=self._problem)
        else:
            self.about.pack_forget()
        self._problem.say(state.problem)
        self.join.change(text="Joining …" if state.busy else "Join", enabled=not state.busy)

    def _look(self) -> None:
        if self.winfo_exists():
            self.presenter.type(self.link.text)

    def _join(self) -> None:
        self.presenter.type(self.link.text)
        self.presenter.join()
