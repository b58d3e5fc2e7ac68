"""The microphones and speakers of this machine, through PortAudio (sounddevice).

A stream calls back in a thread of PortAudio. One more thread watches: a stream that has ended, or has not
called for a second, has lost its device. PortAudio only sees what is plugged in when it starts, and starting
it again closes every stream; so a loss, like `rescan`, closes all of them, looks, and opens each again on the
device that was chosen, else on the default one. One that finds none goes on as silence, until `rescan`; while
there is nothing else that an attempt would interrupt, one is made every two seconds.

Where a sound server runs (PulseAudio, PipeWire), PortAudio lists ALSA's names: `default` is what the server's
own settings say, and the server moves it by itself. Not its concern: what is said and heard; other rates and
channels, which PortAudio or the sound server converts.

A sound server that hangs answers nothing for as long as it does, not even that a stream is to be closed. So
PortAudio is spoken to in threads for which nobody waits long; what is closed meanwhile calls nobody back any
more, and is let go once there is an answer.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, ClassVar, Final, TypeVar

from mobium.errors import AudioUnavailable
from mobium.media.devices import (
    AudioStream,
    Device,
    DeviceFound,
    DeviceLost,
    Heard,
    Kind,
    Told,
    Wanted,
    choose,
    fitting,
    guarded_heard,
    guarded_wanted,
)
from mobium.media.form import FRAME_BYTES, FRAME_SAMPLES, FRAME_SECONDS, INSTALL, RATE, SILENCE, needed
from mobium.media.levels import QUIETEST, level

__all__ = ["PortAudioDevices"]

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

ANSWERS: Final = 3.0
"""Seconds that PortAudio has for an answer; once it has taken longer, it is not waited for until it has given
it.
"""

LOST: Final = 1.0
"""Seconds without a call after which a stream has lost its device: fifty frames."""

OPENING: Final = 3.0
"""Seconds that the first call of a stream may take."""

ENDING: Final = 5.0
"""Seconds that ending the thread that watches may take."""

WATCH: Final = 0.25
RETRY: Final = 2.0
"""Seconds from one look at the streams to the next, and from one try to find any device to the next."""

_NO_START: Final = (
    "PortAudio, which reaches microphones and speakers, does not start: the settings of this machine's sound "
    "may be broken."
)
_HINTS: Final = {"linux": "sudo apt install libportaudio2", "darwin": "brew install portaudio"}
_KINDS: Final[dict[Kind, str]] = {"microphone": "max_input_channels", "speaker": "max_output_channels"}
_DEFAULTS: Final[dict[Kind, str]] = {"microphone": "default_input_device", "speaker": "default_output_device"}


def _load() -> Any:
    """The module sounddevice. Raises AudioUnavailable."""
    try:
        import sounddevice
    except ImportError as error:
        text = "Microphones and speakers take the Python package sounddevice, which is missing."
        raise AudioUnavailable(text, INSTALL) from error
    except OSError as error:  # as it is imported it looks for PortAudio
        text = "PortAudio, which reaches microphones and speakers, was not found."
        raise AudioUnavailable(text, _HINTS.get(sys.platform, INSTALL)) from error
    except Exception as error:  # PortAudio starts as it is imported, and its error has a class in there
        raise AudioUnavailable(_NO_START) from error
    return sounddevice


class _Stream:
    """One stream: the chosen device, the one that it is on, and PortAudio's stream there."""

    def __init__(
        self, owner: PortAudioDevices, kind: Kind, chosen: str | None, call: Callable[[Any], None], told: Told
    ) -> None:
        self.device: str | None = None
        self.level = QUIETEST
        self.kind: Kind = kind
        self.chosen = chosen
        self.call = call
        self.told = told
        self.real: Any = None
        self.called = 0.0
        self.ended = False
        self.owner = owner
        self._turn = threading.RLock()  # a stream may be closed by what it calls back

    def close(self) -> None:
        self.owner.closed(self)

    def end(self) -> None:
        """Nothing is called back from here on."""
        with self._turn:
            self.ended = True

    def callback(self, buffer: Any, _frames: int, _when: Any, _status: Any) -> None:
        """What PortAudio calls, in a thread of its own."""
        self.called = time.monotonic()
        self.give(buffer)

    def give(self, buffer: Any) -> None:
        """One frame."""
        with self._turn:
            if not self.ended:
                self.call(buffer)
            elif self.kind == "speaker":
                buffer[:] = SILENCE

    def lost(self, now: float) -> bool:
        return self.real is not None and (not self.real.active or now - self.called > LOST)


