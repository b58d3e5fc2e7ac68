"""Sound on a machine without a sound card: a PulseAudio of one's own, whose speakers and microphones are null
sinks, reached by real PortAudio streams through ALSA; and speech, made by espeak-ng.

    spk             a speaker; what is played there can be recorded from spk.monitor
    mic, micsrc     what is fed into the sink `mic` comes out of the microphone `micsrc`

ALSA names each of them, so that PortAudio lists them; `default` is the first speaker and the first
microphone. Whoever runs a program gives it `environment`. Not its concern: what is compared
(tests/support/hearing.py).
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mobium.media.portaudio import PortAudioDevices
from mobium.media.sources import FileSource
from tests.support.programs import ended, where

__all__ = ["SHORT", "SOUND", "Pulse", "Recording", "devices_of", "pulse", "speech"]

SOUND = [
    pytest.mark.serial,
    pytest.mark.needs(
        "pulseaudio", "pactl", "libportaudio", "libasound_module_pcm_pulse", "libopus", "espeak-ng"
    ),
]
"""The marks of a test that uses `pulse`."""

WAIT = 20.0  # seconds
ALSA = "/usr/share/alsa/alsa.conf"
RATE = 48_000


@dataclass
class Recording:
    """Sound, s16le mono 48 kHz, and when it began: `time.monotonic()`, give or take 20 ms."""

    file: Path
    began: float
    pcm: bytes = b""

    def last(self, seconds: float) -> bytes:
        """What was heard last, while it is recorded."""
        wanted = 2 * round(seconds * RATE)
        with self.file.open("rb") as file:
            there = file.seek(0, os.SEEK_END) // 2 * 2
            file.seek(max(0, there - wanted))
            return file.read(wanted)


class Pulse:
    """A running PulseAudio; its folder has the socket, the log and ALSA's configuration."""

    def __init__(
        self,
        folder: Path,
        process: subprocess.Popen[bytes],
        environment: dict[str, str],
        devices: Sequence[str],
    ) -> None:
        self.folder = folder
        self.process = process
        self.environment = environment
        self.devices = devices

    def end(self) -> None:
        """Whatever it has is pulled out."""
        ended(self.process)

    def answers(self) -> bool:
        """Whether it takes orders; its socket is there a little before."""
        try:
            self.control("info")
        except subprocess.CalledProcessError:
            return False
        return True

    def control(self, *arguments: str) -> str:
        """What `pactl` says."""
        return self._run("pactl", *arguments)

    def add_speaker(self, name: str) -> None:
        """A null sink."""
        # without norewinds the sink works in blocks of two seconds, and streams stall as they begin
        wanted = (f"sink_name={name}", "norewinds=1", f"rate={RATE}", "channels=2")
        self.control("load-module", "module-null-sink", *wanted)

    def add_microphone(self, name: str) -> None:
        """A null sink `name` and the microphone `namesrc`."""
        wanted = (f"sink_name={name}", "norewinds=1", f"rate={RATE}", "channels=1")
        self.control("load-module", "module-null-sink", *wanted)
        remap = ("module-remap-source", f"source_name={name}src", f"master={name}.monitor")
        self.control("load-module", *remap)

    def feed(self, pcm: bytes, microphone: str = "mic") -> subprocess.Popen[bytes]:
        """Begins to play s16le mono 48 kHz into the microphone, in a process of its own that ends with it."""
        file = self.folder / f"feed-{time.monotonic_ns()}.raw"
        file.write_bytes(pcm)
        return self._start("pacat", "--raw", "--playback", f"--device={microphone}", *self._form(), str(file))

    @contextlib.contextmanager
    def recording(self, speaker: str = "spk") -> Iterator[Recording]:
        """What comes out of a speaker, or goes into a microphone, meanwhile: there when the block ends."""
        file = self.folder / f"heard-{time.monotonic_ns()}.raw"
        source = (f"--device={speaker}.monitor", "--latency-msec=20")
        process = self._start("pacat", "--raw", "--record", *source, *self._form(), str(file))
        end = time.monotonic() + WAIT
        while not (file.exists() and file.stat().st_size):
            assert time.monotonic() < end, "nothing is recorded"
            time.sleep(0.001)
        recording = Recording(file, time.monotonic() - file.stat().st_size / 2 / RATE)
        try:
            yield recording
        finally:
            process.terminate()
            process.wait(WAIT)
            recording.pcm = file.read_bytes()

    @staticmethod
    def _form() -> Sequence[str]:
        return ("--format=s16le", f"--rate={RATE}", "--channels=1")

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [where(name) or name, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _run(self, name: str, *arguments: str) -> str:
        done = subprocess.run(
            [where(name) or name, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=True,
        )
        return done.stdout


def _alsa(speakers: Sequence[str], microphones: Sequence[str], elsewhere: Sequence[Pulse]) -> str:
    """ALSA's configuration: the default, and a name for each device."""

    def entry(name: str, device: str, server: str = "") -> str:
        return f'pcm.{name} {{ type pulse device "{device}" {server} }}\n'

    named = [entry(name, name) for name in speakers]
    named += [entry(f"{name}src", f"{name}src") for name in microphones]
    for other in elsewhere:
        server = f'server "unix:{other.folder / "native"}"'
        named += [entry(name, name, server) for name in other.devices]
    return "pcm.!default { type pulse }\nctl.!default { type pulse }\n" + "".join(named)


@contextlib.contextmanager
def pulse(
    folder: Path,
    speakers: Sequence[str] = ("spk",),
    microphones: Sequence[str] = ("mic",),
    elsewhere: Sequence[Pulse] = (),
) -> Iterator[Pulse]:
    """A PulseAudio with these speakers and microphones; the first of each is the default.

    A PulseAudio moves streams by itself when it loses a device. What a test is to pull out is therefore a
    device of another one, `elsewhere`, which is ended.
    """
    place = folder / "pulse"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    (place / "native").unlink(missing_ok=True)  # of one that was here before
    conf = place / "asound.conf"
    conf.write_text(_alsa(speakers, microphones, elsewhere), "utf-8")
    environment = {
        **os.environ,
        "HOME": str(place),
        "PULSE_RUNTIME_PATH": str(place),
        "PULSE_STATE_PATH": str(place),
        "PULSE_COOKIE": str(place / "cookie"),
        "PULSE_SERVER": f"unix:{place / 'native'}",
        "ALSA_CONFIG_PATH": f"{ALSA}:{conf}",
    }
    options = "--daemonize=no --use-pid-file=no --exit-idle-time=-1 --disallow-exit"
    options += " --realtime=no --high-priority=no"
    with (place / "output").open("wb") as output:
        process = subprocess.Popen(
            [
                *(where("pulseaudio") or "pulseaudio", "-n", *options.split()),
                *(f"--log-target=file:{place / 'log'}", "-L"),
                f"module-native-protocol-unix socket={place / 'native'} auth-anonymous=1",
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    devices = [*speakers, *(f"{name}src" for name in microphones)]
    server = Pulse(place, process, environment, devices)
    try:
        end = time.monotonic() + WAIT
        while not (place / "native").exists():
            assert process.poll() is None, (place / "output").read_text("utf-8", "replace")
            assert time.monotonic() < end, "PulseAudio does not start"
            time.sleep(0.02)
        while not server.answers():
            assert time.monotonic() < end, "PulseAudio does not answer"
        for name in speakers:
            server.add_speaker(name)
        for name in microphones:
            server.add_microphone(name)
        if speakers:
            server.control("set-default-sink", speakers[0])
        if microphones:
            server.control("set-default-source", f"{microphones[0]}src")
        yield server
    finally:
        server.end()


def devices_of(
    sound: Pulse, patch: pytest.MonkeyPatch, stack: contextlib.ExitStack | contextlib.AsyncExitStack
) -> PortAudioDevices:
    """What PortAudio finds there, until the stack ends."""
    for name, value in sound.environment.items():
        patch.setenv(name, value)
    devices = PortAudioDevices()
    stack.callback(devices.close)
    return devices


TEXT = (
    "The quick brown fox jumps over the lazy dog. She had your dark suit in greasy wash water all year. "
    "We were away a year ago, and nobody knew where the garden ended."
)


SHORT = "We were away a year ago, and nobody knew where the garden ended."
"""Enough to tell whether speech is understood, where nothing is lost."""


@functools.cache
def speech(text: str = TEXT, voice: str = "en") -> bytes:
    """Somebody speaks: s16le mono 48 kHz, a whole number of 20 ms frames."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        command = [where("espeak-ng") or "espeak-ng", "-v", voice, "-s", "150", "-w", str(file), text]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT, check=True)
        with FileSource(file) as source:
            return b"".join(iter(source.read, None))
