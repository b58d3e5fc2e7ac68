"""Pictures made from keys, so that somebody with a friend's name and another key looks different.

Not its concern: names.
"""

from __future__ import annotations

import colorsys
import hashlib
from typing import Any

import customtkinter as ctk
from PIL import Image, ImageDraw, ImageTk

__all__ = ["Avatars", "drawn"]

_CELLS = 5  # a side; the left half is mirrored, which makes it a figure and not noise
_FINER = 4
_CONTEXT = b"mobium avatar 1"


def drawn(key: str, pixels: int, *, square: bool = False) -> Image.Image:
    """The picture of a key, `pixels` a side: round for people, `square` for channels. 43 bits of a hash of
    the key decide it: 15 of the figure, and two colours.
    """
    bits = hashlib.sha256(_CONTEXT + key.encode()).digest()
    hue = int.from_bytes(bits[:2], "big") / 65_536
    turn = 0.08 + bits[2] / 256 * 0.3
    back = _color(hue, 0.34 + bits[3] / 256 * 0.1, 0.45)
    front = _color(hue + turn, 0.80 + bits[4] / 256 * 0.06, 0.75)
    large = pixels * _FINER
    picture = Image.new("RGB", (large, large), back)
    draw = ImageDraw.Draw(picture)
    figure = int.from_bytes(bits[5:7], "big")
    inset = large * (0.16 if square else 0.2)
    cell = (large - 2 * inset) / _CELLS
    half = (_CELLS + 1) // 2
    for place in range(_CELLS * half):
        if figure >> place & 1:
            row, column = divmod(place, half)
            for at in {column, _CELLS - 1 - column}:
                left, top = inset + at * cell, inset + row * cell
                draw.rectangle((left, top, left + cell, top + cell), fill=front)
    shape = Image.new("L", (large, large), 0)
    whole = (0, 0, large - 1, large - 1)
    if square:
        ImageDraw.Draw(shape).rounded_rectangle(whole, radius=large * 0.28, fill=255)
    else:
        ImageDraw.Draw(shape).ellipse(whole, fill=255)
    picture.putalpha(shape)
    return picture.resize((pixels, pixels), Image.Resampling.LANCZOS)


def _color(hue: float, light: float, full: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hls_to_rgb(hue % 1.0, light, full)
    return round(red * 255), round(green * 255), round(blue * 255)


class Avatars:
    """Pictures as the toolkit takes them; each is drawn once while it is remembered, and remembered as long
    as it is shown: the toolkit draws nothing in the place of one that was forgotten.
    """

    _MOST = 512  # pictures of each kind that are remembered, shown or not

    def __init__(self, density: float = 1.0) -> None:
        self._density = density
        self._drawn: dict[tuple[object, ...], Image.Image] = {}
        self._photos: dict[tuple[object, ...], Any] = {}
        self._room = self._MOST

    def image(self, key: str, size: int, *, square: bool = False) -> Any:
        """A picture for a widget of CustomTkinter, `size` pixels of the design a side, for that one alone: an
        image knows who shows it, and would keep a widget that is gone.
        """
        pixels = round(size * max(2.0, self._density))
        name = (key, size, square)
        if name not in self._drawn:
            if len(self._drawn) >= self._MOST:  # each widget has a copy
                del self._drawn[next(iter(self._drawn))]
            self._drawn[name] = drawn(key, pixels, square=square)
        picture = self._drawn[name]
        return ctk.CTkImage(picture, picture, size=(size, size))

    def photo(self, key: str, pixels: int, *, square: bool = False) -> Any:
        """A picture for canvases and text widgets, `pixels` of the screen a side."""
        name = (key, pixels, square)
        if name not in self._photos:
            if len(self._photos) >= self._room:
                self._forget()
            self._photos[name] = ImageTk.PhotoImage(drawn(key, pixels, square=square))
        return self._photos[name]

    def _forget(self) -> None:
        """Forget what nothing shows. Where much is shown, the next time is further away."""
        self._photos = {
            name: photo
            for name, photo in self._photos.items()
            if photo.tk.getboolean(photo.tk.call("image", "inuse", str(photo)))
        }
        self._room = max(self._MOST, 2 * len(self._photos))
