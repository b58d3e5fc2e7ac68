"""The shortcuts of the window: Ctrl with a key, whatever the layout of the keyboard and with Caps Lock.

Tk goes by the letter that a key types, which is none of the Latin ones on a Cyrillic, Greek, Hebrew or Arabic
layout; there the place of the key counts. Not its concern: what a shortcut does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["Shortcuts"]

_SHIFT: Final = 0x1
_CONTROL: Final = 0x4
_ALT: Final = 0x8 if sys.platform != "win32" else 0x20000
_NAMES: Final = {"comma": ","}
# What a key of a US keyboard is called by X11 (the kernel's code and 8), and by Windows (its virtual key).
_PLACES: Final[dict[str, Mapping[int, str]]] = {
    "x11": {24: "q", 41: "f", 45: "k", 46: "l", 57: "n", 59: ","},
    "win32": {0x51: "q", 0x46: "f", 0x4B: "k", 0x4C: "l", 0x4E: "n", 0xBC: ","},
}


class Shortcuts:
    """Calls what belongs to a key: `keys` are letters as `l`, or `shift k`."""

    def __init__(self, window: Any, keys: Mapping[str, Callable[[], object]]) -> None:
        self._keys = keys
        self._places = _PLACES.get(window.tk.call("tk", "windowingsystem"), {})
        window.bind("<Control-KeyPress>", self._pressed)

    def _pressed(self, event: Any) -> None:
        if event.state & _ALT:  # AltGr, which some systems tell as Ctrl and Alt
            return
        name = _NAMES.get(event.keysym, event.keysym)
        if len(name) != 1 or not name.isascii():
            name = self._places.get(event.keycode, "")
        name = name.lower()
        call = self._keys.get(f"shift {name}" if event.state & _SHIFT else name)
        if call is not None:
            call()
