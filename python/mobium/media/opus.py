"""Voice as Opus packets (RFC 6716): 48 kHz mono, 20 ms, 24 kbit/s VBR, at most 119 bytes, no DTX, and in-band
forward error correction (section 2.1.7), so that a packet also carries a coarse copy of the one before it.

libopus is looked for, once, at the first encoder or decoder: MOBIUM_LIBOPUS (a file, and then no other), the
system, the copy inside the PyAV wheel. Not its concern: which packets come when (`mobium.media.jitter`), and
how they are padded and sealed (`mobium.crypto.media`).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from mobium.errors import InvalidInput, OpusUnavailable
from mobium.media.form import FRAME_BYTES, FRAME_SAMPLES, INSTALL, RATE, check_frame

__all__ = ["BITRATE", "LARGEST_PACKET", "OpusDecoder", "OpusEncoder", "libopus"]

BITRATE: Final = 24_000
"""Bits a second, on average."""

LARGEST_PACKET: Final = 119
"""Bytes: with its length in front a packet has its place in the 120 bytes of a voice frame (docs/CRYPTO.md
8).
"""

COMPLEXITY: Final = 5
"""Of 0 to 10: 10 takes twice the time, and is hardly heard at this rate."""

EXPECTED_LOSS: Final = 10
"""Percent. What the encoder spends on the copies: none at 0, however error correction is set."""

_HINTS: Final = {"linux": "sudo apt install libopus0", "darwin": "brew install opus"}
_MONO: Final = 1
_LOADING: Final = threading.Lock()


class OpusEncoder:
    """One speaker's encoder. It has a state: frames are encoded in their order."""

    def __init__(
        self, expected_loss: int = EXPECTED_LOSS, *, bitrate: int = BITRATE, constant: bool = False
    ) -> None:
        """`expected_loss` is in percent, `bitrate` in bits a second; `constant` makes all packets of one
        size.

        Raises OpusUnavailable, or InvalidInput for a loss outside 0 to 100.
        """
        self._opus = libopus()
        self._encoder = self._opus.Encoder(RATE, _MONO, self._opus.APPLICATION_VOIP)
        self._encoder.bitrate = bitrate
        self._encoder.vbr = 0 if constant else 1
        self._encoder.complexity = COMPLEXITY
        self._encoder.inband_fec = 1
        self._encoder.dtx = 0
        self.expect_loss(expected_loss)

    def expect_loss(self, percent: int) -> None:
        """How much is lost, in percent. Raises InvalidInput outside 0 to 100."""
        if not 0 <= percent <= 100:
            raise InvalidInput("The expected loss lies between 0 and 100 percent.")
        self._encoder.packet_loss_perc = percent

    def encode(self, pcm: bytes) -> bytes:
        """The packet of one frame (1,920 bytes in, 1 to 119 out). Raises InvalidInput for another length."""
        check_frame(pcm)
        packet: bytes = self._opus.api.encoder.encode(
            self._encoder.encoder_state, pcm, FRAME_SAMPLES, LARGEST_PACKET
        )
        return packet


class OpusDecoder:
    """One speaker's decoder. It has a state: exactly one call for each 20 ms, in their order."""

    def __init__(self) -> None:
        """Raises OpusUnavailable."""
        self._opus = libopus()
        self._decoder = self._opus.Decoder(RATE, _MONO)

    def decode(self, packet: bytes) -> bytes:
        """The frame of a packet, 1,920 bytes. What is no packet of 20 ms is concealed: sound never raises."""
        return self._decode(packet, fec=False)

    def fec(self, following: bytes) -> bytes:
        """The frame of a packet that is lost, out of the packet that follows it; the latter
        is decoded next.
        """
        return self._decode(following, fec=True)

    def plc(self) -> bytes:
        """What a frame of which nothing is known may have sounded like; it fades when asked
        again and again.
        """
        return self._decode(None, fec=False)

    def _decode(self, packet: bytes | None, *, fec: bool) -> bytes:
        decode, state = self._opus.api.decoder.decode, self._decoder.decoder_state
        if packet:  # an empty one is what libopus takes for a lost one
            with suppress(self._opus.OpusError):
                frame: bytes = decode(state, packet, len(packet), FRAME_SAMPLES, fec, channels=_MONO)
                if len(frame) == FRAME_BYTES:
                    return frame
        lost: bytes = decode(state, None, 0, FRAME_SAMPLES, False, channels=_MONO)
        return lost


def libopus() -> Any:
    """The module opuslib_next, on the first libopus that loads. Raises OpusUnavailable."""
    with _LOADING:
        return _load()


@functools.cache
def _load() -> Any:
    if find_spec("opuslib_next") is None:
        raise OpusUnavailable("Voice takes the Python package opuslib-next, which is missing.", INSTALL)
    path = _path()
    real = ctypes.util.find_library
    # As it is imported it looks for the library by this function, and raises a bare Exception where it finds
    # none.
    ctypes.util.find_library = lambda name: path if name == "opus" else real(name)
    try:
        return import_module("opuslib_next")
    finally:
        ctypes.util.find_library = real


def _path() -> str:
    chosen = os.environ.get("MOBIUM_LIBOPUS")
    for candidate in [chosen] if chosen else _candidates():
        with suppress(OSError):
            ctypes.CDLL(candidate)
            return candidate
    if chosen:
        raise OpusUnavailable("MOBIUM_LIBOPUS names no library that can be loaded: correct it, or remove it.")
    install = _HINTS.get(sys.platform, INSTALL)
    raise OpusUnavailable("libopus, which voice is coded with, was not found.", install)


def _candidates() -> Iterator[str]:
    if installed := ctypes.util.find_library("opus"):
        yield installed
    spec = find_spec("av")
    for place in (spec and spec.submodule_search_locations) or ():
        package = Path(place)
        for folder in (package.parent / "av.libs", package / ".dylibs"):
            yield from sorted(str(file) for file in folder.glob("*opus*"))
