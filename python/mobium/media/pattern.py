"""A screen that nobody has: a test pattern with letters, colours and motion, for tests, servers and the
bench.

What moves is known: picture n of a pattern is the same everywhere, and says its number in squares that
survive any encoder (`number_in`). Not its concern: when it is time for the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mobium.errors import CaptureUnavailable
from mobium.media.capture import Monitor, Shot, pick
from mobium.media.form import needed

if TYPE_CHECKING:
    from numpy import uint8
    from numpy.typing import NDArray

__all__ = ["BITS", "Pattern", "PatternCapture", "number_in"]

BITS: Final = 16
"""Squares of a number, black or white, the lowest first, in the upper left corner: a row of the width that is
a sixteenth of the picture's each.
"""

_CELL: Final = (14, 8)
_PAPER: Final = (248, 250, 250)
_INK: Final = (48, 32, 24)
_LINES: Final = 40
"""Lines that are not seen at first: three of them come in with every fifteenth picture."""


class Pattern:
    """The pictures of one size."""

    def __init__(self, width: int, height: int) -> None:
        """In pixels, 64 by 48 at least. Raises MediaUnavailable without numpy."""
        numpy = needed("numpy", "A test pattern")
        self.width: Final = width
        self.height: Final = height
        draw = numpy.random.default_rng(1)
        letters = numpy.zeros((64, *_CELL), bool)
        letters[:, 3:10, 1:6] = draw.random((64, 7, 5)) < 0.45
        letters[0] = False  # the space
        high, wide = _CELL
        lines, columns = height // high + _LINES, width // wide
        chosen = draw.integers(0, 64, (lines, columns))
        chosen[draw.random((lines, columns)) < 0.15] = 0
        for line, end in enumerate(draw.integers(columns // 3, columns + 1, lines)):
            chosen[line, end:] = 0
        ink = letters[chosen].transpose(0, 2, 1, 3).reshape(lines * high, columns * wide)
        self._page: NDArray[uint8] = numpy.full((lines * high, width, 4), 255, numpy.uint8)
        self._page[..., :3] = _PAPER
        self._page[:, : columns * wide, :3][ink] = _INK
        self._side = numpy.full((height, width // 8, 4), 255, numpy.uint8)
        self._side[..., 0] = numpy.linspace(60, 220, height).astype(numpy.uint8)[:, None]
        self._side[..., 1], self._side[..., 2] = 96, 128

    def draw(self, number: int) -> NDArray[uint8]:
        """Picture `number` (0 or more): an array of height x width x 4 bytes, blue, green, red, 255."""
        top = number // 15 * 3 % _LINES * _CELL[0]
        picture: NDArray[uint8] = self._page[top : top + self.height].copy()
        picture[:, : self._side.shape[1]] = self._side
        box = self.height // 8
        left, upper = number * 9 % (self.width - box), self.height // 2
        picture[upper : upper + box, left : left + box, :3] = (32, 160, 224)
        square = self.width // BITS
        for bit in range(BITS):
            shade = 255 if number >> bit & 1 else 0
            picture[: square // 2, bit * square : (bit + 1) * square, :3] = shade
        return picture


def number_in(picture: NDArray[uint8]) -> int:
    """The number of the pattern that a picture shows (height x width x 3 or 4), whatever its size."""
    square = picture.shape[1] // BITS
    middles = [picture[square // 4, bit * square + square // 2, 1] for bit in range(BITS)]
    return sum(1 << bit for bit, shade in enumerate(middles) if shade >= 128)


class PatternCapture:
    """A capture of patterns: each `grab` gives the next picture of the chosen monitor."""

    def __init__(self, monitors: Sequence[Monitor] = (Monitor("pattern", 1_280, 720, default=True),)) -> None:
        """Raises MediaUnavailable without numpy."""
        self._monitors = list(monitors)
        self._chosen = pick(None, self._monitors)
        self._patterns = {one.name: Pattern(one.width, one.height) for one in monitors}
        self._number = 0
        self._closed = False

    def monitors(self) -> list[Monitor]:
        """As `Capture` has it."""
        return list(self._monitors)

    def choose(self, name: str | None) -> None:
        """As `Capture` has it."""
        self._chosen = pick(name, self._monitors)

    def grab(self) -> Shot:
        """As `Capture` has it."""
        if self._closed:
            raise CaptureUnavailable("The screen is not captured any more.")
        picture = self._patterns[self._chosen.name].draw(self._number)
        self._number += 1
        return Shot(self._chosen.width, self._chosen.height, picture.tobytes())

    def close(self) -> None:
        """As `Capture` has it."""
        self._closed = True
