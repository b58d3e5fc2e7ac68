"""Microphones and speakers of PortAudio, on a PulseAudio of their own, that go away, hang and fail; and what
is said where there are none.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import pytest

from mobium.errors import AudioUnavailable
from mobium.media.devices import DeviceFound, DeviceLost
from mobium.media.form import FRAME_BYTES
from mobium.media.levels import QUIETEST, level
from mobium.media.portaudio import PortAudioDevices
from mobium.media.portaudio import _name as stable_name
from mobium.media.sources import Tone
from tests.media.ears import PATIENCE, Ear, until
from tests.support.sound import SOUND, devices_of, pulse


class TestReal:
    pytestmark: ClassVar = SOUND

    def test_the_last_device_leaves_silence_until_there_is_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ear, mouth = Ear(), Ear()
        with contextlib.ExitStack() as stack:
            with pulse(tmp_path) as sound:
                devices = devices_of(sound, monkeypatch, stack)
                heard = devices.open_microphone(None, ear.frames.append, ear.events.append)
                played = devices.open_speaker("spk", mouth.wanted, mouth.events.append)
                until(ear.more())
            until(lambda: bool(ear.events and mouth.events))
            assert ear.events == [DeviceLost("microphone", "default", None)]
            assert mouth.events == [DeviceLost("speaker", "spk", None)]
            assert (heard.device, played.device, played.level) == (None, None, QUIETEST)
            assert devices.speakers() == []
            began, count = time.monotonic(), len(mouth.frames)
            until(mouth.more(50))
            pace = (time.monotonic() - began) / (len(mouth.frames) - count)
            print(f"silence is played at {pace * 1_000:.1f} ms a frame")
            with pytest.raises(AudioUnavailable, match="There is no microphone on this machine"):
                devices.open_microphone(None, ear.frames.append, ear.events.append)
            stack.enter_context(pulse(tmp_path))
            until(lambda: len(ear.events) + len(mouth.events) == 4)
            assert mouth.events[1:] == [DeviceFound("speaker", "spk")]
            until(ear.more())
            until(mouth.more())
            heard.close()
            played.close()
            devices.close()
            with pytest.raises(AudioUnavailable, match="are closed"):
                devices.open_speaker(None, mouth.wanted, mouth.events.append)

    def test_what_is_played_comes_out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with contextlib.ExitStack() as stack:
            sound = stack.enter_context(pulse(tmp_path))
            devices = devices_of(sound, monkeypatch, stack)
            tone, mouth = Tone(1_000, 0.5), Ear()

            def wanted() -> bytes:
                mouth.wanted()
                return tone.read()

            with sound.recording() as heard:
                stream = devices.open_speaker("spk", wanted, mouth.events.append)
                until(mouth.more(75))
                stream.close()
            middle = heard.pcm[len(heard.pcm) // 2 & ~1 :][:FRAME_BYTES]
            assert level(middle) == pytest.approx(-9, abs=0.5)

    def test_what_looks_for_devices_ends_no_stream_of_others(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A call that rings or is talked in, while another part of the program looks what there is."""
        ear, mouth = Ear(), Ear()
        with pulse(tmp_path) as sound, contextlib.ExitStack() as stack:
            devices = devices_of(sound, monkeypatch, stack)
            played = devices.open_speaker("spk", mouth.wanted, mouth.events.append)
            until(mouth.more())
            other = PortAudioDevices()
            stack.callback(other.close)
            until(mouth.more(20))
            heard = other.open_microphone(None, ear.frames.append, ear.events.append)
            until(ear.more())
            other.rescan()
            until(mouth.more(20))
            until(ear.more())
            assert (played.device, heard.device) == ("spk", "default")
            other.close()
            until(mouth.more(20))
        assert mouth.events == ear.events == []
        assert caplog.messages == []

    def test_a_sound_server_that_hangs_holds_nobody_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else whoever hangs up would wait for it, and with him all that the program does."""
        monkeypatch.setattr("mobium.media.portaudio.ANSWERS", 0.5)
        ear, mouth = Ear(), Ear()
        with pulse(tmp_path) as sound, contextlib.ExitStack() as stack:
            devices = devices_of(sound, monkeypatch, stack)
            heard = devices.open_microphone(None, ear.frames.append, ear.events.append)
            played = devices.open_speaker(None, mouth.wanted, mouth.events.append)
            until(ear.more())
            until(mouth.more())
            stack.callback(sound.process.send_signal, signal.SIGCONT)
            sound.process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            heard.close()
            played.close()
            with pytest.raises(AudioUnavailable, match="does not answer"):
                devices.open_microphone(None, ear.frames.append, ear.events.append)
            with pytest.raises(AudioUnavailable, match="does not answer"):
                devices.speakers()
            print(f"waited for {time.monotonic() - began:.1f} s")
            counts = len(ear.frames), len(mouth.frames)
            sound.process.send_signal(signal.SIGCONT)
            until(lambda: not devices._late)
            assert devices._streams == [], "what was given up is let go"
            assert (len(ear.frames), len(mouth.frames)) == counts, "and calls nobody back"
            devices.open_microphone(None, ear.frames.append, ear.events.append)
            until(ear.more())

    def test_portaudio_that_fails_on_the_way_is_no_device_until_it_starts_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ear, mouth = Ear(), Ear()
        with pulse(tmp_path) as sound, contextlib.ExitStack() as stack:
            devices = devices_of(sound, monkeypatch, stack)
            real = devices._sd

            class Failing:
                """PortAudio when nothing of it works."""

                def __getattr__(self, name: str) -> object:
                    if name in {"query_hostapis", "query_devices", "_initialize"}:
                        raise real.PortAudioError("Error")
                    return getattr(real, name)

            devices.open_speaker(None, mouth.wanted, mouth.events.append)
            until(mouth.more())
            devices._sd = Failing()
            devices.rescan()
            assert devices.speakers() == devices.microphones() == []
            with pytest.raises(AudioUnavailable):
                devices.open_microphone(None, ear.frames.append, ear.events.append)
            until(mouth.more())
            devices._sd = real
            until(lambda: bool(devices.speakers()) and mouth.events[-1].name == "default")
            until(mouth.more())


# ---------------------------------------------------------------- what is not there

WITHOUT = """
import sys
{hidden}
from mobium.errors import AudioUnavailable
from mobium.media.portaudio import PortAudioDevices
try:
    PortAudioDevices()
