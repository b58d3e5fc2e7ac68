"""Random schedules of logins, statements, messages, repeats, commits, failures, expiries and crashes, against
a small model of what a channel promises: one number for a message, everything committed before it is said,
everything shown in order to those who are members by then, and whatever is not shown announced.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mobium.protocol import codec
from mobium_server import board, channels, holding
from mobium_server.board import Board, Seat
from mobium_server.storage.base import NewPost, Posted, Refused
from mobium_server.storage.memory import MemoryStorage
from mobium_server.storage.sqlite import SqliteStorage
from tests.server.board_machine import Machine
from tests.support.server import randomness, schedules


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that are reached."""
    monkeypatch.setattr(board, "BATCH", 4)
    monkeypatch.setattr(board, "BATCH_BYTES", 300)
    monkeypatch.setattr(holding, "HELD_BYTES", 1_000)
    monkeypatch.setattr(holding, "HELD_BY_ONE", 400)
    monkeypatch.setattr(channels, "JOINS", 10**6)


SEED = 20


def play(schedule: int, folder: Path | None = None) -> Machine:
    """One schedule, on SQLite in `folder`, else in memory."""
    storage = MemoryStorage(100) if folder is None else SqliteStorage(folder / f"{schedule}.db", 100)
    storage.open()
    try:
        machine = Machine(storage, randomness(SEED, schedule))
        machine.run()
    finally:
        storage.close()
    return machine


@pytest.mark.parametrize("schedule", range(schedules()))
def test_channels_in_memory(schedule: int) -> None:
    play(schedule)


@pytest.mark.parametrize("schedule", range(schedules()))
def test_channels_on_sqlite(schedule: int, tmp_path: Path) -> None:
    play(schedule, tmp_path)


def test_the_schedules_come_to_something() -> None:
    machines = [play(schedule) for schedule in range(20)]
    assert sum(post.number is not None for one in machines for post in one.posts.values()) > 1_000
    assert sum(post.expired for one in machines for post in one.posts.values()) > 300
    assert sum(room.roster.index for one in machines for room in one.rooms) > 300
    assert sum(one.shows for one in machines) > 400


def keep_quiet(_board: Board, seat: Seat) -> None:
    """Announces nothing."""
    seat.behind = None


def take_anything(storage: MemoryStorage, post: NewPost, now: int) -> Posted | Refused:
    """Looks neither at members nor at what was stored."""
    number = storage._channels[post.channel].number()
    storage._channels[post.channel].posts[number] = post
    return Posted(number, new=True)


def say_too_early(one: Board) -> None:
    """Answers what it has not committed."""
    for post in list(one._waiting.values()):
        del one._waiting[post.key]
        one._answer(post, [codec.encode_accepted(post.delivery, rid, 99) for _, rid in post.answers])


FAULTS: dict[str, tuple[str, Any]] = {
    "newcomers are forgotten": ("mobium_server.board.Board.enter", lambda *_: None),
    "who has left goes on reading": ("mobium_server.board.Board.leave", lambda *_: None),
    "nothing is announced": ("mobium_server.board.Board.catch_up", keep_quiet),
    "what was sent is not looked at": (
        "mobium_server.storage.memory_channels.MemoryChannels._post",
        take_anything,
    ),
    "an answer comes before the commit": ("mobium_server.board.Board._commit", say_too_early),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, what = FAULTS[fault]
    monkeypatch.setattr(where, what)
    caught = 0
    for schedule in range(20):
        try:
            play(schedule)
        except AssertionError:
            caught += 1
    assert caught
