"""What the command shows: results on standard output, remarks and questions on standard error.

Every text from outside passes through `mobium_client.plain` before it comes here as a rich `Text`; markup is
never read. Not its concern: reading keys, and what is shown.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from mobium.errors import InvalidInput
from mobium_client.plain import harmless

__all__ = ["Screen", "interruptible"]


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end a question at once, also one that is asked while an event loop runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Screen:
    """The two standard streams."""

    def __init__(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            # A character that the terminal's encoding lacks must not end the program.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        self._out = _console(sys.stdout)
        self._err = _console(sys.stderr)

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads standard output."""
        return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None where nothing is to be folded."""
        return self._out.width if self.is_terminal else None

    @property
    def height(self) -> int:
        """Rows of the terminal."""
        return self._out.height

    @property
    def can_draw(self) -> bool:
        """Whether standard output takes more than ASCII."""
        return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")

    def line(self, text: str | Text = "", style: str = "") -> None:
        """A result in one line, never folded."""
        self._out.print(text if isinstance(text, Text) else Text(text, style), soft_wrap=True)

    def show(self, renderable: RenderableType, *, space: bool = False) -> None:
        """A table or the like, between empty lines if `space`."""
        if space:
            self._out.print()
        self._out.print(renderable)
        if space:
            self._out.print()

    def remark(self, text: str, style: str = "") -> None:
        """A sentence beside the results, folded for a person only. It may hold text from outside."""
        self._err.print(Text(harmless(text), style), soft_wrap=not sys.stderr.isatty())

    def ask(self, prompt: str) -> str:
        """A line that a person types. Raises InvalidInput at the end of the input."""
        self._err.print(Text(prompt), end="", soft_wrap=True)
        sys.stderr.flush()
        with interruptible():
            line = sys.stdin.readline()
        if not line:
            self._err.print()
            raise InvalidInput("The input ended before the question was answered.")
        return line.rstrip("\r\n")

    def fields(self, *fields: str) -> None:
        """A line for programs: fields with tabs between them. Text from outside must be harmless."""
        self.write("\t".join(fields) + "\n")

    def json(self, value: object) -> None:
        """A line for programs.

        One JSON value in ASCII, so that nothing in it reaches a terminal as itself.
        """
        self.write(json.dumps(value) + "\n")

    def write(self, data: str) -> None:
        """Exactly `data`, at once."""
        sys.stdout.write(data)
        sys.stdout.flush()

    def styled(self, text: Text) -> str:
        """`text` in one line with the colours of the terminal, if it has any."""
        with self._out.capture() as capture:
            self._out.print(text, end="", soft_wrap=True)
        return capture.get()


def _console(stream: TextIO) -> Console:
    return Console(file=stream, markup=False, highlight=False, emoji=False)
