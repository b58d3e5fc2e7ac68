"""Input of a fuzzer, taken piece by piece. It gives zeros when it has ended."""

from __future__ import annotations


class Input:
    """Bytes from the first one on."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken.ljust(size, b"\0")

    def number(self, size: int = 1) -> int:
        return int.from_bytes(self.take(size), "big")

    def piece(self) -> bytes:
        """The next piece, behind its length in two bytes; the last one may be shorter."""
        size = self.number(2)
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def rest(self) -> bytes:
        """What was not taken yet."""
        taken = self._data[self._at :]
        self._at = len(self._data)
        return taken


def text(data: bytes) -> str:
    """Any text, lone surrogates included, which a terminal can give."""
    return data.decode("utf-8", "surrogateescape")
