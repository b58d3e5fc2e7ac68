"""The shortcuts of the window and those of editing: Ctrl with a key, whatever the layout of the keyboard and
with Caps Lock.

Tk goes by the letter that a key types, which is none of the Latin ones on a Cyrillic, Greek, Hebrew or Arabic
layout; there the place of the key counts. Not its concern: what a shortcut does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final
from unicodedata import name as called

__all__ = ["Shortcuts"]

_SHIFT: Final = 0x1
_ALT: Final = 0x8 if sys.platform != "win32" else 0x20000
_ASCII: Final = range(0x21, 0x7F)  # characters whose codes are their keysyms too
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
        # Whether the last letter was a Latin one: where others have the Q, Dvorak has an apostrophe, which is
        # no Q, and a Hebrew keyboard a slash, which is.
        self._latin = False
        window.bind("<Control-KeyPress>", self._pressed)
        window.bind("<KeyPress>", self._typed, add=True)

    def _typed(self, event: Any) -> None:
        if event.char.isalpha():
            self._latin = called(event.char[0], "").startswith("LATIN")

    def _pressed(self, event: Any) -> None:
        if event.state & _ALT:  # AltGr, which some systems tell as Ctrl and Alt
            return
        shift = event.state & _SHIFT
        sign = chr(event.keysym_num) if event.keysym_num in _ASCII else ""
        latin = sign.isalpha() or sign == "," or bool(sign and self._latin and not shift)
        name = sign.lower() if latin else self._places.get(event.keycode, "")
        if shift:
            name = f"shift {name}"
        if name in self._keys:
            self._keys[name]()
        elif not latin and name in _EDITS:
            event.widget.event_generate(_EDITS[name])
