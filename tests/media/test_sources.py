"""Files of any kind in, recordings out, and tones."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from mobium.errors import InvalidInput, MediaUnavailable, StoreError
from mobium.media.devices import DeviceEvent, DeviceLost, VirtualDevices
from mobium.media.form import FRAME_BYTES, FRAME_SECONDS, RATE
from mobium.media.levels import level
from mobium.media.sources import FileSource, MemorySink, PcmSource, Tone, WavSink


def wav(path: Path, rate: int, channels: int, width: int, seconds: float, frequency: float = 1_000) -> Path:
    """A sine of half the scale."""
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        scale = 0.5 * (1 << (8 * width - 1))
        for at in range(round(rate * seconds)):
            value = round(scale * math.sin(2 * math.pi * frequency * at / rate))
            one = (
                (value + 128).to_bytes(1, "little")
                if width == 1
                else value.to_bytes(width, "little", signed=True)
            )
            file.writeframesraw(one * channels)
    return path


def pitch(pcm: bytes) -> float:
    heard = np.frombuffer(pcm, "<i2").astype(float)
    return float(np.argmax(np.abs(np.fft.rfft(heard * np.hanning(len(heard)))))) * RATE / len(heard)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize(("channels", "width"), [(1, 2), (2, 2), (1, 1), (2, 3)])
def test_any_wav_is_heard_in_its_pitch_length_and_level(
    tmp_path: Path, rate: int, channels: int, width: int
) -> None:
    with FileSource(wav(tmp_path / "in.wav", rate, channels, width, 0.5)) as source:
        frames = list(iter(source.read, None))
        assert source.read() is None
    assert {len(frame) for frame in frames} == {FRAME_BYTES}
    assert len(frames) * FRAME_SECONDS == pytest.approx(0.5, abs=0.021)
    pcm = b"".join(frames[2:-2])
    assert pitch(pcm) == pytest.approx(1_000, abs=5)
    assert level(frames[10]) == pytest.approx(-9, abs=0.3)


def test_other_formats_are_read_too(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "in.flac"), "w") as file:
        stream = file.add_stream("flac", rate=44_100, layout="stereo")
        for index in range(20):
            left = 8_000 * np.sin(2 * np.pi * 440 * (np.arange(1_024) + 1_024 * index) / 44_100)
            data = np.repeat(left.astype(np.int16), 2).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(data, format="s16", layout="stereo")
            frame.rate, frame.pts = 44_100, 1_024 * index
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with FileSource(tmp_path / "in.flac") as source:
        assert pitch(b"".join(iter(source.read, None))) == pytest.approx(440, abs=5)


def test_what_is_no_sound_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound at all" * 100)
    (tmp_path / "empty.wav").touch()
    for name in ("text.wav", "empty.wav", "nobody.wav", "."):
        with pytest.raises(InvalidInput, match=r"cannot be read as sound: [A-Z][a-z ]+\.$"):
            FileSource(tmp_path / name)


def test_a_picture_has_no_sound_in_it(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "still.mkv"), "w") as file:
        stream = file.add_stream("ffv1", rate=1)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        file.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        file.mux(stream.encode(None))
    with pytest.raises(InvalidInput, match="has no sound in it"):
        FileSource(tmp_path / "still.mkv")


def test_a_damaged_file_is_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    path = wav(tmp_path / "in.wav", 48_000, 1, 2, 1.0)
    path.write_bytes(path.read_bytes()[:48_000])
    with FileSource(path) as source:
        frames = list(iter(source.read, None))
    assert 20 <= len(frames) <= 26


def test_a_file_takes_the_memory_of_a_frame_not_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8_000, 0, "NONE", ""))
        for _ in range(3_600):  # an hour
            file.writeframesraw(bytes(16_000))
    with FileSource(path) as source:
        for _ in range(2_000):
            assert source.read() is not None
            assert len(source._held) < 20 * FRAME_BYTES


def test_without_pyav_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MediaUnavailable, match=r"Python package av, which is missing.*pip install 'mobium"):
        FileSource(tmp_path / "in.wav")


full_disk = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="a disk that is always full is Linux's alone"
)

RECORDING = """
import os, sys
from mobium.media.sources import Tone, WavSink
sink, tone = WavSink(sys.argv[1]), Tone()
for _ in range(50):
    sink.write(tone.read())
