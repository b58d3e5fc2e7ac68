"""A terminal for tests: a program runs in a pseudo-terminal, and its screen is what a person would see.

The emulation knows exactly the sequences that the command line may send. Anything else fails the test: it
would be a terminal command that came from outside. Not its concern: what is typed and expected.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.cells import cell_len

__all__ = ["Emulator", "Terminal"]

# Makes the pseudo-terminal the controlling one of the new session, then becomes the program.
_START = (
    "import fcntl, os, sys, termios;"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)
_CONTROL = re.compile(r"\x1b(?:\[([?0-9;]*)([@-~])?)?")
_PASTE_MODES = {"?2004"}
_CONTROLS = {*range(0x20), *range(0x7F, 0xA0)}


class Emulator:
    """A grid of characters, fed with what a program writes."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._lines: list[list[str]] = [[]]
        self._top = 0  # first line on the screen; those above have scrolled away
        self._row = self._column = 0
        self._pending = ""
        self.bell = False

    @property
    def screen(self) -> list[str]:
        """The rows that are seen."""
        return self.everything[self._top :]

    @property
    def everything(self) -> list[str]:
        """What is seen and what has scrolled away."""
        return ["".join(line).rstrip() for line in self._lines]

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column on the screen."""
        return self._row - self._top, self._column

    def feed(self, data: str) -> None:
        """Take output. Raises AssertionError for a sequence that the program must never send."""
        data, self._pending = self._pending + data, ""
        at = 0
        while at < len(data):
            c = data[at]
            if c == "\x1b":
                match = _CONTROL.match(data, at)
                assert match
                if match.group(2) is None:
                    assert match.end() == len(data), f"not a sequence of ours: {data[at : at + 12]!r}"
                    self._pending = data[at:]
                    return
                self._control(match.group(1), match.group(2))
                at = match.end()
                continue
            at += 1
            self._put(c)

    def _put(self, c: str) -> None:
        if c == "\r":
            self._column = 0
        elif c == "\n":
            self._down()
        elif c == "\b":
            self._column = max(0, self._column - 1)
        else:
            assert ord(c) not in _CONTROLS, f"a control character reached the terminal: {c!r}"
            self._draw(c)

    def _draw(self, c: str) -> None:
        width = cell_len(c)
        if width and self._column + width > self.columns:
            self._column = 0
            self._down()
        line = self._lines[self._row]
        line.extend(" " * (self._column + max(width, 1) - len(line)))
        if not width:
            line[max(0, self._column - 1)] += c
            return
        line[self._column] = c
        if width == 2:
            line[self._column + 1] = ""
        self._column += width

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self._lines):
            self._lines.append([])
        self._top = max(self._top, self._row - self.rows + 1)

    def _control(self, parameters: str, final: str) -> None:
        line = self._lines[self._row]
        count = int(parameters) if parameters.isdigit() else 1
        match final:
            case "m":
                assert all(part.isdigit() or not part for part in parameters.split(";"))
            case "K" if parameters in {"", "0"}:
                del line[self._column :]
            case "A":
                self._row = max(self._top, self._row - count)
            case "B":
                self._row = min(len(self._lines) - 1, self._row + count)
            case "C":
                self._column = min(self.columns - 1, self._column + (int(parameters) if parameters else 1))
            case "h" | "l" if parameters in _PASTE_MODES:
                pass
            case _:
                raise AssertionError(f"not a sequence of ours: CSI {parameters}{final}")


class Terminal:
    """A program in a pseudo-terminal of its own."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], columns: int = 80, rows: int = 24
    ) -> None:
        self._main, child = os.openpty()
        self._emulator = Emulator(columns, rows)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.raw = ""
        self._resize(columns, rows)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, *arguments],
                stdin=child,
                stdout=child,
                stderr=child,
                env={"TERM": "xterm-256color", **environment},
                start_new_session=True,
            )
        finally:
            os.close(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._main >= 0:
            os.close(self._main)

    def hang_up(self) -> None:
        """Close the window; the program goes on, or ends."""
        os.close(self._main)
        self._main = -1

    def ended(self, timeout: float = 60.0) -> int:
        """The exit code of a program whose window was closed."""
        return self._process.wait(timeout)

    @property
    def screen(self) -> list[str]:
        """The rows that are seen now."""
        return self._emulator.screen

    @property
    def everything(self) -> list[str]:
        """Every row since the start."""
        return self._emulator.everything

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column."""
        return self._emulator.cursor

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    @property
    def modes(self) -> list[object]:
        """What the terminal does with keys and output, as the program has set it."""
        return list(termios.tcgetattr(self._main))

    @property
    def echoes(self) -> bool:
        """Whether keys are shown by the terminal itself."""
        return bool(termios.tcgetattr(self._main)[3] & termios.ECHO)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._main, keys.encode())

    def expect(self, pattern: str, timeout: float = 60.0) -> re.Match[str]:
        """Wait until the regular expression is found on the screen (rows joined by line breaks)."""
        end = time.monotonic() + timeout
        while True:
            found = re.search(pattern, "\n".join(self.screen))
            if found:
                return found
            left = end - time.monotonic()
            ended = left > 0 and not self._pump(left)
            if left <= 0 or (ended and not re.search(pattern, "\n".join(self.screen))):
                seen = "\n".join(self.everything)
                raise AssertionError(f"{pattern!r} did not appear; the screen:\n{seen}")

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size, without folding what stands there anew."""
        self._emulator.columns, self._emulator.rows = columns, rows
        self._resize(columns, rows)
        os.kill(self._process.pid, signal.SIGWINCH)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.type("\x03")

    def wait(self, timeout: float = 60.0) -> int:
        """Read to the end and return the exit code."""
        end = time.monotonic() + timeout
        while self._pump(max(0.0, end - time.monotonic())):
            if time.monotonic() >= end:
                raise AssertionError("the program did not end; the screen:\n" + "\n".join(self.everything))
        return self._process.wait(timeout=max(1.0, end - time.monotonic()))

    def _resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _pump(self, timeout: float) -> bool:
        """Take what comes within `timeout` seconds; False at the end of the output."""
        ready, _, _ = select.select([self._main], [], [], timeout)
        if not ready:
            return True
        try:
            data = os.read(self._main, 65_536)
        except OSError:  # Linux says so when the other side has closed
            data = b""
        text = self._decoder.decode(data)
        self.raw += text
        self._emulator.feed(text)
        return bool(data)
