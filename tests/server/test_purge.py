"""`mobium-server purge`: one identity, or what has expired; never beside a running server, never unasked."""

from __future__ import annotations

import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mobium_server.storage.sqlite import SqliteStorage
from mobium_server.upkeep import AWAY
from tests.server.test_backup import deliveries, made
from tests.server.test_sqlite import ANNA, BEN, KEY, message
from tests.support.operator import ROOT, operate
from tests.support.server import Person, Refused, ServerProcess, client, log_in


def rows(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return found


async def test_an_identity_is_forgotten_and_may_come_back(process: ServerProcess) -> None:
    process.start()
    database = process.folder / "mobium.db"
    ben, carl = Person(), Person()
    async with client(process.url) as anna:
        for person in (ben, carl):
            away = await log_in(process.url, person)
            await away.publish()
            await away.close()
        for _ in range(3):
            await anna.post_and_wait(ben.public)
            await anna.post_and_wait(carl.public)
        said = operate("purge", "--identity", ben.public.hex(), "--yes", database=database)
        assert (said.code, said.sentence) == (
            1,
            f"The database {database} is in use by another server. Stop it first.",
        )
        person = anna.person
    assert process.stop() == 0
    said = operate("purge", "--identity", ben.public.hex().upper(), "--yes", database=database)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == "Deleted: 3 messages and 2 prekeys."
    assert rows(database, "messages") == 3
    assert ben.public not in database.read_bytes()
    process.start()
    async with client(process.url, person, publish=False) as anna:
        await anna.post(ben.public)
        with pytest.raises(Refused, match="unknown_recipient"):
            await anna.take()
        async with client(process.url, carl, publish=False) as other:
            assert other.welcome.offline_count == 3
        async with client(process.url, ben) as back:
            assert back.welcome.offline_count == 0
            await anna.post_and_wait(ben.public, b"welcome back")
            assert (await back.take()).payload[1:].startswith(b"welcome back")


def test_what_has_expired_goes_and_the_file_becomes_smaller(tmp_path: Path) -> None:
    path = made(tmp_path / "m.db", 0)
    storage = SqliteStorage(path, 100_000)
    storage.open()
    storage.put("clock", (AWAY + 1_000).to_bytes(8, "big") + (2**40).to_bytes(8, "big"))
    for start in range(0, 4_000, 400):
        storage.apply([message(start + one, b"p" * 500) for one in range(400)], [], 100)
    storage.apply([message(5_000)], [], AWAY + 900)
    storage.close()
    before = path.stat().st_size
    said = operate("purge", "--expired", "--yes", database=path, SC_MESSAGE_TTL="600")
    assert said.code == 0
    first, second = said.out.splitlines()
    assert first.startswith("Deleted: 4,000 messages, 0 channel messages, and the prekeys of 0 people away")
    after = path.stat().st_size
    assert after < before / 4
    assert second == f"The database is {(before - after) / (1 << 20):.1f} MiB smaller."
    assert deliveries(path) == [5_000 % 256]


@pytest.mark.parametrize("key", ["", "ab", "zz" * 32, "ab" * 33, "12 34"])
def test_a_key_that_is_none(tmp_path: Path, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = made(tmp_path / "m.db")
    with pytest.raises(SystemExit) as ended:
        operate("purge", "--identity", key, "--yes", database=path)
    assert ended.value.code == 2
    assert rows(path, "messages") == 3


def test_what_there_is_nothing_of(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    said = operate("purge", "--expired", "--yes", database=path)
    assert said.sentence == f"There is no database {path}."
    assert not list(tmp_path.iterdir())
    made(path)
    said = operate("purge", "--identity", ANNA.hex(), "--yes", database=path)
    assert (said.code, said.sentence) == (2, "The server holds nothing for this key.")
    with pytest.raises(SystemExit):
        operate("purge", "--yes", database=path)
    with pytest.raises(SystemExit):
        operate("purge", "--expired", "--identity", BEN.hex(), "--yes", database=path)


def test_without_a_terminal_nothing_is_deleted_unasked(tmp_path: Path) -> None:
    path = made(tmp_path / "m.db")
    for what in (["--identity", BEN.hex()], ["--expired"]):
        said = operate("purge", *what, database=path, SC_MESSAGE_TTL="60")
        assert said.code == 2
        assert said.sentence == "Nobody can be asked here, so nothing was deleted; say --yes."
    assert rows(path, "messages") == 3


@pytest.mark.parametrize(
    ("answer", "left"), [("y\n", 0), ("\n", 3), ("what?\n", 3), ("\x04", 3)]
)  # the last one is Ctrl+D
def test_at_a_terminal_it_asks(tmp_path: Path, answer: str, left: int) -> None:
    path = made(tmp_path / "m.db")
    terminal, seat = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mobium_server", "purge", "--identity", BEN.hex()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SC_DATABASE_URL": f"sqlite://{path}"},
        stdin=seat,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.close(seat)
    os.write(terminal, answer.encode())
    said, _ = process.communicate(timeout=60)
    os.close(terminal)
    assert "Delete what waits for it (3 messages) and its prekeys? [y/N]" in said
    assert ("Nothing was deleted." in said) == (left > 0)
    assert process.returncode == (1 if left else 0)
    assert rows(path, "messages") == left
    assert rows(path, "devices") == (1 if left else 0)


def test_an_expired_purge_keeps_what_has_not_expired(tmp_path: Path) -> None:
    path = made(tmp_path / "m.db")
    storage = SqliteStorage(path, 1_000)
    storage.open()
    storage.put("clock", (200).to_bytes(8, "big") + (2**40).to_bytes(8, "big"))
    storage.close()
    assert operate("purge", "--expired", "--yes", database=path).code == 0
    assert rows(path, "messages") == 3
    storage.open()
    assert storage.stock(BEN, 0).signed_id == KEY.id
    storage.close()
