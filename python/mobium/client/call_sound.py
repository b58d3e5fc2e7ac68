"""The sound of calls: it rings, the microphone becomes packets, and packets become what the speaker plays.

Microphone and speaker call back in threads of their own; packets leave on the event loop. Whether there are
devices is known before somebody is called, but the microphone is open only while there is a connection. Not
its concern: the way that packets take (`mobium.client.calls`), and the devices themselves
(`mobium.media.devices`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from mobium.client.events import CallState
from mobium.errors import MediaUnavailable
from mobium.media.devices import AudioDevices, AudioStream, DeviceEvent, choose
from mobium.media.opus import OpusEncoder
from mobium.media.pipeline import Incoming, Outgoing, SpeakerReport
from mobium.media.portaudio import PortAudioDevices
from mobium.media.tones import BUSY, ENDED, RINGBACK, RINGTONE, TonePlayer, Tune

__all__ = ["BITRATE", "CallVoice", "Ringing", "SoundChoice"]

BITRATE: Final = 32_000
"""Bits a second, always: packets of 80 bytes, so that their sizes tell nothing of what is said (RFC 6562)."""

_OTHER: Final = "other"  # in a call there is one
_TUNES: Final[dict[CallState, Tune]] = {"ringing": RINGBACK, "incoming": RINGTONE}
_REFUSED: Final = frozenset(("busy", "declined", "not_taken", "no_answer", "unreachable"))
_TALKED: Final[frozenset[CallState]] = frozenset(("active", "reconnecting"))


class SoundChoice:
    """The devices that calls use: those that were given, else the machine's own; and which of them, by name,
    None for the default one.
    """

    def __init__(self) -> None:
        self.given: AudioDevices | None = None
        self.microphone: str | None = None
        self.speaker: str | None = None
        self._own: PortAudioDevices | None = None

    def devices(self) -> AudioDevices:
        """Raises MediaUnavailable."""
        if self.given is not None:
            return self.given
        self._own = self._own or PortAudioDevices()
        return self._own

    def close(self) -> None:
        """Let the machine's own devices go."""
        if self._own is not None:
            self._own.close()
            self._own = None


class Ringing:
    """What is heard of a call's states, where there is a speaker."""

    def __init__(self, choice: SoundChoice) -> None:
        self._choice = choice
        self._player: TonePlayer | None = None
        self._state: CallState = "ended"

    def note(self, state: CallState, code: str) -> None:
        """The call is in this state."""
        before, self._state = self._state, state
        tune = _TUNES.get(state)
        if state == "ended" and code in _REFUSED and before != "incoming":  # who declines needs no tone
            tune = BUSY
        elif state == "ended" and before in _TALKED:
            tune = ENDED
        self.stop()
        if tune is not None:
            with suppress(MediaUnavailable):
                self._player = TonePlayer(self._choice.devices(), self._choice.speaker)
                self._player.play(tune)

    def move(self) -> None:
        """Another speaker was chosen: what is heard goes on there."""
        if self._player is not None:
            self._player.choose(self._choice.speaker)

    def stop(self) -> None:
        """Silence."""
        if self._player is not None:
            self._player.stop()
            self._player = None


class CallVoice:
    """The voices of one call. On the loop `send` is given each packet, `told` what becomes of devices."""

    def __init__(
        self, choice: SoundChoice, send: Callable[[bytes], None], told: Callable[[DeviceEvent], None]
    ) -> None:
        """Raises MediaUnavailable where something is missing, InvalidInput for a device that there is not."""
        self._loop = asyncio.get_running_loop()
        self._choice = choice
        self._devices = choice.devices()
        choose("microphone", choice.microphone, self._devices.microphones())
        choose("speaker", choice.speaker, self._devices.speakers())
        self._told = told
        self._outgoing = Outgoing(
            lambda packet: self._on_loop(send, packet), encoder=OpusEncoder(bitrate=BITRATE, constant=True)
        )
        self._incoming = Incoming()
        self._speaker: AudioStream | None = None
        self._microphone: AudioStream | None = None

    @property
    def muted(self) -> bool:
        """Whether nothing is sent."""
        return self._outgoing.muted

    @muted.setter
    def muted(self, yes: bool) -> None:
        self._outgoing.muted = yes

    def listen(self) -> None:
        """Open the speaker, once it rings no more. Raises AudioUnavailable, InvalidInput."""
        if self._speaker is None:
            self._speaker = self._open_speaker()

    def speak(self) -> None:
        """Open the microphone, once there is somebody to hear it. Raises AudioUnavailable, InvalidInput."""
        if self._microphone is None:
            self._microphone = self._open_microphone()

    def put(self, attempt: int, number: int, packet: bytes) -> None:
        """A packet of the other side has come, over the link of this attempt."""
        self._incoming.put(_OTHER, attempt, number, packet, time.monotonic())

    def report(self) -> SpeakerReport | None:
        """How it is with what is heard; None before anything was."""
        return self._incoming.report().get(_OTHER)

    def move(self) -> None:
        """Other devices were chosen. Raises AudioUnavailable, InvalidInput; then those before stay in use."""
        microphone = None if self._microphone is None else self._open_microphone()
        try:
            speaker = None if self._speaker is None else self._open_speaker()
        except BaseException:
            if microphone is not None:
                microphone.close()
            raise
        self._shut()
        self._microphone, self._speaker = microphone, speaker

    def close(self) -> None:
        """Be silent and deaf from now on."""
        self._shut()
        self._microphone = self._speaker = None

    def _shut(self) -> None:
        for stream in (self._microphone, self._speaker):
            if stream is not None:
                stream.close()

    def _open_microphone(self) -> AudioStream:
        return self._devices.open_microphone(self._choice.microphone, self._outgoing.feed, self._tell)

    def _open_speaker(self) -> AudioStream:
        return self._devices.open_speaker(self._choice.speaker, self._wanted, self._tell)

    def _wanted(self) -> bytes:
        return self._incoming.pull(time.monotonic())

    def _tell(self, event: DeviceEvent) -> None:
        self._on_loop(self._told, event)

    def _on_loop(self, act: Callable[..., None], *values: object) -> None:
        with suppress(RuntimeError):  # the loop has ended before the device
            self._loop.call_soon_threadsafe(act, *values)
