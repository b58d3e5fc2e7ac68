"""What the server does from time to time: what was deleted leaves the disk, one file is enough for a copy,
old copies go, and so do identities that have been away for long.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from mobium.protocol.messages import GetPrekeyCount, PrekeyCount
from mobium_server import upkeep
from mobium_server.clock import Clock
from mobium_server.storage.migrate import COPY_LIFE
from tests.support.channels import rows
from tests.support.server import Refused, client, log_in, server, until

SECRET = b"what one person says to another"


class Rounds:
    """How often upkeep began; each time begins after the last one is done."""

    def __init__(self) -> None:
        self.begun = 0

    async def one(self) -> None:
        """Wait until a round that began after this is done."""
        before = self.begun
        await until(lambda: self.begun >= before + 2)


@pytest.fixture(autouse=True)
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    """A minute and an hour are over soon."""
    counted = Rounds()
    run = upkeep.Upkeep.run

    def begin(self: upkeep.Upkeep) -> None:
        counted.begun += 1
        run(self)

    monkeypatch.setattr(upkeep, "INTERVAL", 0.02)
    monkeypatch.setattr(upkeep, "HOUR", 0.0)
    monkeypatch.setattr(upkeep.Upkeep, "run", begin)
    return counted


def held(folder: Path) -> bytes:
    """What all files of the server hold."""
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


async def test_nothing_of_a_delivered_message_stays_in_any_file(tmp_path: Path) -> None:
    async with server(tmp_path) as one, client(one.url) as ben:
        person = ben.person
        await ben.close()
        async with client(one.url, publish=False) as anna:
            for _ in range(5):
                await anna.post_and_wait(person.public, SECRET)
            assert SECRET in held(tmp_path)
            assert anna.public in held(tmp_path)
            async with client(one.url, person, publish=False) as again:
                for _ in range(5):
                    assert (await again.take()).payload[1:].startswith(SECRET)
                await until(lambda: SECRET not in held(tmp_path))
                assert anna.public not in held(tmp_path)


async def test_a_copy_of_the_file_is_a_copy_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    there.mkdir()
    async with server(here) as one:
        async with client(one.url) as ben:
            ben_at_home = ben.person
        async with client(one.url) as anna:
            await anna.post_and_wait(ben_at_home.public, SECRET)
        await until(lambda: (here / "mobium.db-wal").stat().st_size == 0)
        shutil.copy(here / "mobium.db", there / "mobium.db")
        key = one.public_key
    async with server(there) as one:
        assert one.public_key == key
        async with client(one.url, ben_at_home, publish=False) as ben:
            assert (await ben.take()).payload[1:].startswith(SECRET)
    # The key is in the file before anybody has come, without any upkeep.
    monkeypatch.setattr(upkeep.Upkeep, "run", lambda _: None)
    new, copy = tmp_path / "new", tmp_path / "copy"
    copy.mkdir()
    async with server(new) as one:
        shutil.copy(new / "mobium.db", copy / "mobium.db")
        key = one.public_key
    async with server(copy) as one:
        assert one.public_key == key


class Days:
    """A monotonic clock that is moved by days."""

    def __init__(self) -> None:
        self.days = 0.0
        self.clock = Clock(lambda: 0.0, lambda: time.monotonic() + self.days * 86_400)


async def test_old_copies_are_removed_and_the_log_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rounds: Rounds
) -> None:
    caplog.set_level("INFO")
    days = Days()
    copy = tmp_path / "mobium.db.before-2"
    async with server(tmp_path):
        pass  # a copy without its database would be one that was lost
    copy.write_bytes(SECRET)
    async with server(tmp_path, clock=days.clock) as one, client(one.url) as anna:
        await anna.post_and_wait(anna.public)
        await rounds.one()
        days.days = COPY_LIFE // 86_400 - 1
        await rounds.one()
        assert copy.exists()
        days.days += 1.1
        await until(lambda: not copy.exists())
        await rounds.one()
    [record] = [record for record in caplog.records if "before-2" in record.getMessage()]
    assert record.getMessage().startswith("Copies of the database from before updates are removed")


async def test_who_was_away_for_long_is_forgotten_and_may_come_back(tmp_path: Path, rounds: Rounds) -> None:
    days = Days()
    async with server(tmp_path, clock=days.clock) as one, client(one.url) as anna:
        async with client(one.url) as ben:
            person = ben.person
        await rounds.one()
        days.days = upkeep.AWAY / 86_400 - 1
        await rounds.one()
        await anna.post_and_wait(person.public)
        days.days += 2
        await rounds.one()
        async with client(one.url, person, publish=False) as ben:  # what waits keeps him
            await ben.take()
            await until(lambda: not rows(one)["messages"])
            await rounds.one()
            # He is here, but has published nothing for ninety days: nobody can write to him any more.
            await anna.post(person.public)
            with pytest.raises(Refused, match="unknown_recipient"):
                await anna.expect(PrekeyCount)
            await ben.send(GetPrekeyCount())
            assert (await ben.expect(PrekeyCount)).signed_id == 0
            await ben.publish()
            await anna.post(person.public, SECRET)
            assert (await ben.take()).payload[1:].startswith(SECRET)
        await (await log_in(one.url, person)).close()
