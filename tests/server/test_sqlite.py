"""The database: durable commits, counted syncs, a full disk, a locked one, migrations with copies, files that
are not ours.
"""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mobium.errors import StoreError
from mobium_server.storage.base import NewMessage, Prekey, Publication, Row, Taken, Unavailable
from mobium_server.storage.database import BUSY_MS
from mobium_server.storage.migrate import COPY_LIFE
from mobium_server.storage.schema import MIGRATIONS
from mobium_server.storage.sqlite import GIVEN_BACK, SqliteStorage, connect
from tests.support.server import WAIT
from tests.support.vfs import Disk, disk

ANNA = b"a" * 32
BEN = b"b" * 32
KEY = Prekey(1, 2**33, b"k" * 32, b"s" * 64)
PUBLICATION = Publication(b"x" * 32, b"y" * 64, KEY, KEY)


def message(number: int, content: bytes = b"payload") -> NewMessage:
    return NewMessage(BEN, ANNA, number.to_bytes(16, "big"), content)


def taken(seq: int) -> Taken:
    return Taken(seq, BEN, ANNA)


@pytest.fixture
def watched() -> Iterator[Disk]:
    with disk() as one:
        yield one


def opened(path: Path, watched: Disk | None = None) -> SqliteStorage:
    storage = SqliteStorage(path, 1000, connect if watched is None else watched.connect)
    storage.open()
    storage.publish(BEN, PUBLICATION, 0)
    return storage


def test_every_commit_is_synced(tmp_path: Path, watched: Disk) -> None:
    storage = opened(tmp_path / "m.db", watched)
    assert storage.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert storage.connection.execute("PRAGMA synchronous").fetchone() == (2,)
    for number in range(50):
        before = watched.syncs
        storage.apply([message(number)], [], 100)
        assert watched.syncs > before
    many = watched.syncs
    storage.apply([message(number) for number in range(100, 200)], [], 100)
    assert watched.syncs == many + 1, "a hundred messages of one tick cost one sync"
    # The count itself can fail: with the weaker setting nothing is synced.
    storage.connection.execute("PRAGMA synchronous = NORMAL")
    before = watched.syncs
    storage.apply([message(300)], [], 100)
    assert watched.syncs == before
    storage.close()


def test_a_full_disk_refuses_and_recovers(tmp_path: Path, watched: Disk) -> None:
    storage = opened(tmp_path / "m.db", watched)
    storage.apply([message(1)], [], 100)
    watched.full = True
    with pytest.raises(Unavailable):
        storage.apply([message(2)], [taken(1)], 100)
    assert [row.delivery[-1] for row in storage.page(BEN, 0, 10, 10**6).rows] == [1]
    assert storage.mailbox(BEN).waiting == 1
    watched.full = False
    assert storage.apply([message(3)], [taken(1)], 100) == [2]
    assert storage.mailbox(BEN).waiting == 1
    storage.close()


