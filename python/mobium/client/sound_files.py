"""Files in place of a microphone and a speaker: a bot that speaks and listens.

Not its concern: real devices (`mobium.media.portaudio`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mobium.client.call_sound import SoundChoice
from mobium.media.devices import VirtualDevices
from mobium.media.form import SILENCE
from mobium.media.sources import FileSource, Source, Tone, WavSink

__all__ = ["SoundFiles", "sound_files"]


class SoundFiles:
    """Silence until `begin`, then what is in the file; and a recording, if there is to be one."""

    def __init__(self, devices: VirtualDevices, held: _Held) -> None:
        self.choice = SoundChoice(lambda: devices)
        """For `Calls.sound`."""
        self._held = held

    def begin(self) -> None:
        """Read the file from here on. When it has ended, SoundChanged says so."""
        self._held.begun = True


@contextmanager
def sound_files(speech: Path | str | None, recording: Path | str | None) -> Iterator[SoundFiles]:
    """A microphone that says what is in the file `speech`, or nothing, and a speaker that is recorded into
    the WAV file `recording`, or unheard.

    Raises InvalidInput for a file that is no sound, or cannot be written; MediaUnavailable.
    """
    held = _Held(Tone(volume=0.0) if speech is None else FileSource(speech))
    try:
        sink = _Nowhere() if recording is None else WavSink(recording)
    except BaseException:
        held.close()
        raise
    devices = VirtualDevices({"file": held}, {"file": sink})
    with devices.running():  # which closes both at the end
        yield SoundFiles(devices, held)


class _Held:
    """A source that begins when it is told to."""

    def __init__(self, source: Source) -> None:
        self.begun = False
        self._source = source

    def read(self) -> bytes | None:
        """The next frame."""
        return self._source.read() if self.begun else SILENCE

    def close(self) -> None:
        """Close the file."""
        self._source.close()


class _Nowhere:
    """A speaker that nobody hears."""

    def write(self, pcm: bytes) -> None:
        """Drop a frame."""

    def close(self) -> None:
        """Nothing to do."""
