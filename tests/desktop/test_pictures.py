"""Pictures of a shared screen on their way to the window: the newest, in the size of its place, dropped and
never queued.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mobium_client.gui.models.main import Main
from mobium_client.gui.models.pictures import CallPictures, Picture, RoomPictures, fitted
from mobium_client.gui.models.screen_pane import ScreenPane
from tests.desktop.profiles import PASSWORD, make
from tests.support.seat import Seat

av = pytest.importorskip("av")
np = pytest.importorskip("numpy")


def frame(color: int, width: int = 320, height: int = 180) -> Any:
    """A picture of one shade."""
    return av.VideoFrame.from_ndarray(np.full((height, width, 3), color, np.uint8), format="rgb24")


def test_pictures_keep_their_shape_and_are_never_enlarged() -> None:
    assert fitted(1_920, 1_080, 960, 960) == (960, 540)
    assert fitted(1_080, 1_920, 960, 960) == (540, 960)
    assert fitted(320, 180, 5_000, 5_000) == (320, 180)
    assert fitted(10_000, 16, 100, 100) == (100, 2)


async def test_of_a_call_the_newest_is_shown_and_again_when_its_place_changes() -> None:
    feed = CallPictures()
    assert await feed.next(160, 90) is None, "nothing has come"
    for color in (10, 20, 200):
        feed.put(frame(color))
    first = await feed.next(160, 90)
    assert first is not None
    assert (first.width, first.height, len(first.rgb)) == (160, 90, 160 * 90 * 3)
    assert first.rgb[0] == 200, "those before it are dropped"
    larger = await feed.next(320, 180)
    assert larger is not None
    assert larger.width == 320
    assert await feed.next(320, 180) is None, "the same one is not shown twice"
    waiting = asyncio.create_task(feed.next(320, 180))
    await asyncio.sleep(0)
    feed.put(frame(90))
    last = await waiting
    assert last is not None
    assert last.rgb[0] == 90
    assert "rgb" not in repr(last), "what is on a screen is nobody else's"
    feed.forget()
    assert await feed.next(160, 90) is None, "another call begins without what this one has shown"


class View:
    """What a member shows in a room."""

    def __init__(self) -> None:
        self.pictures: list[Any] = []

    def show(self) -> Any:
        return self.pictures.pop(0) if self.pictures else None


class Shown:
    """A decoded picture."""

    def __init__(self, color: int) -> None:
        self.frame = frame(color)


class Voice:
    """One's part in a room, as far as screens go."""

    def __init__(self) -> None:
        self.screens = self
        self.views = {"cora": View()}

    def view(self, speaker: str) -> View | None:
        return self.views.get(speaker)


async def test_of_a_room_the_last_one_stands_until_another_comes() -> None:
    voice = Voice()
    feed = RoomPictures(voice, "cora")  # type: ignore[arg-type]
    assert await feed.next(160, 90) is None
    voice.views["cora"].pictures.append(Shown(50))
    first = await feed.next(160, 90)
    assert first is not None
    assert first.rgb[0] == 50
    again = await feed.next(80, 45)
    assert again is not None, "its place has changed"
    assert again.width == 80
    voice.views.clear()
    assert await feed.next(80, 45) is None, "nothing is shown any more"


class Feed:
    """Counts what is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.fails = 0

    async def next(self, width: int, height: int) -> Picture | None:
        self.asked.append((width, height))
        if self.fails:
            self.fails -= 1
            raise ValueError("a picture that is none")
        return Picture(2, 1, bytes(6))


@pytest.fixture
def main(folder: Path) -> Iterator[tuple[Seat, Main]]:
    make(folder)
    with Seat(folder) as seat:
        yield seat, seat.unlock(PASSWORD)


def test_the_next_picture_is_asked_for_when_the_last_one_was_drawn(main: tuple[Seat, Main]) -> None:
    seat, opened = main
    feed = Feed()
    pane = ScreenPane(opened.opened, feed, "A screen", "ab" * 32)
    pane.taken()
    seat.do(asyncio.sleep(0.02))
    assert feed.asked == [], "it has no place yet"
    pane.fit(640, 360)
    seat.until(lambda: pane.state.count == 1)
    seat.do(asyncio.sleep(0.1))
    assert len(feed.asked) == 1, "nobody has drawn it"
    pane.taken()
    pane.taken()
    seat.until(lambda: pane.state.count == 2)
    assert len(feed.asked) == 2, "one at a time"
    pane.close()
    pane.taken()
    seat.do(asyncio.sleep(0.02))
    assert len(feed.asked) == 2


def test_a_picture_that_cannot_be_shown_is_not_the_last_one(main: tuple[Seat, Main]) -> None:
    seat, opened = main
    feed = Feed()
    feed.fails = 1
    pane = ScreenPane(opened.opened, feed, "A screen", "ab" * 32)
    pane.fit(640, 360)
    seat.until(lambda: seat.mistakes)
    seat.mistakes.clear()
    seat.until(lambda: pane.state.count == 1)
    pane.close()
