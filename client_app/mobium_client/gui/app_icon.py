"""The icon of the program: for its window, and for packages (tools/package.py).

Not its concern: other icons.
"""

from __future__ import annotations

from PIL import Image, ImageDraw

from mobium_client.gui.icons import Icons
from mobium_client.gui.theme import LIGHT

__all__ = ["drawn"]

_FINER = 4
_ROUND = 0.24  # of a side
_GLYPH = 0.66


def drawn(pixels: int) -> Image.Image:
    """The icon, `pixels` a side."""
    large = pixels * _FINER
    shape = Image.new("L", (large, large), 0)
    ImageDraw.Draw(shape).rounded_rectangle((0, 0, large - 1, large - 1), radius=large * _ROUND, fill=255)
    picture = Image.new("RGBA", (large, large), LIGHT.fill)
    glyph = Icons.drawn("message_lock", round(large * _GLYPH), LIGHT.on_fill)
    place = (large - glyph.width) // 2
    picture.alpha_composite(glyph, (place, place))
    picture.putalpha(shape)
    return picture.resize((pixels, pixels), Image.Resampling.LANCZOS)
