"""B14: a voice from mouth to ear on loopback, in a channel's room and in a call between two: how late it is,
how many frames are lost at rest, and what becomes of it with losses.

Real engines, a real server in a process of its own, real WebRTC; the microphone and the speaker are virtual,
so what a sound card and its driver add is not in here. The microphone says a word of 60 ms every half
second; the time is from the moment at which its first frame is given to the one at which it is first played,
and 20 ms more, for a frame must be spoken before it can be given.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from benches.load.harness import mobium_server
from mobium.client import Voice
from mobium.client.address import Address
from mobium.client.transport import Transport, dial
from mobium.crypto import vault
from mobium.media.devices import VirtualDevices
from mobium.media.form import FRAME_SECONDS, SILENCE
from mobium.media.levels import level
from mobium.media.sources import MemorySink, Tone
from tests.support.calls import phones, talking
from tests.support.engines import World
from tests.support.quick import derive

SECTION = "A voice from mouth to ear (B14)"
ABOUT = (
    "Both ends and the server on this machine; microphone and speaker are virtual, since what a sound card"
    " adds is not ours: 20 to 40 ms each way by the real streams that the tests open on PulseAudio. Losses"
    " are of media frames, at random, on the way to the listener."
)
WORD = 3  # frames
PERIOD = 25  # frames from one word to the next
LOUD = -40.0  # dBFS

Row = dict[str, Any]


class Mouth:
    """A microphone that says a word now and then, and remembers when."""

    def __init__(self) -> None:
        self._tone = Tone(500.0, 0.5)
        self._count = 0
        self.said: list[float] = []

    def read(self) -> bytes:
        """The next frame."""
        place, self._count = self._count % PERIOD, self._count + 1
        if place >= WORD:
            return SILENCE
        if place == 0:
            self.said.append(time.monotonic())
        return self._tone.read()

    def close(self) -> None:
        """Nothing to do."""


class Hearing(MemorySink):
    """A speaker that remembers when a word began."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self._silent = 0
        self.heard: list[float] = []

    def write(self, pcm: bytes) -> None:
        """One frame more."""
        if level(pcm) < LOUD:
            self._silent += 1
        else:
            if self._silent > WORD:
                self.heard.append(time.monotonic())
            self._silent = 0


class Heard(NamedTuple):
    """What was measured: delays in seconds, frames by what became of them."""

    delays: list[float]
    words: int
    played: int
    recovered: int
    concealed: int


def delays(mouth: Mouth, ear: Hearing) -> list[float]:
    """Of each word that was heard."""
    found = []
    for heard in ear.heard:
        said = [at for at in mouth.said if at <= heard]
        if said and heard - said[-1] < PERIOD * FRAME_SECONDS:
            found.append(heard - said[-1] + FRAME_SECONDS)
    return found


class _Losing:
    """A connection that loses media frames at random."""

    def __init__(self, inner: Transport, loss: float) -> None:
        self._inner, self._loss, self._random = inner, loss, random.Random(14)
        self.send, self.close = inner.send, inner.close

    async def receive(self) -> bytes:
        """The next frame that is not lost."""
        while True:
            data = await self._inner.receive()
            if data[:1] != b"\1" or self._random.random() >= self._loss:
                return data


@asynccontextmanager
async def _world(folder: Path, url: str) -> AsyncIterator[World]:
    with patch.object(vault, "_derive", derive):
        async with World(folder, dial, url) as world:
            yield world


async def in_a_room(folder: Path, url: str, seconds: float, loss: float) -> Heard:
    """One speaks and one listens in the voice room of a channel."""

    async def losing(address: Address) -> Transport:
        return _Losing(await dial(address), loss)

    async with _world(folder, url) as world:
        anna, ben = await world.engine("anna"), await world.engine("ben", connector=losing)
        channel = await anna.create_channel("garden")
        await ben.join(await anna.invite(f"#{channel.id}"))
        mouth, ear = Mouth(), Hearing()
        here = VirtualDevices({"mic": mouth}, {"spk": MemorySink(0.0)})
        there = VirtualDevices({}, {"spk": ear})
        with here.running(), there.running():
            listens = await Voice.join(ben.rooms, "#garden", there, listen_only=True)
            speaks = await Voice.join(anna.rooms, "#garden", here)
            await asyncio.sleep(2.0)  # until keys are there and the jitter buffer has settled
            before = listens.report()[anna.me].counts
            start = (before.played, before.recovered, before.concealed, len(mouth.said))
            ear.heard.clear()
            await asyncio.sleep(seconds)
            after = listens.report()[anna.me].counts
            found = delays(mouth, ear)
            await speaks.leave()
            await listens.leave()
    return Heard(
        found, len(mouth.said) - start[3], after.played - start[0], after.recovered - start[1],
        after.concealed - start[2],
    )  # fmt: skip


async def in_a_call(folder: Path, url: str, seconds: float) -> Heard:
    """One calls the other, by WebRTC."""
    mouth, ear = Mouth(), Hearing()
    with patch("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"]):
        async with _world(folder, url) as world, phones(world, None, "anna", "ben", anna=mouth) as people:
            anna, ben = people
            ben.devices.plug_speaker("ben", ear)
            await talking(anna, ben)
            await asyncio.sleep(2.0)
            start = len(mouth.said)
            ear.heard.clear()
            await asyncio.sleep(seconds)
            found = delays(mouth, ear)
            await anna.calls.hang_up()
            await ben.state("ended")
    return Heard(found, len(mouth.said) - start, 0, 0, 0)


@contextmanager
def _server() -> Iterator[tuple[Path, str]]:
    with tempfile.TemporaryDirectory() as name, mobium_server(Path(name)) as (_, url):
        yield Path(name) / "people", url


def _late(what: str, heard: Heard) -> list[Row]:
    typical = statistics.median(heard.delays) * 1000
    met = {"mark": "150 ms", "met": typical <= 150}
    return [
        {"what": f"{what}: median delay", "ours": typical, "unit": "ms", **met},
        {
            "what": f"{what}: longest of {len(heard.delays)} words",
            "ours": max(heard.delays) * 1000,
            "unit": "ms",
        },
    ]


def rows(quick: bool) -> list[Row]:
    """All rows."""
    seconds = 2.0 if quick else 20.0
    found: list[Row] = []
    for loss in (0.0, 0.05):
        with _server() as (folder, url):
            folder.mkdir()
            heard = asyncio.run(in_a_room(folder, url, seconds, loss))
        frames = heard.played + heard.recovered + heard.concealed
        if not loss:
            found += _late("voice room", heard)
            found.append(
                {
                    "what": f"voice room at rest: frames lost of {frames}",
                    "ours": heard.recovered + heard.concealed,
                    "unit": "",
                    "mark": "0",
                    "met": heard.recovered + heard.concealed == 0,
                }
            )
            continue
        found += _late("voice room, 5 % lost", heard)
        mended = heard.recovered + heard.concealed
        found.append(
            {
                "what": f"voice room, 5 % lost: frames lost of {frames}, {heard.recovered} made of the copy"
                f" in the next one, {heard.concealed} made up",
                "ours": mended,
                "unit": "",
                "mark": "concealed",
                "met": mended > 0,
            }
        )
    with _server() as (folder, url):
        folder.mkdir()
        found += _late("call by WebRTC", asyncio.run(in_a_call(folder, url, seconds)))
    return [{"id": "B14", "section": SECTION, "about": ABOUT, **row} for row in found]
