"""The shortcuts of the window and those of editing: Ctrl with a key, whatever the layout of the keyboard and
with Caps Lock.

Tk goes by the letter that a key types, which is none of the Latin ones on a Cyrillic, Greek, Hebrew or Arabic
layout; there the place of the key counts. Not its concern: what a shortcut does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["Shortcuts"]

_SHIFT: Final = 0x1
_ALT: Final = 0x8 if sys.platform != "win32" else 0x20000
_NAMES: Final = {"comma": ","}
_LETTERS: Final = "qfklnyazxcv"
# What a key of a US keyboard is called by X11 (the kernel's code and 8), and by Windows (its virtual key).
_PLACES: Final[dict[str, Mapping[int, str]]] = {
    "x11": dict(zip((24, 41, 45, 46, 57, 29, 38, 52, 53, 54, 55, 59), _LETTERS + ",", strict=True)),
    "win32": {0xBC: ",", **{ord(letter.upper()): letter for letter in _LETTERS}},
}
# What Tk does itself where the letters are Latin ones.
_EDITS: Final = {
    "a": "<<SelectAll>>", "c": "<<Copy>>", "v": "<<Paste>>", "x": "<<Cut>>", "y": "<<Redo>>",
    "z": "<<Undo>>", "shift z": "<<Redo>>",
}  # fmt: skip


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
        latin = len(name) == 1 and name.isascii()
        name = name.lower() if latin else self._places.get(event.keycode, "")
        if event.state & _SHIFT:
            name = f"shift {name}"
        if name in self._keys:
            self._keys[name]()
        elif not latin and name in _EDITS:
            event.widget.event_generate(_EDITS[name])
