"""The versions of the wire protocol that this library speaks. Not its concern: the version of the package."""

from __future__ import annotations

__all__ = ["VERSIONS", "choose"]

VERSIONS: tuple[int, ...] = (1,)


def choose(offered: list[int]) -> int | None:
    """The newest version that both sides speak, or None."""
    return max(set(offered) & set(VERSIONS), default=None)
