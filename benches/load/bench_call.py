"""B20: a call between two by WebRTC: how soon it begins, and what it takes of the processor, with a screen
and without.

Both ends are processes of their own, the server a third. Microphones and speakers are virtual, the pictures
of the screen were drawn before; what sound cards and capturing take comes on top (B18, B19).
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import psutil

from benches.load.harness import PATIENCE, ROOT, cpu, mobium_server
from mobium.client import SCREEN_PRESETS, CallChanged
from mobium.client.transport import dial
from mobium.crypto import vault
from mobium.media.capture import Monitor, Shot
from mobium.media.devices import VirtualDevices
from mobium.media.levels import level
from mobium.media.pattern import Pattern
from mobium.media.sources import MemorySink, Tone
from tests.support.calls import Phone, phone, phones
from tests.support.engines import World
from tests.support.quick import derive

SECTION = "Calls between two (B20)"
ABOUT = (
    "WebRTC on loopback, each end a process of its own, answered at once, a tone at both ends. Set up is from"
    " `call` to the first frame that the other side plays. Of a core: what one end takes, its engine and its"
    " WebRTC; not the devices, nor capturing the screen."
)
LOUD = -40.0  # dBFS
SETTLED = 3.0  # seconds until a call takes what it goes on to take
SCREEN_SETTLED = 8.0  # until the path is known to carry a screen
PRESET = SCREEN_PRESETS["720p"]

Row = dict[str, Any]


class FirstHeard(MemorySink):
    """A speaker that says when it plays something for the first time."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.waits = False

    def write(self, pcm: bytes) -> None:
        """One frame more."""
        if self.waits and level(pcm) > LOUD:
            self.waits = False
            told(heard=time.monotonic())


class Slides:
    """A screen whose pictures were drawn before."""

    def __init__(self) -> None:
        pattern = Pattern(PRESET.width, PRESET.height)
        self._shots = [
            Shot(PRESET.width, PRESET.height, pattern.draw(number).tobytes()) for number in range(60)
        ]
        self._number = 0

    def monitors(self) -> list[Monitor]:
        """One."""
        return [Monitor("drawn", PRESET.width, PRESET.height, default=True)]

    def choose(self, name: str | None) -> None:
        """There is one."""

    def grab(self) -> Shot:
        """The next picture."""
        self._number += 1
        return self._shots[self._number % len(self._shots)]

    def close(self) -> None:
        """Nothing to do."""


def told(**what: float) -> None:
    """Tell the process that measures."""
    print(json.dumps(what), flush=True)


@asynccontextmanager
async def _world(folder: Path, url: str) -> AsyncIterator[World]:
    addresses = patch("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])
    with patch.object(vault, "_derive", derive), addresses:
        async with World(folder, dial, url) as world:
            yield world


async def _answers(folder: Path, url: str) -> None:
    """The end that is called: takes every call and looks at what is shown, until the process is ended."""
    devices, ear, seen = VirtualDevices(), FirstHeard(), 0

    def look(_: object) -> None:
        nonlocal seen
        seen += 1

    async with _world(folder, url) as world, phone(world, "ben", None, devices, Tone(550, 0.5)) as ben:
        devices.plug_speaker("ben", ear)
        ben.calls.watch(look)
        with devices.running():
            told(ready=0)
            async for event in ben.engine.events():
                if isinstance(event, CallChanged) and event.state == "incoming":
                    ear.waits = True
                    await ben.calls.accept()
                elif isinstance(event, CallChanged) and event.state == "ended":
                    told(pictures=seen)
                    seen = 0


class _Other:
    """The other end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.used = psutil.Process(process.pid)

    async def says(self, what: str) -> float:
        """The next time that it says that."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := await self._process.stdout.readline():
                found = json.loads(line)
                if what in found:
                    return float(found[what])
        raise RuntimeError("the other end has ended")


@asynccontextmanager
async def _other(folder: Path, url: str) -> AsyncIterator[_Other]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, str(folder), url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        other = _Other(process)
        await other.says("ready")
        yield other
    finally:
        process.terminate()
        await process.wait()


class Used(NamedTuple):
    """Shares of a core, in percent."""

    caller: float
    called: float


async def _used(other: _Other, seconds: float) -> Used:
    here, there, began = time.process_time(), cpu(other.used), time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    return Used(100 * (time.process_time() - here) / took, 100 * (cpu(other.used) - there) / took)


async def _connected(anna: Phone, ben: str, other: _Other) -> tuple[float, float]:
    """Call; seconds until the call is there for the caller, and until the other one hears something."""
    began = time.monotonic()
    await anna.engine.call(ben)
    await anna.state("active")
    active = time.monotonic() - began
    return active, await other.says("heard") - began


async def measured(folder: Path, url: str, calls: int, seconds: float) -> list[Row]:
    """The rows."""
    set_up: list[tuple[float, float]] = []
    async with _world(folder, url) as world:
        async with phones(world, None, "anna", "ben") as people:
            ben = people[1].me
        devices = VirtualDevices()
        async with (
            phone(world, "anna", None, devices, Tone(440, 0.5)) as anna,
            _other(folder, url) as other,
        ):
            with devices.running():
                for _ in range(calls):
                    set_up.append(await _connected(anna, ben, other))
                    await anna.calls.hang_up()
                    await anna.state("ended")
                await _connected(anna, ben, other)
                await asyncio.sleep(min(SETTLED, seconds))
                voice = await _used(other, seconds)
                began = time.monotonic()
                await anna.calls.share(PRESET, capture=Slides)
                await asyncio.sleep(min(SCREEN_SETTLED, seconds))
                screen = await _used(other, seconds)
                await anna.calls.hang_up()
                await anna.state("ended")
                pictures = await other.says("pictures") / (time.monotonic() - began)
    heard = [1_000 * each for _, each in set_up]
    active = [1_000 * each for each, _ in set_up]
    values: list[tuple[str, float, str]] = [
        (f"set up: until the other side hears something, median of {calls}", statistics.median(heard), "ms"),
        ("set up: the longest of them", max(heard), "ms"),
        ("set up: until the caller is told that it is active, median", statistics.median(active), "ms"),
        ("a voice call, of a core: who called", voice.caller, "%"),
        ("a voice call, of a core: who was called", voice.called, "%"),
        ("with a screen of 1,280 x 720, of a core: who shows", screen.caller, "%"),
        ("with a screen of 1,280 x 720, of a core: who looks", screen.called, "%"),
        ("pictures of it that are seen", pictures, "/s"),
    ]
    return [{"what": what, "ours": ours, "unit": unit} for what, ours, unit in values]


def rows(quick: bool) -> list[Row]:
    """All rows."""
    with tempfile.TemporaryDirectory() as name, mobium_server(Path(name)) as (_, url):
        folder = Path(name) / "people"
        folder.mkdir()
        found = asyncio.run(measured(folder, url, 2 if quick else 10, 1.0 if quick else 15.0))
    return [{"id": "B20", "section": SECTION, "about": ABOUT, **row} for row in found]


if __name__ == "__main__":
    asyncio.run(_answers(Path(sys.argv[1]), sys.argv[2]))
