"""Lines fit, and nothing of a text is lost between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobium_client.gui.wrapping import Ruler, wrap


class Seven:
    """Every character is seven pixels wide."""

    def measure(self, text: str) -> int:
        return 7 * len(text)


def lines(text: str, room: int) -> list[str]:
    return [text[begin:end] for begin, end in wrap(text, room, Ruler(Seven()))]


@pytest.mark.parametrize(
    ("text", "room", "found"),
    [
        ("", 70, [""]),
        ("one two three", 49, ["one two", "three"]),
        ("one\n\ntwo", 70, ["one", "", "two"]),
        ("abcdefghijkl", 35, ["abcde", "fghij", "kl"]),
        ("a abcdefghijkl b", 35, ["a", "abcde", "fghij", "kl b"]),
    ],
)
def test_lines(text: str, room: int, found: list[str]) -> None:
    assert lines(text, room) == found


@given(st.text(alphabet="ab \n", max_size=60), st.integers(7, 80))
def test_lines_fit_and_hold_everything_but_the_blanks_at_their_ends(text: str, room: int) -> None:
    found = wrap(text, room, Ruler(Seven()))
    at = 0
    for begin, end in found:
        assert begin >= at
        assert set(text[at:begin]) <= {" ", "\n"}
        at = end
        assert 7 * len(text[begin:end].strip(" ")) <= room or end - begin == 1
    assert set(text[at:]) <= {" ", "\n"}
    assert text.count("\n") < len(found)


def test_short() -> None:
    ruler = Ruler(Seven())
    assert ruler.short("a short text", 84) == "a short text"
    assert ruler.short("a longer text", 84) == "a longer te…"
