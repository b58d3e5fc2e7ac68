"""Channels in a database: versions, deaths, full disks, indices."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from mobium_server.storage.base import (
    Mailbox,
    NewInvite,
    NewMessage,
    Posted,
    Row,
    Stock,
    Storage,
    Unavailable,
)
from mobium_server.storage.schema import MIGRATIONS
from mobium_server.storage.sqlite import SqliteStorage
from tests.server.channel_rows import (
    ANNA,
    BEN,
    CARL,
    HALL,
    MOST,
    NOW,
    OTHER,
    ROOM,
    TICKET,
    create,
    history,
    join,
    leave,
    post,
)
from tests.support.vfs import disk


def opened(path: Path, **fields: object) -> SqliteStorage:
    storage = SqliteStorage(path, MOST, **fields)  # type: ignore[arg-type]
    storage.open()
    return storage


def test_a_database_of_version_1_is_brought_up_with_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    # Written by the server of version 1 of the schema.
    path.write_bytes(gzip.decompress((Path(__file__).parent / "version1.db.gz").read_bytes()))
    storage = opened(path)
    assert storage.connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert storage.mailbox(BEN) == Mailbox(True, 2)
    assert storage.page(BEN, 0, 10, 10**6).rows == [
        Row(at, ANNA, at.to_bytes(16, "big"), b"payload %d" % at) for at in (2, 3)
    ]
    assert storage.stock(ANNA, 0) == Stock(1, 1, 1, 2)
    assert storage.get("clock") == (1_000).to_bytes(8, "big") * 2
    assert storage.apply([NewMessage(BEN, ANNA, OTHER, b"", ROOM)], [], 100) == [4]
    assert create(storage) == 1
    storage.close()
    copy = sqlite3.connect(tmp_path / "m.db.before-2")
    assert copy.execute("PRAGMA user_version").fetchone() == (1,)
    assert copy.execute("SELECT count(*) FROM messages").fetchone() == (2,)
    copy.close()
    opened(path).close()
    assert [one.name for one in sorted(tmp_path.glob("*before*"))] == ["m.db.before-2", "m.db.before-3"]


def test_an_old_database_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    opened(old, migrations=MIGRATIONS[:1]).close()
    shapes = []
    for path in (old, new):
        storage = opened(path)
        shapes.append(storage.connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY 1").fetchall())
        storage.close()
    assert shapes[0] == shapes[1]


def test_numbers_go_on_after_everything_expired_and_a_restart(tmp_path: Path) -> None:
    storage = opened(tmp_path / "m.db")
    create(storage)
    storage.post([post(1), post(2)], NOW)
    storage.expire_posts(NOW, 10)
    storage.close()
    storage = opened(tmp_path / "m.db")
    assert storage.post([post(3)], NOW) == [Posted(4, True)]
    storage.close()


CHANGES: dict[str, Callable[[Storage], object]] = {
    "a creation": lambda storage: create(storage, HALL),
    "a join": lambda storage: join(storage, 2, CARL, invite=TICKET),
    "a removal": lambda storage: leave(storage, 2, BEN, rekeys=True),
    "messages": lambda storage: storage.post([post(5), post(6)], NOW),
    "an expiry": lambda storage: storage.expire_posts(NOW, 10),
    "an invite": lambda storage: storage.make_invite(ROOM, NewInvite(OTHER, 1, 0, ANNA), NOW),
    "a revocation": lambda storage: storage.revoke_invite(ROOM, TICKET),
}


def everything(storage: SqliteStorage) -> list[object]:
    return [
        storage.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        for table in ("channels", "statements", "members", "posts", "invites")
    ]


@pytest.mark.parametrize("change", CHANGES)
def test_a_full_disk_changes_nothing(tmp_path: Path, change: str) -> None:
    with disk() as watched:
        storage = opened(tmp_path / "m.db", connector=watched.connect)
        create(storage)
        storage.make_invite(ROOM, NewInvite(TICKET, 2, 0, ANNA), NOW)
        join(storage, 1, BEN, invite=TICKET)
        storage.post([post(1)], NOW)
        before = everything(storage)
        watched.full = True
        with pytest.raises(Unavailable):
            CHANGES[change](storage)
        assert everything(storage) == before
        watched.full = False
        CHANGES[change](storage)
        assert everything(storage) != before
        storage.close()


def test_messages_that_are_refused_cost_no_sync(tmp_path: Path) -> None:
    with disk() as watched:
        storage = opened(tmp_path / "m.db", connector=watched.connect)
        create(storage)
        before = watched.syncs
        storage.post([post(at, who=BEN) for at in range(100)], NOW)
        assert watched.syncs == before
        storage.post([post(at) for at in range(100)], NOW)
        assert watched.syncs == before + 1
        storage.close()


def test_nothing_reads_a_whole_table(tmp_path: Path) -> None:
    """What grows with the server is always looked up in an index."""
    plans: list[str] = []
    asked: list[str] = []
    storage = opened(tmp_path / "m.db")
    connection = storage.connection
    connection.set_trace_callback(asked.append)
    create(storage)
    storage.make_invite(ROOM, NewInvite(TICKET, 2, 0, ANNA), NOW)
    join(storage, 1, BEN, invite=TICKET)
    storage.post([post(1), post(2)], NOW)
    storage.statements(ROOM, 0, 10, 10, 10)
    history(storage)
    storage.channels(ANNA, b"", 10)
    storage.mailbox(ANNA)
    storage.invites(ROOM, NOW)
    storage.revoke_invite(ROOM, TICKET)
    storage.expire_posts(NOW, 10)
    connection.set_trace_callback(None)
    for text in asked:
        if text.split()[0] in ("SELECT", "WITH", "UPDATE", "DELETE"):
            plans += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}").fetchall()]
    scans = {plan for plan in plans if plan.startswith("SCAN") and "CONSTANT ROW" not in plan}
    assert len(plans) > 20
    assert scans == {"SCAN asked", "SCAN posts"}, "a list of what is asked for, and the oldest messages"
    storage.close()
