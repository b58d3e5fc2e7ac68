"""The command `mobium` as other programs and people run it: real processes with data folders of their own.

Not its concern: what a terminal shows (tests/support/terminal.py) and the server (tests/support/server.py).
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.fast_command import Forks
from tests.support.terminal import Terminal

__all__ = ["COMMAND", "FAST", "PASSWORD", "Desk", "Result"]

COMMAND = (sys.executable, "-m", "mobium_client.cli")
FAST = (sys.executable, "-m", "tests.support.fast_command")
ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"  # of nobody
PATIENCE = 120.0
AT_START = ("PYTHON", "LC_", "LANG", "MOBIUM_BACKEND")
"""Variables that only a process that begins looks at."""
_FIRST = threading.Lock()


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """What was said on standard error: one line, and no traceback."""
        assert "Traceback" not in self.err, self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


@dataclass
class Desk:
    """One person's machine: a data folder, an environment, and the commands that are run there."""

    home: Path
    password: str | None = PASSWORD
    extra: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = COMMAND  # or `FAST`, for profiles made with it

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.home / "data"

    @property
    def environment(self) -> dict[str, str]:
        """What a command sees: nothing of the test's own MOBIUM_* but the back end."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MOBIUM_", "SC_")) or name == "MOBIUM_BACKEND"
        }
        if self.command == FAST:
            paths = (str(ROOT), os.environ.get("PYTHONPATH", ""))
            kept["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        kept |= {"HOME": str(self.home), "MOBIUM_DATA_DIR": str(self.data), "COLUMNS": "80"}
        if self.password is not None:
            kept["MOBIUM_PASSWORD"] = self.password
        return kept | self.extra

    def profile(self, name: str) -> Path:
        """A profile's folder."""
        return self.data / "profiles" / name

    def take(self, profile: Path, name: str) -> None:
        """Put a copy of a profile's folder here."""
        shutil.copytree(profile, self.profile(name))

    def run(
        self,
        *arguments: str,
        given: bytes | None = None,
        descriptors: Sequence[int] = (),
        code: int | None = 0,
    ) -> Result:
        """Run a command to its end, without a terminal. `code` is the exit code that is expected."""
        if self.command == FAST and not any(name.startswith(AT_START) for name in self.extra):
            ended, out, err = _forks().run(arguments, given or b"", self.environment, descriptors, PATIENCE)
        else:
            done = subprocess.run(
                [*self.command, *arguments],
                input=b"" if given is None else given,
                capture_output=True,
                env=self.environment,
                pass_fds=descriptors,
                start_new_session=True,  # no terminal to ask on
                timeout=PATIENCE,
                check=False,
            )
            ended, out, err = done.returncode, done.stdout, done.stderr
        result = Result(ended, out.decode(), err.decode())
        assert "Traceback" not in result.err, result.err
        assert code is None or result.code == code, result
        return result

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start a command that goes on."""
        return subprocess.Popen(
            [*self.command, *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            start_new_session=True,
        )

    def terminal(self, *arguments: str, columns: int = 80, rows: int = 24) -> Terminal:
        """Run a command on a terminal."""
        environment = {name: value for name, value in self.environment.items() if name != "COLUMNS"}
        return Terminal([*self.command, *arguments], environment, columns, rows)


@functools.cache
def _one_forks() -> Forks:
    return Forks()


def _forks() -> Forks:
    with _FIRST:  # a cache alone makes two of them for threads that ask at once, and drops one that runs
        return _one_forks()


def descriptor_with(data: str) -> int:
    """A file descriptor from which `data` can be read once; whoever asks closes it."""
    reading, writing = os.pipe()
    os.write(writing, data.encode())
    os.close(writing)
    return reading