class PortAudioDevices:
    """The real ones; `close` ends its thread and its streams. All of these share the one PortAudio of the
    process: what one looks for anew makes the streams of the others pause, and ends none.
    """

    # of all of these
    _late: ClassVar[set[Future[Any]]] = set()
    _every: ClassVar[list[_Stream]] = []
    _lock: ClassVar = threading.RLock()

    def __init__(self) -> None:
        """Raises AudioUnavailable where PortAudio or its binding is missing, or does not start,
        MediaUnavailable without numpy.
        """
        self._sd = self._within(_load)
        needed("numpy", "Measuring how loud a voice is")
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._tried = 0.0
        self._within(self._start)

    def microphones(self) -> list[Device]:
        """Those that PortAudio lists, in its order, by names that stay the same. Raises AudioUnavailable if
        it does not answer.
        """
        return self._within(lambda: self._present("microphone"))

    def speakers(self) -> list[Device]:
        """Those that PortAudio lists, as `microphones` does."""
        return self._within(lambda: self._present("speaker"))

    def rescan(self) -> None:
        """As `AudioDevices` has it; streams pause for about a tenth of a second. Raises AudioUnavailable if
        PortAudio does not answer.
        """
        self._within(self._rescan)

    def _rescan(self) -> None:
        with self._lock:
            before = [(stream, stream.device) for stream in self._every]
            self._reopen()
            told = [self._moved(stream, device) for stream, device in before]
        for tell in told:
            tell()

    def open_microphone(self, name: str | None, heard: Heard, told: Told) -> AudioStream:
        """As `AudioDevices` has it."""

        def call(buffer: Any) -> None:
            pcm = bytes(buffer)
            stream.level = level(pcm)
            guarded_heard(heard, pcm)

        stream = _Stream(self, "microphone", name, call, told)
        return self._open(stream)

    def open_speaker(self, name: str | None, wanted: Wanted, told: Told) -> AudioStream:
        """As `AudioDevices` has it."""

        def call(buffer: Any) -> None:
            pcm = guarded_wanted(wanted)
            stream.level = level(pcm) if stream.real is not None else QUIETEST
            buffer[:] = pcm

        stream = _Stream(self, "speaker", name, call, told)
        return self._open(stream)

    def close(self) -> None:
        """Closes all streams; nothing can be opened any more."""
        for stream in self._streams:
            self.closed(stream)
        self._ended.set()
        if self._thread not in (None, threading.current_thread()):
            self._thread.join(ENDING)

    def closed(self, stream: _Stream) -> None:
        """A stream has ended."""
        stream.end()
        with suppress(AudioUnavailable):
            self._within(lambda: self._let_go(stream))

    def _let_go(self, stream: _Stream) -> None:
        with self._lock:
            if stream in self._every:
                self._every.remove(stream)
            self._shut(stream)

    def _within(self, work: Callable[[], _Result]) -> _Result:
        """Do what PortAudio may never answer. Raises what it raises; AudioUnavailable if it takes too long,
        and then it is done later.
        """
        result: Future[_Result] = Future()

        def run() -> None:
            try:
                result.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised where somebody waits for it
                result.set_exception(error)

        late = bool(self._late)
        threading.Thread(target=run, name="mobium sound", daemon=True).start()
        try:
            return result.result(0.0 if late else ANSWERS)
        except TimeoutError:
            self._late.add(result)
            result.add_done_callback(self._late.discard)
            raise AudioUnavailable("The sound of this machine does not answer.") from None

    # ------------------------------------------------------------ devices

    @property
    def _streams(self) -> list[_Stream]:
        """Those that were opened here."""
        return [one for one in tuple(self._every) if one.owner is self]

    def _start(self) -> None:
        """Look what is plugged in, unless that would interrupt a stream. Raises AudioUnavailable."""
        with self._lock:
            if not any(one.real is not None for one in self._every):
                self._start_again()

    def _start_again(self) -> None:
        """PortAudio looks what is plugged in. No stream may be open. Raises AudioUnavailable."""
        with suppress(self._sd.PortAudioError):  # which did not start the last time
            self._sd._terminate()
        try:
            self._sd._initialize()
        except self._sd.PortAudioError as error:
            raise AudioUnavailable(_NO_START) from error

    def _indexes(self, kind: Kind) -> dict[str, tuple[int, bool]]:
        """The devices of one kind by their names, of the system's own interface alone: others list them
        again. None where PortAudio does not answer.
        """
        found: dict[str, tuple[int, bool]] = {}
        with self._lock, suppress(self._sd.PortAudioError):
            interfaces = self._sd.query_hostapis()
            for own in [one for one in interfaces if one["devices"]][:1]:
                for index in own["devices"]:
                    info = self._sd.query_devices(index)
                    if info[_KINDS[kind]] > 0:
                        found[_name(info["name"], found)] = (index, index == own[_DEFAULTS[kind]])
        return found

    def _present(self, kind: Kind) -> list[Device]:
        return [Device(name, default) for name, (_, default) in self._indexes(kind).items()]

    # ------------------------------------------------------------ streams

    def _open(self, stream: _Stream) -> AudioStream:
        if self._ended.is_set():
            raise AudioUnavailable("Microphones and speakers are closed; make new PortAudioDevices.")
        try:
            self._within(lambda: self._open_now(stream))
        except BaseException:
            self.closed(stream)
            raise
        return stream

    def _open_now(self, stream: _Stream) -> None:
        with self._lock:
            if stream.ended:  # given up meanwhile
                return
            name = choose(stream.kind, stream.chosen, self._present(stream.kind)).name
            self._bind(stream, name)
            self._every.append(stream)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="mobium sound", daemon=True)
                self._thread.start()

    def _bind(self, stream: _Stream, name: str) -> None:
        """Opens PortAudio's stream on the device of this name. Raises AudioUnavailable."""
        index, _ = self._indexes(stream.kind).get(name, (None, False))
        if index is None:
            raise AudioUnavailable(f"The {stream.kind} {name} is gone.")
        make = self._sd.RawInputStream if stream.kind == "microphone" else self._sd.RawOutputStream
        real = None
        try:
            real = make(
                samplerate=RATE,
                blocksize=FRAME_SAMPLES,
                device=index,
                channels=1,
                dtype="int16",
                latency="low",
                callback=stream.callback,
            )
            stream.called = time.monotonic() + OPENING
            real.start()
        except self._sd.PortAudioError as error:
            if real is not None:
                real.close()
            raise AudioUnavailable(f"The {stream.kind} {name} cannot be opened: {error}.") from error
        stream.real, stream.device = real, name

    def _shut(self, stream: _Stream) -> None:
        real, stream.real, stream.device, stream.level = stream.real, None, None, QUIETEST
        if real is not None:
            with suppress(self._sd.PortAudioError):
                real.close()  # which waits until the callback has returned

    def _reopen(self) -> None:
        """All streams anew, on what is there now."""
        for stream in self._every:
            self._shut(stream)
        self._tried = time.monotonic()
        with suppress(AudioUnavailable):  # then there is nothing, until the next try
            self._start_again()
        for stream in self._every:
            present = self._present(stream.kind)
            names = dict.fromkeys(
                [fitting(stream.chosen, present), fitting(None, present), *(one.name for one in present)]
            )
            for name in filter(None, names):
                with suppress(AudioUnavailable):
                    self._bind(stream, name)
                    break

    def _moved(self, stream: _Stream, before: str | None) -> Callable[[], None]:
        """What tells that a stream is on another device than before."""
        now = stream.device
        if now == before:
            return lambda: None
        present = [one.name for one in self._present(stream.kind)]
        back = before is None or now == stream.chosen or (stream.chosen is None and before in present)
        if now is not None and back:
            return lambda: stream.told(DeviceFound(stream.kind, now))
        return lambda: stream.told(DeviceLost(stream.kind, before or "", now))

    # ------------------------------------------------------------ the thread that watches

    def _watch(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(self._pause(due)):
            try:
                due = self._look(due)
            except Exception:
                log.exception("Microphones and speakers could not be watched.")

    def _pause(self, due: float) -> float:
        silent = any(one.real is None and one.kind == "speaker" for one in self._streams)
        return max(0.0, due + FRAME_SECONDS - time.monotonic()) if silent else WATCH

    def _look(self, due: float) -> float:
        """Looks after all streams; when those without a device were last called."""
        now = time.monotonic()
        with self._lock:
            streams = self._streams
            gone = [one for one in streams if one.lost(now)]
            silent = [one for one in streams if one.real is None]
            # looking again would interrupt those that play
            again = bool(silent) and not any(one.real for one in self._every) and now - self._tried > RETRY
        if gone or again:
            self._rescan()
        with self._lock:
            for stream in self._streams:
                if stream.kind == "speaker" and stream.real is None:
                    stream.give(bytearray(FRAME_BYTES))  # so that what is to be heard does not wait
        return max(due + FRAME_SECONDS, now - LOST) if silent else now


def _name(listed: str, taken: dict[str, tuple[int, bool]]) -> str:
    """A name that is the same after the next start: the numbers of ALSA's cards are not."""
    plain = re.sub(r"\s*\(hw:\d+,\d+\)$", "", listed).strip() or listed
    name, count = plain, 1
    while name in taken:
        count += 1
        name = f"{plain} ({count})"
    return name
