"""The one form of sound inside mobium: 48 kHz, mono, 16 bits signed little endian, frames of 20 ms.

Not its concern: other rates and channels, which `mobium.media.sources` converts.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Final

from mobium.errors import InvalidInput, MediaUnavailable

__all__ = [
    "FRAME_BYTES",
    "FRAME_SAMPLES",
    "FRAME_SECONDS",
    "INSTALL",
    "RATE",
    "SILENCE",
    "check_frame",
    "needed",
]

RATE: Final = 48_000
"""Samples a second."""

FRAME_SAMPLES: Final = 960
FRAME_SECONDS: Final = FRAME_SAMPLES / RATE
FRAME_BYTES: Final = 2 * FRAME_SAMPLES

SILENCE: Final = bytes(FRAME_BYTES)

INSTALL: Final = "pip install 'mobium[media]'"
"""What brings every library of Python that this package may need."""


def check_frame(pcm: bytes) -> None:
    """Raises InvalidInput unless `pcm` has the bytes of one frame: C reads as many, whatever
    was handed over.
    """
    if len(pcm) != FRAME_BYTES:
        raise InvalidInput(f"A frame of sound has {FRAME_BYTES} bytes, not {len(pcm)}.")


def needed(name: str, what: str) -> ModuleType:
    """The library of this name. Raises MediaUnavailable, which says what it is for, where it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        raise MediaUnavailable(
            f"{what} takes the Python package {name}, which is missing.", INSTALL
        ) from error
