"""What a database file holds, read as a guest: whose it is, which schema, how much, whether it is sound.

Nothing here writes, and a server may run meanwhile. Not its concern: the server's own connection
(`mobium_server.storage.database`).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mobium.errors import StoreError
from mobium.signing import SEED_SIZE
from mobium_server.storage.access import read_only
from mobium_server.storage.base import SIGNING_KEY
from mobium_server.storage.database import BUSY_MS, reason
from mobium_server.storage.migrate import compare
from mobium_server.storage.schema import APPLICATION_ID, MIGRATIONS

__all__ = ["Contents", "faults", "identify", "look", "reading"]

MOST_FAULTS = 10  # one damaged page is named again and again


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database of a server holds."""

    version: int
    """Of the schema."""
    rows: Mapping[str, int]
    """How many rows each table has."""
    has_key: bool
    """Whether the server's signing key is there: without it clients see another server."""

    def __str__(self) -> str:
        return ", ".join(
            f"{self.rows.get(table, 0):,} {one if self.rows.get(table, 0) == 1 else many}"
            for table, one, many in (
                ("devices", "identity", "identities"),
                ("messages", "message that waits", "messages that wait"),
                ("channels", "channel", "channels"),
                ("posts", "channel message", "channel messages"),
            )
        )


@contextlib.contextmanager
def reading(path: Path, *, still: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection that sees one state of the database however long it takes. `still`: nobody writes to the
    file, which may then lie where nothing can be written.

    Raises StoreError with a sentence, for what is done with it too.
    """
    if not path.is_file():
        raise StoreError(f"There is no database {path}.")
    path = path.resolve()  # the log lies where the file does, not where a link to it lies
    # A log that is there stays as it is. One that reading makes goes again, which takes the right to write.
    mode = "mode=rw"
    if path.with_name(f"{path.name}-wal").exists():
        mode = "mode=ro"
    elif still or read_only(path):
        mode = "mode=ro&immutable=1"
    uri = f"{path.as_uri()}?{mode}"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1_000)
        with contextlib.closing(connection):
            connection.execute("BEGIN")
            yield connection
    except sqlite3.Error as error:
        if still:
            raise StoreError(f"{path} cannot be read: {_why_no_backup(error)}.") from error
        raise StoreError(f"The database {path} cannot be read: {reason(error)}.") from error


def _why_no_backup(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return "it is no database, so no backup of a mobium server"
    return f"{error}; it is damaged, take another backup" if code == sqlite3.SQLITE_CORRUPT else str(error)


def identify(connection: sqlite3.Connection, path: Path) -> int:
    """The schema of the database at `path`. Raises StoreError if no server of this version or an older one
    wrote it.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is not the database of a mobium server.")
    if version > len(MIGRATIONS):
        raise StoreError(f"{path} was written by a newer mobium-server (schema {version}); update this one.")
    return int(version)


def look(connection: sqlite3.Connection, path: Path) -> Contents:
    """What is in the database at `path`. Raises StoreError as `identify` does, and for tables on which a
    server would not start.
    """
    version = identify(connection, path)
    compare(connection, path, MIGRATIONS[:version])
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name"
    ).fetchall()
    rows = {
        name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - its own names
        for (name,) in tables
    }
    seed = connection.execute("SELECT value FROM server WHERE name = ?", (SIGNING_KEY,)).fetchone()
    has_key = seed is not None and isinstance(seed[0], bytes) and len(seed[0]) == SEED_SIZE
    return Contents(version, rows, has_key)


def faults(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong with the file and its indexes; it reads all of it."""
    try:
        found = [row[0] for row in connection.execute(f"PRAGMA integrity_check({MOST_FAULTS})")]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        return [str(error)]  # damage of which it can say no more
    return [] if found == ["ok"] else found
