"""Frames of media: SFrame (RFC 9605), suite 0x0005 AES_256_GCM_SHA512_128, with a replay window
(docs/CRYPTO.md section 8).

    frame  = header ‖ AEAD(key, salt xor counter, plaintext, header ‖ metadata)
    header = config(u8) ‖ KID ‖ counter, both in their shortest form: below 8 in the config byte, else 1 to 8
             bytes behind it
    config = 0x80 where the KID stands behind it ‖ KID, or its bytes less one (3 bits) ‖ the same for the
             counter (4 bits)

A frame is looked at in this order, and the first thing wrong with it names the error: length, header and KID
(Invalid), counter (Duplicate if it was opened before, or lies below the window), tag (Invalid). Only what
passed all of them moves the window: nobody without the key can make an honest frame look old. The counter is
asked before the tag, so that a flood of repeated frames costs no decryption.

**These two are the only kernels that change in place.** The others are values, because what they return is
stored in one transaction with what it decides. Nothing here is ever stored, so there is nothing to roll back,
and a value could be used twice, which in a sealer would repeat a nonce: one that changes cannot. And it is
fifty frames a second from each of forty speakers: a new state for each of them would cost more than its
decryption.

Twin of native/core/src/frame.rs. Not its concern: where keys come from, when they change, and that no two
sealers begin with the same base key, KID and counter (rooms); which opener a frame belongs to (`frame_header`
helps); sizes of frames, their order and loss.
"""

from __future__ import annotations

from threading import Lock
from typing import Final, NoReturn, Self, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mobium._pure.arguments import check_bytes, check_number
from mobium._pure.kdf import frame_keys
from mobium.errors import CryptoError, Duplicate, Invalid, InvalidInput

__all__ = ["FrameOpener", "FrameSealer", "frame_header"]

MIN_BASE: Final = 16
MAX_BASE: Final = 64
TAG: Final = 16
NONCE: Final = 12
U64_END: Final = 2**64

WINDOW: Final = 1024
"""Counters up to the highest opened that are told apart; what lies below counts as opened. Twenty seconds of
voice.
"""

_ALL: Final = (1 << WINDOW) - 1


def frame_header(data: bytes) -> tuple[int, int]:
    """The KID and the counter that a frame carries, not authenticated: which opener may open it.

    Raises Invalid for a length or a header that no frame has.
    """
    check_bytes("data", data)
    kid, counter, _ = _read_header(data)
    return kid, counter


def _read_header(data: bytes) -> tuple[int, int, int]:
    """KID, counter and the header's size, of a frame that is long enough for its tag."""
    if not data:
        raise _cut_off()
    kid, at = _read_number(data[0] >> 4, data, 1)
    counter, at = _read_number(data[0] & 15, data, at)
    if len(data) - at < TAG:
        raise _cut_off()
    return kid, counter, at


def _read_number(half: int, data: bytes, at: int) -> tuple[int, int]:
    """The number of half a config byte, and where the next one begins."""
    if half < 8:
        return half, at
    end = at + half - 7
    if end > len(data):
        raise _cut_off()
    if data[at] == 0 or (half == 8 and data[at] < 8):
        raise Invalid("The frame's header is not in its shortest form.")
    return int.from_bytes(data[at:end], "big"), end


def _header(kid: int, counter: int) -> bytes:
    halves, numbers = 0, b""
    for number in (kid, counter):
        size = (number.bit_length() + 7) // 8 if number > 7 else 0
        halves = halves << 4 | (7 + size if size else number)
        numbers += number.to_bytes(size, "big") if size else b""
    return bytes((halves,)) + numbers


class _Key:
    """The key of a KID, and the salt of its nonces."""

    __slots__ = ("_salt", "cipher", "kid")

    def __init__(self, base_key: bytes, kid: int) -> None:
        if not MIN_BASE <= len(base_key) <= MAX_BASE:
            raise InvalidInput("base_key has 16 to 64 bytes.")
        key, salt = frame_keys(base_key, kid)
        self.kid = kid
        self.cipher = AESGCM(key)
        self._salt = int.from_bytes(salt, "big")

    def nonce(self, counter: int) -> bytes:
        return (self._salt ^ counter).to_bytes(NONCE, "big")


