"""Settings: about the program."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import customtkinter as ctk

from mobium_client.gui.models.about import About
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.section import Section
from mobium_client.gui.widgets.sentence import Sentence

__all__ = ["AboutSection"]

_BACKENDS: Final = {
    "native": "native kernels, compiled from Rust",
    "pure": "pure Python kernels, which are slower",
}
_LICENCE: Final = (
    "mobium is free software under the MIT or the Apache-2.0 licence, as you choose. Nobody outside the "
    "project has audited it. It uses these packages:"
)


class AboutSection(Section[About]):
    """Draws version, back end, log file and licences."""

    def _build(self) -> None:
        state, theme = self.presenter.state, self.kit.theme
        self.title(f"mobium {state.version}", first=True)
        self.paragraph(f"{_BACKENDS.get(state.backend, state.backend)}; Python {state.python}")
        self.title("Log file")
        self.paragraph(f"What went wrong unexpectedly, without anybody's words or keys:\n{state.log}")
        row = ctk.CTkFrame(self, fg_color="transparent")
        row.pack(anchor="w")
        self.file = Button(row, self.kit, "Open it", lambda: self._open(state.log), icon="text_box_outline")
        self.file.pack(side="left")
        self.folder = Button(
            row, self.kit, "Open its folder", lambda: self._open(state.folder), icon="folder_outline"
        )
        self.folder.pack(side="left", padx=(8, 0))
        self._none = Sentence(self, self.kit, self.room)
        self._none.pack(fill="x", pady=(8, 0))
        self.title("Licences")
        self.paragraph(_LICENCE)
        self._table = ctk.CTkLabel(
            self, text="", font=theme.font("small"), text_color=theme.colors.muted, justify="left", anchor="w"
        )
        self._table.pack(fill="x")

    def render(self) -> None:
        """Show what was found out."""
        state = self.presenter.state
        self.file.change(enabled=state.logged)
        self.folder.change(enabled=state.logged)
        self._none.say("" if state.logged else "Nothing was logged so far.", "muted")
        self._table.configure(
            text="\n".join(f"{name} {version}: {licence}" for name, version, licence in state.licences)
        )

    def _open(self, path: str) -> None:
        self.kit.open_link(Path(path).as_uri())
