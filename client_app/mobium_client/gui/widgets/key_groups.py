"""A key in groups of digits that two people can compare, four in a line.

Not its concern: whose key it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import customtkinter as ctk

from mobium_client.gui.view import Kit

__all__ = ["KeyGroups"]

_IN_A_LINE = 4


class KeyGroups(ctk.CTkLabel):
    """Shows the groups of a key."""

    def __init__(self, parent: Any, kit: Kit, tone: str | None = None) -> None:
        theme = kit.theme
        super().__init__(
            parent, text="", font=theme.font("mono"), text_color=tone or theme.colors.text, justify="left",
            anchor="w",
        )  # fmt: skip

    def show(self, groups: Sequence[str]) -> None:
        """Show other groups."""
        lines = [groups[at : at + _IN_A_LINE] for at in range(0, len(groups), _IN_A_LINE)]
        self.configure(text="\n".join("  ".join(line) for line in lines))

    def destroy(self) -> None:
        """The key goes."""
        super().destroy()
