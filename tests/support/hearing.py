"""How late and how well speech is heard: delay by cross-correlation, intelligibility by STOI (Taal and
others, 2011). And whether it is a tune that is heard.

Not its concern: where the sound comes from (tests/support/sound.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mobium.media.form import FRAME_BYTES, RATE
from mobium.media.opus import OpusDecoder, OpusEncoder
from mobium.media.tones import Tune

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TRIES", "coded", "lag", "tuned", "understood"]

TRIES = 3
"""How often something is said if it was not understood: on a busy machine all sound breaks off."""

NEAR = 25
"""Hz: as far as the power of a sine of a tenth of a second goes."""

WANDERS = 0.15
"""Seconds: more than a jitter buffer gets longer."""


def coded(pcm: bytes) -> bytes:
    """The same speech through Opus, nothing lost."""
    encoder, decoder = OpusEncoder(), OpusDecoder()
    frames = (pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES))
    return b"".join(decoder.decode(encoder.encode(frame)) for frame in frames)


def lag(said: bytes, heard: bytes) -> float:
    """Seconds from the beginning of `heard` to where `said` begins in it; negative if it began before."""
    import numpy as np

    first, second = _samples(said), _samples(heard)
    size = 1 << (len(first) + len(second)).bit_length()
    product = np.fft.rfft(second, size) * np.conj(np.fft.rfft(first, size))
    at = int(np.argmax(np.fft.irfft(product, size)))
    return (at if at < len(second) else at - size) / RATE


def understood(said: bytes, heard: bytes) -> float:
    """STOI of `heard`, wherever in it `said` lies: 1 is as good as said, and below 0.6 little is understood.

    It compares what is said at one time, and a jitter buffer gets longer and shorter; so each half second is
    compared with what was heard of it within WANDERS seconds of where all of it lies.
    """
    import numpy as np
    from pystoi import stoi

    reference, other = _samples(said), _samples(heard)
    room, piece = round(WANDERS * RATE), RATE // 2
    at = round(lag(said, heard) * RATE)
    before = max(0, room - at)
    other = np.pad(other, (before, max(0, at + len(reference) + room - len(other))))
    at += before
    found = []
    for begin in range(0, len(reference), piece):
        part = reference[begin : begin + piece]
        place = other[at + begin - room : at + begin + len(part) + room]
        best = int(np.argmax(np.correlate(place[::6], part[::6]))) * 6  # within an eighth of a millisecond
        found.append(place[best : best + len(part)])
    return float(stoi(reference, np.concatenate(found), RATE))


def tuned(pcm: bytes, tune: Tune) -> float:
    """Which part of the power that is heard is at the frequencies of a tune: of the tune itself nearly all,
    of silence 0.
    """
    import numpy as np

    heard = _samples(pcm)
    power = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    whole = float(power.sum())
    if not whole:
        return 0.0
    bins = np.fft.rfftfreq(len(heard), 1 / RATE)
    near = [np.abs(bins - frequency) < NEAR for step in tune.steps for frequency in step.frequencies]
    return float(power[np.any(near, axis=0)].sum()) / whole


def _samples(pcm: bytes) -> NDArray[np.float64]:
    import numpy as np

    return np.frombuffer(pcm, "<i2").astype(np.float64)
