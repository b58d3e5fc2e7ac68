"""The fields of stored and sent layouts, taken off the front; writing them is a join of bytes here.

Twin of native/core/src/fields.rs. Not its concern: which fields a layout has, and what they mean.
"""

from __future__ import annotations

from mobium.errors import StateError

__all__ = ["Reader"]


class Reader:
    """Takes fields off the front and refuses to take what is not there, with a StateError about `what`."""

    __slots__ = ("_at", "_data", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self._at + size
        if end > len(self._data):
            raise StateError(f"The stored {self._what} is cut off.")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def number(self, size: int) -> int:
        """The next `size` bytes as a number."""
        return int.from_bytes(self.take(size), "big")

    def finish(self) -> None:
        """Everything must have been taken."""
        if self._at != len(self._data):
            raise StateError(f"The stored {self._what} has bytes too many.")
