"""The pumps of a shared screen: a thread that captures and encodes, asked from the event loop.

    ScreenSource    pictures when it is time for them, each captured when it was asked for: what a link
                    between two shows (`mobium.media.link.Pictures`)
    ScreenShare     the media frames of a room

Nothing piles up: the next picture is captured once the one before it has gone out. Not its concern: what is
due when (`mobium.media.pace`, `mobium.media.broadcast`), and where the frames go.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Hashable
from typing import TYPE_CHECKING, Final, Self, TypeVar

from mobium.errors import CaptureUnavailable
from mobium.media.broadcast import Broadcast, BroadcastCounts
from mobium.media.capture import Capture, Monitor
from mobium.media.own_thread import OwnThread
from mobium.media.pace import Pacer
from mobium.media.screen import FPS, Preset, ScreenEncoder, scaled

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["ScreenShare", "ScreenSource"]

ANSWERS: Final = 10.0
"""Seconds in which a display has to answer, and a picture to be encoded."""

_Result = TypeVar("_Result")


class ScreenSource:
    """A screen, picture by picture. Use as `async with ScreenSource(ScreenCapture, preset) as source`."""

    def __init__(
        self,
        open_capture: Callable[[], Capture],
        preset: Preset,
        *,
        monitor: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`monitor` is the name of the one to show, None for the default one."""
        self.preset = preset
        """The size of the next picture, at most; may be set at any time."""
        self._open_capture = open_capture
        self._monitor = monitor
        self._clock = clock
        self._pacer = Pacer(FPS, clock())
        self._thread = OwnThread("mobium screen")  # captures belong to the thread that opened them
        self._capture: Capture | None = None

    async def __aenter__(self) -> Self:
        """Raises CaptureUnavailable, or InvalidInput for a monitor that there is not."""
        try:
            await self.run(self._open)
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end()

    async def monitors(self) -> list[Monitor]:
        """Those there are. Raises CaptureUnavailable."""
        return await self.run(lambda: self._opened().monitors())

    async def choose(self, monitor: str | None) -> None:
        """Show another monitor from now on. Raises InvalidInput, CaptureUnavailable."""
        await self.run(lambda: self._opened().choose(monitor))

    async def picture(self) -> VideoFrame:
        """The next picture (YUV 4:2:0), when it is time for it, 15 times a second at most. Raises
        CaptureUnavailable.
        """
        await asyncio.sleep(self._pacer.wait(self._clock()))
        self._pacer.began(self._clock())
        return await self.run(lambda: scaled(self._opened().grab(), self.preset))

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Do something in the thread of the capture. Raises what it raises, CaptureUnavailable if it takes
        too long.
        """
        try:
            async with asyncio.timeout(ANSWERS):
                return await asyncio.wrap_future(self._thread.submit(work))
        except TimeoutError as error:
            raise CaptureUnavailable("The screen cannot be captured: the display does not answer.") from error

    def _open(self) -> None:
        self._capture = self._open_capture()
        self._capture.choose(self._monitor)

    def _opened(self) -> Capture:
        if self._capture is None:
            raise CaptureUnavailable("The screen is not captured any more.")
        return self._capture

    def _end(self) -> None:
        """Closes the capture in its thread, which ends then; nobody waits for a display that does not
        answer.
        """
        self._thread.submit(self._close)
        self._thread.end()

    def _close(self) -> None:
        if self._capture is not None:
            self._capture.close()
            self._capture = None


class ScreenShare:
    """A share of a screen in a room, from its first keyframe to its end."""

    def __init__(
        self,
        source: ScreenSource,
        seal: Callable[[bytes], bytes],
        cost: Callable[[int], float],
        *,
        share: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seal` seals a picture under the key of the moment; `cost` says what a body counts as
        (`mobium.media.broadcast`). `share` (16 bits) counts one's shares in the room: viewers take what has a
        smaller number for old. Raises MediaUnavailable without PyAV.
        """
        self._source = source
        self._clock = clock
        self._began = clock()
        self._encoder = ScreenEncoder(source.preset.bit_rate)
        self._broadcast = Broadcast(share, source.preset.bit_rate, seal, cost, self._began)

    @property
    def counts(self) -> BroadcastCounts:
        """What was sent."""
        return self._broadcast.counts

    def ask(self, viewer: Hashable) -> bool:
        """`viewer` has asked for a keyframe; False if he asks too often. Also to be called for whoever
        enters.
        """
        return self._broadcast.ask(viewer, self._clock())

    async def bodies(self) -> AsyncGenerator[bytes]:
        """The bodies of media frames, without end, each when it may go out: whoever takes them slowly gets
        fewer pictures, not older ones. Raises CaptureUnavailable when the screen is gone, and what `seal`
        raises.
        """
        while True:
            now = self._clock()
            body = self._broadcast.take(now)
            if body is not None:
                yield body
            elif (pause := self._broadcast.pause(now)) is not None:
                await asyncio.sleep(pause)
            else:
                await asyncio.sleep(self._broadcast.wait(now))
                await self._next()

    async def _next(self) -> None:
        frame = await self._source.picture()
        now = self._clock()
        time, keyframe = round(1_000 * (now - self._began)), self._broadcast.keyframe_due(now)
        encoder = self._encoder
        encoded = await self._source.run(lambda: encoder.encode(frame, time, keyframe=keyframe))
        if encoded is not None:
            self._broadcast.put(encoded, self._clock())
