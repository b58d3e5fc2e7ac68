"""Packets of voice: their size, their rate, what is made of a lost one; and where libopus is found."""

from __future__ import annotations

import ctypes.util
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from mobium.crypto.media import LARGEST_PACKET as LARGEST_PADDED
from mobium.errors import InvalidInput, OpusUnavailable
from mobium.media import opus
from mobium.media.form import FRAME_BYTES, FRAME_SAMPLES, FRAME_SECONDS, RATE, SILENCE
from mobium.media.levels import level
from mobium.media.opus import BITRATE, LARGEST_PACKET, OpusDecoder, OpusEncoder
from mobium.media.sources import Tone
from tests.support.sound import speech

SPOKEN = pytest.mark.needs("espeak-ng")


def frames(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]


def noise(draw: random.Random) -> bytes:
    """The loudest and the hardest to code."""
    return b"".join(draw.choice((b"\xff\x7f", b"\x00\x80")) for _ in range(FRAME_SAMPLES))


def distance(one: bytes, other: bytes) -> float:
    import numpy as np

    first, second = np.frombuffer(one, "<i2").astype(float), np.frombuffer(other, "<i2").astype(float)
    return float(np.sqrt(np.mean((first - second) ** 2)))


def test_a_packet_fits_into_a_frame_of_voice_whatever_is_heard(seed: int) -> None:
    assert LARGEST_PACKET == LARGEST_PADDED
    draw, tone = random.Random(seed), Tone(3_000, 1.0)
    encoder = OpusEncoder()
    sizes = []
    for _ in range(300):
        pcm = draw.choice((noise(draw), tone.read(), SILENCE, draw.randbytes(FRAME_BYTES)))
        sizes.append(len(encoder.encode(pcm)))
    assert max(sizes) <= LARGEST_PACKET
    assert max(sizes) > 80


def test_silence_is_sent_too() -> None:
    """An encoder with DTX gives one byte after ten frames of it, which would show who speaks when."""
    encoder = OpusEncoder()
    assert min(len(encoder.encode(SILENCE)) for _ in range(100)) > 2


@SPOKEN
def test_speech_has_the_rate_that_was_set() -> None:
    encoder = OpusEncoder()
    sizes = [len(encoder.encode(frame)) for frame in frames(speech())]
    rate = 8 * sum(sizes) / len(sizes) / FRAME_SECONDS
    print(f"{rate:.0f} bit/s, {min(sizes)} to {max(sizes)} bytes")
    assert BITRATE * 0.7 < rate < BITRATE * 1.3
    assert max(sizes) > 1.3 * min(sizes), "a constant rate is not what was asked for"


def test_what_was_set_is_what_the_encoder_says() -> None:
    """The first binding took some of it without a word, and did nothing."""
    encoder = OpusEncoder(expected_loss=7)._encoder
    assert (encoder.bitrate, encoder.vbr, encoder.inband_fec, encoder.dtx) == (BITRATE, 1, 1, 0)
    assert (encoder.packet_loss_perc, encoder.sample_rate) == (7, RATE)


def test_a_tone_comes_back_as_loud_as_it_was() -> None:
    encoder, decoder, tone = OpusEncoder(), OpusDecoder(), Tone(440, 0.5)
    heard = [decoder.decode(encoder.encode(tone.read())) for _ in range(50)]
    assert {len(frame) for frame in heard} == {FRAME_BYTES}
    assert level(heard[-1]) == pytest.approx(-9, abs=0.5)


@pytest.mark.parametrize("length", [0, 2, FRAME_BYTES - 2, FRAME_BYTES + 2, 2 * FRAME_BYTES])
def test_anything_but_one_frame_is_refused(length: int) -> None:
    """C would read 1,920 bytes, wherever they are."""
    with pytest.raises(InvalidInput, match=f"1920 bytes, not {length}"):
        OpusEncoder().encode(bytes(length))


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_loss_that_cannot_be_is_refused(percent: int) -> None:
    with pytest.raises(InvalidInput):
        OpusEncoder(percent)


@SPOKEN
def test_a_lost_frame_is_nearer_to_what_it_was_by_its_copy_than_made_up() -> None:
    encoder = OpusEncoder()
    packets = [encoder.encode(frame) for frame in frames(speech())]
    copied, made_up, silent = 0.0, 0.0, 0.0
    whole, with_copy, without = OpusDecoder(), OpusDecoder(), OpusDecoder()
    for at in range(len(packets) - 1):
        was = whole.decode(packets[at])
        if at % 5 == 4:
            copied += distance(was, with_copy.fec(packets[at + 1]))
            made_up += distance(was, without.plc())
            silent += distance(was, SILENCE)
        else:
            with_copy.decode(packets[at])
            without.decode(packets[at])
    print(f"distance: copy {copied:.0f}, made up {made_up:.0f}, silence {silent:.0f}")
    assert copied < 0.8 * made_up < 0.8 * silent


