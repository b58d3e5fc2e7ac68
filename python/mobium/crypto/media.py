"""`FrameSealer` and `FrameOpener`, the frames of the back end in use, and the media keys and plaintexts of
voice rooms (docs/CRYPTO.md section 8).

    base of step 0     HMAC(32 random bytes, "mobium/1 media" ‖ 0 ‖ kind(u8) ‖ channel id ‖ sender)
    base of step i + 1 HKDF with SHA-512 of the base of step i, under "SFrame 1.0 Ratchet" (RFC 9605, section
                       5.1)
    KID                generation (24 bits, random, the top one set) ‖ step(8 bits)
    metadata           channel id ‖ sender ‖ kind(u8)
    voice              length(u8) ‖ packet ‖ zeros, 120 bytes in all

`FrameSealer(base_key, kid, counter=0)` and `FrameOpener(base_key, kid)` are the kernels themselves: they need
no entropy. They are the only ones that change in place; their docstring in `mobium._pure.frame` says why.
Not its concern: who is handed a key, when it steps or is replaced and how long an old one is kept (the
room's); fragments, order and loss of frames; the codecs.
"""

from __future__ import annotations

from enum import IntEnum
from hmac import digest
from os import urandom
from typing import Final

from mobium._backend import FrameOpener, FrameSealer, frame_header
from mobium.errors import CryptoError, Invalid, InvalidInput, TooFar

__all__ = [
    "FIRST_COUNTER",
    "FrameOpener",
    "FrameSealer",
    "MediaKey",
    "MediaKind",
    "frame_header",
    "media_metadata",
    "pad_voice",
    "unpad_voice",
]

FIRST_COUNTER: Final = 2**24
"""Of each KID: from here to 2**32 all headers have one size, for two and a half years of speech."""

MAX_STEPS: Final = 8
"""Steps that a receiver follows at once: one for each who entered since the last frame that came through."""

VOICE_SIZE: Final = 120
LARGEST_PACKET: Final = VOICE_SIZE - 1

_LABEL: Final = b"mobium/1 media\0"
_STEP_LABEL: Final = b"SFrame 1.0 Ratchet"
_ID_SIZE: Final = 32
_FIRST_GENERATION: Final = 2**23
_KID_END: Final = 2**32
_STEPS: Final = 2**8


class MediaKind(IntEnum):
    """What a key is for. Each sender has one of each kind, which share nothing."""

    VOICE = 1
    SCREEN = 2


def media_metadata(kind: MediaKind, channel_id: bytes, sender: bytes) -> bytes:
    """What every frame is bound to, 65 bytes: a frame opens in no other room, of no other sender or kind.

    `channel_id` and `sender` (an Ed25519 identity key) have 32 bytes. Raises InvalidInput for other lengths.
    """
    _check_ids(channel_id, sender)
    return channel_id + sender + bytes((kind,))


class MediaKey:
    """The key under which one sender's frames of one kind are sealed, at one step. A value; its repr shows
    the KID alone.
    """

    __slots__ = ("_base", "_kid")
    _base: bytes
    _kid: int

    def __init__(self, kid: int, base: bytes) -> None:
        """A key that was received: `base` has 32 bytes at step 0 and 64 later on.

        Raises InvalidInput for a KID that no sender draws, or a base of another length.
        """
        if not _FIRST_GENERATION <= kid // _STEPS < _KID_END // _STEPS:
            raise InvalidInput("kid has 32 bits, of which the top one is set.")
        if len(base) != (64 if kid % _STEPS else 32):
            raise InvalidInput("base has 32 bytes at step 0 and 64 at any other.")
        self._kid, self._base = kid, base

    @classmethod
    def create(cls, kind: MediaKind, channel_id: bytes, sender: bytes) -> MediaKey:
        """A fresh key of my own, of a random generation, at step 0.

        `channel_id` and `sender` (my Ed25519 identity key) have 32 bytes. Raises InvalidInput.
        """
        _check_ids(channel_id, sender)
        base = digest(urandom(32), _LABEL + bytes((kind,)) + channel_id + sender, "sha256")
        generation = _FIRST_GENERATION | int.from_bytes(urandom(3), "big")
        return cls(generation * _STEPS, base)

    @property
    def kid(self) -> int:
        """The KID that frames under this key carry."""
        return self._kid

    @property
    def base(self) -> bytes:
        """The base key (32 or 64 bytes). Secret: it goes into pairwise sessions only."""
        return self._base

    def step(self) -> MediaKey:
        """The key of the next step: whoever is given it opens nothing that was sealed before.

        Raises CryptoError after step 255: a new key is due.
        """
        if self._kid % _STEPS == _STEPS - 1:
            raise CryptoError("This media key has taken all its steps: a new one is due.")
        # HKDF-Extract with an empty salt, and the only block of HKDF-Expand.
        secret = digest(b"", self._base, "sha512")
        return MediaKey(self._kid + 1, digest(secret, _STEP_LABEL + b"\1", "sha512"))

    def follow(self, kid: int) -> MediaKey:
        """The key of a later step, to be kept only once a frame under it has opened.

        Raises Invalid for another generation or a step that is not later, TooFar beyond 8 steps.
        """
        steps = kid - self._kid
        if steps <= 0 or kid // _STEPS != self._kid // _STEPS:
            raise Invalid("The frame is of another media key.")
        if steps > MAX_STEPS:
            raise TooFar("The frame's media key lies too many steps ahead.")
        key = self
        for _ in range(steps):
            key = key.step()
        return key

    def sealer(self) -> FrameSealer:
        """The sealer of this key. One for each key: a second one would use its counters again."""
        return FrameSealer(self._base, self._kid, FIRST_COUNTER)

    def opener(self) -> FrameOpener:
        """An opener of this key that has opened nothing. One for each: a second one opens all of it again."""
        return FrameOpener(self._base, self._kid)

    def __repr__(self) -> str:
        return f"<MediaKey {self._kid:08x}: redacted>"


def pad_voice(packet: bytes) -> bytes:
    """The plaintext of a frame of voice: 120 bytes, whatever was said.

    Raises InvalidInput for a packet of more than 119 bytes.
    """
    if len(packet) > LARGEST_PACKET:
        raise InvalidInput("packet has at most 119 bytes.")
    return bytes((len(packet),)) + packet.ljust(LARGEST_PACKET, b"\0")


def unpad_voice(plaintext: bytes) -> bytes:
    """The packet. Raises Invalid for a plaintext that `pad_voice` gives for none."""
    if len(plaintext) != VOICE_SIZE or plaintext[0] > LARGEST_PACKET:
        raise Invalid("This is no frame of voice: its length does not fit.")
    packet, zeros = plaintext[1 : 1 + plaintext[0]], plaintext[1 + plaintext[0] :]
    if any(zeros):
        raise Invalid("This is no frame of voice: it is not filled with zeros.")
    return packet


def _check_ids(channel_id: bytes, sender: bytes) -> None:
    for name, value in (("channel_id", channel_id), ("sender", sender)):
        if len(value) != _ID_SIZE:
            raise InvalidInput(f"{name} has {_ID_SIZE} bytes.")
