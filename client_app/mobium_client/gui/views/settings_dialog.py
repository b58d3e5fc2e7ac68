"""The settings: sections on the left, the chosen one beside them."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.models.settings_dialog import SECTIONS, Section, SettingsDialog
from mobium_client.gui.view import View, window_width
from mobium_client.gui.views.settings_about import AboutSection
from mobium_client.gui.views.settings_devices import DevicesSection
from mobium_client.gui.views.settings_machine import LookSection, NotificationsSection
from mobium_client.gui.views.settings_profile import ProfileSection
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.connection_panel import ConnectionPanel
from mobium_client.gui.widgets.rule import Rule
from mobium_client.gui.widgets.scroll import Scroll

__all__ = ["SettingsView"]

_SIDE = 250
_ROOM = 480
_LEAST = 280
_AROUND = 88  # pixels beside a section: its distances and the bar
_PART = 0.36  # of the window, at most, for the list of sections
_ICONS: dict[Section, str] = {
    "profile": "account_outline",
    "devices": "microphone_outline",
    "notifications": "bell_outline",
    "look": "palette_outline",
    "server": "server_network",
    "about": "information_outline",
}


class SettingsView(View[SettingsDialog]):
    """Draws the sections, and the one that is chosen."""

    def _build(self) -> None:
        theme = self.kit.theme
        colors = theme.colors
        self._section: Section | None = None
        self.part: Any = None
        self._wide = round(min(theme.grown(_SIDE), window_width(self) * _PART))
        side = ctk.CTkFrame(self, corner_radius=0, fg_color=colors.side, width=self._wide)
        side.pack(side="left", fill="y")
        side.pack_propagate(False)
        Rule(self, self.kit, upright=True).pack(side="left", fill="y")
        ctk.CTkLabel(
            side, text="Settings", font=theme.font("display"), text_color=colors.text, anchor="w"
        ).pack(fill="x", padx=20, pady=(20, 12))  # fmt: skip
        self.buttons: dict[Section, Button] = {}
        for section, words in SECTIONS:
            button = Button(
                side, self.kit, words, lambda section=section: self.presenter.show(section),  # type: ignore[misc]
                look="plain", icon=_ICONS[section],
            )  # fmt: skip
            button.configure(anchor="w")
            button.pack(fill="x", padx=12, pady=2)
            self.buttons[section] = button
        self.done = Button(side, self.kit, "Close", self.presenter.dismiss, look="quiet")
        self.done.pack(side="bottom", fill="x", padx=12, pady=(4, 16))
        self.lock = Button(side, self.kit, "Lock", self.presenter.lock, look="plain", icon="lock_outline")
        self.lock.pack(side="bottom", fill="x", padx=12)
        self._scroll = Scroll(self, self.kit, colors.base)
        self._scroll.pack(side="left", fill="both", expand=True)

    def _connect(self) -> None:
        button = self.buttons[self.presenter.state.section]
        self.soon(button, button.focus_set)

    def render(self) -> None:
        """Show the chosen section."""
        section = self.presenter.state.section
        if section == self._section:
            return
        self._section = section
        colors = self.kit.theme.colors
        for name, button in self.buttons.items():
            button.configure(fg_color=colors.selected if name == section else "transparent")
        if self.part is not None:
            self.part.destroy()
        self.part = self._make(section)
        self.part.pack(anchor="nw", padx=32, pady=24)
        self._scroll.adopt()

    def _make(self, section: Section) -> Any:
        body, kit, presenter = self._scroll.body, self.kit, self.presenter
        beside = window_width(self) - self._wide - _AROUND
        room = round(min(kit.theme.grown(_ROOM), max(_LEAST, beside)))
        if section == "profile":
            return ProfileSection(body, kit, presenter.profile, room)
        if section == "devices":
            return DevicesSection(body, kit, presenter.devices, room)
        if section == "notifications":
            return NotificationsSection(body, kit, presenter.preferences, room)
        if section == "look":
            return LookSection(body, kit, presenter.preferences, room)
        if section == "server":
            return ConnectionPanel(body, kit, presenter.connection, kit.theme.colors.base, room)
        return AboutSection(body, kit, presenter.about, room)
