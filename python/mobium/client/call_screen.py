"""The screens of a call: one's own, shown to the other side, and the other side's, as it comes.

Not its concern: capturing (`mobium.media.share`), and the links over which pictures go (`mobium.media.link`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from mobium.errors import CallError, MobiumError
from mobium.media.capture import Capture
from mobium.media.link import Pictures
from mobium.media.screen import Preset
from mobium.media.share import ScreenSource

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["FADED", "CallScreen"]

log = logging.getLogger(__name__)

FADED: Final = 3.0
"""Seconds without a picture, after which a screen counts as taken away: fifteen come in one."""


class CallScreen:
    """The screens of the present call.

    `show(pictures)` lets links show something; `told(mine, shown, reason)` is called when a screen is shown
    or is not any more, `reason` being a sentence if that was nobody's wish; `start` runs what takes time.
    """

    def __init__(
        self,
        show: Callable[[Pictures | None], None],
        told: Callable[[bool, bool, str], None],
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.watcher: Callable[[VideoFrame], None] | None = None
        self._show = show
        self._told = told
        self._start = start
        self._shared: _Shared | None = None
        self._seen: float | None = None
        self._calls = 0  # that are over

    @property
    def sharing(self) -> bool:
        """Whether one's own screen is shown."""
        return self._shared is not None

    async def share(self, open_capture: Callable[[], Capture], preset: Preset, monitor: str | None) -> None:
        """Show a screen in place of what was shown. Raises CaptureUnavailable, InvalidInput, and CallError
        if the call has ended meanwhile: what was meant for one is not shown to the next one.
        """
        calls = self._calls
        shared = _Shared(self, ScreenSource(open_capture, preset, monitor=monitor))
        await shared.source.__aenter__()
        if self._calls != calls:
            self._start(shared.close())
            raise CallError("The call has ended.", "no_call")
        self.stop()
        self._shared = shared
        self._show(shared)

    def stop(self) -> None:
        """Show one's own screen no more."""
        shared, self._shared = self._shared, None
        if shared is not None:
            self._show(None)
            self._start(shared.close())

    def failed(self, shared: _Shared, reason: str) -> None:
        """What is shown cannot be captured any more."""
        if shared is self._shared:
            self.stop()
            self._told(True, False, reason)

    # ------------------------------------------------------------ the other side's

    def seen(self, picture: VideoFrame, now: float) -> None:
        """A picture has come."""
        before, self._seen = self._seen, now
        if before is None:
            self._told(False, True, "")
        if self.watcher is not None:
            try:
                self.watcher(picture)
            except Exception as error:  # noqa: BLE001 - whatever a program does: pictures are taken on
                log.warning("Whoever watches the screen of a call failed: %s.", type(error).__name__)

    def next_at(self) -> float | None:
        """When `tick` has something to do."""
        return None if self._seen is None else self._seen + FADED

    def tick(self, now: float) -> None:
        """Note that no pictures come any more."""
        if self._seen is not None and self._seen + FADED <= now:
            self._seen = None
            self._told(False, False, "")

    def end(self) -> None:
        """The call is over."""
        self._calls += 1
        self.stop()
        self._seen = None


class _Shared:
    """A screen as pictures for links."""

    def __init__(self, screen: CallScreen, source: ScreenSource) -> None:
        self.source = source
        self._screen = screen

    async def picture(self) -> VideoFrame:
        """As `Pictures` has it."""
        try:
            return await self.source.picture()
        except MobiumError as error:
            self._screen.failed(self, str(error))
            raise

    async def close(self) -> None:
        """Let the screen go."""
        await self.source.__aexit__()
