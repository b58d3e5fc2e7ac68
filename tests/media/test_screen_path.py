"""A screen from one machine to another: a real X server is captured, encoded, sealed, cut into fragments,
loses some of them on the way, and is put together, opened, decoded and looked at on the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mobium.media.capture import ScreenCapture, Shot
from mobium.media.fragments import Reassembly
from mobium.media.pattern import Pattern, number_in
from mobium.media.screen import PRESETS, Shown
from mobium.media.share import ScreenShare, ScreenSource
from mobium.media.view import ScreenView
from mobium.protocol.limits import media_cost
from tests.support.display import DISPLAY, Display, display
from tests.support.screens import Keys, pixels, psnr

pytestmark = DISPLAY


class Painter:
    """Shows the pictures of the pattern on a display, fifteen a second."""

    def __init__(self, shown: Display) -> None:
        self.pattern = Pattern(shown.width, shown.height)
        self._display = shown
        self._brush = threading.Lock()

    async def paint(self) -> None:
        for number in range(1, 2**16):
            picture = self.pattern.draw(number).tobytes()
            with self._brush:
                self._display.paint(picture)
            await asyncio.sleep(1 / 15)

    def capture(self) -> ScreenCapture:
        """A capture that does not look while the brush is wet, since half a picture looks like no other."""
        brush = self._brush

        class Patient(ScreenCapture):
            def grab(self) -> Shot:
                with brush:
                    return super().grab()

        return Patient(self._display.environ)


@dataclass
class Viewer:
    """Somebody who watches over a network that loses fragments."""

    keys: Keys
    share: ScreenShare
    pattern: Pattern
    lost: int = 0
    """Every fragment of so many is lost; 0 is none."""
    came: int = 0
    asked: int = 0
    seen: list[tuple[int, float]] = field(default_factory=list)
    """Which pictures, and how well, in dB."""

    def __post_init__(self) -> None:
        self._view = ScreenView(self._ask)
        self._whole, self._opener = Reassembly(), self.keys.opener()

    @property
    def view(self) -> ScreenView:
        return self._view

    def _ask(self) -> None:
        self.asked += 1
        self.share.ask(id(self))

    def arrives(self, body: bytes) -> None:
        self.came += 1
        if self.lost and self.came % self.lost == 0:
            return
        sealed = self._whole.put("sender", body, time.monotonic())
        if sealed is not None:
            self._view.put(self._opener.open(sealed.data, self.keys.place))

    async def look(self) -> None:
        self._view.poll()
        shown = await asyncio.to_thread(self._view.show)
        if shown is not None:
            self.judge(shown)

    def judge(self, shown: Shown) -> None:
        number = number_in(pixels(shown))
        self.seen.append((number, psnr(shown, self.pattern.draw(number))))


async def watched(share: ScreenShare, viewers: list[Viewer], enough: Callable[[], bool]) -> None:
    """Everybody looks until it is enough."""
    async with asyncio.timeout(60), contextlib.aclosing(share.bodies()) as bodies:
        async for body in bodies:
            for viewer in viewers:
                viewer.arrives(body)
                await viewer.look()
            if enough():
                return


async def test_a_screen_arrives_readable_with_loss_and_for_late_joiners(tmp_path: Path) -> None:
    """720p, 30 dB or more. What is looked at is the picture that the pattern's own number names: a screen
    that is torn, broken or built on what is missing does not look like it.
    """
    with display(tmp_path) as shown:
        painter, keys = Painter(shown), Keys()
        painting = asyncio.create_task(painter.paint())
        try:
            async with ScreenSource(painter.capture, PRESETS["720p"]) as source:
                share = ScreenShare(source, keys.seal, media_cost)
                first = Viewer(keys, share, painter.pattern)
                await watched(share, [first], lambda: len(first.seen) >= 20)
                late, lossy = (
                    Viewer(keys, share, painter.pattern),
                    Viewer(keys, share, painter.pattern, lost=9),
                )
                everybody = [first, late, lossy]
                await watched(share, everybody, lambda: len(late.seen) >= 20 and lossy.view.counts.lost >= 2)
                lossy.lost = 0
                whole = len(lossy.seen) + 20
                await watched(share, [lossy], lambda: len(lossy.seen) >= whole)
        finally:
            painting.cancel()
    for name, one in (("first", first), ("late", late), ("one in 9 lost", lossy)):
        quality = [quality for _, quality in one.seen]
        median, counts = statistics.median(quality), one.view.counts
        print(f"{name}: {len(one.seen)} pictures seen, {counts.lost} lost, {one.asked} asked for; "
              f"PSNR {min(quality):.1f} to {max(quality):.1f}, {median:.1f} dB")  # fmt: skip
        assert median >= 30
        assert min(quality) >= 28
        assert one.view.malformed == 0
        numbers = [number for number, _ in one.seen]
        assert numbers == sorted(numbers)
    assert first.asked == 0
    assert late.asked >= 1
    assert lossy.asked >= 2
