"""Text from outside on a screen (THREATS A24).

Nothing that a terminal obeys, and nothing that looks like the program's own line.
"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobium_client import plain
from mobium_client.plain import cells, harmless, layout, one_line, shorten

OBEYED = {chr(c) for c in [*range(0x20), *range(0x7F, 0xA0)]} - {"\n"}
BIDI = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[2J\x1b]0;title\x07", "␛[2J␛]0;title␇"),
        ("\x9b31m", "‹U+009B›31m"),
        ("a\x00b\x7f", "a␀b␡"),
        ("a\tb", "a    b"),
        ("one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        ("abc\u202egpj.exe", "abc‹U+202E›gpj.exe"),
        ("\u2067x\u2069", "‹U+2067›x‹U+2069›"),
        ("a\u2028b", "a‹U+2028›b"),
        ("\udc80", "‹U+DC80›"),
        ("שלום עולם", "שלום עולם"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🚀 🫨", "👩\u200d🚀 🫨"),
        ("漢字", "漢字"),
        ("[bold]not markup[/bold] :smile:", "[bold]not markup[/bold] :smile:"),
        ("e" + "\u0301" * 40, "e" + "\u0301" * 8),
    ],
)
def test_harmless(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text())
def test_nothing_obeyed_is_left_and_doing_it_twice_changes_nothing(text: str) -> None:
    shown = harmless(text)
    assert not (OBEYED | BIDI) & set(shown)
    assert harmless(shown) == shown


@given(st.text())
def test_a_name_is_one_line_in_which_everything_is_seen(text: str) -> None:
    shown = one_line(text)
    assert "\n" not in shown
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text(), st.integers(24, 120))
def test_no_line_is_wider_than_the_screen_and_only_the_first_stands_at_its_place(
    text: str, width: int
) -> None:
    first, rest = 16, 8
    lines = layout(harmless(text), first, rest, width)
    assert cells(lines[0]) <= max(8, width - first)
    for line in lines[1:]:
        assert line.startswith("      │ ")
        assert cells(line) <= max(8 + rest, width)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc", "Zs", "M"]), min_size=1))
def test_folding_loses_nothing_but_blanks(text: str) -> None:
    shown = harmless(text)
    lines = layout(shown, 16, 8, 40)
    assert "".join(line.removeprefix("      │ ") for line in lines) == shown


@pytest.mark.parametrize(
    "text", ["x" * 20_000, "漢" * 20_000, "word " * 4_000, "a " + "\u200d" * 20_000 + "b" * 80]
)
def test_folding_measures_each_character_twice_at_most(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = 0

    def counted(c: str) -> int:
        nonlocal measured
        measured += 1
        return width_of(c)

    width_of = plain._width
    monkeypatch.setattr(plain, "_width", counted)
    layout(text, 16, 8, 80)
    assert measured <= 2 * len(text) + 80
    measured = 0
    assert len(layout(text, 16, 8, 80, 3)) <= 3
    assert shorten(text, 20).endswith("…")
    assert measured <= 2 * 3 * 80 + 2 * 21 or "\u200d" in text


def test_a_line_break_cannot_begin_a_line_of_the_program() -> None:
    assert layout("hello\n14:03  bob: I agree", 12, 8, None) == ["hello", "      │ 14:03  bob: I agree"]
    padded = layout("x" + " " * 60 + "14:03  bob: I agree", 12, 8, 40)
    assert all(line.startswith("      │ ") for line in padded[1:])


@pytest.mark.parametrize(
    ("text", "width", "shown"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("漢字", 3, "漢…"), ("ab", 1, "…")]
)
def test_shorten(text: str, width: int, shown: str) -> None:
    assert shorten(text, width) == shown
