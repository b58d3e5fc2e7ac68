"""A database that is damaged or locked: the server says so, loses nothing that is whole, and what can be
mended is mended.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mobium.protocol.messages import Accepted, Channels, GetChannels
from mobium_server.health import Health
from tests.support.damage import HEADER, damage
from tests.support.operator import operate
from tests.support.raw import request
from tests.support.server import Client, Person, Refused, ServerProcess, client, log_in


@contextmanager
def locked(path: Path, how: str) -> Iterator[None]:
    """Another program has the database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(f"PRAGMA locking_mode = {how}")
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE server SET value = value")
        yield
        other.execute("ROLLBACK")


async def away(url: str) -> Person:
    """Somebody who can be written to, and is not there."""
    one = await log_in(url)
    await one.publish()
    await one.close()
    return one.person


async def refusal(anna: Client, recipient: bytes) -> str:
    """The code with which a message is refused."""
    await anna.post(recipient)
    with pytest.raises(Refused) as refused:
        await anna.expect(Accepted)
    return refused.value.code


async def test_a_damaged_mailbox_is_said_and_a_backup_mends_it(process: ServerProcess) -> None:
    process.start()
    database, file = process.folder / "mobium.db", process.folder / "backup.db"
    ben = await away(process.url)
    async with client(process.url) as anna:
        await anna.post_and_wait(ben.public, b"before the damage")
    assert operate("backup", file, database=database).code == 0
    assert process.stop() == 0
    damage(database, "messages")
    broken = database.read_bytes()

    process.start()  # what is whole is served
    assert (await request(process.port, "/health")).body == b"OK"
    async with client(process.url) as anna:
        assert await refusal(anna, ben.public) == "storage"
    assert process.said("it is damaged: stop the server, then mobium-server check, and restore a backup")
    assert operate("check", database=database).code == 1
    assert process.stop() == 0

    said = operate("restore", file, database=database)
    assert said.code == 0, said.err
    [aside] = database.parent.glob("mobium.db.replaced-*")
    assert len(aside.read_bytes()) >= len(broken), "what is damaged is kept: somebody may still read it"
    process.start()
    async with client(process.url, ben, publish=False) as back:
        assert (await back.take()).payload[1:].startswith(b"before the damage")


async def test_whoever_asks_for_what_is_damaged_does_not_fill_the_log(process: ServerProcess) -> None:
    """What is whole works in between: it is said neither to fail nor to work each time."""
    process.start()
    ben = await away(process.url)
    assert process.stop() == 0
    damage(process.folder / "mobium.db", "messages")
    process.start()
    async with client(process.url) as anna:
        for _ in range(10):
            assert await refusal(anna, ben.public) == "storage"
            await anna.send(GetChannels())
            await anna.expect(Channels)
    assert process.stop() == 0
    assert "".join(process.errors).count("Messages could not be stored") == 1
    assert "".join(process.errors).count("The storage works again.") == 1


def test_a_storage_that_fails_now_and_then_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    health = Health(lambda: now)
    for second in range(150):
        now = float(second)
        for _ in range(5):
            health.fails("It fails", None)
            health.works()
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "It fails",
        "The storage works again.",
        "It fails (and 299 times more since this was said last)",
        "The storage works again.",
        "It fails (and 299 times more since this was said last)",
        "The storage works again.",
    ]
    assert health.failures == 750


@pytest.mark.parametrize("table", ["server", "sqlite_schema"])
async def test_a_server_whose_key_cannot_be_read_does_not_start(process: ServerProcess, table: str) -> None:
    process.start()
    assert process.stop() == 0
    database = process.folder / "mobium.db"
    damage(database, table)
    broken = database.read_bytes()
    with pytest.raises(RuntimeError, match="damaged") as failed:
        process.start()
    assert "Traceback" not in str(failed.value)
    # (SQLite counts in the header that it was opened for writing.) Above all no new key was made.
    assert database.read_bytes()[HEADER:] == broken[HEADER:]


async def test_a_key_that_is_damaged_is_not_replaced(process: ServerProcess) -> None:
    process.start()
    assert process.stop() == 0
    with closing(sqlite3.connect(process.folder / "mobium.db")) as database, database:
        database.execute("UPDATE server SET value = x'00' WHERE name = 'signing key'")
    with pytest.raises(RuntimeError, match="key in the database is damaged"):
        process.start()


async def test_a_start_that_fails_leaves_the_server_s_clock_alone(process: ServerProcess) -> None:
    process.start()
    assert process.stop() == 0
    path = process.folder / "mobium.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE server SET value = x'00' WHERE name = 'signing key'")
        database.execute("UPDATE server SET value = x'0000000000010000' || value WHERE name = 'clock'")
        database.execute("UPDATE server SET value = substr(value, 1, 16) WHERE name = 'clock'")
        before = database.execute("SELECT value FROM server WHERE name = 'clock'").fetchall()
    with pytest.raises(RuntimeError):
        process.start()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT value FROM server WHERE name = 'clock'").fetchall() == before


async def test_half_a_database_is_refused_and_left_as_it_is(process: ServerProcess) -> None:
    process.start()
    await away(process.url)
    assert process.stop() == 0
    database = process.folder / "mobium.db"
    content = database.read_bytes()
    database.write_bytes(content[: len(content) // 2])  # as a copy that broke off
    said = operate("check", database=database)
    assert said.code == 1
    assert "wrong    database" in said.out
    assert "restore a backup" in said.out
    said = operate("backup", process.folder / "b.db", database=database)
    assert said.code == 1
    assert not (process.folder / "b.db").exists()
    assert database.read_bytes() == content[: len(content) // 2]


async def test_a_database_that_another_program_locks(process: ServerProcess) -> None:
    process.start()
    database = process.folder / "mobium.db"
    ben = await away(process.url)
    async with client(process.url) as anna:
        with locked(database, "NORMAL"):
            assert await refusal(anna, ben.public) == "storage"
            assert process.said("database is locked")
            assert (await request(process.port, "/health")).body == b"OK"
        await anna.post_and_wait(ben.public, b"after the lock")  # as soon as it can, it goes on
    assert process.said("The storage works again.")
    assert await asyncio.to_thread(process.stop) == 0
    with locked(database, "EXCLUSIVE"), pytest.raises(RuntimeError, match="database is locked") as failed:
        process.start()
    assert "Traceback" not in str(failed.value)
    process.start()
    async with client(process.url, ben, publish=False) as back:
        assert (await back.take()).payload[1:].startswith(b"after the lock")
