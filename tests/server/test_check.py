"""`mobium-server check` and `health`: one line for each finding, and an exit code that a script can use."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from mobium.errors import StoreError
from mobium_server.app import _signing_key as signing_key
from mobium_server.care.check import Finding, Grade, check
from mobium_server.storage.schema import MIGRATIONS
from mobium_server.storage.sqlite import SqliteStorage
from tests.support.certificates import certificate
from tests.support.damage import damage
from tests.support.operator import ROOT, command, operate
from tests.support.server import ServerProcess, client

NOW = datetime.now(UTC)


class Usage(NamedTuple):
    free: int
    total: int = 32 << 30


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """How full this machine's disk is says nothing here."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(1 << 40))


def findings(
    database: Path, now: datetime = NOW, env_file: Path | None = None, **settings: str
) -> list[Finding]:
    environment = {"SC_DATABASE_URL": f"sqlite://{database}", "SC_HOST": "127.0.0.1", **settings}
    return list(check(environment, env_file, now))


def worst(found: list[Finding]) -> dict[str, str]:
    """What is said of each subject that is not as it should be."""
    return {one.subject: f"{one.grade.value}: {one.text}" for one in found if one.grade is not Grade.OK}


def made(path: Path, migrations: tuple[str, ...] = MIGRATIONS, key: bool = True) -> Path:
    """A database with a server's key."""
    storage = SqliteStorage(path, 1_000, migrations=migrations)
    storage.open()
    if key:
        storage.put("signing key", b"k" * 32)
    storage.close()
    return path


async def test_all_is_well_while_the_server_runs(process: ServerProcess) -> None:
    process.start()
    async with client(process.url) as anna:
        await anna.post_and_wait(anna.public)
        database = process.folder / "mobium.db"
        said = command("check", database=database, SC_HOST="127.0.0.1")
        assert (said.code, said.err) == (0, "")
        lines = said.out.splitlines()
        assert all(line.startswith("ok ") for line in lines), said.out
        assert [line.split()[1] for line in lines] == [
            "settings", "database", "database", "certificate", "disk",
        ]  # fmt: skip
        assert "is sound: 1 identity, 1 message that waits, 0 channels, 0 channel messages." in said.out
        assert "a server runs on it" in said.out
        await anna.post_and_wait(anna.public)


def test_before_the_first_start(tmp_path: Path) -> None:
    found = findings(tmp_path / "data" / "mobium.db")
    assert worst(found) == {}
    assert any("the first start makes" in one.text for one in found)
    assert not list(tmp_path.iterdir())


def test_beside_a_server_that_is_stopped_nothing_is_left(tmp_path: Path) -> None:
    path = made(tmp_path / "m.db")
    before = path.read_bytes()
    found = findings(path)
    assert worst(found) == {}
    assert any("no server runs on it" in one.text for one in found)
    assert path.read_bytes() == before
    assert {one.name for one in tmp_path.iterdir()} == {"m.db", "m.db.lock"}


def test_every_wrong_setting_is_named_at_once(tmp_path: Path) -> None:
    said = operate(
        "check", database=tmp_path / "m.db", SC_PORT="eighty", SC_REQUIRE_TLS="perhaps", SC_HSOT="x"
    )
    assert said.code == 1
    assert said.out.splitlines() == [
        "wrong    settings     SC_PORT must be a whole number from 0 to 65535 (port).",
        "wrong    settings     SC_REQUIRE_TLS must be true or false.",
        "warning  settings     There is no setting SC_HSOT; it is ignored.",
        "warning  the rest     not looked at, because the settings are wrong.",
    ]


def test_settings_that_do_not_go_together(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    assert "nobody can connect" in worst(findings(path, SC_TRUSTED_PROXIES="none"))["settings"]
    assert worst(findings(path, SC_TLS_CERT=__file__))["settings"].endswith("set both or neither.")
    open_door = findings(path, SC_HOST="0.0.0.0", SC_REQUIRE_TLS="false")
    assert worst(open_door)["settings"].startswith("warning: SC_REQUIRE_TLS is false and SC_HOST=0.0.0.0")


def test_a_file_of_settings_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "env").write_bytes(b"SC_PORT=\xff\xfe")
    assert "not UTF-8" in worst(findings(tmp_path / "m.db", env_file=tmp_path / "env"))["settings"]
    said = operate("--env-file", tmp_path / "none", "check", database=tmp_path / "m.db")
    assert (said.code, said.sentence) == (2, f"There is no file {tmp_path / 'none'}.")
    said = operate("check", "--env-file", tmp_path / "none", database=tmp_path / "m.db")
    assert (said.code, said.sentence) == (2, f"There is no file {tmp_path / 'none'}.")


