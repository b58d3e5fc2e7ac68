"""Choosing microphone and speaker, and trying both: a level meter and a tone.

Devices are opened in a thread, one after the other, and let go when this ends. Not its concern: who uses them
in calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from mobium.client import FoundDevices, SoundCheck
from mobium_client.gui.models.context import Context
from mobium_client.gui.models.presenter import Cancel, Presenter

__all__ = ["DeviceSettings", "DeviceSettingsState"]

T = TypeVar("T")

_LOOK: Final = 0.06  # seconds between two looks at the level: faster than an eye follows
_NOTHING: Final = FoundDevices()
_QUIETEST: Final = -60.0  # dBFS that the meter shows as nothing


@dataclass(frozen=True, slots=True)
class DeviceSettingsState:
    """What there is and what is chosen, None for the system's own choice. `level` is 0 to 100 while
    `listening`; `problem` a sentence about what was tried last.
    """

    found: FoundDevices = _NOTHING
    loaded: bool = False
    microphone: str | None = None
    speaker: str | None = None
    listening: bool = False
    busy: bool = False
    level: int = 0
    problem: str = ""


class DeviceSettings(Presenter[DeviceSettingsState]):
    """Shows, chooses and tries devices."""

    def __init__(self, context: Context, check: SoundCheck | None = None) -> None:
        settings = context.preferences.state
        super().__init__(
            context.bridge, DeviceSettingsState(microphone=settings.microphone, speaker=settings.speaker)
        )
        self._context = context
        self._check = check or SoundCheck()
        self._one = asyncio.Lock()  # of the background loop
        self._tick: Cancel | None = None
        self._wanted = False  # whether the microphone is to be heard
        self.look()

    def look(self) -> None:
        """Look again what is plugged in."""
        self._show(replace(self.state, busy=True, problem=""))

        def found(devices: FoundDevices) -> None:
            self._show(replace(self.state, found=devices, loaded=True, busy=False))

        self._run(self._alone(self._check.find), found, self._failed)

    def choose_microphone(self, name: str | None) -> None:
        """Use the microphone of this name, None for the system's own choice."""
        self._show(replace(self.state, microphone=name))
        self._context.preferences.change(microphone=name)
        if self.state.listening:
            self.listen()

    def choose_speaker(self, name: str | None) -> None:
        """Use the speaker of this name, None for the system's own choice."""
        self._show(replace(self.state, speaker=name))
        self._context.preferences.change(speaker=name)

    def listen(self) -> None:
        """Show how loud the microphone is, from now on."""
        name = self.state.microphone
        self._wanted = True
        self._show(replace(self.state, busy=True, problem=""))

        def listening(_: object) -> None:
            if not self._wanted:  # given up before it was open, and let go by now
                return
            self._show(replace(self.state, busy=False, listening=True))
            self._follow()

        self._run(self._alone(lambda: self._check.listen(name)), listening, self._failed)

    def stop(self) -> None:
        """Let the microphone go, if it is heard or about to be."""
        if not self._wanted:
            return
        self._wanted = False
        self._stop_following()
        self._show(replace(self.state, listening=False, level=0, busy=False))
        self._run(self._alone(self._check.close))

    def play(self) -> None:
        """Play a tone on the speaker."""
        name = self.state.speaker
        self._show(replace(self.state, problem=""))
        self._run(self._alone(lambda: self._check.play(name)), lambda _: None, self._silent)

    def close(self) -> None:
        """The end: the devices are let go."""
        self._stop_following()
        self.bridge.submit(self._alone(self._check.close))
        super().close()

    async def _alone(self, work: Callable[[], T]) -> T:
        async with self._one:
            return await asyncio.to_thread(work)

    def _silent(self, problem: str) -> None:
        self._show(replace(self.state, problem=problem))

    def _failed(self, problem: str) -> None:
        self._wanted = False
        self._stop_following()
        self._run(self._alone(self._check.close))  # perhaps one that was asked for meanwhile is open by now
        self._show(replace(self.state, busy=False, listening=False, level=0, problem=problem))

    def _follow(self) -> None:
        self._stop_following()
        level = (self._check.level - _QUIETEST) / -_QUIETEST * 100
        self._show(replace(self.state, level=round(min(100.0, max(0.0, level)))))
        self._tick = self._context.later(_LOOK, self._follow)

    def _stop_following(self) -> None:
        if self._tick is not None:
            self._tick()
            self._tick = None
