"""How people are called, and what is told of them, in sentences; how long invites last, in letters."""

from __future__ import annotations

import pytest

from mobium.client import Member
from mobium.errors import InvalidInput
from mobium_client.cli import invites as command
from mobium_client.people import change_of, names_of, shown_name


def _member(digit: str, name: str = "", nickname: str | None = None, *, me: bool = False) -> Member:
    return Member(digit * 64, nickname, name, "member", "unverified", me)


def test_no_two_members_are_called_the_same() -> None:
    members = [
        _member("a", "Bob"), _member("b", "bob"), _member("c", "x", "Bob"), _member("d"),
        _member("e", "bob~aaaa"), _member("f", "n" * 64), _member("1", "n" * 64), _member("2", "Dora"),
    ]  # fmt: skip
    names = names_of(members)
    assert len(set(names.values())) == len(members)
    assert names["a" * 64] == "~Bob~aaaa"
    assert names["b" * 64] == "~bob~bbbb"
    assert names["c" * 64] == "Bob"
    assert names["d" * 64] == "d" * 16
    assert names["e" * 64] == "~bob~aaaa~eeee"
    assert names["2" * 64] == "~Dora"
    assert shown_name(None, "you", "0" * 64) == "~you"


@pytest.mark.parametrize(
    ("what", "text", "sentence"),
    [
        ("joined", "", "~a joined"),
        ("left", "", "~a left"),
        ("removed", "", "~a removed you"),
        ("role", "member", "~a made you a member again"),
        ("role", "emperor", "~a made you something that a newer mobium knows"),
        ("renamed", "b\x1bc", "~a called this channel b␛c"),
        ("renamed", "", "~a gave this channel another name or topic, which cannot be read yet"),
        ("reordered", "", "The server shows what ~a wrote in another order than it was written"),
        ("broken", "It does not add up.", "It does not add up."),
        ("mended", "", "The server shows everything again that it had hidden"),
        ("disputed", "There are two different lists.", "There are two different lists."),
        ("agreed", "", "Nobody speaks of another list of members any more"),
        ("withheld", "The server leaves something out.", "The server leaves something out."),
        ("unheard of", "", "~a changed something that needs a newer version of mobium"),
    ],
)
def test_sentences_of_changes(what: str, text: str, sentence: str) -> None:
    assert change_of(what, text, "~a", "you") == sentence


def test_a_name_that_came_late() -> None:
    assert change_of("renamed", "garden", "", "") == "This channel is called garden"


@pytest.mark.parametrize(
    ("text", "seconds"), [("7d", 604_800), ("12 H", 43_200), ("30m", 1_800), ("4w", 2_419_200), ("ever", 0)]
)
def test_times(text: str, seconds: int) -> None:
    assert command._seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "0d", "-1d", "7", "1.5h", "1y", "٧d" * 3])
def test_no_times(text: str) -> None:
    with pytest.raises(InvalidInput):
        command._seconds(text)
