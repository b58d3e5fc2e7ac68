"""A restore whose power goes, a database that is gone, one with two names: no server begins anew or beside
another one without a word, and nothing is lost.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mobium_server.care.backup import restore
from mobium_server.storage.beside import replaced
from mobium_server.storage.sqlite import SqliteStorage
from tests.server.test_backup import deliveries, made
from tests.server.test_sqlite import message
from tests.support.operator import ROOT, findings, operate, refused_start
from tests.support.server import ServerProcess, client

POWER_CUT = 9
LATER = datetime.now(UTC) + timedelta(hours=1)
STEPS = ("hardlink_to", "unlink", "rename", "replace")


def killed(path: Path) -> Path:
    """A database as a kill leaves it: one message in the file, one in the log alone."""
    path.parent.mkdir(exist_ok=True)
    storage = SqliteStorage(made(path.with_name("whole.db"), 1), 1_000)
    storage.open()
    storage.apply([message(1)], [], 100)
    for end in ("", "-wal"):
        shutil.copy(f"{storage.path}{end}", f"{path}{end}")
    storage.close()
    for one in path.parent.glob("whole.db*"):
        one.unlink()
    return path


def cut(after: str, file: str, database: str) -> None:
    """A restore that ends as with the power, after so many changes of the folder."""
    left = int(after)

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                os._exit(POWER_CUT)
            left -= 1
            return change(*arguments, **options)

        return changed

    for name in STEPS:
        setattr(Path, name, counted(getattr(Path, name)))
    sys.exit(operate("restore", file, database=Path(database)).code)


def restore_and_cut(after: int, file: Path, database: Path) -> bool:
    """Whether the power went before the end."""
    code = f"from tests.server.test_interrupted import cut; cut('{after}', {str(file)!r}, {str(database)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False)
    assert done.returncode in (0, POWER_CUT)
    return done.returncode == POWER_CUT


def wrong(database: Path) -> str:
    """What `check` finds wrong."""
    return "\n".join(line for line in findings(database) if line.startswith("wrong"))


def test_whenever_the_power_goes_nothing_is_lost(tmp_path: Path) -> None:
    file = made(tmp_path / "b.db", 3)
    ways = set()
    for after in range(30):
        database = killed(tmp_path / f"{after}" / "m.db")
        if not restore_and_cut(after, file, database):
            break
        refused = refused_start(database)
        assert bool(refused) == bool(wrong(database))
        if refused:
            assert f"A restore of {database} was interrupted" in refused
            if after % 2:  # back to what was there, with what only its log had
                command = refused.rpartition("mobium-server ")[2].split()
                assert operate(*command, database=database).code == 0
                assert deliveries(database) == [0, 1]
        else:
            assert deliveries(database) in ([0, 1], [0, 1, 2]), "the old one or the new one, whole"
        ways.add((bool(refused), len(deliveries(database))))
        restore(file, database, LATER)
        assert refused_start(database) == ""
        assert deliveries(database) == [0, 1, 2]
        assert any(deliveries(one) == [0, 1] for one in replaced(database))
        assert not list(database.parent.glob(".*"))
    assert {refused for refused, _ in ways} == {True, False}
    assert 3 < after < 29


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(target))

    monkeypatch.setattr(Path, "hardlink_to", none)
    file, database = made(tmp_path / "b.db", 3), killed(tmp_path / "there" / "m.db")
    assert operate("restore", file, database=database).code == 0
    assert deliveries(database) == [0, 1, 2]
    [aside] = [one for one in database.parent.glob("m.db.replaced-*") if not one.name.endswith("-wal")]
    assert deliveries(aside) == [0, 1]


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("m.db.replaced-20260301-120000", "mobium-server restore {}"),
        ("m.db.before-3", "mobium-server restore {}"),
        (".m.db.17.restoring", "mobium-server restore and the name of a backup"),
        (".b.db.17.partial", "mobium-server restore and the name of a backup"),
        ("m.db.before-3.partial", "mobium-server restore and the name of a backup"),
        ("m.db-wal", "mobium-server restore and the name of a backup"),
    ],
)
def test_a_database_that_is_gone_is_not_begun_anew(tmp_path: Path, name: str, typed: str) -> None:
    file, database, beside = (
        made(tmp_path / "backups.db"),
        tmp_path / "there" / "m.db",
        tmp_path / "there" / name,
    )
    database.parent.mkdir()
    shutil.copy(file, beside)
    expected = (
        f"There is no database {database}, but {beside} lies beside it, so there was one; a new one would"
        f" have another key. Bring it back with {typed.format(beside)}, or move {beside} away to begin anew."
    )
    for empty in (False, True):
        if empty:
            database.touch()
        assert refused_start(database) == expected
        assert wrong(database).endswith(expected)
        assert database.exists() is empty
    whole = beside if typed.endswith("{}") else file
    assert operate("restore", whole, database=database).code == 0
    assert refused_start(database) == ""
    assert deliveries(database) == [0, 1, 2]


def test_a_new_folder_begins_anew(tmp_path: Path) -> None:
    database = tmp_path / "m.db"
    (tmp_path / "m.db.before-notes").touch()
    (tmp_path / "other.db.replaced-20260301-120000").touch()
    assert wrong(database) == ""
    assert refused_start(database) == ""


# ---------------------------------------------------------------- two names


async def test_one_lock_for_a_database_and_a_link_to_it(process: ServerProcess) -> None:
    real = process.folder / "real" / "mobium.db"
    real.parent.mkdir()
    link = process.folder / "mobium.db"
    link.symlink_to(real)
    process.start()
    file = process.folder / "b.db"
    async with client(process.url) as anna:
        await anna.post_and_wait(anna.public)
        for name in (link, real):
            said = operate("restore", file, database=name)
            assert said.code == 2
            assert operate("backup", process.folder / f"{name.parent.name}.db", database=name).code == 0
    assert process.folder.joinpath("real", "mobium.db.lock").exists()
    for name in (link, real):
        said = operate("restore", process.folder / "real.db", database=name)
        assert said.sentence == f"The database {real} is in use by another server. Stop it first."
    assert process.stop() == 0
    assert operate("restore", process.folder / "real.db", database=link).code == 0
    assert link.is_symlink()
    assert deliveries(real) == deliveries(process.folder / "real.db")


def test_a_backup_that_is_a_link_is_read_with_its_log(tmp_path: Path) -> None:
    database, link = killed(tmp_path / "there" / "m.db"), tmp_path / "link.db"
    link.symlink_to(database)
    assert operate("restore", link, database=tmp_path / "new.db").code == 0
    assert deliveries(tmp_path / "new.db") == [0, 1]


def test_a_database_with_two_names_is_refused(tmp_path: Path) -> None:
    path, other, file = made(tmp_path / "m.db"), tmp_path / "other.db", tmp_path / "b.db"
    assert operate("backup", file, database=path).code == 0
    other.hardlink_to(path)
    for one in (path, other):
        expected = f"{one} has a second name (a hard link), by which another server could run on it"
        assert refused_start(one).startswith(expected)
        assert expected in wrong(one)
        assert operate("restore", file, database=one).sentence.startswith(expected)
        assert operate("backup", tmp_path / "b2.db", database=one).sentence.startswith(expected)
    other.unlink()
    assert refused_start(path) == wrong(path) == ""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (3,)
