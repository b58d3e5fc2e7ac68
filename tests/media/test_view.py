"""What a viewer sees of one sender: opened pictures in, what to show out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from mobium.errors import Invalid
from mobium.media.fragments import Picture, write_picture
from mobium.media.view import ScreenView
from tests.support.screens import picture


class Stage:
    """A view whose decoder is a stand-in, on a clock that is called."""

    def __init__(self) -> None:
        self.now = 10.0
        self.asked = 0
        self.decoded: list[int] = []
        self.next = 0
        self.view = ScreenView(self.ask, lambda: self.now)
        self.view._decoder = self  # type: ignore[assignment]

    def ask(self) -> None:
        self.asked += 1

    def comes(self, *, keyframe: bool = False) -> None:
        self.view.put(write_picture(picture(self.next, keyframe=keyframe)))
        self.next += 1

    def decode(self, shown: Picture) -> Any:
        self.decoded.append(shown.number)
        return SimpleNamespace(number=shown.number)

    def shows(self) -> int | None:
        shown: Any = self.view.show()
        return None if shown is None else int(shown.number)


def test_the_newest_is_shown_and_all_before_it_are_decoded() -> None:
    stage = Stage()
    assert stage.shows() is None
    stage.comes(keyframe=True)
    for _ in range(4):
        stage.comes()
    assert stage.shows() == 4
    assert stage.decoded == [0, 1, 2, 3, 4]
    assert stage.shows() is None


def test_something_is_shown_though_more_comes_all_the_time() -> None:
    """A machine on which decoding a picture takes as long as the next one takes to come."""

    class Busy(Stage):
        def decode(self, shown: Picture) -> Any:
            assert len(self.decoded) < 100
            self.now += 1 / 15
            self.comes()
            return super().decode(shown)

    stage = Busy()
    stage.comes(keyframe=True)
    stage.comes()
    assert stage.shows() == 1
    assert stage.shows() == 3


def test_what_is_no_picture_is_counted_and_changes_nothing() -> None:
    stage = Stage()
    stage.comes(keyframe=True)
    for plaintext in (b"", b"no picture", bytes(100)):
        stage.view.put(plaintext)
    stage.comes()
    assert stage.shows() == 1
    assert (stage.view.malformed, stage.view.counts.late) == (3, 0)


def test_what_was_decoded_before_a_broken_one_is_shown() -> None:
    class Breaks(Stage):
        def decode(self, shown: Picture) -> Any:
            if shown.number == 2:
                raise Invalid("broken")
            return super().decode(shown)

    stage = Breaks()
    stage.comes(keyframe=True)
    for _ in range(4):
        stage.comes()
    assert stage.shows() == 1
    assert stage.view.malformed == 1
    assert stage.view.waits_for_keyframe
    stage.view.poll()
    assert stage.asked == 1
    stage.comes()
    assert stage.shows() is None
    stage.comes(keyframe=True)
    assert stage.shows() == 6
