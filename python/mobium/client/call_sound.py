"""The sound of calls: it rings, the microphone becomes packets, and packets become what the speaker plays.

Microphone and speaker call back in threads of their own; packets leave on the event loop. Whether there are
devices is known before somebody is called. Not its concern: the way that packets take
(`mobium.client.calls`), and the devices themselves (`mobium.media.devices`).
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
from mobium.media.pipeline import Incoming, Outgoing
from mobium.media.tones import BUSY, ENDED, RINGBACK, RINGTONE, TonePlayer, Tune

__all__ = ["BITRATE", "Ringing", "SoundChoice", "Voice"]

BITRATE: Final = 32_000
"""Bits a second, always: packets of 80 bytes, so that their sizes tell nothing of what is said (RFC 6562)."""

_OTHER: Final = "other"  # in a call there is one
_TUNES: Final[dict[CallState, Tune]] = {"ringing": RINGBACK, "incoming": RINGTONE}
_REFUSED: Final = frozenset(("busy", "declined", "not_taken", "no_answer", "unreachable"))
_TALKED: Final[frozenset[CallState]] = frozenset(("active", "reconnecting"))


class SoundChoice:
    """The devices of a machine, and which of them are chosen, by name; None is the default one."""

    def __init__(
        self, devices: Callable[[], AudioDevices], microphone: str | None = None, speaker: str | None = None
    ) -> None:
        self.devices = devices
        self.microphone = microphone
        self.speaker = speaker


class Ringing:
    """What is heard of a call's states."""

    def __init__(self) -> None:
        self._player: TonePlayer | None = None
        self._state: CallState = "ended"

    def note(self, choice: SoundChoice, state: CallState, code: str) -> None:
        """The call is in this state. Where there is no speaker nothing is heard, and nothing else happens."""
        before, self._state = self._state, state
        tune = _TUNES.get(state)
        if state == "ended" and code in _REFUSED:
            tune = BUSY
        elif state == "ended" and before in _TALKED:
            tune = ENDED
        self.stop()
        if tune is not None:
            with suppress(MediaUnavailable):
                self._player = TonePlayer(choice.devices(), choice.speaker)
                self._player.play(tune)

    def choose(self, speaker: str | None) -> None:
        """What is heard goes on on another speaker."""
        if self._player is not None:
            self._player.choose(speaker)

    def stop(self) -> None:
        """Silence."""
        if self._player is not None:
            self._player.stop()
            self._player = None


class Voice:
    """The voices of one call. On the loop `send` is given each packet, `told` what becomes of devices."""

    def __init__(
        self, choice: SoundChoice, send: Callable[[bytes], None], told: Callable[[DeviceEvent], None]
    ) -> None:
        """Raises MediaUnavailable where something is missing, InvalidInput for a device that there is not."""
        self._loop = asyncio.get_running_loop()
        self._choice = choice
        self._devices = choice.devices()
        self._told = told
        self._outgoing = Outgoing(
            lambda packet: self._on_loop(send, packet), encoder=OpusEncoder(bitrate=BITRATE, constant=True)
        )
        self._incoming = Incoming()
        choose("speaker", choice.speaker, self._devices.speakers())
        self._speaker: AudioStream | None = None
        self._microphone: AudioStream | None = self._open_microphone(choice.microphone)

    @property
    def muted(self) -> bool:
        """Whether nothing is sent."""
        return self._outgoing.muted

    @muted.setter
    def muted(self, yes: bool) -> None:
        self._outgoing.muted = yes

    @property
    def level(self) -> float:
        """dBFS of what the microphone hears."""
        return self._outgoing.level

    def listen(self) -> None:
        """Open the speaker, once it rings no more. Raises AudioUnavailable, InvalidInput."""
        if self._speaker is None:
            self._speaker = self._open_speaker(self._choice.speaker)

    def put(self, attempt: int, number: int, packet: bytes) -> None:
        """A packet of the other side has come, over the link of this attempt."""
        self._incoming.put(_OTHER, attempt, number, packet, time.monotonic())

    def reopen(self, choice: SoundChoice) -> None:
        """Use other devices of the same machine.

        Raises AudioUnavailable, InvalidInput; then those before stay in use.
        """
        microphone = self._open_microphone(choice.microphone)
        try:
            speaker = None if self._speaker is None else self._open_speaker(choice.speaker)
        except BaseException:
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

    def _open_microphone(self, name: str | None) -> AudioStream:
        return self._devices.open_microphone(name, self._outgoing.feed, self._tell)

    def _open_speaker(self, name: str | None) -> AudioStream:
        return self._devices.open_speaker(name, lambda: self._incoming.pull(time.monotonic()), self._tell)

    def _tell(self, event: DeviceEvent) -> None:
        self._on_loop(self._told, event)

    def _on_loop(self, act: Callable[..., None], *values: object) -> None:
        with suppress(RuntimeError):  # the loop has ended before the device
            self._loop.call_soon_threadsafe(act, *values)
