"""B21: minutes of a whole call by WebRTC and of a whole voice room at the same time: what has come, minute
by minute, and whether memory stays level.

All four people are in this process, the server has its own. Everybody speaks a tone all the time, so that
each frame goes all the way: coded, sealed, sent, opened, decoded, mixed, played.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from benches.load.harness import memory, mobium_server
from mobium.client import Voice
from mobium.client.transport import dial
from mobium.crypto import vault
from mobium.media.devices import VirtualDevices
from mobium.media.pipeline import SpeakerReport
from mobium.media.sources import MemorySink, Tone
from tests.support.calls import phones, talking
from tests.support.engines import World
from tests.support.quick import derive

SECTION = "Minutes of talk (B21)"
ABOUT = (
    "A call by WebRTC and a voice room of two at once, in real time, all four in one process; all of them"
    " speak. Frames are of one listener each: played, and those lost (made of the copy in the next one, or"
    " made up), which tell how busy the machine was besides. Resident memory at the end of each step, after a"
    " collection."
)
WARM = 5.0  # seconds, until jitter buffers have settled

Row = dict[str, Any]


@asynccontextmanager
async def _world(folder: Path, url: str) -> AsyncIterator[World]:
    addresses = patch("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])
    with patch.object(vault, "_derive", derive), addresses:
        async with World(folder, dial, url) as world:
            yield world


def _frames(report: SpeakerReport | None) -> tuple[int, int]:
    """Frames that were played, and lost."""
    if report is None:
        return 0, 0
    return report.counts.played, report.counts.recovered + report.counts.concealed


async def measured(folder: Path, url: str, server: psutil.Process, steps: int, pause: float) -> list[Row]:
    """A row for each step of `pause` seconds."""
    found: list[Row] = []
    async with (
        _world(folder, url) as world,
        phones(world, None, "anna", "ben", anna=Tone(440, 0.5), ben=Tone(550, 0.5)) as (anna, ben),
    ):
        for one in (anna, ben):
            one.devices.plug_speaker(one.name, MemorySink(1.0))  # an hour of sound would look like a leak
        carol, dave = await world.engine("carol"), await world.engine("dave")
        channel = await carol.create_channel("garden")
        await dave.join(await carol.invite(f"#{channel.id}"))
        devices = [VirtualDevices({"mic": Tone(tone, 0.5)}, {"spk": MemorySink(1.0)}) for tone in (440, 550)]
        with devices[0].running(), devices[1].running():
            await talking(anna, ben)
            voices = [
                await Voice.join(one.rooms, "#garden", own)
                for one, own in zip((carol, dave), devices, strict=True)
            ]
            await asyncio.sleep(min(WARM, pause))
            for step in range(steps + 1):
                if step:
                    await asyncio.sleep(pause)
                gc.collect()
                call = _frames(ben.calls.report())
                room = _frames(voices[1].report().get(carol.me))
                found.append(
                    {
                        "minutes": f"{step * pause / 60:.3g}",
                        "frames of the call": call[0],
                        "lost": call[1],
                        "frames of the room": room[0],
                        "lost there": room[1],
                        "the four, MiB": memory(psutil.Process()) / 2**20,
                        "server, MiB": memory(server) / 2**20,
                    }
                )
            for voice in voices:
                await voice.leave()
            await anna.calls.hang_up()
            await ben.state("ended")
    return found


def measure(steps: int, pause: float) -> list[Row]:
    """The rows of so many steps."""
    with tempfile.TemporaryDirectory() as name, mobium_server(Path(name)) as (server, url):
        folder = Path(name) / "people"
        folder.mkdir()
        return asyncio.run(measured(folder, url, server, steps, pause))


def rows(quick: bool) -> list[Row]:
    """All rows."""
    found = measure(2, 1.0) if quick else measure(6, 60.0)
    return [{"id": "B21", "section": SECTION, "about": ABOUT, "figures": figures} for figures in found]
