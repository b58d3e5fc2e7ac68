"""What is heard of a call before and after it: ringing, ringback, busy, the end; and a tone to try a speaker
with.

All of it is generated, so that there is no file to ship or to lose. `TonePlayer` plays one tune at a time on
the chosen speaker and moves with the choice. Not its concern: which tune is due when.
"""

from __future__ import annotations

import functools
import logging
import math
import threading
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Final

from mobium.errors import AudioUnavailable, InvalidInput
from mobium.media.devices import AudioDevices, AudioStream, DeviceEvent
from mobium.media.form import FRAME_BYTES, RATE, SILENCE

__all__ = ["BUSY", "ENDED", "RINGBACK", "RINGTONE", "TEST", "Step", "TonePlayer", "Tune", "TuneSource"]

log = logging.getLogger(__name__)

VOLUME: Final = 0.2
"""About -17 dBFS for one sine: heard beside music, and no fright in headphones."""

EDGE: Final = RATE // 200
"""Samples in which a sound begins and ends, 5 ms: at once would be a click."""


@dataclass(frozen=True, slots=True)
class Step:
    """These frequencies (Hz) together, for so many seconds, a multiple of 0.02; none of them is silence."""

    seconds: float
    frequencies: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Tune:
    """Steps, one after the other, as often as `times` says; None is until somebody stops it."""

    steps: tuple[Step, ...]
    times: int | None = 1


RINGTONE: Final = Tune(
    (
        *(Step(0.12, (659.25, 1318.5)), Step(0.12, (783.99, 1567.98)), Step(0.24, (987.77, 1975.53))),
        Step(0.3),
        *(Step(0.12, (659.25, 1318.5)), Step(0.12, (783.99, 1567.98)), Step(0.24, (987.77, 1975.53))),
        Step(2.0),
    ),
    times=None,
)
"""Somebody calls."""

RINGBACK: Final = Tune((Step(1.0, (425.0,)), Step(4.0)), times=None)
"""It rings there: the tone of most of Europe (ITU-T E.180)."""

BUSY: Final = Tune((Step(0.5, (425.0,)), Step(0.5)), times=4)
"""Busy, declined, or not to be reached."""

ENDED: Final = Tune((Step(0.16, (523.25,)), Step(0.04), Step(0.24, (392.0,)), Step(0.1)))
"""The call has ended."""

TEST: Final = Tune((Step(0.3, (440.0,)), Step(0.1), Step(0.3, (554.37,)), Step(0.1), Step(0.5, (659.25,))))
"""To try a speaker."""


class TuneSource:
    """A tune as a source: frame by frame, None at its end."""

    def __init__(self, tune: Tune) -> None:
        rounds = (
            repeat(_frames(tune.steps)) if tune.times is None else repeat(_frames(tune.steps), tune.times)
        )
        self._frames: Iterator[bytes] = chain.from_iterable(rounds)

    def read(self) -> bytes | None:
        """The next frame, or None at the end."""
        return next(self._frames, None)

    def close(self) -> None:
        """Nothing to do."""


@functools.cache
def _frames(steps: tuple[Step, ...]) -> tuple[bytes, ...]:
    pcm = b"".join(map(_sound, steps))
    return tuple(pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES))


def _sound(step: Step) -> bytes:
    length = round(step.seconds * RATE)
    if not step.frequencies:
        return bytes(2 * length)
    scale = 32_767 * VOLUME / len(step.frequencies)
    turns = [2 * math.pi * frequency / RATE for frequency in step.frequencies]
    return array(
        "h",
        (
            round(
                scale * min(1.0, at / EDGE, (length - at) / EDGE) * sum(math.sin(turn * at) for turn in turns)
            )
            for at in range(length)
        ),
    ).tobytes()


class TonePlayer:
    """Plays one tune at a time. It raises nothing: a call goes on where its ringing cannot be heard."""

    def __init__(self, devices: AudioDevices, speaker: str | None = None) -> None:
        """`speaker` is the name of the speaker to play on; None is the default one."""
        self._devices = devices
        self._speaker = speaker
        self._tune: Tune | None = None
        self._source: TuneSource | None = None
        self._stream: AudioStream | None = None
        self._lock = threading.RLock()

    @property
    def playing(self) -> Tune | None:
        """The tune that is heard now."""
        return self._tune

    def choose(self, speaker: str | None) -> None:
        """Play on this speaker from now on; what is being played goes on there."""
        with self._lock:
            self._speaker = speaker
            if self._source is not None:
                self._shut()
                self._open(self._source)

    def play(self, tune: Tune) -> None:
        """This tune, from its beginning, instead of what is being played. It ends by itself or by `stop`."""
        with self._lock:
            self.stop()
            self._tune, self._source = tune, TuneSource(tune)
            self._open(self._source)

    def stop(self) -> None:
        """Silence, and the speaker is let go. May be called at any time, and again."""
        with self._lock:
            self._tune = self._source = None
            self._shut()

    def _open(self, source: TuneSource) -> None:
        def wanted() -> bytes:
            # Whatever becomes of the stream, what was stopped is silent.
            frame = source.read() if self._source is source else None
            if frame is not None:
                return frame
            if not ended.is_set():
                ended.set()
                # a stream cannot be closed by what it calls
                threading.Thread(
                    target=self._end, args=(source,), name="mobium tone ends", daemon=True
                ).start()
            return SILENCE

        ended = threading.Event()
        for speaker in dict.fromkeys((self._speaker, None)):
            try:
                self._stream = self._devices.open_speaker(speaker, wanted, _told)
            except (AudioUnavailable, InvalidInput) as error:
                log.warning("A tone cannot be heard: %s", error)
            else:
                return

    def _end(self, source: TuneSource | None) -> None:
        with self._lock:
            if source is not None and self._source is source:
                self.stop()

    def _shut(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


def _told(event: DeviceEvent) -> None:
    log.info("While a tone was played: %s", event)