except AudioUnavailable as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        (
            "sys.modules['sounddevice'] = None",
            (
                "Microphones and speakers take the Python package sounddevice, which is missing. "
                "Install it with: pip install 'mobium[media]'"
            ),
        ),
        (
            "import ctypes.util; ctypes.util.find_library = lambda name: None; sys.platform = 'linux'",
            (
                "PortAudio, which reaches microphones and speakers, was not found. "
                "Install it with: sudo apt install libportaudio2"
            ),
        ),
    ],
    ids=["binding", "library"],
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere PortAudio is inside the binding")
def test_what_is_missing_is_said_with_what_installs_it(hidden: str, said: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT.format(hidden=hidden)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == (said, "")


def test_portaudio_that_does_not_start_is_said(tmp_path: Path) -> None:
    """As with ALSA's settings broken: the binding starts it as it is imported, and raises what is its own."""
    (tmp_path / "sounddevice.py").write_text(
        "class PortAudioError(Exception): ...\nraise PortAudioError(-9999)\n"
    )
    command = [sys.executable, "-c", WITHOUT.format(hidden="")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert "does not start" in done.stdout


def test_a_sound_server_that_hangs_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not at every call that rings meanwhile, each of which asks for devices anew."""
    answers, raised = threading.Event(), threading.Event()

    def load() -> None:
        answers.wait(PATIENCE)
        raise AudioUnavailable("There is none.")

    def again() -> None:
        with pytest.raises(AudioUnavailable, match="does not answer"):
            PortAudioDevices()
        raised.set()

    monkeypatch.setattr("mobium.media.portaudio._load", load)
    monkeypatch.setattr("mobium.media.portaudio.ANSWERS", 0.05)
    again()
    raised.clear()
    monkeypatch.setattr("mobium.media.portaudio.ANSWERS", 3_600.0)
    threading.Thread(target=again, daemon=True).start()
    try:
        assert raised.wait(PATIENCE / 2)
    finally:
        answers.set()
    until(lambda: not PortAudioDevices._late)
    with pytest.raises(AudioUnavailable, match="There is none"):
        PortAudioDevices()


def test_names_have_no_number_that_changes_with_the_order_of_cards() -> None:
    taken: dict[str, tuple[int, bool]] = {}
    for index, listed in enumerate(
        ["HDA Intel PCH: ALC (hw:0,0)", "USB Audio: - (hw:1,0)", "USB Audio: - (hw:2,0)", "default"]
    ):
        taken[stable_name(listed, taken)] = (index, False)
    assert list(taken) == ["HDA Intel PCH: ALC", "USB Audio: -", "USB Audio: - (2)", "default"]
