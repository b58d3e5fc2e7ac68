"""What the log says of faults in connections: each kind once a minute, and how many more there were."""

from __future__ import annotations

import pytest

from mobium_server import faults
from mobium_server.faults import Faults
from tests.support.clocks import Seconds


def one_kind(number: int) -> None:
    raise ValueError(f"fault {number}")


def another_kind(number: int) -> None:
    raise KeyError(number)


def note(these: Faults, kind: object, number: int = 0) -> None:
    assert callable(kind)
    try:
        kind(number)
    except Exception as error:  # noqa: BLE001 - any
        these.note(error)


def test_a_kind_is_said_once_a_minute_and_then_counted(caplog: pytest.LogCaptureFixture) -> None:
    clock = Seconds()
    these = Faults(clock)
    for number in range(1_000):
        note(these, one_kind, number)
    note(these, another_kind)
    assert [record.getMessage() for record in caplog.records] == ["A connection failed."] * 2
    assert caplog.text.count("Traceback") == 2
    assert "fault 0" in caplog.text
    assert "fault 1" not in caplog.text
    clock.now = faults.QUIET
    note(these, one_kind, 7)
    assert caplog.records[-1].getMessage().endswith("the same 999 times more since it was last said.")
    note(these, one_kind, 8)
    assert len(caplog.records) == 3


def test_kinds_are_bounded(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(faults, "KINDS", 1)
    these = Faults(Seconds())
    for _ in range(3):
        note(these, one_kind)
        note(these, another_kind)
    assert len(these._kinds) == 1
    assert len(caplog.records) == 6
