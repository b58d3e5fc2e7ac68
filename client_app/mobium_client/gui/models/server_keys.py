"""A server's key as people compare it: groups of digits, the same as the command line shows.

Not its concern: which key is believed.
"""

from __future__ import annotations

from typing import Final

__all__ = ["grouped"]

_GROUP: Final = 8


def grouped(key: str) -> tuple[str, ...]:
    """A key in hex, in groups of eight digits."""
    return tuple(key[at : at + _GROUP] for at in range(0, len(key), _GROUP))
