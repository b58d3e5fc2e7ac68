"""Speaking and listening in a voice room: the microphone becomes packets, and the packets of everybody become
what the speaker plays.

Microphone and speaker call back in threads of their own; everything else belongs to the event loop. Not its
concern: keys and frames (`mobium.client.voice_room`), the devices themselves (`mobium.media.devices`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from mobium.client.events import Event, SpeakingChanged
from mobium.client.rooms import Rooms
from mobium.client.screens import Screens
from mobium.client.sound import sound_changed
from mobium.client.voice_room import Listener, RoomState, VoiceRoom
from mobium.crypto.media import FIRST_COUNTER
from mobium.errors import NotConnected
from mobium.media.devices import AudioDevices, AudioStream, DeviceEvent
from mobium.media.pipeline import Incoming, Outgoing, SpeakerReport

__all__ = ["Voice"]

_ME: Final = ""


class Voice:
    """One's part in the talk of a voice room, from `join` to `leave`.

        voice = await Voice.join(engine.rooms, "#garden", devices)
        voice.muted = True

    Names of speakers are identity keys in hex.
    """

    def __init__(self, devices: AudioDevices, tell: Callable[[list[Event]], None]) -> None:
        self._devices = devices
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._outgoing = Outgoing(
            lambda packet: self._on_loop(self._say, packet),
            lambda speaking: self._on_loop(self._speaks, _ME, speaking),
        )
        self._incoming = Incoming(
            lambda speaker, speaking: self._on_loop(self._speaks, speaker, speaking), first=FIRST_COUNTER
        )
        self.screens: Final = Screens(tell)
        """One's own screen, and those of others."""
        self._room: VoiceRoom | None = None
        self._microphone: AudioStream | None = None
        self._speaker: AudioStream | None = None
        self._speaking: set[str] = set()
        self._over = asyncio.Event()
        self._silenced = False
        self._reason = ""

    @classmethod
    async def join(
        cls,
        rooms: Rooms,
        channel: str,
        devices: AudioDevices,
        *,
        microphone: str | None = None,
        speaker: str | None = None,
        listen_only: bool = False,
    ) -> Voice:
        """Enter the voice room of a channel with a microphone and a speaker, by name or the default ones.
        With `listen_only` the microphone stays closed until `choose_microphone`. `SpeakingChanged` tells who
        speaks, and `SoundChanged` what becomes of the devices.

        Raises what `Rooms.join` raises, MediaUnavailable for want of a library or a device, InvalidInput for
        a device that there is not.
        """
        voice = cls(devices, rooms.tell)
        try:
            voice.choose_speaker(speaker)
            voice._room = await rooms.join(channel, _Ear(voice))
            voice.screens.entered(voice._room)
            if not listen_only:
                voice.choose_microphone(microphone)
        except BaseException:
            voice._silence()
            if voice._room is not None:
                rooms.let_go(voice._room)
            raise
        return voice

    async def leave(self) -> None:
        """Leave the room; the devices are let go."""
        self._silence()
        if self._room is not None:
            await self._room.leave()  # which ends a screen, too, that is about to be shown
        await self.screens.stop()

    async def over(self) -> str:
        """Wait until the room was left; returns a sentence if that was nobody's wish."""
        await self._over.wait()
        return self._reason

    # ------------------------------------------------------------ what a person does

    @property
    def muted(self) -> bool:
        """Whether nothing is sent: no frame at all, and no sign that somebody speaks."""
        return self._outgoing.muted

    @muted.setter
    def muted(self, yes: bool) -> None:
        self._outgoing.muted = yes

    @property
    def deafened(self) -> bool:
        """Whether nothing is heard; who speaks is told all the same."""
        return self._incoming.deafened

    @deafened.setter
    def deafened(self, yes: bool) -> None:
        self._incoming.deafened = yes

    def set_volume(self, speaker: str, volume: float) -> None:
        """How loud somebody is heard: 0 to 2, and 1 is as he came. Raises InvalidInput."""
        self._incoming.set_volume(speaker, volume)

    def choose_microphone(self, name: str | None) -> None:
        """Speak into this microphone from now on, or the default one. Raises AudioUnavailable, InvalidInput;
        then the one before stays. Raises NotConnected once the room was left.
        """
        self._check_not_over()
        stream = self._devices.open_microphone(name, self._outgoing.feed, self._device_told)
        if self._microphone is not None:
            self._microphone.close()
        self._microphone = stream

    def choose_speaker(self, name: str | None) -> None:
        """Listen at this speaker from now on, or the default one. Raises what `choose_microphone` does."""
        self._check_not_over()
        stream = self._devices.open_speaker(name, self._wanted, self._device_told)
        if self._speaker is not None:
            self._speaker.close()
        self._speaker = stream

    def _check_not_over(self) -> None:
        """Nobody would close what is opened after the end. Raises NotConnected."""
        if self._silenced:
            raise NotConnected("This voice room was left.")

    # ------------------------------------------------------------ how it is

    @property
    def state(self) -> RoomState:
        """Whether the room is being entered (again), or this side is in it, or it was left."""
        return "entering" if self._room is None else self._room.state

    @property
    def people(self) -> list[str]:
        """Who is in the room besides oneself."""
        return [] if self._room is None else self._room.people

    @property
    def speaking(self) -> frozenset[str]:
        """Who speaks now; "" is oneself."""
        return frozenset(self._speaking)

    @property
    def level(self) -> float:
        """How loud the microphone is, in dBFS, muted or not."""
        return self._outgoing.level

    def report(self) -> dict[str, SpeakerReport]:
        """How it is with each speaker."""
        return {str(name): report for name, report in self._incoming.report().items()}

    # ------------------------------------------------------------ between the threads

    def _wanted(self) -> bytes:
        return self._incoming.pull(time.monotonic())

    def _say(self, packet: bytes) -> None:
        if self._room is not None:
            self._room.say(packet)

    def _device_told(self, event: DeviceEvent) -> None:
        self._on_loop(self._tell, [sound_changed(event)])

    def _on_loop(self, act: Callable[..., None], *values: object) -> None:
        with suppress(RuntimeError):  # the loop has ended before the device
            self._loop.call_soon_threadsafe(act, *values)

    # ------------------------------------------------------------ what the room tells

    def _speaks(self, speaker: str, yes: bool) -> None:
        if self._room is None or (speaker and speaker not in self._room.people):
            yes = False
        if yes == (speaker in self._speaking):
            return
        (self._speaking.add if yes else self._speaking.discard)(speaker)
        if self._room is not None:
            self._tell([SpeakingChanged(self._room.channel, speaker, yes)])

    def _heard(self, speaker: str, key: int, number: int, packet: bytes) -> None:
        self._incoming.put(speaker, key, number, packet, time.monotonic())

    def _with(self, people: Sequence[str]) -> None:
        self.screens.people(people)
        for gone in self._incoming.report().keys() - set(people):
            self._incoming.remove(gone)
            self._speaks(str(gone), False)

    def _left(self, reason: str) -> None:
        self._reason = reason
        self._silence()
        self.screens.close()
        self._over.set()

    def _silence(self) -> None:
        self._silenced = True
        for stream in (self._microphone, self._speaker):
            if stream is not None:
                stream.close()
        self._microphone = self._speaker = None
        for speaker in list(self._speaking):
            self._speaks(speaker, False)


class _Ear(Listener):
    """What a room tells, for a voice."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice

    def voice(self, speaker: str, key: int, number: int, packet: bytes) -> None:
        self._voice._heard(speaker, key, number, packet)

    def fragment(self, speaker: str, body: bytes) -> None:
        self._voice.screens.fragment(speaker, body)

    def picture(self, speaker: str, key: int, number: int, picture: bytes) -> None:
        del key, number  # a picture has a number of its own
        self._voice.screens.picture(speaker, picture)

    def picture_wanted(self, viewer: str) -> None:
        self._voice.screens.wanted(viewer)

    def people(self, people: Sequence[str]) -> None:
        self._voice._with(people)

    def left(self, reason: str) -> None:
        self._voice._left(reason)
