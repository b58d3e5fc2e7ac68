"""An hour of a shared screen, compressed: what is held at its end is what was held after a few minutes."""

from __future__ import annotations

import gc
import random

import psutil
import pytest

from mobium.errors import Invalid
from mobium.media.broadcast import Broadcast
from mobium.media.capture import Shot
from mobium.media.follow import Following
from mobium.media.fragments import Picture, Reassembly, read_picture
from mobium.media.pattern import Pattern
from mobium.media.screen import Preset, ScreenDecoder, ScreenEncoder, scaled
from mobium.protocol.limits import media_cost
from tests.support.screens import Keys, encoded

HOUR = 54_000  # pictures
MIB = 1 << 20
SMALL = Preset(160, 96, 100_000)


def held() -> int:
    """Bytes that the process holds."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def test_an_hour_of_pictures_between_encoder_and_decoder(seed: int) -> None:
    """With one fragment in a hundred lost, a viewer who enters every minute, and a share that is begun anew
    every ten minutes.
    """
    draw, keys = random.Random(seed), Keys()
    opener, whole, now = keys.opener(), Reassembly(), 0.0
    asked: list[int] = []
    following = Following(lambda: asked.append(1))
    taken, after_ten_minutes = 0, 0
    broadcast = Broadcast(0, 2_500_000, keys.seal, media_cost, now)
    for number in range(HOUR):
        now = number / 15
        if number % (HOUR // 6) == 0:
            broadcast = Broadcast(number // (HOUR // 6), 2_500_000, keys.seal, media_cost, now)
        if number % 900 == 0:
            broadcast.ask(("late", number), now)
        if asked:
            asked.clear()
            broadcast.ask("viewer", now)
        if broadcast.wait(now) == 0:
            keyframe = broadcast.keyframe_due(now)
            broadcast.put(encoded(keyframe, draw.randint(60_000, 250_000) if keyframe else 15_000), now)
        while (body := broadcast.take(now)) is not None:
            sealed = whole.put("sender", body, now) if draw.random() < 0.99 else None
            if sealed is not None:
                following.put(read_picture(opener.open(sealed.data, keys.place)), now)
        following.poll(now)
        while following.take(now) is not None:
            taken += 1
        if number == HOUR // 6:
            after_ten_minutes = held()
    grown = held() - after_ten_minutes
    counts = following.counts
    print(f"{taken} pictures, {counts.lost} lost, {counts.asked} asked for; {grown / MIB:+.1f} MiB")
    assert taken > HOUR / 2
    assert counts.asked > 100
    assert grown < 8 * MIB


def coded(count: int) -> int:
    """Encodes and decodes so many pictures, with a keyframe, something broken and another size now and then;
    the bytes that it grew by after the first tenth.
    """
    pattern, other = Pattern(SMALL.width, SMALL.height), Pattern(96, 64)
    shots = [
        Shot(one.width, one.height, one.draw(at).tobytes()) for one in (pattern, other) for at in range(8)
    ]
    encoder, decoder = ScreenEncoder(SMALL.bit_rate), ScreenDecoder()
    before, decoded = 0, 0
    for number in range(count):
        if number == count // 10:
            before = held()
        if number % 200 == 0:
            encoder, decoder = ScreenEncoder(SMALL.bit_rate), ScreenDecoder()
        shot = shots[number % 8 + (8 if number % 50 < 5 else 0)]
        picture = encoder.encode(scaled(shot, SMALL), number * 66, keyframe=number % 25 == 0)
        assert picture is not None
        if number % 60 == 0:
            picture = picture._replace(data=picture.data[:-20])
        try:
            shown = decoder.decode(Picture(0, number, picture))
        except Invalid:
            continue
        if shown is not None:
            decoded += len(shown.rgb()) > 0
    assert decoded > count / 4
    return held() - before


def test_an_encoder_and_a_decoder_hold_nothing_of_what_was_shown() -> None:
    grown = coded(3_000)
    print(f"{grown / MIB:+.1f} MiB")
    assert grown < 8 * MIB


@pytest.mark.long
def test_an_encoder_and_a_decoder_for_an_hour() -> None:
    grown = coded(HOUR)
    print(f"{grown / MIB:+.1f} MiB")
    assert grown < 8 * MIB
