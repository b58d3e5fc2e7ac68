"""The exception tree of mobium. Every error that the library raises on purpose is one of these, or a kind of
one of them that a module needs for itself.

    MobiumError
    ├── CryptoError
    │   ├── DecryptError
    │   │   ├── Duplicate       this message was opened before
    │   │   ├── TooFar          its number lies further ahead than the limits allow
    │   │   └── Invalid         not a message for this state: length, version, key, counter or tag
    │   ├── PaddingError        larger than the largest bucket, or padding that does not fit
    │   ├── SignatureError      an Ed25519 key or signature that is refused
    │   ├── IdentityChanged     another X25519 identity key than the pinned one (.public, .x_public)
    │   └── StateError          stored state that cannot be read
    ├── WrongPassword
    ├── RecoveryError           recovery words that cannot be right
    ├── ProtocolError           a frame that breaks the protocol (.code is one of mobium.protocol.codes)
    ├── ServerRefused           the server answered with an error (.code, .retry_after)
    ├── NotConnected
    │   └── ServerKeyChanged    the server is not the one that was pinned at first use
    ├── MediaUnavailable        sound or pictures take something that is missing here (.install)
    │   ├── OpusUnavailable     libopus or its binding
    │   ├── AudioUnavailable    PortAudio or its binding, or no microphone or speaker at all
    │   └── CaptureUnavailable  mss, or a screen that it can capture
    ├── CallError               a call that cannot be made, taken or kept up (.code)
    ├── StoreError              a vault or a database that cannot be read or written
    │   ├── StoreDamaged        a database that only a copy, or the 24 words, can mend
    │   └── StoreFault          a change was undone for what it held, not for the state of the disk
    └── InvalidInput            an argument that names nothing, or is malformed (also a ValueError)

Messages are sentences for people and hold no secret: no key, password, plaintext or recovery word that was
typed is ever put into one. Not its concern: exit codes and wire codes, which live with the command line and
in `mobium.protocol.codes`.
"""

from __future__ import annotations

__all__ = [
    "AudioUnavailable",
    "CallError",
    "CaptureUnavailable",
    "CryptoError",
    "DecryptError",
    "Duplicate",
    "IdentityChanged",
    "Invalid",
    "InvalidInput",
    "MediaUnavailable",
    "MobiumError",
    "NotConnected",
    "OpusUnavailable",
    "PaddingError",
    "ProtocolError",
    "RecoveryError",
    "ServerKeyChanged",
    "ServerRefused",
    "SignatureError",
    "StateError",
    "StoreDamaged",
    "StoreError",
    "StoreFault",
    "TooFar",
    "WrongPassword",
]


class MobiumError(Exception):
    """Anything that mobium raises on purpose."""


class CryptoError(MobiumError):
    """A cryptographic operation was refused."""


class DecryptError(CryptoError):
    """A message was not opened; the state it was tried in is unchanged."""


class Duplicate(DecryptError):
    """The message's number was used already: it was opened before, or its key was evicted."""


class TooFar(DecryptError):
    """The message's number lies further ahead than the limits allow (docs/CRYPTO.md section 4)."""


class Invalid(DecryptError):
    """Not a message for this state: wrong length, version, ratchet key, counter or tag."""


class PaddingError(CryptoError):
    """The plaintext is larger than the largest bucket, or the padding of an opened message does not fit."""


class SignatureError(CryptoError):
    """An Ed25519 key or signature is malformed, of small order, not canonical, or does not verify."""


class IdentityChanged(CryptoError):
    """An identity carries another, validly bound X25519 key than the pinned one (docs/CRYPTO.md section 1).

    `public` is its Ed25519 key, `x_public` the new X25519 key (32 bytes each); nothing was derived from them.
    """

    def __init__(self, public: bytes, x_public: bytes) -> None:
        super().__init__(
            "This contact's keys have changed: a new device, or somebody who pretends to be this contact."
        )
        self.public = public
        self.x_public = x_public


class StateError(CryptoError):
    """Stored state is truncated, of an unknown version, or inconsistent."""


class WrongPassword(MobiumError):
    """The password does not open this profile."""


class RecoveryError(MobiumError):
    """The recovery words cannot be right; the message says which word and what to do."""


class ProtocolError(MobiumError):
    """A frame or a content map breaks the protocol.

    `code` is the wire code that answers it (`mobium.protocol.codes`).
    """

    def __init__(self, message: str, code: str = "malformed") -> None:
        super().__init__(message)
        self.code = code


class ServerRefused(MobiumError):
    """The server answered a request with an error frame.

    `code` is one of `mobium.protocol.codes`; `retry_after` is the number of seconds after which trying
    again helps, or None.
    """

    def __init__(self, code: str, text: str = "", retry_after: float | None = None) -> None:
        super().__init__(text or code)
        self.code = code
        self.retry_after = retry_after


class NotConnected(MobiumError):
    """The operation needs a server and there is no authenticated connection."""


class ServerKeyChanged(NotConnected):
    """The server at this address shows another key than the one pinned at first use.

    `pinned` and `offered` are the two public keys, 32 bytes each.
    """

    def __init__(self, pinned: bytes, offered: bytes) -> None:
        super().__init__(
            "The server shows another key than before, so it may not be the server you know; "
            "ask its operator, and accept the new key only if it is theirs."
        )
        self.pinned = pinned
        self.offered = offered


class MediaUnavailable(MobiumError):
    """Sound or pictures need something that is not installed, or that this machine does not have.

    `install` is the command that installs it, or "" where none would help; the message names it too.
    """

    def __init__(self, message: str, install: str = "") -> None:
        super().__init__(f"{message} Install it with: {install}" if install else message)
        self.install = install


class OpusUnavailable(MediaUnavailable):
    """libopus, which voice is coded with, or its binding is missing."""


class AudioUnavailable(MediaUnavailable):
    """PortAudio, which reaches microphones and speakers, or its binding is missing; or there is no device."""


class CaptureUnavailable(MediaUnavailable):
    """mss, which captures screens, is missing; or there is no screen that it can capture, or none any
    more.
    """


class CallError(MobiumError):
    """A call cannot be made, taken or kept up. `code` is a word for programs."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class StoreError(MobiumError):
    """A vault or a database is unreadable, foreign, damaged, or in use by another process."""


class StoreDamaged(StoreError):
    """The disk or the card has damaged a database: trying again cannot help, and more writing harms."""


class StoreFault(StoreError):
    """A unit of work failed for what it was given, a fault of this program: it would fail again."""


class InvalidInput(MobiumError, ValueError):
    """An argument names nothing that exists, or is malformed; nothing was changed."""
