"""What older servers left is served by this one: mail, channels, keys; with a copy before each step.

The files were written by servers of those versions (tests/support/old_database.py), version 1 before there
were channels; `tests/server/test_channel_database.py` looks at what that one holds.
"""

from __future__ import annotations

import gzip
import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mobium.errors import StoreError
from mobium.protocol import messages as m
from mobium.protocol.roster import Roster
from mobium.signing import SigningKey
from mobium_server.storage.schema import MIGRATIONS
from mobium_server.storage.sqlite import SqliteStorage
from tests.support.channels import Room, invites, members, read_all, refused, tell, text
from tests.support.old_database import MAIL, SAID, person
from tests.support.operator import operate
from tests.support.server import Client, client, server

FOLDER = Path(__file__).parent
STEPS = ["7375ee1b82ea9fae", "40e84ced07c8fa4e", "ff0f21ca4f370d8b"]
NEWEST = len(MIGRATIONS)
WITH_CHANNELS = range(2, NEWEST + 1)


def unpacked(version: int, folder: Path) -> Path:
    path = folder / "mobium.db"
    path.write_bytes(gzip.decompress((FOLDER / f"version{version}.db.gz").read_bytes()))
    return path


def value(path: Path, question: str) -> Any:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question).fetchone()[0]


async def room_of(one: Client, channel: bytes) -> Room:
    """The channel as a member learns of it."""
    room = Room.__new__(Room)
    room.secret = SigningKey.generate()  # nobody here knows it any more
    await one.send(m.GetMembers(channel, 0))
    page = await one.expect(m.RosterPage)
    room.raws = list(page.statements)
    room.roster = Roster.begin(room.raws[0])
    for raw in room.raws[1:]:
        room.roster = room.roster.append(raw)
    return room


def test_there_is_a_database_of_every_version() -> None:
    there = {int(file.name.removeprefix("version").split(".")[0]) for file in FOLDER.glob("version*.db.gz")}
    assert there == set(range(1, NEWEST + 1)), (
        "write that of a new version with tests/support/old_database.py"
    )


def test_no_step_is_changed() -> None:
    """Whoever has taken a step does not take it again: what is to be different takes a new one."""
    taken = [hashlib.sha256(step.encode()).hexdigest()[:16] for step in MIGRATIONS]
    assert taken == STEPS


def test_a_step_that_was_changed_is_found_out_at_the_start(tmp_path: Path) -> None:
    path = unpacked(NEWEST, tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE channels DROP COLUMN kept_bytes")
    with pytest.raises(StoreError, match="channels is not as schema"):
        SqliteStorage(path, 1_000).open()


@pytest.mark.parametrize("version", WITH_CHANNELS)
async def test_an_older_server_s_people_go_on(version: int, tmp_path: Path) -> None:
    path = unpacked(version, tmp_path)
    assert value(path, "PRAGMA user_version") == version
    seed = value(path, "SELECT value FROM server WHERE name = 'signing key'")
    channel = value(path, "SELECT channel FROM channels")
    async with server(tmp_path) as one:
        assert one.public_key == SigningKey.from_seed(seed).public
        async with client(one.url, person("ben"), publish=False) as ben:
            assert ben.welcome.offline_count == len(MAIL)
            for words in MAIL:
                delivery = await ben.take(ack=False)
                assert delivery.payload[1:].startswith(words)
                assert delivery.sender == person("anna").public
                await ben.send(m.AckDeliveries(delivery.tag))
            room = await room_of(ben, channel)
            entries = await read_all(ben, room)
            texts = [entry.payload for entry in entries if entry.payload]
            assert [payload[1 : 1 + len(said)] for payload, said in zip(texts, SAID, strict=True)] == SAID
            async with client(one.url, person("anna"), publish=False) as anna:
                assert [held.uses for held in await invites(anna, room)] == [0, 5]
                number = await tell(ben, room, b"after the upgrade")
                assert number > entries[-1].number
                pushed = await anna.expect(m.ChannelMessage)
                assert (pushed.number, pushed.payload[1:18]) == (number, b"after the upgrade")
                await anna.post_and_wait(ben.public, b"and a letter")
                assert (await ben.take()).payload[1:].startswith(b"and a letter")
        # Who had left reads what was said until then, and nothing since.
        async with client(one.url, person("carl"), publish=False) as carl:
            assert await refused(carl, m.ChannelPost(b"d" * 16, channel, 3, text())) == ("not_a_member")
            await carl.send(m.GetHistory(channel, 0, 500))
            page = await carl.expect(m.History)
            heard = [entry.payload[1:] for entry in page.entries if entry.payload]
            assert len(heard) == 1
            assert heard[0].startswith(SAID[0])
            assert (await members(carl, room)).statements == room.raws
    compare_copies(tmp_path, version)


def compare_copies(folder: Path, version: int) -> None:
    """Before each step a copy was made of what was there before it."""
    copies = sorted(folder.glob("mobium.db.before-*"))
    assert [copy.name for copy in copies] == [
        f"mobium.db.before-{number}" for number in range(version + 1, NEWEST + 1)
    ]
    for number, copy in zip(range(version, NEWEST), copies, strict=True):
        assert value(copy, "PRAGMA user_version") == number
        assert value(copy, "SELECT count(*) FROM messages") == len(MAIL)


@pytest.mark.parametrize("version", range(1, NEWEST + 1))
def test_a_backup_of_every_version_is_checked_and_restored(version: int, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    old, path = unpacked(version, tmp_path / "old"), tmp_path / "new.db"
    if version == 1:  # its server's key was left out
        with closing(sqlite3.connect(old)) as connection, connection:
            connection.execute("INSERT OR REPLACE INTO server VALUES ('signing key', zeroblob(32))")
    said = operate("check", database=old)
    assert said.code == 0, said.out
    assert ("the next start upgrades it" in said.out) == (version < NEWEST)
    assert operate("backup", tmp_path / "b.db", database=old).code == 0
    assert operate("restore", tmp_path / "b.db", database=path).code == 0
    assert value(path, "PRAGMA user_version") == version
    assert value(path, "SELECT count(*) FROM messages") == value(old, "SELECT count(*) FROM messages")
