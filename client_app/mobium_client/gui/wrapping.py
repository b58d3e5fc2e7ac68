"""Text broken into lines that fit, by the widths of its words. Widths are remembered, since words come again.

Not its concern: what measures (a font of the toolkit) and what draws.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Font", "Ruler", "wrap"]

_MOST = 20_000  # widths that are remembered


class Font(Protocol):
    """What can measure."""

    def measure(self, text: str) -> int:
        """The width of a text in pixels."""


class Ruler:
    """Measures, and remembers what it measured under the name of the font."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], int] = {}

    def width(self, font: Font, name: str, text: str) -> int:
        """The width of `text` in pixels."""
        key = (name, text)
        if key not in self._known:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = font.measure(text)
        return self._known[key]

    def short(self, font: Font, name: str, text: str, room: int) -> str:
        """`text`, or as much of it as fits into `room` pixels with an ellipsis behind it."""
        if self.width(font, name, text) <= room:
            return text
        fits, too_long = 0, len(text)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if font.measure(text[:middle].rstrip() + "…") <= room:
                fits = middle
            else:
                too_long = middle
        return text[:fits].rstrip() + "…"


def wrap(text: str, room: int, ruler: Ruler, font: Font, name: str) -> list[tuple[int, int]]:
    """Where the lines of `text` begin and end so that none is wider than `room` pixels: a word that is wider
    alone is broken. Line breaks of the text are kept, and blanks at which a line was broken are in none.
    """
    lines: list[tuple[int, int]] = []
    start = 0
    for paragraph in text.split("\n"):
        lines += [(start + one, start + other) for one, other in _fold(paragraph, room, ruler, font, name)]
        start += len(paragraph) + 1
    return lines


def _fold(paragraph: str, room: int, ruler: Ruler, font: Font, name: str) -> list[tuple[int, int]]:
    blank = ruler.width(font, name, " ")
    lines: list[tuple[int, int]] = []
    begin = end = 0
    used = 0
    at = 0
    for whole in paragraph.split(" "):
        word = whole
        wide = ruler.width(font, name, word) if len(word) < 64 else font.measure(word)
        if end > begin and used + blank + wide > room:
            lines.append((begin, end))
            begin, used = at, 0
        elif at > begin:
            used += blank
        while wide > room and len(word) > 1:
            part = _fitting(word, room - used, font)
            lines.append((begin, at + part))
            word, at = word[part:], at + part
            begin, used = at, 0
            wide = font.measure(word)
        used += wide
        end = at + len(word)
        at = end + 1
    lines.append((begin, max(begin, end)))
    return lines


def _fitting(word: str, room: int, font: Font) -> int:
    """How many characters of `word` fit, one at least."""
    fits, too_many = 1, len(word)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if font.measure(word[:middle]) <= room:
            fits = middle
        else:
            too_many = middle
    return fits
