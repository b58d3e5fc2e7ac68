"""Trying a microphone and a speaker before a call: which there are, how loud it is, and what is missing.

Opening a device may take a second: call it from a thread. Not its concern: voices (`mobium.client.calls`,
`mobium.client.rooms`), and devices themselves (`mobium.media`).
"""

from __future__ import annotations

from dataclasses import dataclass

from mobium.errors import MediaUnavailable
from mobium.media.devices import AudioDevices, AudioStream, DeviceEvent, choose
from mobium.media.levels import QUIETEST
from mobium.media.opus import libopus
from mobium.media.portaudio import PortAudioDevices
from mobium.media.tones import TEST, TonePlayer

__all__ = ["FoundDevices", "SoundCheck"]


@dataclass(frozen=True, slots=True)
class FoundDevices:
    """The names of what is plugged in, and sentences about what is missing, each with what installs it."""

    microphones: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class SoundCheck:
    """The devices of this machine, or `devices`, as long as somebody tries them. `close` lets them go."""

    def __init__(self, devices: AudioDevices | None = None) -> None:
        self._given = devices
        self._own: PortAudioDevices | None = None
        self._microphone: AudioStream | None = None
        self._player: TonePlayer | None = None

    def find(self) -> FoundDevices:
        """Look what there is. Raises nothing: what is missing is said."""
        problems = []
        try:
            libopus()
        except MediaUnavailable as error:
            problems.append(str(error))
        try:
            devices = self._devices()
            devices.rescan()
            microphones = tuple(device.name for device in devices.microphones())
            speakers = tuple(device.name for device in devices.speakers())
        except MediaUnavailable as error:
            return FoundDevices(problems=(*problems, str(error)))
        if not microphones:
            problems.append("There is no microphone on this machine: others will not hear you.")
        if not speakers:
            problems.append("There is no speaker on this machine: you will not hear others.")
        return FoundDevices(microphones, speakers, tuple(problems))

    def listen(self, microphone: str | None) -> None:
        """Open the microphone of this name, None for the default one, in place of the one before.

        Raises InvalidInput for a name that there is not, MediaUnavailable.
        """
        self._stop_listening()
        self._microphone = self._devices().open_microphone(microphone, _heard, _told)

    @property
    def level(self) -> float:
        """dBFS of what the microphone hears; -96 for silence, and while none is open."""
        return QUIETEST if self._microphone is None else self._microphone.level

    def play(self, speaker: str | None) -> None:
        """Play a tone of about two seconds on the speaker of this name, None for the default one.

        Raises InvalidInput for a name that there is not, MediaUnavailable.
        """
        devices = self._devices()
        choose("speaker", speaker, devices.speakers())
        self._player = self._player or TonePlayer(devices)
        self._player.choose(speaker)
        self._player.play(TEST)

    def close(self) -> None:
        """Let go of everything. May be called again."""
        self._stop_listening()
        if self._player is not None:
            self._player.stop()
            self._player = None
        if self._own is not None:
            self._own.close()
            self._own = None

    def _devices(self) -> AudioDevices:
        if self._given is not None:
            return self._given
        self._own = self._own or PortAudioDevices()
        return self._own

    def _stop_listening(self) -> None:
        stream, self._microphone = self._microphone, None
        if stream is not None:
            stream.close()


def _heard(_pcm: bytes) -> None:
    """What is heard is measured, and goes nowhere."""


def _told(_event: DeviceEvent) -> None:
    """A device that is lost shows as silence."""
