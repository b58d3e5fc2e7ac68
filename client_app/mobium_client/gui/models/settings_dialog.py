"""The settings: which section is shown. Each section is a presenter of its own.

Not its concern: what a setting does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from mobium.client import SoundCheck
from mobium_client.gui.models.about import About
from mobium_client.gui.models.connection import ConnectionDialog
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.device_settings import DeviceSettings
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.profile_settings import ProfileSettings
from mobium_client.gui.models.status import Status

__all__ = ["SECTIONS", "Section", "SettingsDialog", "SettingsState"]

Section = Literal["profile", "devices", "notifications", "look", "server", "about"]

SECTIONS: Final[tuple[tuple[Section, str], ...]] = (
    ("profile", "Profile and recovery"),
    ("devices", "Microphone, speaker"),
    ("notifications", "Notifications"),
    ("look", "Look and locking"),
    ("server", "Server"),
    ("about", "About"),
)
"""Each section and what it is called."""


@dataclass(frozen=True, slots=True)
class SettingsState:
    """Which section is shown."""

    section: Section = "profile"


class SettingsDialog(Presenter[SettingsState]):
    """The settings while a profile is open."""

    def __init__(
        self,
        opened: Opened,
        status: Status,
        section: Section = "profile",
        check: SoundCheck | None = None,
    ) -> None:
        super().__init__(opened.context.bridge, SettingsState(section))
        self._opened = opened
        self._check = check
        self._devices: DeviceSettings | None = None
        self.preferences = opened.context.preferences
        self.profile = ProfileSettings(opened)
        self.connection = ConnectionDialog(opened, status)
        self.about = About(opened.context)
        for part in (self.profile, self.connection, self.about):
            self._until_closed(part.close)

    @property
    def devices(self) -> DeviceSettings:
        """Made when it is shown: looking for devices makes the sound of a call pause."""
        if self._devices is None:
            self._devices = DeviceSettings(self._opened.context, self._check)
            self._until_closed(self._devices.close)
        return self._devices

    def show(self, section: Section) -> None:
        """Show another section; a microphone that is tried is let go."""
        if section != "devices" and self._devices is not None:
            self._devices.stop()
        self._show(replace(self.state, section=section))

    def lock(self) -> None:
        """Wipe the keys and show the unlock screen."""
        self._opened.lock()

    def dismiss(self) -> None:
        """Take the dialog away."""
        self._opened.context.overlays.dismiss(self)
