"""The conversation window on an emulated terminal: marks change in place, nothing garbles what is typed."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from mobium_client.cli.editor import Editor
from mobium_client.cli.screen import Screen
from mobium_client.cli.window import Window
from tests.support.terminal import Emulator

AT = datetime(2026, 1, 2, 12, 34, tzinfo=UTC)


class _Stage:
    """A window whose output goes to an emulator."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, columns: int, rows: int) -> None:
        self.columns = columns
        self.emulator = Emulator(columns, rows)
        self.editor = Editor()
        monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((self.columns, rows)))
        monkeypatch.setattr(Screen, "height", property(lambda _: rows))
        monkeypatch.setattr(Screen, "can_draw", property(lambda _: True))
        monkeypatch.setattr(Screen, "write", lambda _, data: self.emulator.feed(data.replace("\n", "\r\n")))
        self.window = Window(Screen(), "bob", self.editor)
        self.window.open()

    def type(self, keys: str) -> None:
        self.editor.feed(keys)
        self.window.draw()

    @property
    def rows(self) -> list[str]:
        return [row for row in self.emulator.screen if row]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> _Stage:
    monkeypatch.setenv("TZ", "UTC")
    return _Stage(monkeypatch, 40, 10)


def test_what_is_typed_stays_below_what_comes_in(stage: _Stage) -> None:
    stage.type("half a sen")
    stage.window.message(AT, "bob", "hello")
    stage.type("tence")
    assert stage.rows[0].endswith("bob  hello")
    assert stage.rows[1:] == ["bob> half a sentence"]
    assert stage.emulator.cursor == (1, len("bob> half a sentence"))


def test_marks_follow_their_messages(stage: _Stage) -> None:
    stage.window.own("one", "queued", AT, "first")
    stage.window.own("two", "queued", AT, "second " * 12)
    stage.window.message(AT, "bob", "between")
    stage.type("typing")
    stage.window.state("one", "sent")
    stage.window.state("two", "delivered")
    stage.window.state("one", "delivered")
    stage.window.state("unknown", "failed")
    marks = [row[:3] for row in stage.rows[:-1]]
    assert marks[:2] == ["✓✓ ", "✓✓ "]
    assert set(marks[2:]) == {"   "}
    assert stage.rows[-1] == "bob> typing"
    assert stage.emulator.cursor[1] == len("bob> typing")


def test_a_mark_that_has_scrolled_away_changes_nothing_else(stage: _Stage) -> None:
    stage.window.own("one", "queued", AT, "first")
    for number in range(9):
        stage.window.message(AT, "bob", f"line {number}")
    before = stage.emulator.everything
    stage.window.state("one", "sent")
    assert stage.emulator.everything == before


def test_the_last_reachable_mark_changes(stage: _Stage) -> None:
    stage.window.own("one", "queued", AT, "first")
    for number in range(8):
        stage.window.message(AT, "bob", f"line {number}")
    stage.window.state("one", "sent")
    assert stage.emulator.screen[0].startswith("✓ ")
    assert stage.emulator.screen[0].endswith("you  first")


def test_after_a_resize_old_marks_are_left_alone(stage: _Stage) -> None:
    stage.window.own("one", "queued", AT, "first")
    stage.columns = 30
    stage.window.resized()
    before = stage.rows
    stage.window.state("one", "sent")
    assert stage.rows == before
    stage.window.own("two", "queued", AT, "second")
    stage.window.state("two", "sent")
    assert stage.rows[1].startswith("✓ ")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "x" * 1000,
        "漢字" * 200,
        "שלום עולם " * 40,
        "\x1b[2J\x1b[H\x1b]0;owned\x07\x1b[?1049h",
        "\x9b2J\x90payload\x9c",
        "one\r\ntwo\n\n\nfive",
        "a\u202eb\u2066c",
        "e" + "\u0301" * 500,
        "👩\u200d🚀" * 60,
        "\b" * 100 + "\r" * 3,
    ],
)
def test_odd_text_keeps_to_its_place(text: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = _Stage(monkeypatch, width, 24)
    stage.window.own("own", "queued", AT, "mine")
    stage.type("draft")
    stage.window.message(AT, text or "nobody", text)
    stage.window.state("own", "sent")
    rows = stage.rows
    assert rows[-1] == "bob> draft"
    assert [row for row in stage.emulator.everything if row.startswith("✓")] == [
        row for row in stage.emulator.everything if row.endswith("you  mine")
    ]
    for row in stage.emulator.everything:
        assert row.startswith(("   ", "✓  ", "bob> ")) or not row


def test_a_long_input_scrolls_sideways_in_one_row(stage: _Stage) -> None:
    stage.type("0123456789" * 20)
    assert len(stage.rows) == 1
    assert stage.rows[0].startswith("bob> ")
    assert stage.rows[0].endswith("789")
    stage.type("\x01")
    assert stage.rows[0].startswith("bob> 0123")
    assert stage.emulator.cursor == (0, 5)


def test_the_note_stands_beside_the_prompt(stage: _Stage) -> None:
    stage.window.note("(offline)")
    stage.type("x")
    assert stage.rows == ["bob (offline)> x"]
    stage.window.note("")
    assert stage.rows == ["bob> x"]
