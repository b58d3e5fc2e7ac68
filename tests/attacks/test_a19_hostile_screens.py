"""A19: somebody in a voice room who shows a screen that is meant to hurt those who watch it: a small picture
that announces 16,000 by 16,000 pixels, pictures that never become whole, and somebody who asks for keyframes
without end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mobium.media import broadcast as broadcasts
from mobium.media import fragments, screen
from mobium.media.broadcast import Broadcast
from mobium.media.capture import Shot
from mobium.media.fragments import LARGEST_SEALED, Encoded, Reassembly, Sealed, cut
from mobium.media.pace import Pacer
from mobium.media.pattern import Pattern, number_in
from mobium.media.screen import PRESETS, Preset, ScreenEncoder, Vp8Head, read_vp8, scaled
from mobium.media.view import ScreenView
from mobium.protocol.limits import media_cost
from tests.support.screens import Keys, encoded, pixels

HUGE = 16_000  # pixels of a side, of which FFmpeg makes 384 MB
PEOPLE = 39


def honest(number: int = 0) -> Encoded:
    shot = Shot(320, 180, Pattern(320, 180).draw(number).tobytes())
    made = ScreenEncoder(400_000).encode(scaled(shot, Preset(320, 180, 400_000)), 66 * number)
    assert made is not None
    return made


def huge() -> Encoded:
    """As small as an honest keyframe, and as large as that of nobody."""
    frame = bytearray(honest().data)
    frame[6:10] = HUGE.to_bytes(2, "little") * 2
    return honest()._replace(data=bytes(frame))


def written(number: int, made: Encoded) -> bytes:
    """A picture's plaintext, made without our own checks."""
    head = fragments._HEAD.pack(1, int(made.keyframe), 0, number, made.time, made.width, made.height)
    return head + made.data


class Watched:
    """PyAV, and what FFmpeg was given to decode."""

    def __init__(self, view: ScreenView) -> None:
        self.seen: list[bytes] = []
        self._av = view._decoder._av
        view._decoder._av = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._av, name)

    def Packet(self, data: bytes) -> Any:  # noqa: N802 - PyAV's name
        self.seen.append(data)
        return self._av.Packet(data)


def test_a_picture_that_announces_more_than_it_may_is_not_decoded() -> None:
    view = ScreenView(lambda: None)
    watched, lies = Watched(view), huge()
    sizes = [(lies.width, lies.height), (HUGE, HUGE), (1_920, 1_080)]
    for number, (width, height) in enumerate(sizes):
        view.put(written(number, lies._replace(width=width, height=height)))
        assert view.show() is None
    assert view.malformed == 3
    assert watched.seen == []
    view.put(written(9, honest()))
    shown = view.show()
    assert shown is not None
    assert number_in(pixels(shown)) == 0


def test_without_the_limit_of_pixels_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (fragments, screen):
        for side in ("WIDEST", "HIGHEST"):
            monkeypatch.setattr(module, side, 2**14)  # the defence, off
    view = ScreenView(lambda: None)
    view.put(written(0, huge()._replace(width=HUGE, height=HUGE)))
    shown = view.show()
    assert shown is not None
    assert (shown.width, shown.height) == (HUGE, HUGE)


def test_without_our_look_at_the_frame_ffmpeg_s_own_limit_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def believed(data: bytes) -> Vp8Head:
        return read_vp8(data)._replace(width=320, height=180)

    monkeypatch.setattr(screen, "read_vp8", believed)  # the defence, off
    view = ScreenView(lambda: None)
    watched = Watched(view)
    view.put(written(0, huge()))
    assert view.show() is None
    assert len(watched.seen) == 1


def flood(whole: Reassembly) -> int:
    """Everybody but one sends all but one piece of the largest picture, again and again; the most that is
    held.
    """
    most = 0
    for number in range(8):
        for body in cut(Sealed(0, number, bytes(LARGEST_SEALED)))[:-1]:
            for sender in range(PEOPLE):
                whole.put(sender, body, 0.0)
                most = max(most, whole.size)
    return most


def test_pictures_that_never_become_whole_are_held_within_a_limit_and_hold_up_nobody() -> None:
    whole, keys = Reassembly(), Keys()
    [first, *rest] = cut(Sealed(0, 0, keys.seal(bytes(200_000))))
    whole.put("anna", first, 0.0)
    assert flood(whole) < 21 << 20
    found = [whole.put("anna", body, 0.1) for body in rest]
    assert found[-1] is not None
    for sender in range(PEOPLE):
        whole.put(sender, b"", 10.0)  # time passes
    assert whole.size == 0


def test_without_the_limits_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MOST_PARTIAL", "MOST_OF_ALL"):
        monkeypatch.setattr(fragments, limit, 2**40)  # the defence, off
    assert flood(Reassembly()) > 100 << 20


def minute(ask: Callable[[Broadcast, float], None]) -> Broadcast:
    """A minute at 720p, in which somebody asks."""
    preset = PRESETS["720p"]
    shared, pacer = Broadcast(0, preset.bit_rate, bytes, media_cost, 0.0), Pacer(15, 0.0)
    for now in (step / 100 for step in range(6_000)):
        ask(shared, now)
        while shared.take(now) is not None:
            pass
        if pacer.wait(now) == 0 and shared.wait(now) == 0:
            pacer.began(now)
            keyframe = shared.keyframe_due(now)
            shared.put(encoded(keyframe, 115_000 if keyframe else 9_000), now)
    return shared


def greedy(shared: Broadcast, now: float) -> None:
    shared.ask("mallory", now)


def test_who_asks_for_keyframes_without_end_hardly_costs_the_others_pictures() -> None:
    alone, beset = minute(lambda *_: None), minute(greedy)
    print(f"pictures in a minute: {alone.counts.pictures}, and with somebody greedy {beset.counts.pictures}")
    assert beset.counts.keyframes <= 26
    assert beset.counts.pictures > 0.85 * alone.counts.pictures


def test_without_an_allowance_he_gets_a_keyframe_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcasts, "ASKS_AGAIN", 1e-3)  # the defence, off
    alone, beset = minute(lambda *_: None), minute(greedy)
    assert beset.counts.keyframes > 40
    assert beset.counts.pictures < 0.75 * alone.counts.pictures