# ---------------------------------------------------------------- the database


def test_a_damaged_database(tmp_path: Path) -> None:
    path = made(tmp_path / "m.db")
    damage(path, "devices")
    before = path.read_bytes()
    said = operate("check", database=path)
    assert said.code == 1
    assert f"wrong    database     {path} is damaged: " in said.out
    assert "mobium-server restore FILE" in said.out
    assert "is sound" not in said.out
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"short", b"no database, but long enough to be one " * 40])
def test_what_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(content)
    assert worst(findings(path))["database"].startswith("wrong: ")
    assert "damaged" not in worst(findings(path))["database"]
    assert path.read_bytes() == content


def test_a_newer_and_an_older_database(tmp_path: Path) -> None:
    old = findings(made(tmp_path / "old.db", MIGRATIONS[:1]))
    assert worst(old) == {}
    assert any(f"upgrades it to {len(MIGRATIONS)}, after a copy" in one.text for one in old)
    path = made(tmp_path / "new.db")
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    other.close()
    assert "newer mobium-server" in worst(findings(path))["database"]


@pytest.mark.parametrize("table", ["messages", "server"])
def test_tables_on_which_a_server_would_not_start(tmp_path: Path, table: str) -> None:
    path, other = made(tmp_path / "m.db"), tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"DROP TABLE {table}")
    expected = f"In {path} {table} is not as schema {len(MIGRATIONS)} has it: "
    with pytest.raises(StoreError) as failed:
        SqliteStorage(path, 1_000).open()
    assert str(failed.value).startswith(expected)
    assert worst(findings(path))["database"].startswith(f"wrong: {expected}")
    said = operate("backup", tmp_path / "b.db", database=path)
    assert (said.code, said.sentence) == (1, str(failed.value))
    said = operate("restore", path, database=other)
    assert (said.code, said.sentence) == (1, str(failed.value))
    assert not other.exists()


@pytest.mark.parametrize("value", ["'" + "k" * 32 + "'", "32", "1.5", "x'00'"])
def test_a_key_that_is_none(tmp_path: Path, value: str) -> None:
    path = made(tmp_path / "m.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE server SET value = {value} WHERE name = 'signing key'")
    assert "holds no key" in worst(findings(path))["database"]
    said = operate("restore", path, database=tmp_path / "other.db")
    assert said.sentence == f"{path} has no key of a server in it, so it is not complete."
    storage = SqliteStorage(path, 1_000)
    storage.open()
    with pytest.raises(StoreError, match="restore a backup"):
        signing_key(storage)
    storage.close()


def test_a_database_that_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobium_server.storage.database.BUSY_MS", 10)
    path = made(tmp_path / "m.db")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    found = worst(findings(path))
    other.close()
    assert found == {"database": f"wrong: {path} cannot be written: database is locked."}
    assert worst(findings(path)) == {}


def test_a_database_without_its_key(tmp_path: Path) -> None:
    assert "holds no key" in worst(findings(made(tmp_path / "m.db", key=False)))["database"]


def test_a_database_that_others_may_open(tmp_path: Path) -> None:
    path = made(tmp_path / "m.db")
    path.chmod(0o644)
    assert worst(findings(path)) == {
        "database": f"warning: Others on this machine may open {path}, which holds the server's key:"
        f" chmod 600 {path}"
    }


@pytest.mark.parametrize("what", [["check"], ["backup", "b.db"], ["restore", "b.db"]])
def test_a_folder_that_is_closed_to_this_user_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: list[str]
) -> None:
    def closed(self: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    for name in ("exists", "is_file", "is_dir"):
        monkeypatch.setattr(Path, name, closed)
    monkeypatch.setattr("mobium_server.config._gather", lambda environment, _: dict(environment))
    said = operate(*what, database=tmp_path / "m.db")
    assert said.code == 1
    assert said.sentence.endswith(" cannot be used: Permission denied.")


def test_what_a_restore_left(tmp_path: Path) -> None:
    path = made(tmp_path / "m.db")
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"m.db.replaced-20260301-120000{suffix}").touch()
    [warning] = [one for one in findings(path) if one.grade is Grade.WARNING]
    assert warning.text.startswith(f"{tmp_path / 'm.db.replaced-20260301-120000'} is what a restore replaced")


