"""A QR code as a picture: dark on white in every look, with the quiet border that scanners need."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk
import segno
from PIL import Image

__all__ = ["qr_image"]

_BORDER = 4  # modules
_WHITE, _BLACK = 255, 0


def qr_image(text: str, side: int) -> Any:
    """The code of `text` for CustomTkinter's widgets, `side` pixels of the design high and wide."""
    rows = [list(row) for row in segno.make(text, error="m", micro=False).matrix_iter(border=_BORDER)]
    small = Image.new("L", (len(rows), len(rows)))
    small.putdata([_BLACK if module else _WHITE for row in rows for module in row])
    times = max(1, -(-side * 2 // len(rows)))
    large = small.resize((len(rows) * times, len(rows) * times), Image.Resampling.NEAREST)
    return ctk.CTkImage(large, large, size=(side, side))
