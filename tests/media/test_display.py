"""What happens to real screens while they are shown, on an X server of the test's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from mobium.errors import CaptureUnavailable
from mobium.media.capture import ScreenCapture
from tests.support.display import DISPLAY, display

pytestmark = DISPLAY


def looking_each_time() -> Callable[[], float]:
    """A clock by which a capture looks for monitors at every grab."""
    return itertools.count(0.0, 10.0).__next__


def test_a_monitor_that_gets_another_size_is_followed(tmp_path: Path) -> None:
    with display(tmp_path) as shown:
        opened = ScreenCapture(shown.environ, looking_each_time())
        [whole] = opened.monitors()
        opened.choose(whole.name)
        assert opened.grab().width == 1_280
        shown.xrandr("--setmonitor", "small", "400/100x300/80+0+0", "screen")
        shot = opened.grab()
        assert (shot.width, shot.height) == (400, 300)
        shown.xrandr("--delmonitor", "small")
        assert opened.grab().width == 1_280
        opened.close()


def test_a_screen_that_shrinks_is_followed_at_once(tmp_path: Path) -> None:
    """What was captured is not all there any more, long before it is looked again."""
    with display(tmp_path) as shown:
        opened = ScreenCapture(shown.environ, lambda: 0.0)
        assert opened.grab().width == 1_280
        shown.xrandr("--newmode", "small", *["10", "640", "650", "660", "670", "360", "370", "380", "390"])
        shown.xrandr("--addmode", "screen", "small")
        shown.xrandr("--output", "screen", "--mode", "small")
        shot = opened.grab()
        assert (shot.width, shot.height) == (640, 360)
        opened.close()


def test_a_monitor_that_is_pulled_out_is_missed(tmp_path: Path) -> None:
    with display(tmp_path) as shown:
        shown.two_monitors()
        opened = ScreenCapture(shown.environ, looking_each_time())
        gone = opened.monitors()[1].name
        opened.choose(gone)
        opened.grab()
        shown.xrandr("--delmonitor", "two")
        with pytest.raises(CaptureUnavailable, match=f"called {gone} any more; choose another"):
            opened.grab()
        opened.choose(None)
        assert opened.grab().width == 640
        opened.close()


def test_a_display_that_ends_is_missed(tmp_path: Path) -> None:
    with display(tmp_path) as shown:
        opened = ScreenCapture(shown.environ)
        opened.grab()
        shown.end()
        for call in (opened.grab, opened.monitors, opened.grab):
            with pytest.raises(CaptureUnavailable, match=r"no screen to show|display is gone"):
                call()
        opened.close()


def test_an_hour_of_grabs_leaves_nothing_open(tmp_path: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc")
    with display(tmp_path, 64, 48) as shown:
        opened = ScreenCapture(shown.environ, looking_each_time())
        opened.grab()
        before = len(list(descriptors.iterdir()))
        for _ in range(1_800):  # looks again each time, as it does every two seconds
            opened.grab()
        assert len(list(descriptors.iterdir())) <= before
        opened.close()
