"""The line editor of `mobium chat`, without a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@given(st.lists(st.text(max_size=8)))
def test_no_keys_break_it(chunks: list[str]) -> None:
    editor = Editor()
    for chunk in chunks:
        editor.feed(chunk)
    editor.view(40)