@final
class FrameSealer:
    """Seals frames under one KID, each with the next counter. It has no copy: a counter is used once."""

    __slots__ = ("_counter", "_key", "_lock")
    _counter: int
    _key: _Key
    _lock: Lock

    # Not __init__, which could be called again and would set the counter back.
    def __new__(cls, base_key: bytes, kid: int, counter: int = 0) -> Self:
        """A sealer whose first frame has the number `counter`.

        `base_key` has 16 to 64 bytes; `kid` and `counter` are below 2**64. Raises InvalidInput for another
        length.
        """
        check_bytes("base_key", base_key)
        check_number("kid", kid, 64)
        check_number("counter", counter, 64)
        made = super().__new__(cls)
        made._key = _Key(base_key, kid)
        made._counter = counter
        made._lock = Lock()
        return made

    @property
    def kid(self) -> int:
        """The KID."""
        return self._key.kid

    @property
    def counter(self) -> int:
        """The number of the next frame; 2**64 when none is left."""
        return self._counter

    def seal(self, frame: bytes, metadata: bytes = b"") -> bytes:
        """The next frame, of at most 17 bytes of header, the plaintext's length and 16.

        `metadata` is bound to it and not in it: whoever opens it must know the same. Raises CryptoError when
        no number is left.
        """
        check_bytes("frame", frame)
        check_bytes("metadata", metadata)
        with self._lock:
            counter = self._counter
            if counter == U64_END:
                raise CryptoError("This frame key has no number left: a new one is due.")
            self._counter = counter + 1
        header = _header(self._key.kid, counter)
        return header + self._key.cipher.encrypt(self._key.nonce(counter), frame, header + metadata)

    def __repr__(self) -> str:
        return "<FrameSealer: redacted>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle 'FrameSealer' object")


@final
class FrameOpener:
    """Opens each frame of one KID once."""

    __slots__ = ("_key", "_lock", "_window")
    _key: _Key
    _window: _Window
    _lock: Lock

    def __new__(cls, base_key: bytes, kid: int) -> Self:
        """An opener that has opened nothing: the first frame may have any counter.

        `base_key` has 16 to 64 bytes, `kid` is below 2**64. Raises InvalidInput for another length.
        """
        check_bytes("base_key", base_key)
        check_number("kid", kid, 64)
        made = super().__new__(cls)
        made._key = _Key(base_key, kid)
        made._window = _Window()
        made._lock = Lock()
        return made

    @property
    def kid(self) -> int:
        """The KID."""
        return self._key.kid

    def open(self, data: bytes, metadata: bytes = b"") -> bytes:
        """The plaintext of a frame that was sealed with the same metadata, once.

        Raises Duplicate or Invalid; after either nothing has changed.
        """
        check_bytes("data", data)
        check_bytes("metadata", metadata)
        kid, counter, size = _read_header(data)
        if kid != self._key.kid:
            raise Invalid("The frame is of another key.")
        with self._lock:
            self._window.check(counter)
            try:
                aad = data[:size] + metadata
                frame = self._key.cipher.decrypt(self._key.nonce(counter), data[size:], aad)
            except InvalidTag:
                raise Invalid("The frame is not authentic.") from None
            self._window.mark(counter)
        return frame

    def __repr__(self) -> str:
        return "<FrameOpener: redacted>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle 'FrameOpener' object")


class _Window:
    """Which of the last counters were opened: bit i stands for the highest less i."""

    __slots__ = ("_highest", "_opened")

    def __init__(self) -> None:
        self._highest: int | None = None
        self._opened = 0

    def check(self, counter: int) -> None:
        # Above the highest, or the first of all.
        if self._highest is None or counter > self._highest:
            return
        behind = self._highest - counter
        if behind >= WINDOW:
            raise Duplicate("The frame lies below the window: it may have been opened before.")
        if self._opened >> behind & 1:
            raise Duplicate("This frame was opened before.")

    def mark(self, counter: int) -> None:
        """Notes a counter that `check` let pass."""
        if self._highest is None or counter >= self._highest + WINDOW:
            self._opened, self._highest = 1, counter
        elif counter > self._highest:
            self._opened = (self._opened << counter - self._highest | 1) & _ALL
            self._highest = counter
        else:
            self._opened |= 1 << self._highest - counter


def _cut_off() -> Invalid:
    return Invalid("This is no frame: it is cut off.")
