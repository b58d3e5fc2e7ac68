"""The colours of names in a channel: a key has one of eight, so that who writes is seen at a glance.

Two who call themselves the same have different keys, and most likely different colours and pictures. Every
colour stands on the ground of a bubble with a contrast of 4.5:1 or better, in both looks. Not its concern:
pictures (`mobium_client.gui.avatars`).
"""

from __future__ import annotations

import hashlib
from typing import Final

__all__ = ["WRITERS", "writer_color"]

WRITERS: Final[dict[str, tuple[str, ...]]] = {
    "dark": ("#8fb0ff", "#76d6a0", "#f0c674", "#ff9a91", "#d6a5ff", "#6fd3e0", "#f5a8d0", "#c3d26b"),
    "light": ("#2b55c4", "#17683d", "#7d5200", "#b3261e", "#7a3db8", "#0b6170", "#a1286f", "#566200"),
}
"""By the name of the look."""

_CONTEXT: Final = b"mobium writer 1"


def writer_color(key: str, look: str) -> str:
    """The colour of the name of whom this key belongs to, as #rrggbb."""
    colors = WRITERS[look]
    return colors[hashlib.sha256(_CONTEXT + key.encode()).digest()[0] % len(colors)]