def test_a_made_up_voice_fades() -> None:
    encoder, decoder, tone = OpusEncoder(), OpusDecoder(), Tone(300, 0.5)
    for _ in range(20):
        decoder.decode(encoder.encode(tone.read()))
    levels = [level(decoder.plc()) for _ in range(50)]
    assert levels[0] > -15
    assert levels[-1] < -60


def test_whatever_bytes_come_a_frame_is_heard(seed: int) -> None:
    draw = random.Random(seed)
    decoder, encoder = OpusDecoder(), OpusEncoder()
    for _ in range(3_000):
        packet = draw.randbytes(draw.choice((0, 1, 2, 3, 20, 119)))
        if draw.random() < 0.3:
            good = bytearray(encoder.encode(noise(draw) if draw.random() < 0.1 else SILENCE))
            good[draw.randrange(len(good))] ^= 1 << draw.randrange(8)
            packet = bytes(good)
        heard = draw.choice((decoder.decode, decoder.fec))(packet)
        assert len(heard) == FRAME_BYTES


@pytest.mark.parametrize("samples", [120, 480, 1_920, 2_880])
def test_packets_of_another_length_are_made_up(samples: int) -> None:
    theirs = opus.libopus().Encoder(RATE, 2, opus.libopus().APPLICATION_AUDIO)
    decoder = OpusDecoder()
    for _ in range(3):
        packet = theirs.encode(bytes(4 * samples), samples)
        assert len(decoder.decode(packet)) == FRAME_BYTES
        assert len(decoder.fec(packet)) == FRAME_BYTES


# ---------------------------------------------------------------- where libopus is


@pytest.mark.needs("libopus")
def test_the_one_of_the_system_is_taken_before_the_one_in_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOBIUM_LIBOPUS", raising=False)
    found = ctypes.util.find_library("opus")
    assert opus._path() == found


def test_the_one_that_is_named_is_taken_before_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda _: None)
    monkeypatch.delenv("MOBIUM_LIBOPUS", raising=False)
    inside = opus._path()
    assert "av.libs" in inside or ".dylibs" in inside
    monkeypatch.setenv("MOBIUM_LIBOPUS", inside)
    monkeypatch.setattr(ctypes.util, "find_library", lambda _: pytest.fail("it looked on"))
    assert opus._path() == inside


def test_a_named_one_that_does_not_load_is_said_and_replaced_by_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "libopus.so").write_text("nothing")
    monkeypatch.setenv("MOBIUM_LIBOPUS", str(tmp_path / "libopus.so"))
    with pytest.raises(OpusUnavailable, match="MOBIUM_LIBOPUS names no library"):
        opus._path()


CHILD = """
import ctypes.util
real = ctypes.util.find_library
ctypes.util.find_library = lambda _: None
from mobium.media import opus
from mobium.media.form import SILENCE
try:
    print(len(opus.OpusDecoder().decode(opus.OpusEncoder().encode(SILENCE))))
    print("av" in opus._path(), ctypes.util.find_library("opus"))
except opus.OpusUnavailable as error:
    print(error, "|", error.install)
"""


def child(code: str, tmp_path: Path, missing: str = "") -> str:
    """What a fresh interpreter says that does not have the package `missing`."""
    hidden = f"import sys; sys.modules[{missing!r}] = None\n" if missing else ""
    environment = {name: value for name, value in os.environ.items() if name != "MOBIUM_LIBOPUS"}
    done = subprocess.run(
        [sys.executable, "-c", hidden + code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_the_one_in_the_wheel_codes_and_decodes(tmp_path: Path) -> None:
    assert child(CHILD, tmp_path) == "1920\nTrue None\n"


def test_without_any_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOBIUM_LIBOPUS", raising=False)
    monkeypatch.setattr(opus, "_candidates", lambda: iter(()))
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(OpusUnavailable) as caught:
        opus._path()
    assert caught.value.install == "sudo apt install libopus0"
    assert str(caught.value).endswith("was not found. Install it with: sudo apt install libopus0")


def test_without_the_binding_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "find_spec", lambda _: None)
    opus._load.cache_clear()
    with pytest.raises(OpusUnavailable, match="pip install 'mobium\\[media\\]'"):
        OpusDecoder()
