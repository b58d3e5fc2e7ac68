"""Brings a database to the newest schema, number by number, with a copy of the file before each step that
changes an existing one.

Not its concern: what the steps say (`mobium_server.storage.schema`).
"""

from __future__ import annotations

import contextlib
import glob
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from mobium.errors import StoreError
from mobium_server.storage.schema import APPLICATION_ID, MIGRATIONS

__all__ = ["COPY_LIFE", "backup", "compare", "copies", "migrate"]

COPY_LIFE = 30 * 86_400  # seconds for which a copy stays: it holds what was deleted since


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str] = MIGRATIONS) -> list[Path]:
    """Bring the database at `path` to the version `len(migrations)`; returns the copies that were made.

    Raises StoreError for a file that is not this server's, that a newer version wrote, or that is not whole.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    tables: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != APPLICATION_ID and (tables or version or application):
        raise StoreError(
            f"{path} is a database, but not that of a mobium server; SC_DATABASE_URL names another file."
        )
    if version > len(migrations):
        raise StoreError(f"{path} was written by a newer mobium-server (schema {version}); update this one.")
    made = []
    for number in range(version + 1, len(migrations) + 1):
        if version:  # a new file needs none
            made.append(backup(connection, path.with_name(f"{path.name}.before-{number}")))
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _statements(migrations[number - 1]):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    compare(connection, path, migrations)
    return made


def compare(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    """Raises StoreError unless all tables of the database at `path` are as the steps make them; there may be
    others.
    """
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        for script in migrations:
            fresh.executescript(script)
        missing = _shapes(fresh) - _shapes(connection)
    if missing:
        name, _ = min(missing)
        raise StoreError(
            f"In {path} {name} is not as schema {len(migrations)} has it: a mobium-server between two"
            " releases wrote it, or somebody changed it."
        )


def _shapes(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    question = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*'"
    return set(connection.execute(question))


def copies(path: Path) -> list[Path]:
    """The copies of the database at `path` that are there, and the remains of those that failed."""
    return sorted(path.parent.glob(f"{glob.escape(path.name)}.before-*"))


def backup(connection: sqlite3.Connection, target: Path) -> Path:
    """Copy the whole database to `target` with SQLite's online backup; the copy replaces an older one only
    when it is complete and sound.
    """
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))
    copy = sqlite3.connect(partial, isolation_level=None)
    try:
        copy.execute("PRAGMA synchronous = FULL")
        connection.backup(copy)
        if copy.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise StoreError(f"The copy {partial} of the database is not sound, so nothing was changed.")
    finally:
        copy.close()
    partial.replace(target)
    return target


def _statements(script: str) -> list[str]:
    # executescript() would commit before it begins; the step must be one transaction.
    statements: list[str] = []
    rest = ""
    for piece in script.split(";"):
        rest += piece + ";"
        if sqlite3.complete_statement(rest):
            statements.append(rest)
            rest = ""
    return [statement for statement in statements if statement.strip(" \n;")]
