"""The line editor of `mobium chat`, without a terminal."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobium_client.cli import editor as editing
from mobium_client.cli.editor import Closed, Editor, Entered, Redraw
from mobium_client.plain import cells, harmless

LEFT, RIGHT, HOME, END, UP, DOWN, DELETE = (
    "\x1b[D",
    "\x1b[C",
    "\x1b[H",
    "\x1b[F",
    "\x1b[A",
    "\x1b[B",
    "\x1b[3~",
)


def _after(*keys: str) -> Editor:
    editor = Editor()
    for key in keys:
        editor.feed(key)
    return editor


@pytest.mark.parametrize(
    ("keys", "text", "cursor"),
    [
        (["abc"], "abc", 3),
        (["abc", LEFT, LEFT, "X"], "aXbc", 2),
        (["abc", "\x01", "X", END, "Y"], "XabcY", 5),
        (["abc", HOME, DELETE], "bc", 0),
        (["abc", "\x7f"], "ab", 2),
        (["\x7f", LEFT, DELETE, "a"], "a", 1),
        (["one two  three", "\x17"], "one two  ", 9),
        (["one two  three", "\x17\x17"], "one ", 4),
        (["one two", "\x1bb", "\x1b[1;5D", "\x0b"], "", 0),
        (["one two", HOME, "\x1bf", "\x15"], " two", 0),
        (["äöü漢字", LEFT, "\x7f"], "äöü字", 7 - 4),
        (["e\u0301x", LEFT, "\x7f", "o"], "ox", 1),
        (["a\x1b[9;9Zb\x1b[Ic"], "abc", 3),
        (["a\x1b", "[", "D", "b"], "ba", 1),
        (["a\x1b", "x"], "ax", 2),
        (["a\x00\x1f\x9bb"], "ab", 2),
        (["🫨\u200d"], "🫨\u200d", 2),
    ],
)
def test_editing(keys: list[str], text: str, cursor: int) -> None:
    editor = _after(*keys)
    assert editor.text == text
    assert editor.view(80)[1] == cursor


def test_enter_gives_the_line_and_begins_a_new_one() -> None:
    editor = Editor()
    assert editor.feed("hello\rworld\nrest") == [Entered("hello"), Entered("world")]
    assert editor.text == "rest"
    assert _after("   ").feed("\r") == []


def test_ctrl_d_leaves_on_an_empty_line_only() -> None:
    editor = Editor()
    editor.feed("ab" + LEFT)
    assert editor.feed("\x04") == []
    assert editor.text == "a"
    editor.feed("\x7f")
    assert editor.feed("\x04") == [Closed()]
    assert editor.feed("\x0c") == [Redraw()]


def test_a_paste_keeps_its_line_breaks_and_sends_nothing() -> None:
    editor = Editor()
    assert editor.feed("> \x1b[200~one\r\ntwo\x1b[D\rth") == []
    assert editor.feed("ree\n\x1b[201~!") == []
    assert editor.text == "> one\ntwo\x1b[D\nthree!"
    assert editor.view(80)[0] == "> one␊two␛[D␊three!"
    assert editor.feed("\r") == [Entered("> one\ntwo\x1b[D\nthree!")]


def test_own_lines_come_back() -> None:
    editor = Editor()
    editor.feed("first\rsecond\rsecond\rdraft")
    seen = []
    for key in (UP, UP, UP, DOWN, DOWN, DOWN):
        editor.feed(key)
        seen.append(editor.text)
    assert seen == ["second", "first", "first", "second", "draft", "draft"]


def test_a_sequence_may_come_in_pieces() -> None:
    whole, pieces = Editor(), Editor()
    keys = "ab" + LEFT + "c\x1b[1;5D\x1b[200~p\nq\x1b[201~" + END + "z" + DELETE
    whole.feed(keys)
    for key in keys:
        pieces.feed(key)
    assert pieces.text == whole.text == "p\nqacbz"


@given(st.text(), st.integers(4, 100), st.integers(0, 30))
def test_what_is_seen_fits_and_holds_the_cursor(text: str, width: int, steps: int) -> None:
    editor = Editor()
    editor.feed("\x1b[200~" + text.replace("\x1b", "") + "\x1b[201~" + LEFT * steps)
    shown, cursor = editor.view(width)
    assert cells(shown) < width
    assert 0 <= cursor < width
    assert harmless(shown) == shown


@pytest.mark.parametrize("piece", ["x", "word ", "漢", "\u0301", "\u200d", "\x1b[2J", "\n"])
def test_a_pasted_megabyte_is_looked_at_where_it_is_seen(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def counted(c: str) -> str:
        looked.append(c)
        return sign_of(c)

    sign_of = editing._sign
    editor = _after("\x1b[200~" + "e" + piece * (1_000_000 // len(piece)) + "e\x1b[201~")
    monkeypatch.setattr(editing, "_sign", counted)
    for keys in ("", LEFT, HOME, "abc", END):
        editor.feed(keys)
        editor.view(80)
    if piece not in "\u0301\u200d":  # the cursor passes over all that has no column of its own
        assert len(looked) < 5 * 16 * 160
    looked.clear()
    editor.view(80)
    assert len(looked) <= 16 * 160
    assert editor.text.endswith("e")


def test_a_megabyte_that_comes_as_keys_is_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def counted(editor: Editor, text: str) -> None:
        taken.append(len(text))
        insert(editor, text)

    insert = Editor._insert
    monkeypatch.setattr(Editor, "_insert", counted)
    editor = Editor()
    for _ in range(250):
        editor.feed("a word, " * 500)
    assert len(editor.text) == 1_000_000
    assert taken == [4_000] * 250


def test_what_nobody_can_send_is_not_kept() -> None:
    editor = Editor()
    editor.feed("\x1b[200~")
    for _ in range(80):
        editor.feed("x\r\n" * 25_000)
    editor.feed("the end\x1b[20")
    editor.feed("1~")
    assert len(editor.text) == 1 << 20, "which is more than any server takes"
    editor.feed("\x17\x17")
    assert editor.text.endswith("x\nx\n")


@pytest.mark.parametrize(
    ("line", "left"), [("x" * 300_000 + ".y", 300_001), ("x" * 300_000, 0), ("." * 300_000, 0)]
)
def test_a_word_is_cut_from_the_end_of_a_long_line(line: str, left: int) -> None:
    """A pattern that is tried at each place takes minutes for it."""
    editor = _after("\x1b[200~" + line + "\x1b[201~", "\x17")
    assert len(editor.text) == left


@given(st.text("ab .,_é\u0301漢\n", max_size=20))
def test_a_word_ends_where_a_pattern_says(text: str) -> None:
    editor = _after("\x1b[200~x" + text + "\x1b[201~", "\x17")
    line = "x" + text.rstrip("\n")
    assert editor.text == re.sub(r"\w*\W*\Z", "", line)


@given(st.lists(st.text(max_size=8)))
def test_no_keys_break_it(chunks: list[str]) -> None:
    editor = Editor()
    for chunk in chunks:
        editor.feed(chunk)
    editor.view(40)
