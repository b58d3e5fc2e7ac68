"""A desktop in a process of its own on a display of its own, that does what it is told, line by line.

    with remote(folder, display) as desktop:
        desktop("first_run", "anna", PASSWORD)

The words are functions of tests/support/desktop_flows.py. Not its concern: what they do.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tests.support.commands import ROOT
from tests.support.display import Display

__all__ = ["RemoteDesktop", "remote"]

WAIT = 60.0  # seconds


class RemoteDesktop:
    """A running desktop. Call it with a word and its arguments; what that returns is returned."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def start(self, word: str, *arguments: object) -> None:
        """Tell it to do something, and do not wait for that."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([word, *arguments]) + "\n")
        self.process.stdin.flush()

    def end(self) -> Any:
        """Wait for what was begun, and return what it returned."""
        answer = json.loads(self._lines.get(timeout=WAIT))
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def __call__(self, word: str, *arguments: object) -> Any:
        self.start(word, *arguments)
        return self.end()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(json.dumps({"error": "the desktop has ended"}))


@contextlib.contextmanager
def remote(folder: Path, display: Display) -> Iterator[RemoteDesktop]:
    """A desktop of the data folder `folder`; it is closed, as by a person, at the end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MOBIUM_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.remote_desktop", str(folder)],
        env={**kept, "PYTHONPATH": str(ROOT), **display.environ, "MOBIUM_DATA_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield RemoteDesktop(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def main() -> None:
    from mobium.crypto import vault
    from tests.support import desktop_flows
    from tests.support.desktop import window
    from tests.support.quick import derive

    setattr(vault, "_derive", derive)  # noqa: B010 - a function is not assigned to
    told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, told), daemon=True).start()
    with window(Path(sys.argv[1])) as pilot:
        while True:
            pilot.rest(0.01)
            with contextlib.suppress(queue.Empty):
                line = told.get_nowait()
                if line is None:
                    return
                word, *arguments = json.loads(line)
                try:
                    answer = {"value": getattr(desktop_flows, word)(pilot, *arguments)}
                except Exception:  # noqa: BLE001 - it is told to whoever asked
                    answer = {"error": traceback.format_exc()}
                print(json.dumps(answer), flush=True)


def _listen(given: IO[str], told: queue.SimpleQueue[str | None]) -> None:
    for line in given:
        told.put(line)
    told.put(None)


if __name__ == "__main__":
    main()
