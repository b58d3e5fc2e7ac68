"""What the operator of a server runs: `mobium-server` with its subcommands, in this process or in one of its
own.

Not its concern: the server itself (tests/support/server.py).
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from mobium.errors import StoreError
from mobium_server.signals import Signals
from mobium_server.start import run
from mobium_server.storage.sqlite import SqliteStorage

__all__ = ["Said", "command", "findings", "operate", "refused_start"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line on standard error."""
        (line,) = self.err.splitlines()
        assert "Traceback" not in line
        return line.removeprefix("mobium-server: ")


def operate(*arguments: str | Path, database: Path, **settings: str) -> Said:
    """A subcommand, in this process; what `make run` has left in the checkout is not read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SC_")}
    environment = {**kept, "SC_DATABASE_URL": f"sqlite://{database}", **settings}
    words = [str(one) for one in arguments]
    if "--env-file" not in words:
        words = ["--env-file", os.devnull, *words]
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run(words, Signals())
    return Said(code, out.getvalue(), err.getvalue())


def command(*arguments: str | Path, database: Path, **settings: str) -> Said:
    """The same, in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SC_")}
    done = subprocess.run(
        [sys.executable, "-m", "mobium_server", *map(str, arguments)],
        cwd=database.parent,
        env={**kept, "PYTHONPATH": str(ROOT), "SC_DATABASE_URL": f"sqlite://{database}", **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def findings(database: Path) -> list[str]:
    """What `check` finds of the database that is not as it should be."""
    said = operate("check", database=database, SC_HOST="127.0.0.1")
    found = [line for line in said.out.splitlines() if " database " in line and not line.startswith("ok ")]
    assert said.code == int(any(line.startswith("wrong") for line in said.out.splitlines())), said.out
    return found


def refused_start(database: Path) -> str:
    """Why a server does not start on a database; empty if it does."""
    storage = SqliteStorage(database, 1_000)
    try:
        storage.open()
    except StoreError as error:
        return str(error)
    storage.close()
    return ""
