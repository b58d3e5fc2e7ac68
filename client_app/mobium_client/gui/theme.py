"""How the desktop looks: colours, a grid of 4 and 8 pixels, sizes of text.

The appearance is read once, at the start: following the system's all the time takes a process each 30 ms. Not
its concern: icons (`mobium_client.gui.icons`) and which widget has which role.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import customtkinter as ctk

from mobium_client.gui.bidi import Order
from mobium_client.gui.settings import Settings
from mobium_client.gui.wrapping import Ruler

__all__ = ["DARK", "LIGHT", "PAIRS", "SIZES", "Colors", "Role", "Theme", "contrast"]

Role = Literal["display", "title", "strong", "body", "small", "mono"]

SIZES: Final[dict[str, int]] = {
    "display": 26,
    "title": 18,
    "strong": 14,
    "body": 14,
    "small": 12,
    "mono": 14,
}
"""Height of each role's text in pixels, at 100 %."""

_BOLD: Final = frozenset(("display", "title", "strong"))


@dataclass(frozen=True, slots=True)
class Colors:
    """One palette; each is #rrggbb. `side` is the left column, `base` what lies behind a conversation,
    `raised` a card or a dialog, `fill` the accent behind `on_fill`.
    """

    name: Literal["dark", "light"]
    base: str
    side: str
    raised: str
    field: str
    line: str
    hover: str
    selected: str
    text: str
    muted: str
    accent: str
    fill: str
    fill_hover: str
    on_fill: str
    own: str
    own_text: str
    own_muted: str
    own_link: str
    other: str
    link: str
    danger: str
    good: str
    warning: str


DARK = Colors(
    name="dark",
    base="#15171c",
    side="#1b1e25",
    raised="#20242c",
    field="#272c36",
    line="#2b303a",
    hover="#242933",
    selected="#2b3446",
    text="#e7e9ee",
    muted="#a3abb9",
    accent="#8fb0ff",
    fill="#3f66d4",
    fill_hover="#375bc2",
    on_fill="#ffffff",
    own="#2d4486",
    own_text="#f2f5ff",
    own_muted="#bccaf2",
    own_link="#cfdcff",
    other="#242932",
    link="#8fb0ff",
    danger="#ff9a91",
    good="#76d6a0",
    warning="#f0c674",
)
LIGHT = Colors(
    name="light",
    base="#ffffff",
    side="#f5f6f8",
    raised="#ffffff",
    field="#eef0f4",
    line="#e1e4ea",
    hover="#eaecf1",
    selected="#dde6fb",
    text="#1b1e26",
    muted="#565e6d",
    accent="#2b55c4",
    fill="#2f5bd0",
    fill_hover="#284fb8",
    on_fill="#ffffff",
    own="#dbe6ff",
    own_text="#14203c",
    own_muted="#47567b",
    own_link="#1d47b0",
    other="#eff1f5",
    link="#1d47b0",
    danger="#b3261e",
    good="#17683d",
    warning="#7d5200",
)

PAIRS: Final[tuple[tuple[str, str], ...]] = (
    *(("text", on) for on in ("base", "side", "raised", "field", "hover", "selected", "other")),
    *(("muted", on) for on in ("base", "side", "raised", "field", "hover", "selected", "other")),
    *(("accent", on) for on in ("base", "side", "raised", "field", "hover", "selected")),
    *(("danger", on) for on in ("base", "side", "raised", "field", "other", "hover", "selected")),
    *(("good", on) for on in ("base", "side", "raised", "field")),
    *(("warning", on) for on in ("base", "side", "raised", "field")),
    *(("on_fill", on) for on in ("fill", "fill_hover")),
    *((text, "own") for text in ("own_text", "own_muted", "own_link")),
    *(("link", on) for on in ("base", "other", "raised")),
)
"""Every text colour with every background that it stands on; a test computes 4.5:1 or better for each."""


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG 2.1 defines it, from 1 to 21."""
    lights = sorted((_light(one), _light(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _light(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


class Theme:
    """The look in force. Made after the window, whose screen says how dense its pixels are."""

    def __init__(self, settings: Settings, system: str, density: float = 1.0) -> None:
        """`system` is "dark" or "light", what the desktop of the machine has; `density` the pixels for one of
        CustomTkinter's.
        """
        chosen = system if settings.appearance == "system" else settings.appearance
        self.colors = LIGHT if chosen == "light" else DARK
        self.scale = settings.text_scale / 100
        self.density = density
        self.family: str = str(ctk.ThemeManager.theme["CTkFont"]["family"])
        self._fonts: dict[str, Any] = {}
        self._rulers: dict[str, Ruler] = {}
        self.order = Order()

    def size(self, role: Role) -> int:
        """The height of a role's text, for CustomTkinter's own widgets."""
        return round(SIZES[role] * self.scale)

    def font(self, role: Role) -> Any:
        """The font of a role, for CustomTkinter's own widgets."""
        if role not in self._fonts:
            weight = "bold" if role in _BOLD else "normal"
            family = "DejaVu Sans Mono" if role == "mono" else self.family
            self._fonts[role] = ctk.CTkFont(family=family, size=self.size(role), weight=weight)
        return self._fonts[role]

    def raw_font(self, role: Role) -> tuple[str, int, str]:
        """The font of a role for canvases and text widgets themselves, whose sizes are pixels if negative."""
        family = "DejaVu Sans Mono" if role == "mono" else self.family
        return (family, -self.raw(self.size(role)), "bold" if role in _BOLD else "normal")

    def ruler(self, role: Role) -> Ruler:
        """What measures texts of a role in pixels of the screen."""
        if role not in self._rulers:
            family, size, weight = self.raw_font(role)
            self._rulers[role] = Ruler(ctk.CTkFont(family, -size, weight))
        return self._rulers[role]

    def raw(self, pixels: float) -> int:
        """Pixels of the screen for pixels of the design."""
        return round(pixels * self.density)

    def grown(self, pixels: float) -> int:
        """A height that grows with the text, in the design's pixels."""
        return round(pixels * max(self.scale, 0.9))
