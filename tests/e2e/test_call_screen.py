"""A screen in a call, by WebRTC over a network that loses packets: it arrives readable, and again after it
was lost for a while.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mobium.client import SCREEN_PRESETS
from mobium.client.transport import dial
from mobium.media.capture import Monitor
from mobium.media.pattern import Pattern, PatternCapture, number_in
from tests.support.calls import phones, talking
from tests.support.engines import World
from tests.support.screens import psnr
from tests.support.server import randomness, server

if TYPE_CHECKING:
    from av import VideoFrame

pytestmark = [pytest.mark.usefixtures("on_loopback"), pytest.mark.serial, pytest.mark.needs("libopus")]
pytest.importorskip("aiortc")

from mobium.media.screen import Shown  # noqa: E402
from tests.support.forwarder import Forwarder, Weather  # noqa: E402

READABLE = 30.0  # dB
PRESET = SCREEN_PRESETS["720p"]


def pattern() -> PatternCapture:
    return PatternCapture((Monitor("pattern", PRESET.width, PRESET.height, default=True),))


class Viewer:
    """Looks at pictures, and says how alike they are to what was shown."""

    def __init__(self) -> None:
        self.last: Any = None
        self.count = 0
        self._pattern = Pattern(PRESET.width, PRESET.height)

    def see(self, picture: VideoFrame) -> None:
        self.last = picture
        self.count += 1

    def likeness(self) -> float:
        shown = Shown(0, self.last)
        number = number_in(self.last.to_ndarray(format="bgr24"))
        return psnr(shown, self._pattern.draw(number))

    async def readable(self) -> float:
        """Wait until what comes is readable: it is coarse at first, until the way is known to carry more."""
        seen = self.count
        async with asyncio.timeout(20):
            while self.count == seen or self.likeness() < READABLE:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        return self.likeness()


async def test_a_screen_arrives_readable(folder: Path, seed: int) -> None:
    print(f"seed {seed}")
    forwarder = Forwarder(Weather(0.02, 0.01, 0.02), randomness(seed, 0))
    viewer = Viewer()
    async with (
        server(folder / "server") as one,
        World(folder, dial, one.url) as world,
        phones(world, forwarder.maker, "alice", "bob") as (alice, bob),
    ):
        await talking(alice, bob)
        bob.calls.watch(viewer.see)
        await alice.calls.share(PRESET, capture=pattern)
        first = await viewer.readable()
        forwarder.weather.loss = 1.0  # for a moment nothing comes through, keyframes neither
        await asyncio.sleep(1.0)
        forwarder.weather.loss = 0.02
        again = await viewer.readable()
        print(f"PSNR {first:.1f} dB, and {again:.1f} dB after a second without a packet")
        assert "reconnecting" not in [event.state for event in bob.ear.heard if hasattr(event, "state")]
        await alice.calls.hang_up()
        await bob.state("ended", "hung_up")
    forwarder.close()
