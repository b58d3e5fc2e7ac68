"""Icons: drawn by Pillow from the font of Material Design Icons, in the colours of the theme.

The package is `fonticon-materialdesignicons7`: 0.6 MB, MIT, no dependencies of its own, made anew from each
release of the icons. (`material-design-icons` is 16 MB, `mdi-pil` is under the GPL.) Not its concern: which
icon means what.
"""

from __future__ import annotations

from typing import Any

import customtkinter as ctk
from fonticon_mdi7 import MDI7
from PIL import Image, ImageDraw, ImageFont, ImageTk

__all__ = ["Icons"]

_FINER = 2  # drawn larger and made smaller, so that edges are smooth


class Icons:
    """The icons of one theme, each drawn once. Names are those of Material Design Icons, with underscores."""

    def __init__(self, density: float = 1.0) -> None:
        self._density = density
        self._made: dict[tuple[object, ...], Any] = {}

    def image(self, name: str, size: int, color: str) -> Any:
        """An icon for a widget of CustomTkinter, `size` pixels of the design high. Each widget has one of its
        own: an image knows who shows it, and would keep a widget that is gone, with all that it leads to.
        """
        key = ("drawn", name, size, color)
        if key not in self._made:
            self._made[key] = self.drawn(name, round(size * max(2.0, self._density)), color)
        return ctk.CTkImage(self._made[key], self._made[key], size=(size, size))

    def photo(self, name: str, pixels: int, color: str) -> Any:
        """An icon for canvases and text widgets, `pixels` of the screen high."""
        key = ("tk", name, pixels, color)
        if key not in self._made:
            self._made[key] = ImageTk.PhotoImage(self.drawn(name, pixels, color))
        return self._made[key]

    def pill(self, width: int, height: int, color: str, radius: int | None = None) -> Any:
        """A ground with round corners for canvases and text widgets, in pixels of the screen."""
        key = ("pill", width, height, color, radius)
        if key not in self._made:
            self._made[key] = ImageTk.PhotoImage(_pill(width, height, color, radius))
        return self._made[key]

    def cap(self, width: int, height: int, color: str, behind: str, radius: int, *, upper: bool) -> Any:
        """The upper or lower end of a bubble, in the screen's pixels: corners of `color` on `behind`."""
        key = ("cap", width, height, color, behind, radius, upper)
        if key not in self._made:
            whole = _pill(width, 2 * radius + height, color, radius)
            top = 0 if upper else whole.height - height
            picture = Image.new("RGB", (width, height), behind)
            picture.paste(color, (0, 0), whole.getchannel("A").crop((0, top, width, top + height)))
            self._made[key] = ImageTk.PhotoImage(picture)
        return self._made[key]

    @staticmethod
    def drawn(name: str, pixels: int, color: str) -> Image.Image:
        """The picture of an icon. Raises AttributeError for a name that there is not."""
        letter = getattr(MDI7, name).rpartition(".")[2]
        large = pixels * _FINER
        shape = Image.new("L", (large, large), 0)
        font = ImageFont.truetype(MDI7.__font_file__, large)
        ImageDraw.Draw(shape).text((large / 2, large / 2), letter, fill=255, font=font, anchor="mm")
        shape = shape.resize((pixels, pixels), Image.Resampling.LANCZOS)
        picture = Image.new("RGBA", (pixels, pixels), color)
        picture.putalpha(shape)
        return picture


def _pill(width: int, height: int, color: str, radius: int | None) -> Image.Image:
    finer = 4
    shape = Image.new("L", (width * finer, height * finer), 0)
    round_by = (height / 2 if radius is None else radius) * finer
    ImageDraw.Draw(shape).rounded_rectangle(
        (0, 0, width * finer - 1, height * finer - 1), radius=round_by, fill=255
    )
    picture = Image.new("RGBA", (width, height), color)
    picture.putalpha(shape.resize((width, height), Image.Resampling.LANCZOS))
    return picture
