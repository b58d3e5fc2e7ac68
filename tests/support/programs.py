"""Programs of others that stand beside the server: a proxy, a TURN server. Real ones, as own processes.

Not its concern: what they are told (tests/support/proxies.py, tests/support/turn.py).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

__all__ = ["Program", "ended", "free_port", "running", "where"]

WAIT = 20.0  # seconds
TRIES = 5  # somebody else may take a port between our look and the program's
SYSTEM = "/usr/local/sbin:/usr/sbin:/sbin"  # Debian keeps servers there, off the PATH of people


def where(name: str) -> str | None:
    """The path of a command, also where only root looks for it."""
    return shutil.which(name) or shutil.which(name, path=SYSTEM)


def ended(process: subprocess.Popen[bytes]) -> None:
    """End a process: it is asked to, and made to if it does not."""
    process.terminate()
    try:
        process.wait(WAIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that neither TCP nor UDP has in use."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port


class Program:
    """A running program, and the file with everything it says."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, output: Path) -> None:
        self.process = process
        self.port = port
        self._output = output

    @property
    def output(self) -> str:
        """What it has said until now."""
        return self._output.read_text("utf-8", "replace")

    def said(self, text: str) -> bool:
        """Whether it says something, now or soon."""
        end = time.monotonic() + WAIT
        while text not in self.output:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def listens(self) -> bool:
        """Wait until it takes connections; False if it has ended instead."""
        end = time.monotonic() + WAIT
        while self.process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return True
            time.sleep(0.02)
        return False

    def end(self) -> None:
        """End it."""
        ended(self.process)


@contextlib.contextmanager
def running(command: Callable[[int], Sequence[str]], folder: Path) -> Iterator[Program]:
    """A program that listens on the port that `command` puts into its arguments, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / "output"
    program = None
    for _ in range(TRIES):
        port = free_port()
        name, *arguments = command(port)
        with output.open("wb") as file:
            process = subprocess.Popen(
                [where(name) or name, *arguments],
                cwd=folder,
                env={"PATH": f"{os.environ['PATH']}:{SYSTEM}", "HOME": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        program = Program(process, port, output)
        if program.listens():
            break
        program.end()
    assert program is not None
    assert program.process.poll() is None, program.output
    try:
        yield program
    finally:
        program.end()
