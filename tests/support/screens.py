"""What tests of screens share: keys of a room, how alike two pictures are, pictures that nobody encoded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mobium.crypto.media import FrameOpener, FrameSealer, MediaKey, MediaKind, media_metadata
from mobium.media.fragments import Encoded, Picture
from mobium.media.screen import Shown

if TYPE_CHECKING:
    from numpy import uint8
    from numpy.typing import NDArray

__all__ = ["Keys", "encoded", "picture", "pixels", "psnr"]

ROOM = bytes(range(32))


class Keys:
    """One sender's key for screens, at both ends."""

    def __init__(self, sender: bytes = bytes(31) + b"\1") -> None:
        self.place = media_metadata(MediaKind.SCREEN, ROOM, sender)
        self._key = MediaKey.create(MediaKind.SCREEN, ROOM, sender)
        self._sealer: FrameSealer = self._key.sealer()

    def seal(self, plaintext: bytes) -> bytes:
        return self._sealer.seal(plaintext, self.place)

    def opener(self) -> FrameOpener:
        return self._key.opener()


def pixels(shown: Shown) -> NDArray[uint8]:
    """Height x width x 3: red, green, blue."""
    import numpy as np

    return np.frombuffer(shown.rgb(), np.uint8).reshape(shown.height, shown.width, 3)


def psnr(shown: Shown, picture: NDArray[Any]) -> float:
    """How alike a decoded picture and one of blue, green, red (and anything) are, in dB; 30 can be read."""
    import numpy as np

    error = np.mean((pixels(shown)[..., ::-1].astype(float) - picture[..., :3]) ** 2)
    return math.inf if error == 0 else float(10 * np.log10(255**2 / error))


def encoded(
    keyframe: bool = False, size: int = 1_000, time: int = 0, share: int = 1, number: int = 0
) -> Encoded:
    """A picture that no decoder would take; its first bytes say which one it is."""
    data = share.to_bytes(4, "big") + number.to_bytes(4, "big")
    return Encoded(keyframe, time, 1_280, 720, data.ljust(size, b"\0"))


def picture(number: int, *, keyframe: bool = False, share: int = 1, size: int = 1_000) -> Picture:
    """A picture that no decoder would take."""
    return Picture(share, number, encoded(keyframe, size, number * 66, share, number))
