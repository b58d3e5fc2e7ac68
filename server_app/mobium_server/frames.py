"""WebSocket frames as bytes: cutting what a client sent into frames, and the header of what the server sends.

Whole binary messages, which are nearly everything, are unmasked and handed on; any other frame is left to the
WebSocket protocol, as is every frame that breaks its rules. Not its concern: that protocol
(`mobium_server.gateway`) and what messages mean.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

__all__ = ["PING", "Unmask", "cut", "header"]

Unmask = Callable[[Any, Any], bytes]

PING = b"\x89\x00"
_BINARY = 0x82  # the first byte of a binary message in one piece
_MASKED = 0x80
_MIDDLE = struct.Struct("!BBH")
_LONG = struct.Struct("!BBQ")


def header(size: int) -> bytes:
    """The header of a binary message of `size` bytes from a server: the same bytes for every recipient."""
    if size < 126:
        return bytes((_BINARY, size))
    if size < 65_536:
        return _MIDDLE.pack(_BINARY, 126, size)
    return _LONG.pack(_BINARY, 127, size)


def cut(data: Any, largest: int, unmask: Unmask) -> tuple[list[tuple[bool, bytes]], int]:
    """The whole frames at the beginning of `data` (bytes-like), and how many bytes of it they take.

    Each is (True, the content of a binary message in one piece) or (False, the frame as it came). A frame
    that is not masked or larger than `largest` comes with everything that follows it: the connection ends
    there.
    """
    found: list[tuple[bool, bytes]] = []
    at = 0
    have = len(data)
    while have - at >= 2:
        second = data[at + 1]
        size = second & 0x7F
        begin = at + 6
        if size == 126:
            begin = at + 8
            if have < begin:
                break
            size = data[at + 2] << 8 | data[at + 3]
        elif size == 127:
            begin = at + 14
            if have < begin:
                break
            size = int.from_bytes(data[at + 2 : at + 10], "big")
        if size > largest or not second & _MASKED:
            found.append((False, bytes(data[at:])))
            return found, have
        end = begin + size
        if end > have:
            break
        if data[at] == _BINARY:
            found.append((True, unmask(data[begin:end], bytes(data[begin - 4 : begin]))))
        else:
            found.append((False, bytes(data[at:end])))
        at = end
    return found, at
