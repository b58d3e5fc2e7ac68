"""Posts every new line of a file to a channel: python file_to_channel.py FILE CHANNEL [SERVER]

A line is posted once it has its end; the file is followed when it is emptied or replaced, as logs are. Lines
are read from where the file ends at the start. What was posted while the server was away goes out later: the
engine keeps it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from mobium.client import Engine

PAUSE = 0.5  # seconds between two looks at the file
LONGEST = 4_000  # characters of a line that are posted


class Follower:
    """The new lines of a file, whatever becomes of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = self._look()
        self._rest = b""

    def _look(self) -> tuple[int, int]:
        """Which file has the name now, and how long it is."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return (0, 0)
        return (found.st_ino, found.st_size)

    def lines(self) -> list[str]:
        """What has come since the last call."""
        (old, read), (new, size) = self._place, self._look()
        if new != old or size < read:
            read, self._rest = 0, b""  # another file, or an emptied one
        if size > read:
            with self._path.open("rb") as file:
                file.seek(read)
                data = self._rest + file.read(size - read)
            *whole, self._rest = data.split(b"\n")
        else:
            whole = []
        self._place = (new, size)
        texts = [line.decode("utf-8", "replace").strip() for line in whole]
        return [text[:LONGEST] for text in texts if text]


async def main(path: Path, channel: str, server: str) -> None:
    """Post until interrupted."""
    follower = Follower(path)
    async with Engine.open("bot", os.environ["MOBIUM_PASSWORD"]) as engine:
        await engine.connect(server)
        print(f"following {path}", flush=True)
        while True:
            for line in await asyncio.to_thread(follower.lines):
                await engine.send(channel, line)
            await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python file_to_channel.py FILE CHANNEL [SERVER]")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(Path(sys.argv[1]), sys.argv[2], (sys.argv[3:] or ["localhost"])[0]))
