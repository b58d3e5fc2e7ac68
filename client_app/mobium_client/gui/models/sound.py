"""The microphone and the speaker of an open profile: opened once, and those that Settings name.

Not its concern: calls and voice rooms themselves, and the page on which devices are chosen.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from mobium.client import Voice, sound_devices
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter

__all__ = ["Sound"]

_NOT_THERE: Final = "The {kind} {name} that Settings name is not there, so the system's own is used."


@dataclass(frozen=True, slots=True)
class SoundNoted:
    """Something is to be said of the devices, or nothing any more."""

    sentence: str


class Sound(Presenter[str]):
    """The devices; the state is a sentence about them, or empty."""

    def __init__(self, opened: Opened) -> None:
        super().__init__(opened.context.bridge, "")
        self._engine = opened.engine
        self._preferences = opened.context.preferences
        self._held = ExitStack()
        self._devices: Any = None
        self._one = asyncio.Lock()
        self._chosen = self._wanted
        self.voice: Voice | None = None
        """One's part in a voice room, whose devices follow too."""
        self._until_closed(self._preferences.watch(self._follow))
        self._until_closed(opened.context.events.on(SoundNoted, lambda noted: self._show(noted.sentence)))
        self._run(self._prepare())

    def close(self) -> None:
        """The profile is locked: the devices are let go."""
        super().close()
        self.bridge.submit(self._let_go())

    # ------------------------------------------------------------ in the background loop

    async def ready(self) -> tuple[Any, str | None, str | None]:
        """The devices, and the names of the microphone and the speaker to use (None: the default one); calls
        use them from now on. Raises MediaUnavailable with the sentence that says what to install.
        """
        async with self._one:
            if self._devices is None:
                self._devices = await asyncio.to_thread(self._held.enter_context, sound_devices())
        microphone, speaker = self._wanted
        said = ""
        if not _has(self._devices.microphones(), microphone):
            said, microphone = _NOT_THERE.format(kind="microphone", name=microphone), None
        if not _has(self._devices.speakers(), speaker):
            said, speaker = _NOT_THERE.format(kind="speaker", name=speaker), None
        self.bridge.tell(SoundNoted(said))
        self._engine.calls.use(self._devices, microphone=microphone, speaker=speaker)
        return self._devices, microphone, speaker

    async def _prepare(self) -> None:
        """So that it rings where Settings say; the engine opens the speaker when it does."""
        microphone, speaker = self._wanted
        self._engine.calls.use(None, microphone=microphone, speaker=speaker)

    async def _move(self) -> None:
        """Other devices were chosen: what is under way goes on there."""
        if self._devices is None:
            await self._prepare()
            return
        _, microphone, speaker = await self.ready()
        self._engine.calls.choose(microphone=microphone, speaker=speaker)
        if self.voice is not None:
            self.voice.choose_speaker(speaker)
            self.voice.choose_microphone(microphone)

    async def _let_go(self) -> None:
        self._devices = None
        await asyncio.to_thread(self._held.close)

    # ------------------------------------------------------------ on the presenters' thread

    @property
    def _wanted(self) -> tuple[str | None, str | None]:
        settings = self._preferences.state
        return settings.microphone, settings.speaker

    def _follow(self) -> None:
        if self._wanted != self._chosen:
            self._chosen = self._wanted
            self._run(self._move(), failed=self._show)


def _has(present: list[Any], name: str | None) -> bool:
    return name is None or not present or any(device.name == name for device in present)
