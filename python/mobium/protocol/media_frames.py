"""Media frames: a fixed header in front of one SFrame, or of a piece of one, so that a relay copies bytes and
parses nothing (docs/PROTOCOL.md, Framing and Realtime).

    to the server   kind(u8) ‖ room(u16) ‖ body
    to a client     kind(u8) ‖ room(u16) ‖ speaker(u16) ‖ body

Numbers are big-endian. `kind` is 1 for voice and 2 for a screen; neither begins a MessagePack map, so the
first byte tells media from messages. `room` and `speaker` come from `voice_state` and are hints: only the
body's tag says who spoke. Not its concern: what a body is made of (docs/CRYPTO.md section 8), and rates
(`mobium.protocol.limits`).
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from mobium.errors import InvalidInput, ProtocolError
from mobium.protocol.limits import SCREEN_BODY, VOICE_BODY

__all__ = [
    "SCREEN",
    "VOICE",
    "MediaDown",
    "MediaUp",
    "body_ok",
    "is_media",
    "read_down",
    "read_up",
    "to_client",
    "to_server",
]

VOICE: Final = 1
SCREEN: Final = 2

_UP: Final = struct.Struct("!BH")
_DOWN: Final = struct.Struct("!BHH")
_KINDS: Final = (VOICE, SCREEN)


class MediaUp(NamedTuple):
    """A frame from a client: `body` is sealed, 145 bytes of voice or up to 49,216 of a screen."""

    kind: int
    room: int
    body: bytes


class MediaDown(NamedTuple):
    """A frame to a client: `speaker` is the sender's number in the room, as the server says."""

    kind: int
    room: int
    speaker: int
    body: bytes


def is_media(data: bytes) -> bool:
    """Whether a binary message is a media frame and no MessagePack map."""
    return data[:1] in (b"\1", b"\2")


def body_ok(kind: int, size: int) -> bool:
    """Whether a frame of `kind` may have a body of `size` bytes: all of voice have one size, so that neither
    words nor silence show.
    """
    return size == VOICE_BODY if kind == VOICE else kind == SCREEN and 0 < size <= SCREEN_BODY


def to_server(kind: int, room: int, body: bytes) -> bytes:
    """The frame that a client sends. Raises InvalidInput for a size, kind or number that no frame has."""
    _check(kind, room, 0, body)
    return _UP.pack(kind, room) + body


def to_client(kind: int, room: int, speaker: int, body: bytes) -> bytes:
    """The frame that a server sends. Raises InvalidInput for a size, kind or number that no frame has."""
    _check(kind, room, speaker, body)
    return _DOWN.pack(kind, room, speaker) + body


def read_up(data: bytes) -> MediaUp:
    """The frame that a client sent. Raises ProtocolError with code `malformed`."""
    if len(data) > _UP.size:
        kind, room = _UP.unpack_from(data)
        if body_ok(kind, len(data) - _UP.size):
            return MediaUp(kind, room, data[_UP.size :])
    raise ProtocolError("The media frame is malformed.")


def read_down(data: bytes) -> MediaDown:
    """The frame that a server sent. Raises ProtocolError with code `malformed`."""
    if len(data) > _DOWN.size:
        kind, room, speaker = _DOWN.unpack_from(data)
        if body_ok(kind, len(data) - _DOWN.size):
            return MediaDown(kind, room, speaker, data[_DOWN.size :])
    raise ProtocolError("The media frame is malformed.")


def _check(kind: int, room: int, speaker: int, body: bytes) -> None:
    if kind not in _KINDS:
        raise InvalidInput("kind is 1 (voice) or 2 (screen).")
    if not (0 <= room < 1 << 16 and 0 <= speaker < 1 << 16):
        raise InvalidInput("room and speaker have 16 bits.")
    if not body_ok(kind, len(body)):
        raise InvalidInput(f"body has {VOICE_BODY} bytes for voice, and 1 to {SCREEN_BODY} for a screen.")
