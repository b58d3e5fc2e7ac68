"""What is shown in the middle while no conversation is open: what to do first, or to choose one.

Not its concern: what the buttons open (`mobium_client.gui.models.main`).
"""

from __future__ import annotations

from typing import Any, Final

import customtkinter as ctk

from mobium_client.gui.models.first_steps import FirstSteps
from mobium_client.gui.models.main import Main
from mobium_client.gui.view import Kit, View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.sentence import Sentence

__all__ = ["FirstStepsBox"]

_ROOM: Final = 380
_CHOOSE: Final = "What is written there, only you and the others can read."
_GIVE: Final = "Give others your link, so that they can write to you; or ask for theirs, and write first."
_SERVER: Final = "Nothing goes out yet: this profile has no server."
_SHOWN: Final = 46  # characters of a link that fit


class FirstStepsBox(View[Main]):
    """Draws the help of the main screen."""

    def __init__(self, parent: Any, kit: Kit, presenter: Main, steps: FirstSteps) -> None:
        self._steps = steps
        self._kind = ""
        super().__init__(parent, kit, presenter)

    def _build(self) -> None:
        theme = self.kit.theme
        colors = theme.colors
        room = theme.grown(_ROOM)
        picture = self.kit.icons.image("message_lock_outline", theme.grown(52), colors.muted)
        ctk.CTkLabel(self, text="", image=picture).pack()
        self._title = ctk.CTkLabel(self, text="", font=theme.font("title"), text_color=colors.text)
        self._title.pack(pady=(16, 4))
        self._text = ctk.CTkLabel(
            self, text="", font=theme.font("body"), text_color=colors.muted, wraplength=room
        )
        self._text.pack()
        self._first = ctk.CTkFrame(self, fg_color="transparent")
        first = self._first
        self._no_server = ctk.CTkFrame(first, fg_color="transparent")
        said = Sentence(self._no_server, self.kit, room)
        said.pack(fill="x", pady=(16, 8))
        said.say(_SERVER, "warning")
        self.server = Button(
            self._no_server, self.kit, "Choose a server", self.presenter.show_connection, look="primary"
        )
        self.server.pack(fill="x")
        row = ctk.CTkFrame(first, corner_radius=8, fg_color=colors.field)
        row.pack(fill="x", pady=(20, 12))
        self._link = ctk.CTkLabel(
            row, text="", font=theme.font("small"), text_color=colors.text, anchor="w", width=1
        )
        self._link.pack(side="left", fill="x", expand=True, padx=(12, 4), pady=8)
        self.copy = Button(row, self.kit, "Copy", self._copy, look="plain", icon="content_copy")
        self.copy.pack(side="right", padx=4, pady=4)
        for words, icon, command in (
            ("New message", "message_plus_outline", self.presenter.new_message),
            ("New channel", "pound", self.presenter.new_channel),
            ("Join a channel by its link", "link_variant", self.presenter.join_channel),
        ):
            Button(first, self.kit, words, command, icon=icon).pack(fill="x", pady=4)

    def _connect(self) -> None:
        self.follow(self._steps, self._render_steps)
        self.follow(self.presenter.list, self.render)

    def render(self) -> None:
        """Show the help, or that a conversation can be chosen."""
        listed = self.presenter.list.state
        kind = "first" if listed.loaded and not listed.rows and not listed.problem else "choose"
        if kind == self._kind:
            return
        self._kind = kind
        if kind == "first":
            self._title.configure(text="Nobody is here yet")
            self._text.configure(text=_GIVE)
            self._first.pack(fill="x")
        else:
            self._title.configure(text="Choose a conversation")
            self._text.configure(text=_CHOOSE)
            self._first.pack_forget()

    def destroy(self) -> None:
        """The help goes."""
        super().destroy()

    def _render_steps(self) -> None:
        state = self._steps.state
        link = state.link
        self._link.configure(text=link if len(link) <= _SHOWN else f"{link[: _SHOWN - 1]}…")
        self.copy.change(enabled=bool(link))
        if state.loaded and not state.server:
            self._no_server.pack(fill="x", before=self._first.winfo_children()[1])
        else:
            self._no_server.pack_forget()

    def _copy(self) -> None:
        self.clipboard_clear()
        self.clipboard_append(self._steps.state.link)
        self.copy.change(text="Copied", icon="check")
