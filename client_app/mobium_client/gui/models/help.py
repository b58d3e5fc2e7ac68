"""The help dialog: every shortcut, and what to know first.

Not its concern: what the keys do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mobium_client.gui.models.context import Context
from mobium_client.gui.models.presenter import Presenter

__all__ = ["SHORTCUTS", "Help", "HelpState"]

SHORTCUTS: Final[tuple[tuple[str, tuple[tuple[str, str], ...]], ...]] = (
    (
        "Everywhere",
        (
            ("F1", "This help"),
            ("Tab, Shift+Tab", "Go to the next, or the previous, thing on the screen"),
            ("Enter, Space", "Press the button that has the frame"),
            ("Escape", "Close what lies on top"),
            ("Ctrl+N", "New message"),
            ("Ctrl+F", "Search"),
            ("Ctrl+L", "Lock"),
            ("Ctrl+,", "Settings"),
            ("Ctrl+Shift+K", "The connection"),
            ("Ctrl+Q", "Lock, and end the program"),
        ),
    ),
    (
        "Conversations",
        (
            ("Up, Down", "In the list: the conversation above, below"),
            ("Page up, Page down", "Further up, further down"),
            ("Enter", "Send"),
            ("Shift+Enter", "Begin a new line"),
            ("Left, Right, Enter", "In the messages: go from link to link, open one"),
            ("Ctrl+A", "Select everything that was typed"),
            ("Ctrl+C, Ctrl+V", "Copy what is selected, paste"),
        ),
    ),
)
"""Groups of shortcuts: the keys, and what they do."""


@dataclass(frozen=True, slots=True)
class HelpState:
    """The groups of shortcuts."""

    groups: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = SHORTCUTS


class Help(Presenter[HelpState]):
    """Shows them until it is dismissed."""

    def __init__(self, context: Context) -> None:
        super().__init__(context.bridge, HelpState())
        self._context = context

    def dismiss(self) -> None:
        """Take the dialog away."""
        self._context.overlays.dismiss(self)
