"""An X server of its own without a screen, whose picture the test paints itself.

Xvfb keeps its picture in a file (-fbdir) that the test maps as well: what is written there is on the screen.
The server chooses its own number (-displayfd). Not its concern: windows and input.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import ended, where

__all__ = ["DISPLAY", "Display", "display"]

DISPLAY = [
    pytest.mark.serial,
    pytest.mark.needs("Xvfb", "xrandr", "libxcb-randr", "libxcb-render", "libxcb-shm", "libxcb-xfixes"),
]
"""The marks of a test that uses `display`."""

WAIT = 20.0  # seconds


class Display:
    """A running Xvfb with one screen of `width` by `height` pixels."""

    def __init__(
        self, name: str, width: int, height: int, file: Path, process: subprocess.Popen[bytes]
    ) -> None:
        self.width, self.height, self.name, self.process = width, height, name, process
        self.environ = {"DISPLAY": name, "HOME": str(file.parent), "PATH": os.environ["PATH"]}
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), 0)
        head = struct.unpack_from(">25I", self._memory)  # XWDFile.h
        assert (head[4], head[5], head[11], head[12]) == (width, height, 32, 4 * width)
        self._start = head[0] + 12 * head[19]  # behind the header and the colours

    def paint(self, picture: bytes) -> None:
        """Four bytes for each pixel: blue, green, red, anything; row by row."""
        assert len(picture) == 4 * self.width * self.height
        self._memory[self._start : self._start + len(picture)] = picture

    def xrandr(self, *arguments: str) -> None:
        """Change the monitors that the server says it has."""
        command = [where("xrandr") or "xrandr", *arguments]
        subprocess.run(
            command, env=self.environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT, check=True
        )

    def forget(self) -> None:
        """Nothing is painted any more."""
        self._memory.close()

    def two_monitors(self) -> None:
        """One of 640 by 720 pixels on the left, one of 320 by 240 to the right of it."""
        self.xrandr("--setmonitor", "one", "640/170x720/190+0+0", "screen")
        self.xrandr("--setmonitor", "two", "320/85x240/64+640+0", "none")

    def end(self) -> None:
        """The server goes away."""
        ended(self.process)


@contextlib.contextmanager
def display(folder: Path, width: int = 1_280, height: int = 720) -> Iterator[Display]:
    """An X server, until the block ends."""
    place = folder / "display"
    place.mkdir(mode=0o700)
    reading, writing = os.pipe()
    with (place / "output").open("wb") as output, os.fdopen(reading, "rb", buffering=0) as said:
        process = subprocess.Popen(
            [
                *(where("Xvfb") or "Xvfb", "-displayfd", str(writing), "-fbdir", str(place)),
                *("-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp", "-noreset"),
            ],
            pass_fds=[writing],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        os.close(writing)
        number = b""
        while not number.endswith(b"\n"):
            ready, _, _ = select.select([said], [], [], WAIT)
            part = said.read(16) if ready else b""
            if not part:
                process.kill()
                process.wait()
                raise AssertionError(
                    (place / "output").read_text("utf-8", "replace") or "Xvfb does not start"
                )
            number += part
    shown = Display(f":{number.decode().strip()}", width, height, place / "Xvfb_screen0", process)
    try:
        yield shown
    finally:
        shown.end()
        shown.forget()
