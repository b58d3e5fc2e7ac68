"""Files and folders of somebody else: `check` says what the start would stumble over, and what to type."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mobium_server.storage.sqlite import SqliteStorage
from tests.support.operator import findings, operate, refused_start

SOMEBODY = 65_534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


@contextmanager
def somebody() -> Iterator[None]:
    """Work as a user who is not root."""
    os.seteuid(SOMEBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of that user, where it can be reached."""
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, SOMEBODY, SOMEBODY)
    yield folder
    shutil.rmtree(folder)


def made(path: Path) -> Path:
    storage = SqliteStorage(path, 1_000)
    storage.open()
    storage.put("signing key", b"k" * 32)
    storage.close()
    return path


def test_a_database_of_this_user(folder: Path) -> None:
    with somebody():
        path = made(folder / "m.db")
        assert findings(path) == []
        assert refused_start(path) == ""


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_a_database_of_root(folder: Path, mode: int) -> None:
    path = made(folder / "m.db")
    path.chmod(mode)
    whose = f"The file {path} belongs to user 0, and this is user {SOMEBODY}: sudo"
    with somebody():
        [one] = findings(path)
        assert refused_start(path).startswith(f"The database {path} cannot be opened: Permission denied. ")
        assert whose in refused_start(path)
    assert one.startswith("wrong ")
    assert f"{whose} chown {SOMEBODY} {path} {path}.lock" in one
    assert "chmod" not in one
    os.chown(path, SOMEBODY, SOMEBODY)
    with somebody():
        assert f"The file {path}.lock belongs to user 0" in findings(path)[0]
        assert f"The file {path}.lock belongs to user 0" in refused_start(path)
    os.chown(f"{path}.lock", SOMEBODY, SOMEBODY)
    path.chmod(0o600)
    with somebody():
        assert findings(path) == []
        assert refused_start(path) == ""


def test_a_folder_of_root(folder: Path) -> None:
    with somebody():
        path = made(folder / "m.db")
    os.chown(folder, 0, 0)
    folder.chmod(0o755)
    with somebody():
        [one] = findings(path)
        assert f"The folder {folder} belongs to user 0, and this is user {SOMEBODY}" in one
        assert f"sudo chown -R {SOMEBODY} {folder} " in one
        assert f"The folder {folder} belongs to user 0" in refused_start(path)


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_folder_of_root_with_other_things_is_not_given_away(folder: Path, mode: int) -> None:
    (folder / "other").touch()
    os.chown(folder, 0, 0)
    folder.chmod(mode)
    own = (folder if mode == 0o755 else Path("/var/lib")) / "mobium"
    with somebody():
        for said in (findings(folder / "m.db")[0], refused_start(folder / "m.db")):
            assert said.endswith(
                f"User {SOMEBODY} may not write in the folder {folder}, which is not the database's alone."
                f" Give it one of its own: sudo install -d -m 700 -o {SOMEBODY} {own}, then"
                f" SC_DATABASE_URL=sqlite://{own}/m.db."
            )
            assert "chown" not in said


@pytest.mark.parametrize("user", [SOMEBODY, 0])
def test_a_folder_where_a_file_should_be(folder: Path, user: int) -> None:
    (folder / "m.db").mkdir()
    os.seteuid(user)
    try:
        for said in (findings(folder / "m.db")[0], refused_start(folder / "m.db")):
            assert said.endswith(
                f"It is a folder; SC_DATABASE_URL names a file in it, such as sqlite://{folder}/m.db/mobium.db."
            )
    finally:
        os.seteuid(0)


def test_the_folder_of_a_service(folder: Path) -> None:
    path = made(folder / "m.db")
    for one in (folder, path, Path(f"{path}.lock")):
        os.chown(one, 12_346, 12_346)
    with somebody():
        [said] = findings(path)
        assert said.endswith(
            f"The folder {folder} belongs to user 12346, and this is user {SOMEBODY}: do this as the former"
            f" (sudo -u '#12346'), or give it to the latter: sudo chown -R {SOMEBODY} {folder} (for a"
            " container, on its host)."
        )


def test_a_log_of_root(folder: Path) -> None:
    with somebody():
        path = made(folder / "m.db")
    Path(f"{path}-wal").touch()
    with somebody():
        assert f"The file {path}-wal belongs to user 0" in findings(path)[0]
        assert f"The file {path}-wal belongs to user 0" in refused_start(path)


def test_a_file_that_is_closed_to_its_own_user(folder: Path) -> None:
    with somebody():
        path = made(folder / "m.db")
        path.chmod(0o400)
        expected = f"The file {path} is closed to user {SOMEBODY}, to whom it belongs: chmod u+rw {path}"
        assert findings(path)[0].endswith(expected)
        assert refused_start(path).endswith(expected)


def test_a_folder_that_cannot_be_made(folder: Path) -> None:
    os.chown(folder, 0, 0)
    folder.chmod(0o755)
    path = folder / "a folder" / "m.db"
    with somebody():
        for said in (findings(path)[0], refused_start(path)):
            assert said.endswith(
                f"The folder {path.parent} is not there, and user {SOMEBODY} cannot make it in {folder}:"
                f" sudo install -d -m 700 -o {SOMEBODY} '{path.parent}'"
            )


def test_a_restore_says_it_too(folder: Path) -> None:
    file, path = made(folder / "b.db"), made(folder / "m.db")
    os.chown(file, SOMEBODY, SOMEBODY)
    with somebody():
        said = operate("restore", file, database=path)
        assert said.code == 1
        assert f"The file {path} belongs to user 0" in said.sentence


def test_a_file_where_a_folder_should_be(folder: Path) -> None:
    (folder / "file").touch()
    for path in (folder / "file" / "m.db", folder / "file" / "deeper" / "m.db"):
        assert findings(path)[0].endswith(f"{folder / 'file'} is no folder.")
        assert refused_start(path).endswith(f"{folder / 'file'} is no folder.")


def test_looking_changes_nothing(folder: Path) -> None:
    path = made(folder / "m.db")
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute("SELECT * FROM server").fetchall()
    names = set(folder.iterdir())
    with somebody():
        findings(path)
    assert set(folder.iterdir()) == names
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM server").fetchall() == before