os._exit(9)
"""


def test_a_recording_whose_program_was_killed_has_what_was_heard(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    subprocess.run([sys.executable, "-c", RECORDING, str(path)], timeout=60, check=False)
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        assert file.getnframes() / RATE >= 0.9


def test_a_recording_has_every_frame(tmp_path: Path) -> None:
    sink, tone = WavSink(tmp_path / "out.wav"), Tone(300)
    said = [tone.read() for _ in range(30)]
    for frame in said:
        sink.write(frame)
    with pytest.raises(InvalidInput):
        sink.write(b"short")
    sink.close()
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert file.readframes(1 << 20) == b"".join(said)


def test_a_recording_that_cannot_be_begun_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written: No such file or directory"):
        WavSink(tmp_path / "nowhere" / "out.wav")


def test_a_recording_replaces_what_is_there_with_its_first_frame(tmp_path: Path) -> None:
    """And not before, when the call that it is of may not come about."""
    path = tmp_path / "speech.wav"
    path.write_bytes(b"dear" * 1_000)
    WavSink(path).close()
    assert path.read_bytes() == b"dear" * 1_000
    sink = WavSink(path)
    sink.write(bytes(FRAME_BYTES))
    sink.close()
    with wave.open(str(path)) as file:
        assert file.getnframes() * 2 == FRAME_BYTES
    assert path.stat().st_size == 44 + FRAME_BYTES
    null = WavSink("/dev/null")  # which is no file
    null.write(bytes(FRAME_BYTES))
    null.close()


def test_of_a_recording_that_never_began_nothing_stays(tmp_path: Path) -> None:
    """Of a call that was not to be: the same command is typed again."""
    devices = VirtualDevices({}, {"kept": WavSink(tmp_path / "out.wav")})
    devices.tick()
    devices.close()
    assert not list(tmp_path.iterdir())


def full_after_the_beginning(path: Path) -> WavSink:
    """A recording whose disk takes nothing more once it was begun."""
    sink = WavSink(path)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, sink._file.fileno())
    os.close(full)
    return sink


@full_disk
def test_a_disk_that_is_full_before_is_said_at_once() -> None:
    with pytest.raises(InvalidInput, match="/dev/full cannot be written: No space left on device"):
        WavSink("/dev/full")


@full_disk
def test_a_full_disk_is_said(tmp_path: Path) -> None:
    sink = full_after_the_beginning(tmp_path / "out.wav")
    with pytest.raises(StoreError, match="The recording could not be written: No space left on device"):
        sink.write(bytes(FRAME_BYTES))
    with pytest.raises(StoreError, match="The recording could not be ended: No space left on device"):
        sink.close()


@full_disk
def test_a_recording_that_fails_is_a_speaker_that_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept, full = MemorySink(), full_after_the_beginning(tmp_path / "out.wav")
    devices = VirtualDevices({"full": PcmSource(b"")}, {"kept": kept, "full": full})
    tone = Tone()
    events: list[DeviceEvent] = []
    devices.open_speaker("full", tone.read, events.append)
    for _ in range(3):
        devices.tick()
    reason = "The recording could not be written: No space left on device."
    assert events == [DeviceLost("speaker", "full", "kept", reason)]
    assert [one.name for one in devices.microphones()] == ["full"], "what is said goes on"
    assert level(kept.pcm[-FRAME_BYTES:]) > -20
    assert "full is no speaker any more: The recording could not be written" in caplog.text


def test_sound_in_memory_ends_with_a_whole_frame_and_is_kept_for_as_long_as_was_said() -> None:
    source, sink = PcmSource(bytes(range(256)) * 30), MemorySink(seconds=0.06)
    frames = list(iter(source.read, None))
    assert b"".join(frames).rstrip(b"\0") == (bytes(range(256)) * 30).rstrip(b"\0")
    for frame in itertools.chain(frames, frames):
        sink.write(frame)
    assert sink.pcm == b"".join(frames[-3:])
    with pytest.raises(InvalidInput):
        sink.write(b"")
    source.close()
    sink.close()


def test_a_tone_has_no_seams() -> None:
    tone = Tone(997, 0.5)
    heard = np.frombuffer(b"".join(tone.read() for _ in range(20)), "<i2").astype(int)
    assert np.abs(np.diff(heard)).max() <= 0.5 * 32_767 * 2 * np.pi * 997 / RATE + 2
    assert Tone(volume=0).read() == bytes(FRAME_BYTES)
