"""Pictures of shared screens on their way to a window: the newest, in the size in which it is shown.

They are decoded and made smaller in threads of the background loop, one at a time, and only when asked for:
what nobody took is dropped, never queued. Not its concern: where they are shown.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from mobium.client import Voice

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["CallPictures", "Feed", "Picture", "RoomPictures", "fitted"]

_WAIT: Final = 0.5  # seconds until a request without a picture is answered by none
_LOOK: Final = 0.02  # seconds between two looks at a room's screen


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Picture:
    """`rgb` has three bytes for each pixel, row by row."""

    width: int
    height: int
    rgb: bytes


class Feed(Protocol):
    """Where pictures come from."""

    async def next(self, width: int, height: int) -> Picture | None:
        """The next picture in at most this size, or None if none has come for a while."""


def fitted(width: int, height: int, most_wide: int, most_high: int) -> tuple[int, int]:
    """The size of a picture in this room, in its own shape; never larger than it is."""
    factor = min(1.0, most_wide / width, most_high / height)
    return max(2, round(width * factor)), max(2, round(height * factor))


def _scaled(frame: Any, width: int, height: int) -> Picture:
    wide, high = fitted(frame.width, frame.height, width, height)
    small = frame.reformat(wide, high, format="rgb24")
    return Picture(wide, high, small.to_ndarray().tobytes())


class CallPictures:
    """What the other side of a call shows: `put` is given every picture of it."""

    def __init__(self) -> None:
        self._newest: Any = None
        self._come = asyncio.Event()
        self._given: tuple[Any, int, int] | None = None

    def put(self, picture: VideoFrame) -> None:
        """A picture has come."""
        self._newest = picture
        self._come.set()

    def forget(self) -> None:
        """What was shown is over: the next one begins without it."""
        self._newest = None

    async def next(self, width: int, height: int) -> Picture | None:
        """As `Feed` has it."""
        if self._given == (self._newest, width, height):
            self._come.clear()
            try:
                async with asyncio.timeout(_WAIT):
                    await self._come.wait()
            except TimeoutError:
                return None
        frame = self._newest
        if frame is None:
            self._come.clear()
            self._given = (None, width, height)
            return None
        self._given = (frame, width, height)
        return await asyncio.to_thread(_scaled, frame, width, height)


class RoomPictures:
    """What a member shows in a voice room."""

    def __init__(self, voice: Voice, speaker: str) -> None:
        self._voice = voice
        self._speaker = speaker
        self._last: Any = None
        self._size = (0, 0)

    async def next(self, width: int, height: int) -> Picture | None:
        """As `Feed` has it."""
        try:
            async with asyncio.timeout(_WAIT):
                while True:
                    view = self._voice.screens.view(self._speaker)
                    shown = None if view is None else await asyncio.to_thread(view.show)
                    if shown is not None:
                        self._last = shown.frame
                    elif self._last is None or self._size == (width, height):
                        await asyncio.sleep(_LOOK)
                        continue
                    break
        except TimeoutError:
            return None
        self._size = (width, height)
        return await asyncio.to_thread(_scaled, self._last, width, height)
