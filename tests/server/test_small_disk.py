"""A real disk that is full before the start, and one that cannot be written any more: both are said, and what
is there can be taken away.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.server.test_backup import deliveries, made
from tests.support.operator import findings, operate, refused_start
from tests.support.server import ServerProcess, client, log_in

if sys.platform != "linux" or os.geteuid() != 0:
    pytest.skip("only root can mount, and elsewhere otherwise", allow_module_level=True)


def mount(*arguments: str | Path) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        pytest.skip(f"this root cannot mount: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=4m", "none", folder)
    yield folder
    subprocess.run(["umount", "--lazy", folder], timeout=20, check=True)


def fill(disk: Path) -> Path:
    """Take all of the room."""
    junk = disk / "junk"
    with junk.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4_096))
    assert os.statvfs(disk).f_bavail == 0
    return junk


def test_a_start_on_a_full_disk_says_so(disk: Path) -> None:
    path = made(disk / "m.db")
    junk = fill(disk)
    said = refused_start(path)
    assert said.startswith(f"The database {path} cannot be used: ")
    assert said.endswith(f"Only 0 bytes are free on the disk of {disk}; free some.")
    junk.unlink()
    assert refused_start(path) == ""
    assert len(deliveries(path)) == 3


def test_a_disk_that_cannot_be_written_is_said_and_can_be_saved(disk: Path, tmp_path: Path) -> None:
    path = made(disk / "m.db")
    mount("-o", "remount,ro", disk)
    assert f"The file system of {disk} is read-only." in refused_start(path)
    assert f"The file system of {disk} is read-only." in findings(path)[0]
    saved = tmp_path / "saved.db"
    assert operate("backup", saved, database=path).code == 0
    assert len(deliveries(saved)) == 3


async def test_what_a_dead_server_left_on_such_a_disk_is_saved_with_its_log(
    disk: Path, tmp_path: Path
) -> None:
    with ServerProcess(disk, {"SC_DATABASE_URL": f"sqlite://{disk}/m.db"}) as process:
        async with client(process.url) as anna:
            ben = await log_in(process.url)
            await ben.publish()
            await ben.close()
            await anna.post_and_wait(ben.public, b"in the log alone")
            process.kill()
    assert (disk / "m.db-wal").stat().st_size > 0
    mount("-o", "remount,ro", disk)
    saved = tmp_path / "saved.db"
    said = operate("backup", saved, database=disk / "m.db")
    assert (said.code, said.err) == (0, "")
    assert len(deliveries(saved)) == 1
