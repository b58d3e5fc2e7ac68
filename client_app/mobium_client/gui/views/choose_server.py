"""The server of a new profile."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.models.choose_server import ChooseServer
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.key_groups import KeyGroups
from mobium_client.gui.widgets.sentence import Sentence
from mobium_client.gui.widgets.sheet import Sheet

__all__ = ["ChooseServerView"]

_ASK = (
    "Type the address that whoever hosts your server gave you, such as chat.example.org, or localhost for a "
    "server on this machine. The server stores and passes on what it cannot read."
)
_SHOWN = (
    "From now on this machine knows the server by its key and warns you if it ever shows another one. Compare"
    " the key with its operator if you can."
)


class ChooseServerView(View[ChooseServer]):
    """Asks for the address, then shows the key."""

    def _build(self) -> None:
        self._shown: bool | None = None
        self._sheet: Any = None

    def render(self) -> None:
        """Show the step, and how it went."""
        state = self.presenter.state
        if (state.step == "shown") != self._shown:
            self._shown = state.step == "shown"
            if self._sheet is not None:
                self._sheet.destroy()
            if self._shown:
                self._show()
            else:
                self._ask()
            self._sheet.adopt()
        if self._shown:
            return
        busy = state.step == "connecting"
        self.address.enable(enabled=not busy)
        self.button.change(text="Connecting …" if busy else "Connect", enabled=not busy)
        self._other.change(text="Cancel" if busy else "Later: go on without a server")
        self._said.say(state.problem)

    def _ask(self) -> None:
        self._sheet = Sheet(self, self.kit, "Your server", _ASK, "server_network")
        inside = self._sheet.inside
        self.address = Field(
            inside, self.kit, "Address of the server", width=self._sheet.room, hint="chat.example.org",
            done=lambda _: self._dial(),
        )  # fmt: skip
        self.address.pack(fill="x")
        if self.presenter.state.address:
            self.address.put(self.presenter.state.address)
        self._said = Sentence(inside, self.kit, self._sheet.room)
        self._said.pack(fill="x", pady=(8, 0))
        self.button = Button(inside, self.kit, "Connect", self._dial, look="primary")
        self.button.pack(fill="x", pady=(12, 0))
        self._other = Button(inside, self.kit, "", self._leave, look="plain")
        self._other.pack(fill="x", pady=(8, 0))
        self.soon(self.address, self.address.select)

    def _show(self) -> None:
        theme, state = self.kit.theme, self.presenter.state
        self._sheet = Sheet(self, self.kit, "Connected", f"{state.host} answers.", "check_circle_outline")
        inside = self._sheet.inside
        ctk.CTkLabel(
            inside, text="The server's key", font=theme.font("small"), text_color=theme.colors.muted
        ).pack(anchor="w")
        ground = ctk.CTkFrame(inside, fg_color=theme.colors.field, corner_radius=8)
        ground.pack(fill="x", pady=(4, 12))
        key = KeyGroups(ground, self.kit)
        key.pack(anchor="w", padx=16, pady=12)
        key.show(state.key)
        self._sheet.say(inside, _SHOWN).pack(anchor="w")
        self.button = Button(inside, self.kit, "Go on", self.presenter.finish, look="primary")
        self.button.pack(fill="x", pady=(20, 0))
        self.soon(self.button, self.button.focus_set)

    def _dial(self) -> None:
        self.presenter.connect(self.address.text)

    def _leave(self) -> None:
        if self.presenter.state.step == "connecting":
            self.presenter.cancel()
        else:
            self.presenter.finish()
