"""The edge to microphones and loudspeakers: what every kind of them gives, and the kind that needs no sound
card.

A stream calls back once for each frame of 20 ms, in a thread of its own: a microphone with what it heard, a
speaker for what it is to play. Losing a device raises nothing: the stream goes on with the default, or with
silence, and says so by an event. `VirtualDevices` have sources and sinks (`mobium.media.sources`) and a clock
that is called: `tick` is 20 ms, and `running` calls it in real time. They are the reference, and what servers
and tests use. Not its concern: the real ones (`mobium.media.portaudio`), what is said and heard.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from mobium.errors import AudioUnavailable, InvalidInput, StoreError
from mobium.media.form import FRAME_SECONDS, SILENCE
from mobium.media.levels import QUIETEST, level
from mobium.media.mixer import Mixer, Part
from mobium.media.sources import Sink, Source

__all__ = [
    "AudioDevices",
    "AudioStream",
    "Device",
    "DeviceEvent",
    "DeviceFound",
    "DeviceLost",
    "Heard",
    "Kind",
    "SourceEnded",
    "Told",
    "VirtualDevices",
    "Wanted",
    "choose",
    "fitting",
    "guarded_heard",
    "guarded_wanted",
]

log = logging.getLogger(__name__)

Kind = Literal["microphone", "speaker"]

MADE_UP: Final = 0.5
"""Seconds of a pause that virtual time makes up for, at most."""

ENDING: Final = 5.0
"""Seconds that ending the thread of virtual time may take."""


@dataclass(frozen=True, slots=True)
class Device:
    """A microphone or a speaker."""

    name: str
    """By which it is chosen, today and after the next start."""
    default: bool


@dataclass(frozen=True, slots=True)
class DeviceLost:
    """A device went away during a stream, which goes on with `fallback`, or with silence if that is None.
    `reason` is a sentence where there is more to say, as of a recording that the disk does not take.
    """

    kind: Kind
    name: str
    fallback: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeviceFound:
    """The device that was chosen is back, and the stream has gone back to it."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """What stands for a microphone has come to its end; nothing is heard from it any more."""

    name: str


DeviceEvent = DeviceLost | DeviceFound | SourceEnded
Heard = Callable[[bytes], None]
Wanted = Callable[[], bytes]
Told = Callable[[DeviceEvent], None]


class AudioStream(Protocol):
    """An open microphone or speaker."""

    @property
    def device(self) -> str | None:
        """The device that it is on now; None while there is none."""

    @property
    def level(self) -> float:
        """dBFS of the last frame; -96 for silence."""

    def close(self) -> None:
        """Ends it: nothing is called back once this returns. May be called again."""


class AudioDevices(Protocol):
    """The microphones and speakers of a machine. Where it does not answer, all but `close` of a stream raises
    AudioUnavailable.
    """

    def microphones(self) -> list[Device]:
        """Those there are, as of the last `rescan`."""

    def speakers(self) -> list[Device]:
        """Those there are, as of the last `rescan`."""

    def rescan(self) -> None:
        """Look again what is plugged in. Streams whose chosen device is back go back to it;
        others may pause.
        """

    def open_microphone(self, name: str | None, heard: Heard, told: Told) -> AudioStream:
        """`heard` gets every frame of the microphone called `name`, or of the default one for None.

        Raises InvalidInput for a name that there is not, AudioUnavailable if there is no microphone.
        """

    def open_speaker(self, name: str | None, wanted: Wanted, told: Told) -> AudioStream:
        """`wanted` is asked for every frame that the speaker called `name`, or the default one, is to play.

        Raises InvalidInput for a name that there is not, AudioUnavailable if there is no speaker.
        """


def choose(kind: Kind, name: str | None, present: list[Device]) -> Device:
    """The device of this name, or the default one for None. Raises InvalidInput or AudioUnavailable."""
    if not present:
        raise AudioUnavailable(f"There is no {kind} on this machine.")
    if name is None:
        return next((device for device in present if device.default), present[0])
    for device in present:
        if device.name == name:
            return device
    names = ", ".join(device.name for device in present)
    raise InvalidInput(f"There is no {kind} called {name}; there are: {names}.")


def fitting(chosen: str | None, present: list[Device]) -> str | None:
    """The name of the device that a stream is to be on: the chosen one, else the default one, else none."""
    names = [device.name for device in present]
    if chosen in names:
        return chosen
    return choose("speaker", None, present).name if present else None


def guarded_heard(heard: Heard, pcm: bytes) -> None:
    """Calls back with a frame. A fault there is logged: it must not end the thread of a sound card."""
    try:
        heard(pcm)
    except Exception:
        log.exception("What the microphone heard could not be used.")


def guarded_wanted(wanted: Wanted) -> bytes:
    """Asks for a frame; silence after a fault, which is logged."""
    try:
        return wanted()
    except Exception:
        log.exception("What the speaker is to play could not be made.")
        return SILENCE


class _Stream:
    """A stream of `VirtualDevices`."""

    def __init__(self, devices: VirtualDevices, kind: Kind, chosen: str | None, told: Told) -> None:
        self.device: str | None = None
        self.level = QUIETEST
        self.kind: Kind = kind
        self.chosen = chosen
        self.told = told
        self._devices = devices

    def close(self) -> None:
        self._devices.closed(self)


class _Microphone(_Stream):
    def __init__(self, devices: VirtualDevices, chosen: str | None, heard: Heard, told: Told) -> None:
        super().__init__(devices, "microphone", chosen, told)
        self.heard = heard


class _Speaker(_Stream):
    def __init__(self, devices: VirtualDevices, chosen: str | None, wanted: Wanted, told: Told) -> None:
        super().__init__(devices, "speaker", chosen, told)
        self.wanted = wanted


class VirtualDevices:
    """Microphones that are sources and speakers that are sinks. The first of each is the default."""

    def __init__(
        self, microphones: Mapping[str, Source] | None = None, speakers: Mapping[str, Sink] | None = None
    ) -> None:
        """Raises MediaUnavailable where numpy is missing."""
        self._sources = dict(microphones or {})
        self._sinks = dict(speakers or {})
        self._mixers = {name: Mixer() for name in self._sinks}
        self._ended: set[str] = set()
        self._begun: set[str] = set()  # sinks that a stream was on: before, a recording has no time to keep
        self._failed: dict[str, str] = {}
        self._streams: list[_Microphone | _Speaker] = []
        self._lock = threading.RLock()  # a stream may be closed by what it calls back

    def microphones(self) -> list[Device]:
        """Those that are plugged in."""
        return self._present("microphone")

    def speakers(self) -> list[Device]:
        """Those that are plugged in."""
        return self._present("speaker")

    @property
    def streams(self) -> int:
        """How many are open."""
        return len(self._streams)

    def rescan(self) -> None:
        """Streams whose chosen device is back go back to it."""
        with self._lock:
            for stream in list(self._streams):
                found = fitting(stream.chosen, self._present(stream.kind))
                if found is not None and found != stream.device and stream.chosen in (None, found):
                    stream.device = found
                    stream.told(DeviceFound(stream.kind, found))

    def open_microphone(self, name: str | None, heard: Heard, told: Told) -> AudioStream:
        """As `AudioDevices` has it."""
        return self._open(_Microphone(self, name, heard, told))

    def open_speaker(self, name: str | None, wanted: Wanted, told: Told) -> AudioStream:
        """As `AudioDevices` has it."""
        return self._open(_Speaker(self, name, wanted, told))

    def plug_microphone(self, name: str, source: Source) -> None:
        """One more, or another one of this name."""
        with self._lock:
            self._sources[name] = source
            self._ended.discard(name)

    def plug_speaker(self, name: str, sink: Sink) -> None:
        """One more, or another one of this name."""
        with self._lock:
            self._sinks[name] = sink
            self._mixers[name] = Mixer()
            self._failed.pop(name, None)

    def unplug(self, name: str) -> None:
        """It is gone, which its streams notice at the next tick."""
        with self._lock:
            for gone in (self._sources.pop(name, None), self._sinks.pop(name, None)):
                if gone is not None:
                    _let_go(gone)

    def tick(self) -> None:
        """20 ms pass."""
        with self._lock:
            for stream in list(self._streams):
                self._notice(stream)
            for name, source in list(self._sources.items()):
                self._hear(name, source)
            self._play()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Time passes, in a thread, at the pace of the wall; at the end all sources and sinks are closed."""
        stop = threading.Event()

        def run() -> None:
            due = time.monotonic()
            while not stop.wait(max(0.0, due - time.monotonic())):
                self.tick()
                # after a pause of the machine time goes on from here instead of being made up for
                due = max(due + FRAME_SECONDS, time.monotonic() - MADE_UP)

        thread = threading.Thread(target=run, name="mobium virtual sound", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(ENDING)
            self.close()

    def close(self) -> None:
        """Closes all sources and sinks."""
        with self._lock:
            for name in [*self._sources, *self._sinks]:
                self.unplug(name)

    def closed(self, stream: _Stream) -> None:
        """A stream has ended."""
        with self._lock:
            self._streams = [one for one in self._streams if one is not stream]
            stream.device, stream.level = None, QUIETEST

    def _present(self, kind: Kind) -> list[Device]:
        with self._lock:
            names = list(self._sources if kind == "microphone" else self._sinks)
        return [Device(name, default=name == names[0]) for name in names]

    def _open(self, stream: _Microphone | _Speaker) -> AudioStream:
        with self._lock:
            stream.device = choose(stream.kind, stream.chosen, self._present(stream.kind)).name
            self._streams.append(stream)
        return stream

    def _notice(self, stream: _Stream) -> None:
        """A stream whose device is gone falls back; one that has none takes what there is."""
        present = self._present(stream.kind)
        if any(device.name == stream.device for device in present):
            return
        before, stream.device = stream.device, fitting(stream.chosen, present)
        if before is not None:
            reason = self._failed.get(before, "") if stream.kind == "speaker" else ""
            stream.told(DeviceLost(stream.kind, before, stream.device, reason))
        elif stream.device is not None:
            stream.told(DeviceFound(stream.kind, stream.device))

    def _hear(self, name: str, source: Source) -> None:
        listening = [one for one in self._streams if isinstance(one, _Microphone) and one.device == name]
        if not listening or name in self._ended:
            return
        pcm = source.read()
        if pcm is None:
            self._ended.add(name)
        for stream in listening:
            if pcm is None:
                stream.level = QUIETEST
                stream.told(SourceEnded(name))
            else:
                stream.level = level(pcm)
                guarded_heard(stream.heard, pcm)

    def _play(self) -> None:
        parts: dict[str, list[Part]] = {name: [] for name in self._sinks}
        for stream in list(self._streams):
            if isinstance(stream, _Speaker):
                # Also for one that is on none, so that it does not fall behind.
                pcm = guarded_wanted(stream.wanted)
                stream.level = level(pcm) if stream.device is not None else QUIETEST
                if stream.device is not None:
                    parts[stream.device].append(Part(pcm))
        self._begun |= {name for name, heard in parts.items() if heard}
        for name, heard in parts.items():
            sink = self._sinks.get(name)  # it may have been unplugged by what was called
            if sink is not None and name in self._begun:
                try:
                    sink.write(self._mixers[name].mix(heard))
                except StoreError as error:
                    log.error("%s is no speaker any more: %s", name, error)  # noqa: TRY400
                    self._failed[name] = str(error)
                    _let_go(self._sinks.pop(name))  # and not a microphone of the same name


def _let_go(device: Source | Sink) -> None:
    try:
        device.close()
    except StoreError as error:
        log.error("%s", error)  # noqa: TRY400
