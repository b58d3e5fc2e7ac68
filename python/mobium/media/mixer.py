"""Many voices in one frame: each with its volume, all under a soft limiter.

Not its concern: who is heard and what of (`mobium.media.pipeline`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mobium.media.form import FRAME_SAMPLES, SILENCE, needed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

__all__ = ["Mixer", "Part", "fade"]

CEILING: Final = 29_000.0
"""What the limiter lets through, about 1 dB below full scale: several who speak at once get softer, not
distorted.
"""

ATTACK: Final = 96
"""Samples within which the limiter turns down: 2 ms."""

RELEASE: Final = 0.08
"""The part of the way back that the limiter goes in a frame: nearly all of it in a second."""

_FULL: Final = 32_767.0


@dataclass(frozen=True, slots=True)
class Part:
    """A frame to be mixed; its volume goes from `before` to `volume` within it, so that a change does not
    click.
    """

    pcm: bytes
    volume: float = 1.0
    before: float = 1.0


class Mixer:
    """A limiter has a state: one of these for each speaker that is played on."""

    def __init__(self) -> None:
        """Raises MediaUnavailable where numpy is missing."""
        needed("numpy", "Mixing voices")
        self._gain = 1.0

    def mix(self, parts: Sequence[Part]) -> bytes:
        """One frame of all these."""
        import numpy as np

        if not parts:
            self._gain += (1.0 - self._gain) * RELEASE
            return SILENCE
        total = np.zeros(FRAME_SAMPLES, np.float32)
        for part in parts:
            samples = np.frombuffer(part.pcm, "<i2")
            if part.volume == part.before:
                total += samples if part.volume == 1.0 else samples * np.float32(part.volume)
            else:
                total += samples * np.linspace(part.before, part.volume, FRAME_SAMPLES, dtype=np.float32)
        return self._limit(total)

    def _limit(self, total: Samples) -> bytes:
        import numpy as np

        peak = float(np.abs(total).max())
        wanted = min(1.0, CEILING / peak) if peak else 1.0
        if wanted < self._gain:
            total[:ATTACK] *= np.linspace(self._gain, wanted, ATTACK, dtype=np.float32)
            total[ATTACK:] *= np.float32(wanted)
            self._gain = wanted
        elif self._gain < 1.0:
            gain = min(wanted, self._gain + (1.0 - self._gain) * RELEASE)
            if gain > 0.999:
                gain = min(wanted, 1.0)
            total *= np.linspace(self._gain, gain, FRAME_SAMPLES, dtype=np.float32)
            self._gain = gain
        # only what came within the attack is louder still, and is bent instead of cut
        over = np.abs(total) > CEILING
        if over.any():
            knee = _FULL - CEILING
            beyond = (np.abs(total[over]) - CEILING) / knee
            total[over] = np.sign(total[over]) * (CEILING + knee * np.tanh(beyond))
        return np.rint(total).astype("<i2").tobytes()


def fade(first: bytes, second: bytes) -> bytes:
    """The first frame becomes the second within 20 ms."""
    import numpy as np

    way = np.linspace(0.0, 1.0, FRAME_SAMPLES, dtype=np.float32)
    mixed = np.frombuffer(first, "<i2") * (1 - way) + np.frombuffer(second, "<i2") * way
    return np.rint(mixed).astype("<i2").tobytes()
