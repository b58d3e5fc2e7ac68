"""Right-to-left text for X11, where Tk draws letters in the order in which they are stored: the Unicode
Bidirectional Algorithm (UAX #9) for one line, and the joined forms of Arabic letters.

macOS and Windows do both themselves. Not its concern: where lines are broken.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import Final

__all__ = ["Order"]

# Hebrew, Arabic, Syriac, Thaana, N'Ko and their neighbours; presentation forms.
_RIGHT: Final = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_STRONG: Final = re.compile("[^\\W\\d_]")


class Order:
    """Puts a line into the order in which it is seen; does nothing where the toolkit does."""

    def __init__(self) -> None:
        wanted = sys.platform not in {"win32", "darwin"}
        self._there = wanted and all(
            importlib.util.find_spec(name) is not None for name in ("bidi", "arabic_reshaper")
        )

    def applies(self, text: str) -> bool:
        """Whether anything of a line would be drawn in the wrong order."""
        return self._there and not text.isascii() and _RIGHT.search(text) is not None

    def seen(self, text: str) -> str:
        """A line as it is drawn from left to right."""
        if not self.applies(text):
            return text
        from arabic_reshaper import reshape
        from bidi import get_display

        return str(get_display(reshape(text)))

    @staticmethod
    def to_the_right(text: str) -> bool:
        """Whether a line begins at the right: its first letter does (UAX #9, rules P2 and P3)."""
        first = _STRONG.search(text)
        return first is not None and _RIGHT.match(first[0]) is not None
