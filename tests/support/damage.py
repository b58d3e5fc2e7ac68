"""A database that a card or a disk has damaged: one page of one table is something else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

__all__ = ["HEADER", "damage"]

HEADER = 100  # bytes at the file's beginning, which are left whole


def damage(path: Path, table: str) -> None:
    """Write over the first page of a table, in a database that nobody has open."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        question = "SELECT rootpage FROM sqlite_schema WHERE name = ? UNION ALL SELECT 1"
        page = connection.execute(question, (table,)).fetchone()[0]  # the schema's own is the first
    with path.open("r+b") as file:
        file.seek(max((page - 1) * size, HEADER))
        file.write(b"\xde\xad" * ((size - HEADER) // 2))
