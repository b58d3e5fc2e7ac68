"""Pictures through VP8 and back: sizes, keyframes, quality, and what a decoder does with anything else."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest

from mobium.errors import Invalid
from mobium.media import screen
from mobium.media.capture import Shot
from mobium.media.fragments import LARGEST_FRAME, Picture
from mobium.media.pattern import Pattern, number_in
from mobium.media.screen import PRESETS, Preset, ScreenDecoder, ScreenEncoder, fit, read_vp8, scaled
from tests.support.screens import pixels, psnr

SMALL = Preset(320, 180, 200_000)


def shot(pattern: Pattern, number: int) -> Shot:
    return Shot(pattern.width, pattern.height, pattern.draw(number).tobytes())


def made(count: int, keyframes: tuple[int, ...] = (), preset: Preset = SMALL) -> list[Picture]:
    """The first pictures of the pattern."""
    pattern, encoder = Pattern(preset.width, preset.height), ScreenEncoder(preset.bit_rate)
    found = []
    for number in range(count):
        frame = scaled(shot(pattern, number), preset)
        encoded = encoder.encode(frame, number * 66, keyframe=number in keyframes)
        assert encoded is not None
        found.append(Picture(1, number, encoded))
    return found


def with_data(picture: Picture, data: bytes) -> Picture:
    return picture._replace(encoded=picture.encoded._replace(data=data))


def announcing(width: int, height: int, preset: Preset = SMALL) -> bytes:
    """A keyframe that says it is so large."""
    data = bytearray(made(1, preset=preset)[0].encoded.data)
    data[6:10] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return bytes(data)


def test_the_presets() -> None:
    assert dict(PRESETS) == {
        "360p": (640, 360, 400_000),
        "720p": (1_280, 720, 1_200_000),
        "1080p": (1_920, 1_080, 2_500_000),
    }


@pytest.mark.parametrize(
    ("size", "preset", "sent"),
    [
        ((1_920, 1_080), "720p", (1_280, 720)),
        ((1_920, 1_080), "1080p", (1_920, 1_080)),
        ((3_840, 2_160), "360p", (640, 360)),
        ((1_920, 1_200), "720p", (1_152, 720)),
        ((1_366, 768), "720p", (1_280, 720)),
        ((1_080, 1_920), "1080p", (608, 1_080)),  # a screen that stands on its side
        ((5_120, 1_440), "1080p", (1_920, 540)),
        ((800, 600), "1080p", (800, 600)),  # never enlarged
        ((801, 601), "1080p", (800, 600)),
        ((10_000, 20), "360p", (640, 16)),
        ((1, 1), "360p", (16, 16)),
    ],
)
def test_a_screen_keeps_its_shape(size: tuple[int, int], preset: str, sent: tuple[int, int]) -> None:
    assert fit(*size, PRESETS[preset]) == sent


def test_what_is_sent_has_the_shape_of_the_screen() -> None:
    pattern, encoder, decoder = Pattern(480, 640), ScreenEncoder(400_000), ScreenDecoder()
    encoded = encoder.encode(scaled(shot(pattern, 77), PRESETS["360p"]), 0)
    assert encoded is not None
    assert (encoded.width, encoded.height) == (270, 360)
    shown = decoder.decode(Picture(1, 0, encoded))
    assert shown is not None
    assert (shown.width, shown.height) == (270, 360)
    assert number_in(pixels(shown)) == 77
    assert len(shown.rgb(135, 180)) == 3 * 135 * 180


@pytest.mark.parametrize("name", PRESETS)
def test_every_picture_of_a_pattern_can_be_read(name: str) -> None:
    preset = PRESETS[name]
    pattern, decoder = Pattern(preset.width, preset.height), ScreenDecoder()
    quality = []
    for picture in made(24, (20,), preset):
        shown = decoder.decode(picture)
        assert shown is not None
        assert number_in(pixels(shown)) == picture.number
        quality.append(psnr(shown, pattern.draw(picture.number)))
    print(f"{name}: PSNR {', '.join(f'{one:.1f}' for one in quality)} dB")
    assert min(quality) >= 30


def test_keyframes_come_when_they_are_asked_for_and_only_then() -> None:
    pictures = made(120, (50, 51, 90))
    assert [one.number for one in pictures if one.encoded.keyframe] == [0, 50, 51, 90]
    assert all(read_vp8(one.encoded.data).keyframe == one.encoded.keyframe for one in pictures)


def test_keyframes_are_kept_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def first() -> int:
        return len(made(1, preset=Preset(320, 180, 400_000))[0].encoded.data)

    bounded = first()
    assert bounded < 11_000  # 300 % of an average picture, or what its letters take
    monkeypatch.setattr(screen, "_SETTINGS", {**screen._SETTINGS, "max-intra-rate": "0"})
    assert first() > 1.2 * bounded


def test_the_bits_of_a_preset_are_kept_to() -> None:
    pictures = made(150, preset=PRESETS["360p"])
    rate = 8 * sum(len(one.encoded.data) for one in pictures) / 10
    print(f"360p: {rate / 1_000:.0f} kbit/s")
    assert rate < 1.3 * PRESETS["360p"].bit_rate


def test_another_size_begins_with_a_keyframe_and_is_followed() -> None:
    encoder, decoder = ScreenEncoder(400_000), ScreenDecoder()
    for number, size in enumerate([(640, 360), (640, 360), (360, 640), (360, 640), (640, 360)]):
        encoded = encoder.encode(scaled(shot(Pattern(*size), number), PRESETS["360p"]), number * 66)
        assert encoded is not None
        assert encoded.keyframe == (number in (0, 2, 4))
        shown = decoder.decode(Picture(1, number, encoded))
        assert shown is not None
        assert number_in(pixels(shown)) == number


def test_a_clock_that_stands_still_does_not_end_the_encoder() -> None:
    encoder, pattern = ScreenEncoder(200_000), Pattern(320, 180)
    decoder = ScreenDecoder()
    for number, time in enumerate([1_000, 1_000, 1_000, 400, 1_100]):
        encoded = encoder.encode(scaled(shot(pattern, number), SMALL), time)
        assert encoded is not None
        shown = decoder.decode(Picture(1, number, encoded))
        assert shown is not None
        assert shown.time == time


def noise(seed: int) -> Shot:
    """1,920 by 1,080 pixels, black or white: what VP8 is worst at."""
    draw = np.random.default_rng(seed)
    grey = np.where(draw.random((1_080, 1_920, 1)) < 0.5, 0, 255).astype(np.uint8)
    return Shot(1_920, 1_080, np.repeat(grey, 4, 2).tobytes())


def test_a_picture_that_is_too_large_for_a_frame_is_halved(seed: int) -> None:
    preset, encoder, decoder = PRESETS["1080p"], ScreenEncoder(2_500_000), ScreenDecoder()
    encoded = encoder.encode(scaled(noise(seed), preset), 0)
    assert encoded is not None
    assert (encoded.width, encoded.height, encoded.keyframe) == (960, 540, True)
    assert len(encoded.data) <= LARGEST_FRAME
    assert decoder.decode(Picture(1, 0, encoded)) is not None
    pattern = Pattern(1_920, 1_080)
    for number, (time, wide) in enumerate([(66, 960), (4_900, 960), (5_100, 1_920)], 1):
        encoded = encoder.encode(scaled(shot(pattern, number), preset), time)
        assert encoded is not None
        assert encoded.width == wide
        shown = decoder.decode(Picture(1, number, encoded))
        assert shown is not None
        assert number_in(pixels(shown)) == number


def test_a_picture_that_stays_too_large_is_left_out_and_a_keyframe_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pattern, encoder = Pattern(320, 180), ScreenEncoder(200_000)
    monkeypatch.setattr(screen, "LARGEST_FRAME", 500)
    assert encoder.encode(scaled(shot(pattern, 0), SMALL), 0) is None
    monkeypatch.undo()
    encoded = encoder.encode(scaled(shot(pattern, 1), SMALL), 66)
    assert encoded is not None
    assert encoded.keyframe


def test_who_joins_late_sees_nothing_before_a_keyframe() -> None:
    decoder = ScreenDecoder()
    for picture in made(30, (20,))[5:]:
        if picture.number < 20:
            with pytest.raises(Invalid):
                decoder.decode(picture)
        else:
            shown = decoder.decode(picture)
            assert shown is not None
            assert number_in(pixels(shown)) == picture.number


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\1\0\0", bytes(10), b"\x10\2\0\x9d\1\x2a\x40\1\xb4\0", b"garbage" * 9]
)
def test_garbage_is_refused_and_only_a_keyframe_helps(data: bytes) -> None:
    pictures = made(8, (6,))
    decoder = ScreenDecoder()
    for picture in pictures[:3]:
        assert decoder.decode(picture) is not None
    for kind in (True, False):
        with pytest.raises(Invalid):
            decoder.decode(
                with_data(pictures[3]._replace(encoded=pictures[3].encoded._replace(keyframe=kind)), data)
            )
    with pytest.raises(Invalid):
        decoder.decode(pictures[5])
    shown = decoder.decode(pictures[6])
    assert shown is not None
    assert number_in(pixels(shown)) == 6


@pytest.mark.parametrize("size", [(16_000, 16_000), (16_383, 1), (1_920, 1_080), (322, 180), (0, 0)])
def test_a_size_that_the_head_does_not_say_is_refused(size: tuple[int, int]) -> None:
    decoder, [good] = ScreenDecoder(), made(1)
    with pytest.raises(Invalid):
        decoder.decode(with_data(good, announcing(*size)))
    assert decoder._context is None  # before anything was decoded
    assert decoder.decode(good) is not None


def test_a_kind_that_the_head_does_not_say_is_refused() -> None:
    first, second = made(2)
    for wrong in (
        first._replace(encoded=first.encoded._replace(keyframe=False)),
        second._replace(encoded=second.encoded._replace(keyframe=True)),
    ):
        decoder = ScreenDecoder()
        decoder.decode(first)
        with pytest.raises(Invalid):
            decoder.decode(wrong)
    decoder = ScreenDecoder()
    decoder.decode(first)
    with pytest.raises(Invalid):
        decoder.decode(second._replace(encoded=second.encoded._replace(width=160)))


def test_a_decoder_survives_whatever_comes(seed: int) -> None:
    """Frames with flipped bits, cut off, glued together, of other encoders, in any order: each is refused or
    shown in the size that its head says, and a keyframe is always shown.
    """
    draw = random.Random(seed)
    frames = [one.encoded for one in made(20, (10,))] + [
        one.encoded for one in made(3, preset=PRESETS["360p"])
    ]
    good = frames[0]
    decoder, refused, shown = ScreenDecoder(), 0, 0
    for number in range(1_500):
        frame = draw.choice(frames)
        data = bytearray(frame.data)
        for _ in range(draw.choice([0, 0, 1, 3, 30])):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        if draw.random() < 0.2:
            del data[draw.randrange(len(data)) :]
        elif draw.random() < 0.1:
            data += draw.randbytes(draw.randrange(200))
        with contextlib.suppress(Invalid):
            refused += 1
            picture = decoder.decode(Picture(1, number, frame._replace(data=bytes(data))))
            refused -= 1
            if picture is not None:
                assert (picture.width, picture.height) == (frame.width, frame.height)
                shown += 1
        if number % 50 == 0:
            whole = decoder.decode(Picture(1, number, good))
            assert whole is not None
            assert number_in(pixels(whole)) == 0
    print(f"{shown} shown, {refused} refused")
    assert shown > 100
    assert refused > 100


def test_what_a_frame_of_vp8_says_about_itself() -> None:
    assert read_vp8(announcing(0x3FFF, 0x3FFF)) == (True, 16_383, 16_383)
    assert read_vp8(announcing(0x7FFF, 0xC010)) == (True, 16_383, 16)  # the upper two bits say how to scale
    assert read_vp8(made(2)[1].encoded.data) == (False, 0, 0)
