"""What a program speaks and listens with: the machine's own devices, or files in their place.

Not its concern: devices and files themselves (`mobium.media`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mobium.client.events import SoundChanged
from mobium.errors import InvalidInput
from mobium.media.devices import AudioDevices, DeviceEvent, DeviceFound, DeviceLost, VirtualDevices
from mobium.media.portaudio import PortAudioDevices
from mobium.media.sources import FileSource, MemorySink, PcmSource, WavSink

__all__ = ["sound_changed", "sound_devices"]


def sound_changed(event: DeviceEvent) -> SoundChanged:
    """What a program is told of what has become of a device."""
    if isinstance(event, DeviceLost):
        return SoundChanged(event.kind, "lost", event.name, event.fallback, event.reason)
    if isinstance(event, DeviceFound):
        return SoundChanged(event.kind, "found", event.name, event.name)
    return SoundChanged("microphone", "ended", event.name, None)


@contextmanager
def sound_devices(said: Path | str | None = None, record: Path | str | None = None) -> Iterator[AudioDevices]:
    """The microphones and speakers of this machine, for the time of a `with`.

    With `said` a file with sound, of any format that FFmpeg reads, stands for the microphone, and with
    `record` a WAV file, which is replaced, for the speaker; then no device is used, and what is not named is
    silent. A recording that the disk takes no more ends there, which SoundChanged tells with its reason.
    Raises MediaUnavailable for want of a library, InvalidInput for a file that cannot be read or written, or
    that is to be both.
    """
    if said is None and record is None:
        devices = PortAudioDevices()
        try:
            yield devices
        finally:
            devices.close()
        return
    if said is not None and record is not None and _same(Path(said), Path(record)):
        raise InvalidInput(f"{record} is what is said; name another file for the recording.")
    source = PcmSource(b"") if said is None else FileSource(said)
    sink = MemorySink(0.0) if record is None else WavSink(record)
    virtual = VirtualDevices({"input": source}, {"recording": sink})
    with virtual.running():
        yield virtual


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return False