def test_whoever_reads_may_stop(tmp_path: Path) -> None:
    path = made(tmp_path / "m.db")
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", "mobium_server", "check"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "SC_DATABASE_URL": f"sqlite://{path}"},
        cwd=tmp_path,
        stdout=writes,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (1, b"")


# ---------------------------------------------------------------- the certificate


@pytest.mark.parametrize(
    ("begins", "ends", "expected"),
    [
        (-80, 10.5, "warning: {} expires in 10 days, on "),
        (-80, 1.5, "warning: {} expires in 1 day, on "),
        (-80, 0.5, "warning: {} expires in less than a day, on "),
        (-80, -0.1, "wrong: {} expired on "),
        (0.5, 80, "wrong: {} is not in force before "),
        (-80, 14.1, None),
    ],
)
def test_when_a_certificate_ends(tmp_path: Path, begins: float, ends: float, expected: str | None) -> None:
    cert, key = certificate(tmp_path, "chat.example.org", begins=begins, ends=ends)
    found = findings(tmp_path / "m.db", datetime.now(UTC), SC_TLS_CERT=str(cert), SC_TLS_KEY=str(key))
    if expected is None:
        assert worst(found) == {}
        assert any("fits its key and is in force until" in one.text for one in found)
    else:
        assert worst(found)["certificate"].startswith(expected.format(cert))


def test_a_certificate_that_does_not_fit(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path / "one", "chat.example.org", ends=80)
    _, key = certificate(tmp_path / "other", "chat.example.org", ends=80)
    found = worst(findings(tmp_path / "m.db", SC_TLS_CERT=str(cert), SC_TLS_KEY=str(key)))
    assert found["certificate"].startswith("wrong: SC_TLS_CERT and SC_TLS_KEY cannot be used")
    (tmp_path / "empty").write_bytes(b"")
    found = worst(findings(tmp_path / "m.db", SC_TLS_CERT=str(tmp_path / "empty"), SC_TLS_KEY=str(key)))
    assert found["certificate"].startswith("wrong: ")


def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "*.example.org", ends=80)
    found = findings(
        tmp_path / "m.db",
        SC_TLS_CERT=str(cert),
        SC_TLS_KEY=str(key),
        SC_PUBLIC_HOSTS="chat.example.org,chat.example.net",
    )
    assert worst(found) == {
        "certificate": f"warning: {cert} is not for chat.example.net, which SC_PUBLIC_HOSTS names."
    }


# ---------------------------------------------------------------- the disk


@pytest.mark.parametrize(
    ("free", "grade"),
    [(1_023 << 20, Grade.WRONG), (2_047 << 20, Grade.WARNING), (2 << 30, Grade.OK)],
)
def test_how_much_room_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, grade: Grade
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(free))
    [disk] = [one for one in findings(tmp_path / "m.db") if one.subject == "disk"]
    assert disk.grade is grade


# ---------------------------------------------------------------- health


async def test_health_of_a_server_with_and_without_tls(process: ServerProcess) -> None:
    process.start()
    database = process.folder / "mobium.db"
    said = command("health", database=database, SC_HOST="0.0.0.0", SC_PORT=str(process.port))
    assert (said.code, said.out, said.err) == (0, "OK\n", "")
    process.stop()
    said = operate("health", database=database, SC_HOST="127.0.0.1", SC_PORT=str(process.port))
    assert said.code == 1
    assert said.sentence.startswith(f"No server answers at 127.0.0.1 port {process.port}: ")
    cert, key = certificate(process.folder, "chat.example.org")
    process.settings |= {"SC_REQUIRE_TLS": "true", "SC_TLS_CERT": str(cert), "SC_TLS_KEY": str(key)}
    process.start()
    settings = {"SC_PORT": str(process.port), "SC_TLS_CERT": str(cert), "SC_TLS_KEY": str(key)}
    assert operate("health", database=database, **settings).out == "OK\n"
