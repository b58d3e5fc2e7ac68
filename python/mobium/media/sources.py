"""What may stand for a microphone or a loudspeaker: a tone, a file, a recording. One frame of 20 ms a call.

Nothing in here waits: whoever calls `read` and `write` has the clock (`mobium.media.devices.VirtualDevices`).
Files are read by PyAV, whatever their format, rate and channels. Not its concern: real devices.
"""

from __future__ import annotations

import math
import wave
from array import array
from collections import deque
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from mobium.errors import InvalidInput, StoreError
from mobium.media.form import FRAME_BYTES, FRAME_SAMPLES, RATE, check_frame, needed

if TYPE_CHECKING:
    from av import AudioFrame
    from av.container import InputContainer

__all__ = ["FileSource", "MemorySink", "PcmSource", "Sink", "Source", "Tone", "WavSink"]

_HEADER_BYTES = 44  # of a WAV file


class Source(Protocol):
    """What stands for a microphone."""

    def read(self) -> bytes | None:
        """The next frame (1,920 bytes), or None when there will be no more."""

    def close(self) -> None:
        """Nobody reads any more."""


class Sink(Protocol):
    """What stands for a loudspeaker."""

    def write(self, pcm: bytes) -> None:
        """The next frame (1,920 bytes)."""

    def close(self) -> None:
        """Nothing more comes."""


class Tone:
    """A sine that never ends; of volume 0 it is silence."""

    def __init__(self, frequency: float = 440.0, volume: float = 0.25) -> None:
        """`frequency` in Hz, `volume` from 0 to 1."""
        self._step = 2 * math.pi * frequency / RATE
        self._scale = 32_767 * volume
        self._at = 0

    def read(self) -> bytes:
        """The next frame."""
        places = range(self._at, self._at + FRAME_SAMPLES)
        self._at += FRAME_SAMPLES
        return array("h", [round(self._scale * math.sin(self._step * at)) for at in places]).tobytes()

    def close(self) -> None:
        """Nothing to do."""


class PcmSource:
    """Sound that lies in memory: s16le mono 48 kHz; the last frame is filled with silence."""

    def __init__(self, pcm: bytes) -> None:
        self._pcm = pcm
        self._at = 0

    def read(self) -> bytes | None:
        """The next frame, or None at the end."""
        frame = self._pcm[self._at : self._at + FRAME_BYTES]
        self._at += FRAME_BYTES
        return frame.ljust(FRAME_BYTES, b"\0") if frame else None

    def close(self) -> None:
        """Nothing to do."""


class FileSource:
    """A file with sound, of any format that FFmpeg reads, as 48 kHz mono. It is read as it is asked for."""

    def __init__(self, path: Path | str) -> None:
        """Raises InvalidInput for what is no file with sound, MediaUnavailable where PyAV is missing."""
        self._av = needed("av", "Reading a file with sound")
        self._path = Path(path)
        self._held = bytearray()
        try:
            self._container: InputContainer = self._av.open(str(self._path))
        except (OSError, ValueError) as error:  # PyAV's errors are both, by what went wrong
            reason = getattr(error, "strerror", None) or str(error)  # PyAV's ValueErrors have one too
            raise InvalidInput(f"{self._path} cannot be read as sound: {reason}.") from error
        if not self._container.streams.audio:
            self._container.close()
            raise InvalidInput(f"{self._path} has no sound in it.")
        self._frames = self._converted()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> bytes | None:
        """The next frame, or None at the end, which a damaged file has where it is damaged."""
        while len(self._held) < FRAME_BYTES:
            block = next(self._frames, None)
            if block is None:
                break
            self._held += block
        frame = bytes(self._held[:FRAME_BYTES])
        del self._held[:FRAME_BYTES]
        return frame.ljust(FRAME_BYTES, b"\0") if frame else None

    def close(self) -> None:
        """Closes the file."""
        self._frames.close()
        self._container.close()

    def _converted(self) -> Generator[bytes]:
        resampler = self._av.AudioResampler(format="s16", layout="mono", rate=RATE)
        try:
            for frame in self._container.decode(audio=0):
                yield from map(_samples, resampler.resample(frame))
        except (OSError, ValueError):
            pass
        yield from map(_samples, resampler.resample(None))


def _samples(frame: AudioFrame) -> bytes:
    """What is in the frame: its plane may be longer."""
    return bytes(frame.planes[0])[: 2 * frame.samples]


class WavSink:
    """A recording: a WAV file, 48 kHz mono, that can be played whenever the program ends. Of one without a
    single frame nothing stays, and what was there before is as it was.
    """

    def __init__(self, path: Path | str) -> None:
        """The first frame replaces what is at `path`. Raises InvalidInput where nothing can be written."""
        self._path = Path(path)
        self._replaces = self._path.is_file()
        self._new = not self._path.exists()
        self._wav: wave.Wave_write | None = None
        try:
            self._file = self._path.open("xb" if self._new else "r+b", buffering=0)
            try:
                if not self._replaces:
                    self._file.write(bytes(_HEADER_BYTES))  # so that a full disk is found now
                    self._file.seek(0)
            except OSError:
                self._file.close()
                if self._new:
                    self._path.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise InvalidInput(f"{path} cannot be written: {error.strerror}.") from error

    def write(self, pcm: bytes) -> None:
        """One frame more. Raises InvalidInput for another length, StoreError where the disk takes no more."""
        check_frame(pcm)
        try:
            if self._wav is None:
                self._wav = self._began()
            self._wav.writeframes(pcm)  # which keeps the header true as well
        except OSError as error:
            raise StoreError(f"The recording could not be written: {error.strerror}.") from error

    def close(self) -> None:
        """Closes the file. Raises StoreError where the disk takes no more: the recording is there
        up to then.
        """
        try:
            with self._file:
                if self._wav is not None:
                    self._wav.close()
            if self._new and self._wav is None:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"The recording could not be ended: {error.strerror}.") from error

    def _began(self) -> wave.Wave_write:
        if self._replaces:
            self._file.truncate()
        wav = wave.open(self._file, "wb")  # noqa: SIM115
        wav.setparams((1, 2, RATE, 0, "NONE", ""))
        return wav


class MemorySink:
    """What was played last, `seconds` of it."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._frames: deque[bytes] = deque(maxlen=round(seconds * RATE / FRAME_SAMPLES))

    @property
    def pcm(self) -> bytes:
        """What was played, s16le mono 48 kHz."""
        return b"".join(self._frames)

    def write(self, pcm: bytes) -> None:
        """One frame more. Raises InvalidInput for another length."""
        check_frame(pcm)
        self._frames.append(pcm)

    def close(self) -> None:
        """Nothing to do."""
