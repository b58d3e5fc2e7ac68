"""The dialog about an address that no program opened."""

from __future__ import annotations

import customtkinter as ctk

from mobium_client.gui.models.unopened import Unopened
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.sentence import Sentence
from mobium_client.gui.widgets.sheet import Sheet

__all__ = ["UnopenedView"]


class UnopenedView(View[Unopened]):
    """The sentence, the address, and a button that copies it."""

    def _build(self) -> None:
        sheet = Sheet(self, self.kit, "Nothing opened this", width=440)
        said = Sentence(sheet.inside, self.kit, sheet.room)
        said.pack(fill="x", pady=(0, 12))
        said.say("No program on this computer opened the address. Copy it, and open it elsewhere.", "muted")
        self.address = Field(sheet.inside, self.kit, width=440)
        self.address.put(self.presenter.state)
        self.address.pack(fill="x", pady=(0, 16))
        row = ctk.CTkFrame(sheet.inside, fg_color="transparent")
        row.pack(fill="x")
        self.done = Button(row, self.kit, "Close", self.presenter.dismiss)
        self.done.pack(side="right")
        self.copy = Button(row, self.kit, "Copy", self._copy, look="primary", icon="content_copy")
        self.copy.pack(side="right", padx=(0, 8))
        sheet.adopt()

    def _connect(self) -> None:
        self.soon(self.copy, self.copy.focus_set)

    def _copy(self) -> None:
        self.clipboard_clear()
        self.clipboard_append(self.presenter.state)
        self.copy.change(text="Copied", icon="check")
