"""The connection as the dialog and the settings show it: how it is, the address, the server's key.

Not its concern: what is done about it (`mobium_client.gui.models.connection`).
"""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.models.connection import ConnectionDialog
from mobium_client.gui.view import Kit, View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.choices import Switch
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.key_groups import KeyGroups
from mobium_client.gui.widgets.sentence import Sentence

__all__ = ["ConnectionPanel"]

_DOTS = {"good": "circle", "waiting": "circle_slice_4", "off": "circle_outline"}
_QUEUED = "What you write meanwhile is queued, and goes out by itself once the connection is back."
_CHANGED = (
    "The server shows another key than the one that this machine knows. It may have been set up anew, or "
    "somebody stands between you and it. Nothing is sent until you decide."
)


class ConnectionPanel(View[ConnectionDialog]):
    """Draws the connection and what can be done about it."""

    def __init__(self, parent: Any, kit: Kit, presenter: ConnectionDialog, color: str, width: int) -> None:
        self._ground = color
        self._room = width
        self._address = ""
        super().__init__(parent, kit, presenter, color)

    def _build(self) -> None:
        theme = self.kit.theme
        colors = theme.colors
        self._state = ctk.CTkLabel(
            self, text="", font=theme.font("strong"), compound="left", anchor="w", padx=0
        )
        self._state.pack(fill="x")
        self._reason = Sentence(self, self.kit, self._room)
        self._reason.pack(fill="x", pady=(4, 0))
        self._queued = ctk.CTkLabel(
            self, text=_QUEUED, font=theme.font("small"), text_color=colors.muted, justify="left", anchor="w",
            wraplength=self._room,
        )  # fmt: skip
        self.address = Field(
            self, self.kit, "Address of the server", width=self._room, hint="chat.example.org",
            done=lambda _: self._dial(),
        )  # fmt: skip
        self.address.pack(fill="x", pady=(16, 0))
        row = ctk.CTkFrame(self, fg_color="transparent")
        row.pack(fill="x", pady=(12, 0))
        self.connect = Button(row, self.kit, "Connect", self._dial, look="primary")
        self.connect.pack(side="left", fill="x", expand=True)
        self.disconnect = Button(row, self.kit, "Disconnect", self.presenter.disconnect)
        self.disconnect.pack(side="left", fill="x", expand=True, padx=(8, 0))
        self._said = Sentence(self, self.kit, self._room)
        self._said.pack(fill="x", pady=(8, 0))
        self._known_title = self._small("The server's key, pinned at the first connection")
        self._known_title.pack(anchor="w", pady=(12, 4))
        self._known = KeyGroups(self, self.kit)
        self._known.pack(anchor="w")
        self._changed = ctk.CTkFrame(self, fg_color="transparent")
        self._build_changed()

    def _build_changed(self) -> None:
        frame, kit = self._changed, self.kit
        said = Sentence(frame, kit, self._room)
        said.pack(fill="x", pady=(16, 0))
        said.say(_CHANGED)
        self.compare = Button(frame, kit, "Compare the keys", self.presenter.compare)
        self._both = ctk.CTkFrame(frame, fg_color="transparent")
        self._small("The key that the server shows now", self._both).pack(anchor="w", pady=(12, 4))
        self._offered = KeyGroups(self._both, kit, kit.theme.colors.warning)
        self._offered.pack(anchor="w")
        self.confirmed = Switch(
            self._both, kit, "The operator has told me that this is the new key", self._confirm
        )
        self.confirmed.pack(fill="x", pady=(12, 0))
        self.accept = Button(self._both, kit, "Believe the new key", self._accept, look="danger")
        self.accept.pack(fill="x", pady=(8, 0))
        self.refuse = Button(self._both, kit, "Leave it as it is", self.presenter.refuse, look="quiet")
        self.refuse.pack(fill="x", pady=(8, 0))

    def _connect(self) -> None:
        self.follow(self.presenter.status, self._render_status)

    def _render_status(self) -> None:
        state = self.presenter.status.state
        colors = self.kit.theme.colors
        stopped = colors.danger if state.lasting else colors.muted
        color = {"good": colors.good, "waiting": colors.warning, "off": stopped}[state.tone]
        where = f" to {state.server}" if state.tone == "good" and state.server else ""
        size = self.kit.theme.grown(14)
        self._state.configure(
            text=f"  {state.words}{where}",
            text_color=color,
            image=self.kit.icons.image(_DOTS[state.tone], size, color),
        )
        # of a changed key more is said below, beside what can be done
        reason = "" if state.key_changed else state.reason
        self._reason.say(reason, "warning" if state.tone == "waiting" else "danger")
        if state.tone == "good" or state.key_changed:
            self._queued.pack_forget()
        else:
            self._queued.pack(fill="x", pady=(4, 0), after=self._reason)

    def render(self) -> None:
        """Show how it is."""
        state = self.presenter.state
        if state.address != self._address:
            self._address = state.address
            self.address.put(state.address)
        self.connect.change(enabled=not state.busy, text="Connect")
        self.disconnect.change(enabled=state.wanted and not state.busy)
        self._said.say(state.problem)
        self._known.show(state.key)
        if state.key:
            self._known_title.configure(text="The server's key, pinned at the first connection")
        else:
            self._known_title.configure(text="" if not state.loaded else "No server has been reached yet")
        if not state.offered:
            self._changed.pack_forget()
            return
        self._changed.pack(fill="x")
        if state.comparing:
            self.compare.pack_forget()
            self._offered.show(state.offered)
            self._both.pack(fill="x")
        else:
            self._both.pack_forget()
            self.confirmed.show(on=False)
            self.compare.pack(fill="x", pady=(8, 0))

    def destroy(self) -> None:
        """The panel goes."""
        super().destroy()

    def _small(self, text: str, parent: Any = None) -> Any:
        theme = self.kit.theme
        return ctk.CTkLabel(
            parent or self, text=text, font=theme.font("small"), text_color=theme.colors.muted, anchor="w"
        )

    def _dial(self) -> None:
        self.presenter.connect(self.address.text)

    def _confirm(self, yes: bool) -> None:
        self.confirmed.show(on=yes)

    def _accept(self) -> None:
        self.presenter.accept(confirmed=self.confirmed.on)
