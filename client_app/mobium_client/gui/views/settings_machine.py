"""Settings of this machine: notifications, the look, when it locks."""

from __future__ import annotations

from typing import Final

from mobium_client.gui.models.preferences import Preferences
from mobium_client.gui.settings import SCALES, Appearance, Notify
from mobium_client.gui.widgets.choices import Choices
from mobium_client.gui.widgets.section import Section

__all__ = ["LookSection", "NotificationsSection"]

_NOTIFY: Final[tuple[tuple[Notify, str], ...]] = (
    ("quiet", "Say that something came, not what"),
    ("full", "Show who wrote, and the beginning"),
    ("off", "Say nothing"),
)
_LOOKS: Final[tuple[tuple[Appearance, str], ...]] = (
    ("system", "As the system"),
    ("dark", "Dark"),
    ("light", "Light"),
)
_SCALES: Final = tuple((scale, f"{scale} %") for scale in SCALES)
_IDLE: Final = ((5, "5 minutes"), (15, "15 minutes"), (60, "1 hour"), (0, "Never"))


class NotificationsSection(Section[Preferences]):
    """Draws what is told of new messages."""

    def _build(self) -> None:
        self.title("Notifications", first=True)
        self.paragraph(
            "The system shows them, and may keep them on the locked screen. There are none for the "
            "conversation that you are looking at, and none while the profile is locked."
        )
        self.choices: Choices[Notify] = Choices(
            self, self.kit, lambda value: self.presenter.change(notifications=value)
        )
        self.choices.pack(fill="x")

    def render(self) -> None:
        """Show what is chosen."""
        self.choices.show(_NOTIFY, self.presenter.state.notifications)


class LookSection(Section[Preferences]):
    """Draws appearance, size of text and idle minutes."""

    def _build(self) -> None:
        change = self.presenter.change
        self.title("Appearance", first=True)
        self.looks: Choices[Appearance] = Choices(
            self, self.kit, lambda value: change(appearance=value), across=self.room
        )
        self.looks.pack(fill="x")
        self.title("Size of text")
        self.scales: Choices[int] = Choices(
            self, self.kit, lambda value: change(text_scale=value), across=self.room
        )
        self.scales.pack(fill="x")
        self.title("Lock by itself")
        self.paragraph("After so long without a key or a movement of the mouse; not during a call.")
        self.idle: Choices[int] = Choices(
            self, self.kit, lambda value: change(idle_minutes=value), across=self.room
        )
        self.idle.pack(fill="x")

    def render(self) -> None:
        """Show what is chosen."""
        state = self.presenter.state
        self.looks.show(_LOOKS, state.appearance)
        self.scales.show(_SCALES, state.text_scale)
        idle: tuple[tuple[int, str], ...] = _IDLE
        if state.idle_minutes not in [minutes for minutes, _ in idle]:
            idle = (*_IDLE, (state.idle_minutes, f"{state.idle_minutes} minutes"))
        self.idle.show(idle, state.idle_minutes)