def test_a_locked_database_refuses_and_recovers(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    storage = opened(path)
    storage.connection.execute("PRAGMA busy_timeout = 10")
    other = connect(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        storage.apply([message(1)], [], 100)
    other.execute("ROLLBACK")
    other.close()
    assert storage.apply([message(1)], [], 100) == [1]
    storage.close()


def test_numbers_are_never_used_again(tmp_path: Path) -> None:
    storage = opened(tmp_path / "m.db")
    assert storage.apply([message(1), message(2)], [], 100) == [1, 2]
    storage.apply([], [taken(1), taken(2)], 100)
    storage.close()
    storage = opened(tmp_path / "m.db")
    assert storage.apply([message(3)], [], 100) == [3]
    storage.close()


def test_a_killed_writer_leaves_what_it_committed(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    script = (
        "import os, sys; from pathlib import Path; from tests.server.test_sqlite import message, opened\n"
        "opened(Path(sys.argv[1])).apply([message(1, b'kept')], [], 100); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, path], cwd=Path(__file__).parents[2], check=False, timeout=WAIT
    )
    assert ended.returncode == -signal.SIGKILL
    storage = opened(path)
    assert storage.page(BEN, 0, 10, 10**6).rows == [Row(1, ANNA, message(1).delivery, b"kept")]
    storage.close()


def test_closing_empties_the_log_and_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    storage = opened(path)
    storage.apply([message(1)], [], 100)
    storage.close()
    storage.close()
    assert not path.with_name("m.db-wal").exists()
    with pytest.raises(Unavailable):
        storage.mailbox(BEN)
    opened(path).close()


def test_a_second_server_is_kept_away(tmp_path: Path) -> None:
    storage = opened(tmp_path / "m.db")
    with pytest.raises(StoreError, match="in use by another server"):
        opened(tmp_path / "m.db")
    storage.close()


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    storage = opened(tmp_path / "new" / "m.db")
    storage.apply([message(1)], [], 100)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    for name in ("m.db", "m.db-wal", "m.db-shm"):
        assert stat.S_IMODE((tmp_path / "new" / name).stat().st_mode) == 0o600
    storage.close()


def test_delivered_messages_leave_nothing_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    storage = opened(path)
    secret = b"who wrote this to whom" * 100
    storage.apply([message(number, secret) for number in range(50)], [], 100)
    storage.apply([], [taken(seq) for seq in range(1, 51)], 100)
    storage.close()
    content = path.read_bytes()
    assert secret[:22] not in content
    assert ANNA not in content


def test_what_expired_gives_its_room_back_a_megabyte_at_a_time(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "m.db", 100_000)
    storage.open()
    storage.publish(BEN, PUBLICATION, 0)
    few = storage.connection.execute("PRAGMA page_count").fetchone()[0]
    storage.apply([message(number, b"p" * 3_000) for number in range(1_000)], [], 100)
    many = storage.connection.execute("PRAGMA page_count").fetchone()[0]
    assert many > few + 3 * GIVEN_BACK
    assert len(storage.expire(100, 1_000)) == 1_000
    assert storage.connection.execute("PRAGMA page_count").fetchone()[0] in range(many - 260, many - 250)
    for _ in range(4):
        storage.expire(100, 1_000)
    assert storage.connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    assert storage.connection.execute("PRAGMA page_count").fetchone()[0] < few + 20
    storage.close()


def beside(path: Path) -> bytes:
    """What all files of a database hold."""
    return b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())


def test_a_checkpoint_leaves_everything_in_one_file_and_nothing_that_was_deleted(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    storage = opened(path)
    secret = b"who wrote this to whom" * 100
    storage.apply([message(number, secret) for number in range(50)], [], 100)
    storage.apply([], [taken(seq) for seq in range(1, 50)], 100)
    assert secret[:22] in beside(path)
    storage.checkpoint()
    assert path.with_name("m.db-wal").stat().st_size == 0
    copy = tmp_path / "elsewhere" / "m.db"
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    again = SqliteStorage(copy, 1000)
    again.open()
    assert again.page(BEN, 0, 10, 10**6).rows == [Row(50, ANNA, message(49).delivery, secret)]
    again.close()
    storage.apply([], [taken(50)], 100)
    storage.checkpoint()
    assert secret[:22] not in beside(path)
    assert ANNA not in beside(path)
    storage.close()


def test_a_checkpoint_does_not_wait_for_who_reads(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    storage = opened(path)
    backup = sqlite3.connect(path)
    backup.execute("BEGIN")
    assert backup.execute("SELECT count(*) FROM messages").fetchone() == (0,)
    storage.apply([message(1)], [], 100)
    begin = time.monotonic()
    storage.checkpoint()
    print(f"it came back after {time.monotonic() - begin:.2f} s")
    assert path.with_name("m.db-wal").stat().st_size > 0
    backup.close()
    storage.checkpoint()
    assert path.with_name("m.db-wal").stat().st_size == 0
    # Others are waited for as before.
    assert storage.connection.execute("PRAGMA busy_timeout").fetchone() == (BUSY_MS,)
    storage.close()


def test_copies_from_before_updates_go_after_thirty_days(tmp_path: Path) -> None:
    storage = opened(tmp_path / "m.db")
    assert storage.clear_copies(0) == []
    first, second = tmp_path / "m.db.before-2", tmp_path / "m.db.before-3.partial"
    other = tmp_path / "n.db.before-2"
    for copy in (first, other):
        copy.touch()
    assert storage.clear_copies(100) == []  # it is seen
    assert storage.clear_copies(100 + COPY_LIFE - 1) == []
    second.touch()
    assert storage.clear_copies(100 + COPY_LIFE) == []  # there is one more: all wait for it
    assert storage.clear_copies(100 + 2 * COPY_LIFE) == [first.name, second.name]
    assert not first.exists()
    assert not second.exists()
    assert other.exists()
    assert storage.clear_copies(100 + 3 * COPY_LIFE) == []
    storage.close()


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to be looked at" * 10, b"short"]
)
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="cannot be used: file is not a database"):
        opened(path)
    assert path.read_bytes() == content


def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    with pytest.raises(StoreError, match="not that of a mobium server"):
        opened(path)


def test_a_new_database_is_made_without_a_copy(tmp_path: Path) -> None:
    opened(tmp_path / "m.db").close()
    assert not list(tmp_path.glob("*before*"))


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    opened(path).close()
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    other.close()
    with pytest.raises(StoreError, match="newer mobium-server"):
        opened(path)


def test_a_migration_is_one_transaction_after_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    storage = opened(path)
    storage.apply([message(1)], [], 100)
    storage.close()
    broken = (
        *MIGRATIONS,
        "ALTER TABLE messages ADD COLUMN size INTEGER; CREATE TABLE messages (again TEXT);",
    )
    with pytest.raises(StoreError, match="already exists"):
        SqliteStorage(path, 1000, migrations=broken).open()
    better = (
        *MIGRATIONS,
        "ALTER TABLE messages ADD COLUMN size INTEGER; UPDATE messages SET size = length(payload);",
    )
    storage = SqliteStorage(path, 1000, migrations=better)
    storage.open()
    assert storage.connection.execute("SELECT size FROM messages").fetchall() == [(7,)]
    assert storage.connection.execute("PRAGMA user_version").fetchone() == (len(better),)
    storage.close()
    copy = sqlite3.connect(tmp_path / f"m.db.before-{len(better)}")
    assert copy.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert copy.execute("SELECT payload FROM messages").fetchall() == [(b"payload",)]
    copy.close()
    assert not list(tmp_path.glob("*.partial"))
