"""A30 at a screen: a stranger sends a megabyte of one word, of marks, of wide or unseen characters, of line
breaks or of terminal commands. What is drawn of it, and what is looked at to draw it, is bounded; the work is
counted, in characters that are measured and in lines.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from rich.text import Text

from mobium_client import plain
from mobium_client.cli import lines
from mobium_client.cli.lines import MARK_CELLS, message_line

MEGABYTE = 1 << 20
AT = datetime(2026, 1, 2, 12, 34, tzinfo=UTC)
TEXTS = {
    "one word": "x",
    "short words": "hello ",
    "marks": "z" + "\u0335" * 500,
    "wide": "漢",
    "unseen": "\u200d",
    "line breaks": "\n",
    "windows": "\r\n",
    "commands": "\x1b[2J",
    "numbers": "\u202e",
    "tabs": "\t",
    "blanks": " ",
}


class Work:
    """How many characters were looked at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looked = 0
        width = plain._width

        def measured(c: str) -> int:
            self.looked += 1
            return width(c)

        def category(c: str) -> str:
            self.looked += 1
            return unicodedata.category(c)

        monkeypatch.setattr(plain, "_width", measured)
        monkeypatch.setattr(plain, "unicodedata", SimpleNamespace(category=category))


def drawn(text: str, width: int | None, *, history: bool = False) -> list[Text]:
    return message_line(Text(" " * MARK_CELLS), AT, "mallory", "", text, width, request=True, history=history)


def megabyte_of(piece: str) -> str:
    return piece * (MEGABYTE // len(piece.encode()))


@pytest.mark.parametrize("width", [39, 79, 500])
@pytest.mark.parametrize("piece", TEXTS.values(), ids=TEXTS)
def test_a_megabyte_takes_a_screen_and_no_more(
    piece: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(monkeypatch)
    shown = [line.plain for line in drawn(megabyte_of(piece), width)]
    assert len(shown) <= 44
    assert work.looked < 100_000
    assert all(plain.cells(line) <= width for line in shown)
    said = " ".join(line.strip(" -│") for line in shown[-4:])
    assert said.endswith("characters; mobium history shows more.")
    assert shown[0][3:5].isdigit()
    assert all(line.startswith(("        │ ", "   -- ", "    │ ")) for line in shown[1:])


@pytest.mark.parametrize("width", [79, None])
@pytest.mark.parametrize("piece", TEXTS.values(), ids=TEXTS)
def test_the_history_and_a_pipe_show_more_of_it(
    piece: str, width: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(monkeypatch)
    shown = drawn(megabyte_of(piece), width, history=True)
    assert len(shown) <= 1_002
    assert work.looked < 2_500_000
    assert "mobium history --json" in shown[-1].plain or "mobium history --json" in shown[-2].plain


def test_what_a_person_writes_is_shown_whole() -> None:
    for text in ("hello", "one\n" * 39 + "two", "a sentence of some length, " * 90):
        assert "beginning" not in "".join(line.plain for line in drawn(text, 79))


@pytest.mark.parametrize("piece", ["x", "\n", "\u200d"])
def test_without_the_bound_a_message_floods_the_screen(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_GLANCE", MEGABYTE)  # the defence, off
    work = Work(monkeypatch)
    shown = drawn(piece * 200_000, 79)
    assert len(shown) > 2_000 or len(shown[0].plain) > 100_000
    assert work.looked >= 200_000
