"""The store: transactions, what a commit releases, durability, migrations, files that are not ours."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mobium.client.events import ContactKeyChanged, Event
from mobium.client.store import channels, database, messages, meta, schema
from mobium.client.store.database import Store, Tx
from mobium.crypto.invite import invite_key
from mobium.errors import StoreError, StoreFault

KEY = bytes(range(32))


@pytest.fixture
async def told() -> list[Event]:
    return []


@pytest.fixture
async def store(folder: Path, told: list[Event]) -> AsyncIterator[Store]:
    store = await Store.open(folder / "mobium.db", KEY, told.extend)
    yield store
    await store.close()


async def test_a_transaction_is_whole_or_nothing(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def work(tx: Tx) -> None:
        meta.put(tx, "a", 1)
        raise KeyError("what nobody is to read")

    with pytest.raises(StoreFault, match="the log says where"):
        await store.run(work)
    [line] = caplog.messages
    assert "KeyError in test_store.py, line" in line
    assert "nobody" not in line
    assert await store.run(meta.get, "a") is None
    await store.run(meta.put, "a", b"bytes")
    assert await store.run(meta.get, "a") == b"bytes"


async def test_events_are_told_after_the_commit_and_before_the_result(
    store: Store, told: list[Event]
) -> None:
    seen: list[int] = []

    def work(tx: Tx, peer: str) -> None:
        tx.emit(ContactKeyChanged(peer))
        seen.append(len(told))

    def failing(tx: Tx) -> None:
        work(tx, "never")
        raise KeyError

    await store.run(work, "one")
    assert (seen, told) == ([0], [ContactKeyChanged("one")])
    with pytest.raises(StoreFault):
        await store.run(failing)
    assert told == [ContactKeyChanged("one")]


async def test_a_cancelled_caller_undoes_nothing_and_misses_no_event(store: Store, told: list[Event]) -> None:
    begun, go = threading.Event(), threading.Event()

    def work(tx: Tx) -> None:
        begun.set()
        assert go.wait(10)
        meta.put(tx, "a", 1)
        tx.emit(ContactKeyChanged("x"))

    task = asyncio.ensure_future(store.run(work))
    assert await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    assert await store.run(meta.get, "a") == 1
    assert told == [ContactKeyChanged("x")]


async def test_commits_survive_a_power_cut(store: Store) -> None:
    """NORMAL would lose commits; deleted keys must not stay in free pages."""

    def pragmas(tx: Tx) -> dict[str, Any]:
        names = ("journal_mode", "synchronous", "fullfsync", "secure_delete", "temp_store", "foreign_keys")
        return {name: tx.value(f"PRAGMA {name}") for name in names}

    assert await store.run(pragmas) == {
        "journal_mode": "wal",
        "synchronous": 2,
        "fullfsync": 1,
        "secure_delete": 1,
        "temp_store": 2,
        "foreign_keys": 1,
    }


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def database_bytes(folder: Path) -> bytes:
    return (folder / "mobium.db").read_bytes()


async def test_the_file_is_ciphertext_from_end_to_end(store: Store, folder: Path) -> None:
    await store.run(meta.put, "a telling name", "a telling text" * 100)
    before = everything(folder)
    await store.checkpoint()
    assert os.path.getsize(folder / "mobium.db-wal") == 0  # noqa: ASYNC240, PTH202
    for data in (before, database_bytes(folder)):
        assert b"telling" not in data
        assert b"SQLite" not in data


async def test_a_closed_store_refuses_in_a_sentence(store: Store) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="locked"):
        await store.run(meta.get, "a")
    with pytest.raises(StoreError, match="locked"):
        await store.checkpoint()


async def test_the_wrong_key_and_foreign_files_are_refused_and_left(folder: Path, store: Store) -> None:
    await store.close()
    path = folder / "mobium.db"
    before = path.read_bytes()
    with pytest.raises(StoreError, match="does not belong"):
        await Store.open(path, bytes(32), lambda _: None)
    assert path.read_bytes() == before
    connection = database._connect(folder / "other.db", KEY)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreError, match="not one of mobium's"):
        await Store.open(folder / "other.db", KEY, lambda _: None)
    with pytest.raises(StoreError, match="cannot be written"):
        await Store.open(folder / "no such folder" / "mobium.db", KEY, lambda _: None)


async def test_a_damaged_file_is_named_as_that(folder: Path, store: Store) -> None:
    await store.run(meta.put, "a", os.urandom(100_000))
    await store.close()
    data = bytearray((folder / "mobium.db").read_bytes())
    for page in range(1, 11):
        data[-2000 - 4096 * page] ^= 1  # one bit in each of the pages that were written last
    (folder / "mobium.db").write_bytes(bytes(data))
    damaged = await Store.open(folder / "mobium.db", KEY, lambda _: None)
    with pytest.raises(StoreError, match="damaged"):
        await damaged.run(meta.get, "a")
    await damaged.close()


async def test_a_migration_leaves_a_copy_of_what_was(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.run(meta.put, "a", "old")
    await store.close()
    path = folder / "mobium.db"
    two = (*schema.MIGRATIONS, "CREATE TABLE more (x);\nUPDATE meta SET value = 'new';\n")
    monkeypatch.setattr(database, "MIGRATIONS", two)
    migrated = await Store.open(path, KEY, lambda _: None)
    assert await migrated.run(meta.get, "a") == "new"
    await migrated.close()
    monkeypatch.setattr(database, "MIGRATIONS", schema.MIGRATIONS)
    with pytest.raises(StoreError, match="newer version"):
        await Store.open(path, KEY, lambda _: None)
    copy = await Store.open(folder / f"mobium.db.version-{len(schema.MIGRATIONS)}", KEY, lambda _: None)
    assert await copy.run(meta.get, "a") == "old"
    await copy.close()


async def test_a_migration_that_fails_changes_nothing(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.run(meta.put, "a", "old")
    await store.close()
    broken = (*schema.MIGRATIONS, "CREATE TABLE more (x);\nUPDATE meta SET value = 'new';\nNONSENSE;\n")
    monkeypatch.setattr(database, "MIGRATIONS", broken)
    with pytest.raises(StoreError):
        await Store.open(folder / "mobium.db", KEY, lambda _: None)
    monkeypatch.setattr(database, "MIGRATIONS", schema.MIGRATIONS)
    again = await Store.open(folder / "mobium.db", KEY, lambda _: None)
    assert await again.run(meta.get, "a") == "old"
    await again.close()


async def test_a_full_disk_is_told_and_loses_nothing(store: Store) -> None:
    await store.run(meta.put, "a", 1)

    def limit(tx: Tx, pages: int) -> None:
        tx.execute(f"PRAGMA max_page_count = {pages}")

    pages = await store.run(lambda tx: int(tx.value("PRAGMA page_count")))
    await store.run(limit, pages + 2)
    with pytest.raises(StoreError, match="disk is full"):
        await store.run(meta.put, "b", os.urandom(1 << 20))
    assert await store.run(meta.get, "a") == 1
    await store.run(limit, 1 << 20)
    await store.run(meta.put, "b", os.urandom(1 << 20))


async def test_messages_can_be_searched_without_a_change_of_their_table(store: Store) -> None:
    def work(tx: Tx) -> list[Any]:
        tx.execute("CREATE VIRTUAL TABLE found USING fts5(text, content='message', content_rowid='id')")
        tx.execute(
            "INSERT INTO message (peer, content, outgoing, kind, text, sent_ms, at_ms, state)"
            " VALUES (1, x'00', 0, 'text', 'the quick brown fox', 0, 0, 'received')"
        )
        tx.execute("INSERT INTO found (rowid, text) SELECT id, text FROM message")
        return tx.all(
            "SELECT message.id FROM found JOIN message ON message.id = found.rowid WHERE found MATCH 'fox'"
        )

    assert await store.run(work) == [(1,)]


def copies(folder: Path) -> list[str]:
    """What migrations have left beside the database."""
    return sorted(file.name for file in folder.glob("*.version-*"))


async def test_a_database_from_before_channels_keeps_what_is_in_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "mobium.db"
    monkeypatch.setattr(database, "MIGRATIONS", schema.MIGRATIONS[:1])
    old = await Store.open(path, KEY, lambda _: None)

    def talk(tx: Tx) -> None:
        peer = tx.insert("INSERT INTO peer (ed, relation, added_at) VALUES (?, 'contact', 1)", b"p" * 32)
        for number in range(3):
            tx.execute(
                "INSERT INTO message (peer, content, outgoing, kind, text, sent_ms, at_ms, state)"
                " VALUES (?, ?, ?, 'text', ?, 1, 1, 'sent')",
                peer, bytes([number]) * 16, number % 2, f"text {number}",
            )  # fmt: skip

    await old.run(talk)
    await old.close()
    monkeypatch.setattr(database, "MIGRATIONS", schema.MIGRATIONS)
    new = await Store.open(path, KEY, lambda _: None)
    shown = await new.run(messages.history, 1, None, 50, 0)
    assert [line.text for line in shown] == ["text 0", "text 1", "text 2"]
    assert [line.channel for line in shown] == [None] * 3
    assert await new.run(channels.every) == []
    assert copies(folder) == [f"mobium.db.version-{number}" for number in range(1, len(schema.MIGRATIONS))]
    now = time.time()
    await new.forget_copies(now + 6 * 86_400)
    assert copies(folder) == [f"mobium.db.version-{number}" for number in range(1, len(schema.MIGRATIONS))]
    await new.forget_copies(now + 8 * 86_400)  # in it are keys that were deleted since
    assert copies(folder) == []
    await new.close()


async def test_spare_secrets_from_before_they_had_owners_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "mobium.db"
    monkeypatch.setattr(database, "MIGRATIONS", schema.MIGRATIONS[:2])
    old = await Store.open(path, KEY, lambda _: None)

    def spare(tx: Tx) -> None:
        for secret, mine in ((b"a" * 32, 1), (b"b" * 32, 0), (b"c" * 32, 0)):
            tx.execute("INSERT INTO spare_secret VALUES (1, ?, ?, 5)", secret, mine)

    await old.run(spare)
    await old.close()
    monkeypatch.setattr(database, "MIGRATIONS", schema.MIGRATIONS)
    new = await Store.open(path, KEY, lambda _: None)
    for secret, mine in ((b"a" * 32, True), (b"b" * 32, False), (b"c" * 32, False)):
        assert await new.run(channels.secret_of, 1, invite_key(secret).public) == (secret, mine)
    await new.close()


async def test_a_new_database_leaves_no_copies(folder: Path, store: Store) -> None:
    await store.run(meta.put, "a", "b")
    assert copies(folder) == []
