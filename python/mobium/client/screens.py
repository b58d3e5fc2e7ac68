"""Screens in a voice room: one's own shown to everybody, and those of others followed.

Not its concern: capturing, coding and the rules of both sides (`mobium.media.share`, `mobium.media.view`),
and keys (`mobium.client.voice_room`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from mobium.client.events import Event, ScreenChanged
from mobium.client.voice_room import VoiceRoom
from mobium.errors import CaptureUnavailable, MediaUnavailable, MobiumError, NotConnected
from mobium.media.capture import Capture, ScreenCapture
from mobium.media.fragments import Reassembly
from mobium.media.screen import PRESETS as SCREEN_PRESETS
from mobium.media.screen import Preset as ScreenPreset
from mobium.media.share import ScreenShare, ScreenSource
from mobium.media.view import ScreenView
from mobium.protocol.limits import media_cost

__all__ = ["SCREEN_PRESETS", "ScreenPreset", "Screens"]

log = logging.getLogger(__name__)

_FADED: Final = 5.0  # seconds without a picture, after which a screen counts as taken away
_LOOK: Final = 0.1
_AGAIN: Final = 0.2  # seconds until the next try while the room is being entered


class Screens:
    """The screens of a voice room, for one's own part in it (`mobium.client.voice.Voice`)."""

    def __init__(self, tell: Callable[[list[Event]], None]) -> None:
        self._tell = tell
        self._room: VoiceRoom | None = None
        self._reassembly = Reassembly()
        self._views: dict[str, ScreenView] = {}
        self._seen: dict[str, float] = {}
        self._people: set[str] = set()
        self._share: ScreenShare | None = None
        self._sharing: asyncio.Task[object] | None = None
        self._shares = 0
        self._turn = asyncio.Lock()
        self.reason = ""
        """Why one's own screen is not shown any more, a sentence; empty if that was one's wish."""

    # ------------------------------------------------------------ one's own

    @property
    def sharing(self) -> bool:
        """Whether one's own screen is shown."""
        return self._sharing is not None and not self._sharing.done()

    async def share(
        self,
        preset: ScreenPreset = SCREEN_PRESETS["720p"],
        *,
        monitor: str | None = None,
        capture: Callable[[], Capture] = ScreenCapture,
    ) -> None:
        """Show a monitor, by name or the default one, to everybody in the room, in place of what was shown.

        Raises CaptureUnavailable where nothing can be captured, with a sentence that says why; InvalidInput
        for a monitor that there is not; MediaUnavailable for want of a library; NotConnected after the room
        was left.
        """
        async with self._turn:
            await self._stop()
            room = self._room
            if room is None or room.state == "left":
                raise NotConnected("This voice room was left.")
            started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._sharing = room.start(self._run(room, preset, monitor, capture, started))
            self._sharing.add_done_callback(lambda _: started.cancel())
            try:
                await started
            except asyncio.CancelledError:
                if self._sharing.done():  # the room was left meanwhile
                    raise NotConnected("This voice room was left.") from None
                self._sharing.cancel()
                raise

    async def stop(self) -> None:
        """Show one's own screen no more."""
        async with self._turn:
            await self._stop()

    async def _stop(self) -> None:
        task, self._sharing, self._share = self._sharing, None, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(
        self,
        room: VoiceRoom,
        preset: ScreenPreset,
        monitor: str | None,
        capture: Callable[[], Capture],
        started: asyncio.Future[None],
    ) -> None:
        self.reason = ""
        try:
            async with ScreenSource(capture, preset, monitor=monitor) as source:
                self._shares += 1
                share = self._share = ScreenShare(source, _sealing(room), media_cost, share=self._shares)
                if not started.done():
                    started.set_result(None)
                while room.state != "left":
                    with suppress(NotConnected):
                        async for body in share.bodies():
                            await room.send_fragment(body)
                    await asyncio.sleep(_AGAIN)
        except MobiumError as error:
            self._fail(error, started)
        except Exception as error:  # noqa: BLE001 - of a capture or an encoder; the voice goes on
            log.warning("A shared screen ended by a fault: %s.", type(error).__name__)
            self._fail(CaptureUnavailable("The screen could not be shown: something went wrong."), started)

    def _fail(self, error: MobiumError, started: asyncio.Future[None]) -> None:
        self._share = None
        if not started.done():
            started.set_exception(error)
            return
        self.reason = str(error)
        if self._room is not None:
            self._tell([ScreenChanged(self._room.channel, "", False, self.reason)])

    # ------------------------------------------------------------ those of others

    @property
    def shown(self) -> list[str]:
        """Who shows a screen now: identity keys in hex."""
        return sorted(self._views)

    def view(self, speaker: str) -> ScreenView | None:
        """What somebody shows, whose `show` gives the picture to look at; None if that is nothing."""
        return self._views.get(speaker)

    def entered(self, room: VoiceRoom) -> None:
        """The room in which screens are shown. Raises NotConnected if it was left by now."""
        if room.state == "left":
            raise NotConnected(room.reason or "This voice room was left.")
        self._room = room
        room.start(self._look())

    def fragment(self, speaker: str, body: bytes) -> None:
        """A piece of a picture has come."""
        sealed = self._reassembly.put(speaker, body, time.monotonic())
        if sealed is not None and self._room is not None:
            self._room.open_picture(speaker, sealed.data)

    def picture(self, speaker: str, picture: bytes) -> None:
        """A picture was opened."""
        self._seen[speaker] = time.monotonic()
        view = self._views.get(speaker)
        if view is None:
            try:
                view = self._views[speaker] = ScreenView(lambda: self._ask(speaker))
            except MediaUnavailable:
                return  # whoever cannot show pictures is not told of them
            self._changed(speaker, True)
        view.put(picture)

    def wanted(self, viewer: str) -> None:
        """Somebody needs a picture of one's own screen that needs none before it."""
        if self._share is not None:
            self._share.ask(viewer)

    def people(self, people: Sequence[str]) -> None:
        """Who is in the room besides oneself."""
        before, self._people = self._people, set(people)
        for viewer in self._people - before:
            self.wanted(viewer)
        for gone in before - self._people:
            self._reassembly.forget(gone)
        for gone in self._views.keys() - self._people:
            self._end(gone)

    def close(self) -> None:
        """The room was left, and with it what was started there."""
        for speaker in list(self._views):
            self._end(speaker)

    def _ask(self, speaker: str) -> None:
        if self._room is not None:
            self._room.ask_picture(speaker)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            now = time.monotonic()
            for speaker, view in list(self._views.items()):
                view.poll()
                if now - self._seen[speaker] > _FADED:
                    self._end(speaker)

    def _end(self, speaker: str) -> None:
        del self._views[speaker], self._seen[speaker]
        self._changed(speaker, False)

    def _changed(self, speaker: str, shown: bool) -> None:
        if self._room is not None:
            self._tell([ScreenChanged(self._room.channel, speaker, shown)])


def _sealing(room: VoiceRoom) -> Callable[[bytes], bytes]:
    def seal(picture: bytes) -> bytes:
        sealed = room.seal_picture(picture)
        if sealed is None:
            raise NotConnected("The voice room is being entered again.")
        return sealed

    return seal
