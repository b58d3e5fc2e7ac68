"""The help dialog."""

from __future__ import annotations

import customtkinter as ctk

from mobium_client.gui.models.help import Help
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.sheet import Sheet

__all__ = ["HelpView"]


class HelpView(View[Help]):
    """A table of shortcuts."""

    def _build(self) -> None:
        theme = self.kit.theme
        colors = theme.colors
        sheet = self.sheet = Sheet(self, self.kit, "Keyboard", width=520)
        for title, shortcuts in self.presenter.state.groups:
            ctk.CTkLabel(
                sheet.inside, text=title, font=theme.font("strong"), text_color=colors.text, anchor="w"
            ).pack(fill="x", pady=(8, 4))
            table = ctk.CTkFrame(sheet.inside, fg_color="transparent")
            table.pack(fill="x")
            table.columnconfigure(0, minsize=theme.raw(theme.grown(180)))
            for row, (keys, what) in enumerate(shortcuts):
                ctk.CTkLabel(
                    table, text=keys, font=theme.font("body"), text_color=colors.accent, anchor="w",
                    height=theme.grown(24),
                ).grid(row=row, column=0, sticky="w")  # fmt: skip
                ctk.CTkLabel(
                    table, text=what, font=theme.font("body"), text_color=colors.text, anchor="w",
                    height=theme.grown(24), justify="left", wraplength=sheet.room - theme.grown(190),
                ).grid(row=row, column=1, sticky="w")  # fmt: skip
        self.done = Button(sheet.inside, self.kit, "Close", self.presenter.dismiss, look="primary")
        self.done.pack(fill="x", pady=(20, 0))
        sheet.adopt()

    def _connect(self) -> None:
        self.soon(self.done, lambda: self.sheet.begin(self.done))
