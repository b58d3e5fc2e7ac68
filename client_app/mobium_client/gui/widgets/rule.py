"""A line of one pixel between two parts of a screen."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.view import Kit

__all__ = ["Rule"]


class Rule(ctk.CTkFrame):
    """Level, or `upright`."""

    def __init__(self, parent: Any, kit: Kit, *, upright: bool = False) -> None:
        # The shape that CustomTkinter draws into a frame of one pixel is not seen; what lies behind it is.
        side = {"width": 1} if upright else {"height": 1}
        super().__init__(parent, corner_radius=0, bg_color=kit.theme.colors.line, **side)
