"""Text from outside: made harmless to a screen, and laid out so that it never looks like the program's own.

A message, a nickname or a server's sentence may hold terminal commands, bidi overrides or line breaks.
Nothing of it is dropped in silence: what a terminal would obey is shown as a sign or as its number. Not its
concern: colours, tables and the terminal itself (`mobium_client.cli.screen`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import islice

from rich.cells import cell_len

__all__ = ["cells", "chop", "harmless", "layout", "one_line", "sentence", "shorten"]

_TAB = "    "
# In running text these have honest uses: joiners in Persian, Hindi and emoji, the marks of mixed right-to-
# left text, and the tags of flags.
_KEPT_FORMAT = frozenset("\u200c\u200d\u200e\u200f\u061c")
_KEPT_TAGS = range(0xE0020, 0xE0080)
_SHOWN_AS_NUMBER = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me"})
_MARKS_IN_A_ROW = 8  # real scripts stack fewer; a tower of them covers the lines above and below
_MORE = "…"
_EMOJI_STYLE = "\ufe0f"
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)


def harmless(text: str, *, name: bool = False) -> str:
    """`text` without anything that a terminal obeys; line breaks stay.

    Control characters become their signs (␛), the rest its number (‹U+202E›). In a `name` every unseen
    character is shown so. Idempotent.
    """
    shown = []
    marks = 0
    for c in text.replace("\r\n", "\n").replace("\r", "\n"):
        category = unicodedata.category(c)
        marks = marks + 1 if category in _MARKS else 0
        if c == "\n":
            shown.append(c)
        elif c == "\t":
            shown.append(_TAB)
        elif c < " ":
            shown.append(chr(0x2400 + ord(c)))
        elif c == "\x7f":
            shown.append("\u2421")
        elif category in _SHOWN_AS_NUMBER and (name or not _kept(c)):
            shown.append(f"‹U+{ord(c):04X}›")
        elif marks <= _MARKS_IN_A_ROW:
            shown.append(c)
    return "".join(shown)


def _kept(c: str) -> bool:
    return c in _KEPT_FORMAT or ord(c) in _KEPT_TAGS


def one_line(text: str) -> str:
    """A name, or anything that belongs in one line: harmless, and line breaks shown as a sign."""
    return harmless(text, name=True).replace("\n", "␊").strip()


def sentence(error: BaseException) -> str:
    """What is shown of `error`: its message, harmless, in one line."""
    return " ".join(harmless(str(error)).split()) or "It failed, and nobody said why."


def cells(text: str) -> int:
    """The most columns that `text` takes; a terminal that joins emoji takes fewer."""
    return sum(_width(c) for c in text)


def _width(c: str) -> int:
    if c == _EMOJI_STYLE:  # makes the sign before it two columns wide
        return 1
    return 2 if ord(c) in _FLAG_LETTERS else cell_len(c)


def chop(text: str, width: int) -> str:
    """The beginning of `text` that fits into `width` columns."""
    return text[: _fitting(text, 0, width)]


def _fitting(text: str, start: int, width: int) -> int:
    """Where `width` columns from `start` on end; nothing behind them is looked at."""
    used = 0
    for place in range(start, len(text)):
        used += _width(text[place])
        if used > width:
            return place
    return len(text)


def shorten(text: str, width: int) -> str:
    """`text`, which is harmless, in at most `width` columns (one or more).

    What is cut off is shown by an ellipsis.
    """
    if _fitting(text, 0, width) == len(text):
        return text
    return chop(text, width - 1) + _MORE


def layout(text: str, first: int, rest: int, width: int | None, most: int | None = None) -> list[str]:
    """The lines that show the harmless `text`, the first after `first` columns, the others behind `rest`; no
    more than `most` of them.

    Every line but the first begins with the indent and a bar, so that no text looks like a line of the
    program. `width` None folds nothing.
    """
    bar = " " * max(0, rest - 2) + "│ "
    lines: list[str] = []
    for piece in islice(_pieces(text, first, rest, width), most):
        lines.append(bar + piece if lines else piece)
    return lines


def _pieces(text: str, first: int, rest: int, width: int | None) -> Iterator[str]:
    before = first
    for paragraph in text.split("\n"):
        if width is None:
            yield paragraph
        else:
            yield from _fold(paragraph, width - before, width - rest)
        before = rest


def _fold(paragraph: str, first: int, rest: int) -> Iterator[str]:
    """Folded at blanks where that is possible; no piece is wider than its room (at least 8 columns each).

    Each character is measured twice at most, and none behind the last piece that is taken.
    """
    at, room = 0, max(8, first)
    while (end := _fitting(paragraph, at, room)) < len(paragraph):
        blank = paragraph.rfind(" ", at, end)
        if blank > at and paragraph[end] != " ":
            end = blank
        yield paragraph[at:end].rstrip(" ")
        at = end
        while at < len(paragraph) and paragraph[at] == " ":
            at += 1
        room = max(8, rest)
    yield paragraph[at:]
