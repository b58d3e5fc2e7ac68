"""Starts a server with one defence switched off by name: `python -m tests.support.patched_server NAME`.

A test that must catch a fault runs against such a server and has to fail there. Nothing of this is in the
product.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mobium_server import start
from mobium_server.__main__ import main
from mobium_server.care import backup
from mobium_server.config import unknown_variables
from mobium_server.delivery import PostOffice
from mobium_server.envelope import Asker, Envelope
from mobium_server.storage.base import HistoryPage, NewPost, Posted, Refused
from mobium_server.storage.sqlite import SqliteStorage
from tests.support.slow_imports import wait_for_go

Wait = Callable[[PostOffice, Envelope, Asker], None]


def early(wait: Wait) -> Wait:
    """A `PostOffice._wait` that answers a sender when its message begins to wait for the commit."""

    def patched(office: PostOffice, envelope: Envelope, asker: Asker) -> None:
        wait(office, envelope, asker)
        for one in envelope.answers:
            frame = one.accepted(envelope)
            if one.desk.open and frame is not None:
                one.desk.outlet.send(frame)
            office._holding.give_back(one.desk, envelope.size)
        envelope.answers.clear()

    return patched


def acknowledge_before_commit() -> None:
    """Senders are answered before the commit."""
    setattr(PostOffice, "_wait", early(PostOffice._wait))  # noqa: B010 - a method is not assigned to


def never_commits() -> None:
    """Messages are forwarded and nothing is ever written: a server that is always just before its commit."""
    setattr(PostOffice, "_commit", lambda _office: None)  # noqa: B010


def answers_and_never_commits() -> None:
    """The same, and senders are answered."""
    never_commits()
    acknowledge_before_commit()


def loses_posts() -> None:
    """Every tenth message of a channel is acknowledged, shown to whoever is connected, and lost."""
    post = SqliteStorage.post

    def losing(storage: SqliteStorage, posts: Sequence[NewPost], now: int) -> list[Posted | Refused]:
        results = post(storage, posts, now)
        for new, result in zip(posts, results, strict=True):
            if isinstance(result, Posted) and result.new and result.number % 10 == 0:
                storage.connection.execute("DELETE FROM posts WHERE delivery = ?", (new.delivery,))
        return results

    setattr(SqliteStorage, "post", losing)  # noqa: B010


def skips_history() -> None:
    """A page of a channel's history lacks its second message."""
    history = SqliteStorage.history

    def skipping(storage: SqliteStorage, *arguments: Any) -> HistoryPage | Refused:
        page = history(storage, *arguments)
        if isinstance(page, Refused):
            return page
        posts = [line for line in page.lines if line.sender is not None]
        return page._replace(lines=[line for line in page.lines if line not in posts[1:2]])

    setattr(SqliteStorage, "history", skipping)  # noqa: B010


def waits_in_settings() -> None:
    """Reading the settings takes long."""
    unknown = unknown_variables

    def waiting(environment: Mapping[str, str], env_file: Path | None = None) -> list[str]:
        wait_for_go("settings")
        return unknown(environment, env_file)

    setattr(start, "unknown_variables", waiting)  # noqa: B010


def waits_in_open() -> None:
    """Opening the database takes long, as an upgrade does."""
    open_it = SqliteStorage.open

    def waiting(storage: SqliteStorage) -> None:
        wait_for_go("open")
        open_it(storage)

    setattr(SqliteStorage, "open", waiting)  # noqa: B010


def waits_in_backup() -> None:
    """Copying the database takes long, before a backup as before a restore."""
    fill = backup._fill

    def waiting(source: sqlite3.Connection, copy: sqlite3.Connection) -> None:
        fill(source, copy)
        wait_for_go("backup")

    setattr(backup, "_fill", waiting)  # noqa: B010


PATCHES: dict[str, Callable[[], None]] = {
    "acknowledge_before_commit": acknowledge_before_commit,
    "answers_and_never_commits": answers_and_never_commits,
    "loses_posts": loses_posts,
    "never_commits": never_commits,
    "skips_history": skips_history,
    "waits_in_backup": waits_in_backup,
    "waits_in_open": waits_in_open,
    "waits_in_settings": waits_in_settings,
}

if __name__ == "__main__":
    PATCHES[sys.argv[1]]()
    del sys.argv[1]
    sys.exit(main())
