"""Hands on a real window: keys and clicks that come through the X server, by xdotool.

Not its concern: what the window shows (tests/support/desktop.py).
"""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.support.desktop import Pilot
from tests.support.display import DISPLAY
from tests.support.programs import where

__all__ = ["HANDS", "Hands"]

HANDS = [*DISPLAY, pytest.mark.needs("xdotool")]
"""The marks of a test that uses hands."""

_BETWEEN = "4"  # milliseconds between two keys


class Hands:
    """What a person does at the window of a pilot, which goes on turning meanwhile."""

    def __init__(self, pilot: Pilot) -> None:
        self.pilot = pilot

    def keys(self, *names: str) -> None:
        """Press keys, as `Return`, `ctrl+l` or `Tab`."""
        self._do("key", "--delay", _BETWEEN, *names)

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self._do("type", "--delay", _BETWEEN, "--", text)

    def click(self, widget: Any) -> None:
        """Click into the middle of a widget."""
        self.pilot.rest(0.05)  # it may have just come, or moved
        self.click_at(
            widget.winfo_rootx() + widget.winfo_width() // 2,
            widget.winfo_rooty() + widget.winfo_height() // 2,
        )

    def click_at(self, x: int, y: int) -> None:
        """Click at a place of the display, in pixels."""
        self._do("mousemove", str(x), str(y), "click", "1")

    def fill(self, field: Any, text: str) -> None:
        """Click into a field and type a text, until it is there."""
        self.pilot.until(field.winfo_viewable, "the field")
        self.click(field.entry)
        self.pilot.until(lambda: self.pilot.app.focus_get() is field.entry._entry, "the focus")
        self.type(text)
        self.pilot.until(lambda: field.text == text, "what was typed")

    def _do(self, *words: str) -> None:
        command = [where("xdotool") or "xdotool", *words]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            self.pilot.until(lambda: process.poll() is not None, "xdotool")
        assert process.returncode == 0
        self.pilot.rest(0.05)
