"""Lines that run to the left are put into the order in which they are seen, and no others."""

from __future__ import annotations

import sys

import pytest

from mobium_client.gui.bidi import Order

pytestmark = pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="the toolkit does it there")


@pytest.mark.parametrize("text", ["", "plain", "Grüße", "你好", "😀👍", "Привет"])
def test_what_runs_to_the_right_is_left_alone(text: str) -> None:
    assert not Order().applies(text)
    assert Order().seen(text) == text
    assert not Order().to_the_right(text)


@pytest.mark.parametrize(
    ("text", "seen", "right"),
    [
        ("שלום", "םולש", True),
        ("שלום abc 12", "abc 12 םולש", True),
        ("say שלום now", "say םולש now", False),
        ("123 שלום", "םולש 123", True),
    ],
)
def test_what_runs_to_the_left(text: str, seen: str, right: bool) -> None:
    assert Order().seen(text) == seen
    assert Order().to_the_right(text) is right


def test_arabic_letters_are_joined() -> None:
    assert Order().seen("كيف") == "\ufed2\ufef4\ufedb"
