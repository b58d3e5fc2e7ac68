"""`mobium-server backup` and `restore`: a copy under live traffic, its return, what clients make of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

from mobium.client import Engine
from mobium.client.transport import dial
from mobium_server.care import backup as module
from mobium_server.storage.base import NewPost, NewStatement, Posted, Publication, Stock
from mobium_server.storage.schema import MIGRATIONS
from mobium_server.storage.sqlite import SqliteStorage
from tests.server.test_sqlite import BEN, KEY, PUBLICATION, message
from tests.support.channel_world import enter, shows, state
from tests.support.damage import damage
from tests.support.engines import PATIENCE, World, fast_folder, fast_vault, settle
from tests.support.operator import command, operate
from tests.support.server import ServerProcess


def made(path: Path, messages: int = 3) -> Path:
    """A database of a server that was stopped."""
    storage = SqliteStorage(path, 1_000)
    storage.open()
    storage.put("signing key", b"k" * 32)
    storage.publish(BEN, PUBLICATION, 0)
    storage.apply([message(number) for number in range(messages)], [], 100)
    storage.close()
    return path


def deliveries(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0][-1] for row in connection.execute("SELECT delivery FROM messages ORDER BY seq")]


def names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


# ---------------------------------------------------------------- under traffic


@pytest.fixture
async def folder(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    fast_vault(monkeypatch)
    with fast_folder() as folder:
        yield folder


@pytest.fixture
def servers(folder: Path) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """One that runs, and one elsewhere that does not yet; both without the limits that haste would meet."""
    settings = {"SC_RATE_GENERAL": "0", "SC_MAX_OFFLINE_MESSAGES": "100000"}
    old, new = (ServerProcess(folder / name, settings) for name in ("old", "new"))
    new.folder.mkdir()
    old.start()
    yield old, new
    old.close()
    new.close()


async def say(who: Engine, peer: str, text: str, until: Literal["sent", "delivered"] = "sent") -> None:
    """Send, and wait until it is acknowledged."""
    assert await who.wait(await who.send(peer, text), until, PATIENCE) == until


async def test_what_was_acknowledged_before_a_backup_is_delivered_after_a_restore(
    folder: Path, servers: tuple[ServerProcess, ServerProcess]
) -> None:
    old, new = servers
    file = folder / "backup.db"
    async with World(folder, dial, old.url) as world:
        alice = await world.engine("alice")
        async with world.opened("bob") as bob:
            await settle(bob)
            await bob.contacts.add(alice.me, "Alice")
            key = bob.me
        for number in range(5):
            await say(alice, key, f"{number}")
        stop = asyncio.Event()

        async def talk() -> int:
            number = 5
            while not stop.is_set():
                await say(alice, key, f"{number}")
                number += 1
            return number

        talking = asyncio.create_task(talk())
        said = await asyncio.to_thread(command, "backup", file, database=old.folder / "mobium.db")
        assert (said.code, said.err) == (0, "")
        assert said.out.startswith(f"{file} holds the server's key and 2 identities, ")
        stop.set()
        assert await talking > 5, "nobody talked while the backup was made"
        old.kill()

        said = await asyncio.to_thread(command, "restore", file, database=new.folder / "mobium.db")
        assert (said.code, said.err) == (0, "")
        new.port = old.port  # as after a move: clients know the server by its name and its key
        new.start()
        bob = await world.engine("bob")
        await alice.connect()
        # And both go on: nothing is shown twice, and what is new comes.
        await say(alice, key, "after the restore", "delivered")
        shown = [line.text for line in await bob.history("Alice", limit=5_000)]
        assert shown[:5] == ["0", "1", "2", "3", "4"]
        assert shown[-1] == "after the restore"
        assert len(shown) == len(set(shown))


def test_what_a_backup_without_power_left_goes_with_a_later_one(tmp_path: Path) -> None:
    database = made(tmp_path / "mobium.db", 3)
    names = [
        ".a.db.17.partial",
        ".a.db.17.partial-journal",
        ".new.db.18.partial",
        ".mine.partial",
        "a.partial",
    ]
    for name in names:
        (tmp_path / name).touch()
    for name in set(names) - {".new.db.18.partial"}:
        os.utime(tmp_path / name, (0, 0))
    assert operate("backup", tmp_path / "b.db", database=tmp_path / "none.db").code == 1
    assert all((tmp_path / name).exists() for name in names), "they may be all that is left"
    assert operate("backup", tmp_path / "b.db", database=database).code == 0
    assert [name for name in names if (tmp_path / name).exists()] == names[2:]


async def test_a_channel_goes_on_after_a_restore(
    folder: Path, servers: tuple[ServerProcess, ServerProcess]
) -> None:
    server, _ = servers
    database, file = server.folder / "mobium.db", folder / "backup.db"
    async with World(folder, dial, server.url) as world:
        alice, bob = await world.pair()
        await enter(alice, bob)
        await say(alice, "#garden", "before")
        await shows(bob, ["before"])
        assert operate("backup", file, database=database).code == 0
        for number in range(3):
            await say(alice, "#garden", f"lost on the server {number}")
        seen = ["before", *(f"lost on the server {number}" for number in range(3))]
        await shows(bob, seen)
        server.kill()
        said = operate("restore", file, database=database)
        assert (said.code, said.err) == (0, "")
        server.start()
        await alice.connect()
        await bob.connect()
        # The numbers of what bob has seen are not given to anything else.
        await say(alice, "#garden", "again")
        await shows(bob, [*seen, "again"])
        await state(bob, "member")


# ---------------------------------------------------------------- the copy


def test_a_backup_is_one_file_for_its_owner_alone(tmp_path: Path) -> None:
    database, file = made(tmp_path / "m.db"), tmp_path / "there" / "b.db"
    file.parent.mkdir()
    said = operate("backup", file, database=database)
    assert said.out == (
        f"{file} holds the server's key and 1 identity, 3 messages that wait, 0 channels, 0 channel messages,"
        " and was checked. Keep it secret.\n"
    )
    assert names(file.parent) == {"b.db"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert deliveries(file) == [0, 1, 2]
    assert names(file.parent) == {"b.db"}, "no log comes beside it when it is read"
    assert deliveries(database) == [0, 1, 2]


def test_what_a_killed_server_had_only_in_its_log_is_in_the_backup(tmp_path: Path) -> None:
    storage = SqliteStorage(made(tmp_path / "m.db", 1), 1_000)
    storage.open()
    storage.apply([message(1)], [], 100)
    # As a kill leaves it: a log, and nobody who has the file open.
    for name in ("m.db", "m.db-wal"):
        (tmp_path / "dead").mkdir(exist_ok=True)
        shutil.copy(tmp_path / name, tmp_path / "dead" / name)
    storage.close()
    database, file = tmp_path / "dead" / "m.db", tmp_path / "b.db"
    assert operate("backup", file, database=database).code == 0
    assert deliveries(file) == [0, 1]
    # And a file with its log can be restored as it is.
    target = tmp_path / "new.db"
    assert operate("restore", database, database=target).code == 0
    assert deliveries(target) == [0, 1]


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    database = made(tmp_path / "m.db")
    file = tmp_path / "b.db"
    file.write_text("mine")
    (tmp_path / "link.db").symlink_to(tmp_path / "nowhere")
    for target, expected in (
        (file, f"{file} exists already, and a backup overwrites nothing; name another file."),
        (
            tmp_path / "link.db",
            f"{tmp_path / 'link.db'} exists already, and a backup overwrites nothing",
        ),
        (tmp_path, f"{tmp_path} is a folder; name the file that shall be made."),
        (tmp_path / "no" / "b.db", f"There is no folder {tmp_path / 'no'}."),
    ):
        said = operate("backup", target, database=database)
        assert said.code == 2
        assert said.sentence.startswith(expected)
    assert file.read_text() == "mine"
    assert names(tmp_path) == {"m.db", "m.db.lock", "b.db", "link.db"}


def test_what_cannot_be_backed_up(tmp_path: Path) -> None:
    database, file = tmp_path / "m.db", tmp_path / "b.db"
    assert operate("backup", file, database=database).sentence == f"There is no database {database}."
    made(database)
    damage(database, "messages")
    assert "is damaged" in operate("backup", file, database=database).sentence
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    said = operate("backup", file, database=tmp_path / "other.db")
    assert said.sentence == f"{tmp_path / 'other.db'} is not the database of a mobium server."
    assert names(tmp_path) == {"m.db", "m.db.lock", "other.db"}


def test_a_full_disk_leaves_no_half_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = made(tmp_path / "m.db")

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(module, "_fill", full)
    said = operate("backup", tmp_path / "b.db", database=database)
    assert said.code == 1
    assert "disk is full" in said.sentence
    assert names(tmp_path) == {"m.db", "m.db.lock"}


# ---------------------------------------------------------------- its return


def test_a_restore_keeps_what_it_replaces(tmp_path: Path) -> None:
    database, file = made(tmp_path / "m.db"), tmp_path / "b.db"
    assert operate("backup", file, database=database).code == 0
    storage = SqliteStorage(database, 1_000)
    storage.open()
    storage.apply([message(7)], [], 100)
    for name in ("m.db", "m.db-wal"):  # as after a kill
        shutil.copy(tmp_path / name, tmp_path / f"kept-{name}")
    storage.close()
    for name in ("m.db", "m.db-wal"):
        (tmp_path / f"kept-{name}").rename(tmp_path / name)
    said = operate("restore", file, database=database)
    assert said.code == 0
    assert deliveries(database) == [0, 1, 2]
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    [aside] = [one for one in tmp_path.glob("m.db.replaced-*") if not one.name.endswith("-wal")]
    assert f"What was there before is {aside}" in said.out
    assert deliveries(aside) == [0, 1, 2, 7], "the log went with its database"
    assert file.exists()
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_a_restore_makes_ready_what_clients_have_gone_past(tmp_path: Path) -> None:
    database, file = made(tmp_path / "m.db"), tmp_path / "b.db"
    storage = SqliteStorage(database, 1_000)
    storage.open()
    storage.place(NewStatement(b"r" * 32, 0, b"statement", joins=BEN, membership=True), None, 0)
    storage.publish(BEN, Publication(b"x" * 32, b"y" * 64, one_time=[KEY]), 0)
    storage.close()
    assert operate("backup", file, database=database).code == 0
    assert operate("restore", file, database=database).code == 0
    storage = SqliteStorage(database, 1_000)
    storage.open()
    assert storage.stock(BEN, 0) == Stock(0, 0, KEY.id, KEY.id)
    [posted] = storage.post([NewPost(b"r" * 32, BEN, b"d" * 16, 0, b"payload")], 100)
    assert isinstance(posted, Posted)
    assert posted.number > module.GAP
    storage.close()


async def test_a_restore_is_refused_while_a_server_runs(process: ServerProcess) -> None:
    process.start()
    database, file = process.folder / "mobium.db", process.folder / "b.db"
    assert operate("backup", file, database=database).code == 0
    said = operate("restore", file, database=database)
    assert said.code == 1
    assert said.sentence == f"The database {database} is in use by another server. Stop it first."
    assert not list(process.folder.glob("*replaced*"))
    assert process.stop() == 0
    assert operate("restore", file, database=database).code == 0
    process.start()


def test_an_older_backup_is_upgraded_at_the_next_start_and_a_newer_one_refused(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    storage = SqliteStorage(old, 1_000, migrations=MIGRATIONS[:1])
    storage.open()
    storage.put("signing key", b"k" * 32)
    storage.close()
    database = tmp_path / "m.db"
    assert operate("restore", old, database=database).code == 0
    storage = SqliteStorage(database, 1_000)
    storage.open()
    assert storage.connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert storage.get("signing key") == b"k" * 32
    storage.close()
    assert (tmp_path / "m.db.before-2").exists()

    made(new)
    with closing(sqlite3.connect(new)) as other:
        other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = database.read_bytes()
    said = operate("restore", new, database=database)
    assert said.code == 1
    assert "newer mobium-server" in said.sentence
    assert database.read_bytes() == before


def test_what_cannot_be_restored_changes_nothing(tmp_path: Path) -> None:
    database, file = made(tmp_path / "m.db"), tmp_path / "b.db"
    before = database.read_bytes()
    said = operate("restore", file, database=database)
    assert (said.code, said.sentence) == (2, f"There is no file {file}.")
    said = operate("restore", database, database=database)
    assert said.sentence == f"{database} is the server's database itself; name a backup."
    said = operate("restore", "", database=database)
    expected = "The name of the file is empty; say which one: mobium-server restore FILE."
    assert (said.code, said.sentence) == (2, expected)
    said = operate("restore", tmp_path, database=database)
    assert (said.code, said.sentence) == (2, f"{tmp_path} is a folder; name the backup in it.")
    for content, expected in (
        (b"", f"{file} is not the database of a mobium server."),
        (
            b"no database, but long enough " * 50,
            f"{file} cannot be read: it is no database, so no backup of a mobium server.",
        ),
        (
            before[: len(before) // 2],
            f"{file} cannot be read: database disk image is malformed; it is damaged, take another backup.",
        ),
    ):
        file.write_bytes(content)
        said = operate("restore", file, database=database)
        assert (said.code, said.sentence) == (1, expected)
    file.unlink()
    made(file)
    damage(file, "messages")
    assert "is damaged" in operate("restore", file, database=database).sentence
    file.unlink()
    keyless = SqliteStorage(file, 1_000)
    keyless.open()
    keyless.close()
    assert "no key of a server" in operate("restore", file, database=database).sentence
    assert database.read_bytes() == before
    assert not list(tmp_path.glob("m.db.*[!k]"))
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_a_restore_that_fails_at_the_last_step_puts_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, file = made(tmp_path / "m.db"), tmp_path / "b.db"
    assert operate("backup", file, database=database).code == 0
    replace = Path.replace

    def fails(self: Path, target: Path) -> Path:
        if self.name.endswith("restoring"):
            raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails)
    said = operate("restore", file, database=database)
    assert said.sentence == f"The database {database} cannot be replaced: Input/output error."
    assert deliveries(database) == [0, 1, 2]
    assert names(tmp_path) == {"m.db", "m.db.lock", "b.db"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_restores_belongs_to_the_server_s_user(tmp_path: Path) -> None:
    file, database = made(tmp_path / "b.db"), tmp_path / "data" / "m.db"
    database.parent.mkdir()
    os.chown(database.parent, 1234, 1234)
    assert operate("restore", file, database=database).code == 0
    assert {one.stat().st_uid for one in database.parent.iterdir()} == {1234}
