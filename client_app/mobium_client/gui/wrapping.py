"""Text broken into lines that fit, by the widths of its characters. Each is measured once: to ask the toolkit
is slow, since it lets another thread go first each time.

A toolkit that joins letters may draw a line narrower than it is thought here, never wider. Not its concern:
what measures (a font of the toolkit) and what draws.
"""

from __future__ import annotations

from typing import Final, Protocol

__all__ = ["Font", "Ruler", "wrap"]

_MOST: Final = 20_000  # widths that are remembered
_COMMON: Final = "".join(chr(code) for code in range(0x20, 0x7F))


class Font(Protocol):
    """What can measure."""

    def measure(self, text: str) -> int:
        """The width of a text in pixels."""


class Ruler:
    """Measures texts in one font."""

    def __init__(self, font: Font) -> None:
        self._font = font
        self._known = {character: font.measure(character) for character in _COMMON}

    def width(self, text: str) -> int:
        """The width of `text` in pixels."""
        known = self._known
        try:
            return sum([known[character] for character in text])
        except KeyError:
            return sum([self._one(character) for character in text])

    def _one(self, character: str) -> int:
        if character not in self._known:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[character] = self._font.measure(character)
        return self._known[character]

    def short(self, text: str, room: int) -> str:
        """`text`, or as much of it as fits into `room` pixels with an ellipsis behind it."""
        if self.width(text) <= room:
            return text
        return text[: self.fitting(text, room - self._one("…"))].rstrip() + "…"

    def fitting(self, text: str, room: int) -> int:
        """How many characters of `text` fit into `room` pixels."""
        used = 0
        for place, character in enumerate(text):
            used += self._one(character)
            if used > room:
                return place
        return len(text)


def wrap(text: str, room: int, ruler: Ruler) -> list[tuple[int, int]]:
    """Where the lines of `text` begin and end so that none is wider than `room` pixels: a word that is wider
    alone is broken. Line breaks of the text are kept, and blanks at which a line was broken are in none.
    """
    lines: list[tuple[int, int]] = []
    start = 0
    for paragraph in text.split("\n"):
        lines += [(start + one, start + other) for one, other in _fold(paragraph, room, ruler)]
        start += len(paragraph) + 1
    return lines


def _fold(paragraph: str, room: int, ruler: Ruler) -> list[tuple[int, int]]:
    blank = ruler.width(" ")
    lines: list[tuple[int, int]] = []
    begin = end = 0
    used = 0
    at = 0
    for whole in paragraph.split(" "):
        word = whole
        wide = ruler.width(word)
        if end > begin and used + blank + wide > room:
            lines.append((begin, end))
            begin, used = at, 0
        elif at > begin:
            used += blank
        while wide > room and len(word) > 1:
            part = max(1, ruler.fitting(word, room - used))
            lines.append((begin, at + part))
            word, at = word[part:], at + part
            begin, used = at, 0
            wide = ruler.width(word)
        used += wide
        end = at + len(word)
        at = end + 1
    lines.append((begin, max(begin, end)))
    return lines
