"""The bytes of a shared screen, sans-I/O: a picture's head, the fragments of a sealed picture, and whole
pictures again (docs/CRYPTO.md section 8).

    picture     version(u8) ‖ flags(u8: 1 keyframe) ‖ share(u16) ‖ number(u32) ‖ time(u32) ‖ width(u16)
                ‖ height(u16) ‖ one frame of VP8 (RFC 6386): the plaintext of one SFrame
    fragment    version(u8) ‖ index(u8) ‖ count(u8) ‖ share(u16) ‖ number(u32) ‖ a piece of that SFrame: the
                body of one media frame

Numbers are big-endian. `share` counts the shares of a sender, `number` the pictures of a share from 0, and
`time` is in milliseconds since it began. Share and number stand in a fragment as well, outside the
encryption, where they only say which pieces belong together: whatever is decided is decided by those inside.
Not its concern: keys and sealing, what a viewer does about a picture that is missing (`mobium.media.follow`).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mobium.errors import Invalid, InvalidInput

__all__ = [
    "HIGHEST",
    "LARGEST_BODY",
    "LARGEST_FRAME",
    "LARGEST_SEALED",
    "MOST_PIECES",
    "WIDEST",
    "Encoded",
    "Fragment",
    "Picture",
    "Reassembly",
    "ReassemblyCounts",
    "Sealed",
    "cut",
    "read_fragment",
    "read_picture",
    "write_picture",
]

LARGEST_SEALED: Final = 512 << 10
"""Bytes of a sealed picture."""

LARGEST_FRAME: Final = LARGEST_SEALED - 64
"""Bytes of a frame of VP8, so that head, SFrame header (9 bytes here, 17 at most) and tag (16) fit."""

LARGEST_BODY: Final = (48 << 10) + 64
"""Bytes of a fragment that is taken."""

BODY: Final = (32 << 10) - 64
"""Bytes of a fragment that is made: just under twice what counts as one frame of the media rate, so that one
frame carries as much as it can.
"""

MOST_PIECES: Final = 32
WIDEST: Final = 1_920
HIGHEST: Final = 1_080
"""Pixels. A picture that announces more is refused before anything is decoded."""

_VERSION: Final = 1
_KEYFRAME: Final = 1
_HEAD: Final = struct.Struct("!BBHIIHH")
_FRAGMENT: Final = struct.Struct("!BBBHI")


class Encoded(NamedTuple):
    """One frame of VP8. `time` is in milliseconds since the share began; width and height are in pixels."""

    keyframe: bool
    time: int
    width: int
    height: int
    data: bytes

    def __repr__(self) -> str:
        kind = "keyframe" if self.keyframe else "picture"
        return f"<{kind} of {self.width}x{self.height}, {len(self.data)} bytes: redacted>"


class Picture(NamedTuple):
    """A picture with its place: the one of this number in this share."""

    share: int
    number: int
    encoded: Encoded


@dataclass(frozen=True, slots=True)
class Fragment:
    """Piece `index` of the `count` of a sealed picture."""

    index: int
    count: int
    share: int
    number: int
    piece: bytes


class Sealed(NamedTuple):
    """A sealed picture, whole. Which one it is only the fragments say, until it is opened."""

    share: int
    number: int
    data: bytes


def write_picture(picture: Picture) -> bytes:
    """The plaintext of a picture: its head (16 bytes) and the frame. Raises InvalidInput for a frame of more
    than 524,224 bytes or none, or a size of more than 1,920 by 1,080 pixels.
    """
    encoded = picture.encoded
    if not 0 < len(encoded.data) <= LARGEST_FRAME:
        raise InvalidInput(f"A picture has 1 to {LARGEST_FRAME} bytes.")
    if not _shown(encoded.width, encoded.height):
        raise InvalidInput(f"A picture has at most {WIDEST} by {HIGHEST} pixels.")
    flags = _KEYFRAME if encoded.keyframe else 0
    place = (picture.share, picture.number, encoded.time, encoded.width, encoded.height)
    return _HEAD.pack(_VERSION, flags, *place) + encoded.data


def read_picture(plaintext: bytes) -> Picture:
    """The picture. Raises Invalid for what `write_picture` gives for none, however large it says it is."""
    if not _HEAD.size < len(plaintext) <= _HEAD.size + LARGEST_FRAME:
        raise Invalid("This is no picture: its length does not fit.")
    version, flags, share, number, time, width, height = _HEAD.unpack_from(plaintext)
    if version != _VERSION or flags not in (0, _KEYFRAME):
        raise Invalid("The picture is of a version that is not known here.")
    if not _shown(width, height):
        raise Invalid("The picture is larger than any that is shown.")
    return Picture(share, number, Encoded(bool(flags), time, width, height, plaintext[_HEAD.size :]))


def _shown(width: int, height: int) -> bool:
    return 0 < width <= WIDEST and 0 < height <= HIGHEST


def cut(sealed: Sealed) -> list[bytes]:
    """The fragments of a sealed picture, each the body of a media frame of at most 32,704 bytes.

    Raises InvalidInput for one of more than 512 KiB, or an empty one.
    """
    if not 0 < len(sealed.data) <= LARGEST_SEALED:
        raise InvalidInput(f"A sealed picture has 1 to {LARGEST_SEALED} bytes.")
    size = BODY - _FRAGMENT.size
    pieces = [sealed.data[at : at + size] for at in range(0, len(sealed.data), size)]
    return [
        _FRAGMENT.pack(_VERSION, index, len(pieces), sealed.share, sealed.number) + piece
        for index, piece in enumerate(pieces)
    ]


def read_fragment(body: bytes) -> Fragment:
    """The fragment that is the body of a media frame. Raises Invalid."""
    if not _FRAGMENT.size < len(body) <= LARGEST_BODY:
        raise Invalid("This is no piece of a picture: its length does not fit.")
    version, index, count, share, number = _FRAGMENT.unpack_from(body)
    if version != _VERSION or not 0 < count <= MOST_PIECES or index >= count:
        raise Invalid("This is no piece of a picture: its head does not fit.")
    return Fragment(index, count, share, number, body[_FRAGMENT.size :])


@dataclass(slots=True)
class ReassemblyCounts:
    """What became of the fragments."""

    whole: int = 0
    """Pictures that became whole."""
    repeated: int = 0
    """Fragments that were there already, or whose picture is whole."""
    malformed: int = 0
    """Fragments that are none, or do not fit those that came before."""
    given_up: int = 0
    """Pictures that something was missing of for too long, or that made way."""


@dataclass(slots=True)
class _Partial:
    """A picture of which something is missing."""

    count: int
    seen: float
    pieces: dict[int, bytes] = field(default_factory=dict)
    size: int = 0


@dataclass(slots=True)
class _Sender:
    partials: dict[tuple[int, int], _Partial] = field(default_factory=dict)
    whole: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    size: int = 0
    seen: float = 0.0


REMEMBERED: Final = 64
"""Whole pictures of a sender whose repeated fragments are known again."""

MOST_PARTIAL: Final = 4
"""Pictures of a sender of which something is missing: they come one after the other, so one is usual."""

MOST_SENDERS: Final = 40
"""As many as a room has people."""

MOST_OF_ALL: Final = MOST_SENDERS * LARGEST_SEALED
"""Bytes that wait for what is missing: whoever has most of them makes way, nobody for a first picture."""

GIVEN_UP: Final = 2.0
"""Seconds in which nothing came of a picture that is not whole, or of a sender."""


class Reassembly:
    """The sealed pictures of all senders of a room, out of fragments that come in any order, again, or not at
    all. No lock: whoever calls from two threads holds one.
    """

    def __init__(self) -> None:
        self.counts: Final = ReassemblyCounts()
        self._senders: dict[Hashable, _Sender] = {}
        self._size = 0
        self._looked = 0.0

    @property
    def size(self) -> int:
        """Bytes that wait for what is missing."""
        return self._size

    def put(self, sender: Hashable, body: bytes, now: float) -> Sealed | None:
        """The body of a media frame of `sender` came at `now` (seconds): the picture that is whole with it,
        if one is. Never raises: what fits nowhere is counted.
        """
        self._give_up(now)
        try:
            fragment = read_fragment(body)
        except Invalid:
            self.counts.malformed += 1
            return None
        if sender not in self._senders and len(self._senders) >= MOST_SENDERS:
            self.counts.malformed += 1
            return None
        of_sender = self._senders.setdefault(sender, _Sender())
        of_sender.seen = now
        place = (fragment.share, fragment.number)
        if place in of_sender.whole:
            self.counts.repeated += 1
            return None
        partial = self._partial(of_sender, place, fragment, now)
        if partial is None:
            return None
        partial.pieces[fragment.index] = fragment.piece
        partial.size += len(fragment.piece)
        partial.seen = now
        self._grow(of_sender, len(fragment.piece))
        if len(partial.pieces) < partial.count:
            self._make_way()
            return None
        self._drop(of_sender, place)
        of_sender.whole.append(place)
        self.counts.whole += 1
        return Sealed(*place, b"".join(partial.pieces[index] for index in range(partial.count)))

    def _partial(
        self, of_sender: _Sender, place: tuple[int, int], fragment: Fragment, now: float
    ) -> _Partial | None:
        """Where the fragment belongs, unless it was there already or does not fit."""
        partial = of_sender.partials.get(place)
        if partial is None:
            if len(of_sender.partials) >= MOST_PARTIAL:
                self._lose(of_sender, next(iter(of_sender.partials)))
            partial = of_sender.partials[place] = _Partial(fragment.count, now)
            return partial
        if fragment.index in partial.pieces:
            self.counts.repeated += 1
            return None
        if fragment.count != partial.count or partial.size + len(fragment.piece) > LARGEST_SEALED:
            self.counts.malformed += 1
            return None
        return partial

    def _make_way(self) -> None:
        while self._size > MOST_OF_ALL:
            greatest = max(self._senders.values(), key=lambda one: one.size)
            self._lose(greatest, next(iter(greatest.partials)))

    def forget(self, sender: Hashable) -> None:
        """A sender has gone: if they come back, their pictures begin anew."""
        gone = self._senders.pop(sender, None)
        if gone is not None:
            self._size -= gone.size

    def _give_up(self, now: float) -> None:
        if now - self._looked < GIVEN_UP / 4:
            return
        self._looked = now
        for sender, of_sender in list(self._senders.items()):
            for place in [at for at, one in of_sender.partials.items() if now - one.seen > GIVEN_UP]:
                self._lose(of_sender, place)
            if now - of_sender.seen > GIVEN_UP:
                del self._senders[sender]

    def _lose(self, of_sender: _Sender, place: tuple[int, int]) -> None:
        self.counts.given_up += 1
        self._drop(of_sender, place)

    def _drop(self, of_sender: _Sender, place: tuple[int, int]) -> None:
        self._grow(of_sender, -of_sender.partials.pop(place).size)

    def _grow(self, of_sender: _Sender, size: int) -> None:
        of_sender.size += size
        self._size += size
