"""The faces of Roboto as its makers drew them, where fontconfig chooses fonts (Linux).

CustomTkinter brings Regular and Medium. Tk asks for "medium" where plain text is meant, and for "bold", for
which fontconfig smears Medium until the dot of an i runs into its stem. Rules for this process alone, in
memory, have plain text in Regular and bold text in Medium. Not its concern: which text is bold (`theme`).
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Final

__all__ = ["drawn_faces"]

# in this order: the second one must not find what it made itself
_RULES: Final = b"""<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <match target="pattern">
    <test qual="any" name="family"><string>Roboto</string></test>
    <test name="weight" compare="eq"><const>medium</const></test>
    <edit name="weight" mode="assign"><const>regular</const></edit>
  </match>
  <match target="pattern">
    <test qual="any" name="family"><string>Roboto</string></test>
    <test name="weight" compare="more_eq"><const>bold</const></test>
    <edit name="weight" mode="assign"><const>medium</const></edit>
  </match>
</fontconfig>
"""


@cache  # the rules are the process's: a second time they would make Regular of bold text
def drawn_faces() -> bool:
    """Whether the rules are in force; call it before the first window is made. Without fontconfig there is
    nothing to do.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        fontconfig = ctypes.CDLL("libfontconfig.so.1")
        load = fontconfig.FcConfigParseAndLoadFromMemory  # since 2.12.5
    except (OSError, AttributeError):
        return False
    fontconfig.FcConfigGetCurrent.restype = ctypes.c_void_p
    load.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
    return bool(load(fontconfig.FcConfigGetCurrent(), _RULES, 0))
