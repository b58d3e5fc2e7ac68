"""One contract for all captures, the real one on an X server of the test's own; and what is said where none
works.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy import uint8
from numpy.typing import NDArray

from mobium.errors import CaptureUnavailable, InvalidInput, MediaUnavailable
from mobium.media import capture as capture_module
from mobium.media.capture import Capture, Monitor, ScreenCapture, Shot
from mobium.media.pattern import Pattern, PatternCapture, number_in
from tests.support.display import DISPLAY, display

POINTER = 400
"""Pixels that an X server's pointer hides, at most."""


def pixels(shot: Shot) -> NDArray[uint8]:
    return np.frombuffer(shot.data, uint8).reshape(shot.height, shot.width, 4)


class Stage:
    """A capture with two monitors, and a hand that draws on them."""

    def __init__(self, opened: Capture, draw: Callable[[int], None]) -> None:
        self.capture = opened
        self.draw = draw
        """Show this picture of the pattern on the first monitor, 640 by 720."""


@contextlib.contextmanager
def of_patterns(folder: Path) -> Iterator[Stage]:
    class Drawn(PatternCapture):
        def draw(self, number: int) -> None:
            self._number = number

    opened = Drawn([Monitor("one", 640, 720, default=True), Monitor("two", 320, 240, default=False)])
    yield Stage(opened, opened.draw)
    opened.close()


@contextlib.contextmanager
def of_a_display(folder: Path) -> Iterator[Stage]:
    with display(folder) as shown:
        shown.two_monitors()
        pattern, black = Pattern(640, 720), np.zeros((720, 640, 4), uint8)

        def draw(number: int) -> None:
            shown.paint(np.concatenate([pattern.draw(number), black], axis=1).tobytes())

        draw(0)
        opened = ScreenCapture(shown.environ)
        yield Stage(opened, draw)
        opened.close()


KINDS = [
    pytest.param(of_patterns, id="pattern"),
    pytest.param(of_a_display, id="display", marks=DISPLAY),
]


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with request.param(tmp_path) as found:
        yield found


def test_monitors_have_names_and_sizes(stage: Stage) -> None:
    found = stage.capture.monitors()
    assert [(one.width, one.height) for one in found] == [(640, 720), (320, 240)]
    assert len({one.name for one in found}) == 2
    assert sum(one.default for one in found) <= 1


def test_what_is_on_the_screen_is_grabbed(stage: Stage) -> None:
    for number in (1, 0xFFFF, 4_711):
        stage.draw(number)
        shot = stage.capture.grab()
        assert (shot.width, shot.height, len(shot.data)) == (640, 720, 4 * 640 * 720)
        different = (pixels(shot)[..., :3] != Pattern(640, 720).draw(number)[..., :3]).any(2)
        assert int(different.sum()) <= POINTER
        assert number_in(pixels(shot)) == number


def test_a_shot_stays_as_it_was(stage: Stage) -> None:
    stage.draw(5)
    first = stage.capture.grab()
    stage.draw(10)
    second = stage.capture.grab()
    assert (number_in(pixels(first)), number_in(pixels(second))) == (5, 10)


def test_a_monitor_is_chosen_by_its_name(stage: Stage) -> None:
    first, second = stage.capture.monitors()
    small, large = (320, 240), (640, 720)
    for name, size in ((second.name, small), (first.name, large), (second.name, small), (None, large)):
        stage.capture.choose(name)
        shot = stage.capture.grab()
        assert (shot.width, shot.height) == size
    with pytest.raises(InvalidInput, match=f"called nowhere; there are: {first.name}, {second.name}"):
        stage.capture.choose("nowhere")
    assert stage.capture.grab().width == 640  # as it was


def test_a_closed_capture_grabs_nothing(stage: Stage) -> None:
    stage.capture.grab()
    stage.capture.close()
    stage.capture.close()
    with pytest.raises(CaptureUnavailable):
        stage.capture.grab()


def test_a_shot_shows_nothing_of_itself_in_a_log(stage: Stage) -> None:
    assert repr(stage.capture.grab()) == "<Shot 640x720>"


def test_without_mss_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mss", None)
    with pytest.raises(CaptureUnavailable) as caught:
        ScreenCapture({"DISPLAY": ":0"})
    assert str(caught.value) == (
        "Showing the screen takes the Python package mss, which is missing. Install it with: "
        "pip install 'mobium[media]'"
    )
    assert caught.value.install == "pip install 'mobium[media]'"
    assert isinstance(caught.value, MediaUnavailable)


LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has X11 and Wayland")


@LINUX
@pytest.mark.parametrize("environ", [{}, {"DISPLAY": ""}, {"DISPLAY": ":64999"}, {"DISPLAY": "no display"}])
def test_without_a_display_it_says_so(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")  # which is not the one that was asked for
    with pytest.raises(CaptureUnavailable, match=r"^There is no screen to show: DISPLAY names") as caught:
        ScreenCapture(environ)
    assert caught.value.install == ""


@LINUX
@pytest.mark.parametrize("environ", [{"WAYLAND_DISPLAY": "wayland-0"}, {"XDG_SESSION_TYPE": "wayland"}])
def test_in_a_wayland_session_it_says_what_to_do(environ: dict[str, str]) -> None:
    with pytest.raises(CaptureUnavailable, match=r"Wayland session.*Log out, and choose a session of Xorg"):
        ScreenCapture({"DISPLAY": ":0", **environ})


@LINUX
def test_without_libxcb_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import mss

    def missing(**_: object) -> None:
        raise mss.ScreenShotError("Library libxcb-randr.so not found")

    monkeypatch.setattr(mss, "MSS", missing)
    with pytest.raises(CaptureUnavailable, match="Install it with: sudo apt install libxcb1") as caught:
        ScreenCapture({"DISPLAY": ":0"})
    assert caught.value.install == capture_module._LIBRARIES


def test_a_pattern_moves_and_says_its_number() -> None:
    pattern = Pattern(160, 120)
    assert [number_in(pattern.draw(number)) for number in (0, 1, 32_768, 65_535)] == [0, 1, 32_768, 65_535]
    first, next_, scrolled = (pattern.draw(number) for number in (0, 1, 15))
    assert 0 < (first != next_).mean() < 0.05
    assert (first != scrolled).mean() > 0.05
    assert (Pattern(160, 120).draw(77) == pattern.draw(77)).all()
