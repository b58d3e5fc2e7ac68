"""Prekeys: the signed one-way mail slots through which a stranger starts a session (docs/CRYPTO.md section
3).

Four kinds, each signed by the identity under a label of its own, with a random id and an expiry; the bundle
that an initiator is handed; and `Prekeys`, a private side in memory for programs without the engine. Not its
concern: the handshake (`pqxdh`), when keys are replaced, published and deleted (the engine's upkeep), and who
hands out a one-time key only once (the server).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Container
from enum import Enum
from typing import NamedTuple, Protocol

from mobium.crypto import _primitives
from mobium.crypto.identity import Identity, verify_binding
from mobium.errors import CryptoError
from mobium.signing import verify

__all__ = [
    "LIFETIME",
    "SLACK",
    "STOCK_KEM_ONE_TIME",
    "STOCK_ONE_TIME",
    "Bundle",
    "PrekeyKind",
    "PrekeyPair",
    "PrekeySource",
    "Prekeys",
    "SignedPrekey",
    "UsedPrekeys",
    "generate",
    "verify_prekey",
]

_DAY = 86_400
LIFETIME = 60 * _DAY  # seconds from making a prekey to its expiry
SLACK = _DAY  # what two clocks may differ
STOCK_ONE_TIME = 100
STOCK_KEM_ONE_TIME = 20

_MAX_ID = 2**32 - 1
_MAX_TIME = 2**64 - 1


class PrekeyKind(Enum):
    """What a prekey is for. The values are the names that the wire and stores use."""

    SIGNED = "signed"
    ONE_TIME = "one_time"
    KEM_LAST_RESORT = "last_resort"
    KEM_ONE_TIME = "kem_one_time"

    @property
    def label(self) -> bytes:
        """The label that begins what is signed, without its closing zero byte."""
        return _LABELS[self]

    @property
    def is_kem(self) -> bool:
        """True for ML-KEM-1024 (public key 1,568 bytes, private 64), False for X25519 (32 and 32)."""
        return self in (PrekeyKind.KEM_LAST_RESORT, PrekeyKind.KEM_ONE_TIME)

    @property
    def public_size(self) -> int:
        """The length of a public key of this kind in bytes."""
        return _primitives.KEM_PUBLIC_SIZE if self.is_kem else _primitives.KEY_SIZE

    @property
    def private_size(self) -> int:
        """The length of a private key of this kind in bytes; a KEM key is kept as its seed."""
        return _primitives.KEM_SEED_SIZE if self.is_kem else _primitives.KEY_SIZE


_LABELS = {
    PrekeyKind.SIGNED: b"mobium/1 signed prekey",
    PrekeyKind.ONE_TIME: b"mobium/1 one-time prekey",
    PrekeyKind.KEM_LAST_RESORT: b"mobium/1 kem prekey",
    PrekeyKind.KEM_ONE_TIME: b"mobium/1 kem one-time prekey",
}


class SignedPrekey(NamedTuple):
    """The public side: an id (u32, never 0), the expiry (unix seconds), the key (32 or 1,568 bytes), the
    signature (64).
    """

    id: int
    expires: int
    public: bytes
    signature: bytes


class PrekeyPair(NamedTuple):
    """A prekey with its private key: 32 bytes for X25519, the 64-byte seed for ML-KEM-1024."""

    prekey: SignedPrekey
    private: bytes

    def __repr__(self) -> str:
        return f"PrekeyPair(id={self.prekey.id})"


class UsedPrekeys(NamedTuple):
    """The ids of the one-time keys that a handshake used: delete them in the transaction that stores the
    session.
    """

    one_time: int | None
    kem_one_time: int | None


class PrekeySource(Protocol):
    """Where a responder looks its private prekeys up."""

    def private(self, kind: PrekeyKind, prekey_id: int, /) -> PrekeyPair | None:
        """The pair of that kind and id, or None if it is unknown or was deleted."""
        ...


def _signed_bytes(kind: PrekeyKind, prekey_id: int, expires: int, public: bytes) -> bytes:
    return kind.label + b"\0" + prekey_id.to_bytes(4, "big") + expires.to_bytes(8, "big") + public


def make_pair(
    identity: Identity, kind: PrekeyKind, prekey_id: int, expires: int, private: bytes
) -> PrekeyPair:
    """The pair of a given private key (32 bytes, or the 64-byte KEM seed).

    Raises CryptoError for a wrong length, id or time.
    """
    if not (0 < prekey_id <= _MAX_ID and 0 <= expires <= _MAX_TIME):
        raise CryptoError("A prekey's id is between 1 and 2^32-1, its expiry a number of seconds.")
    public = _primitives.kem_public(private) if kind.is_kem else _primitives.x25519_public(private)
    signature = identity.sign(_signed_bytes(kind, prekey_id, expires, public))
    return PrekeyPair(SignedPrekey(prekey_id, expires, public, signature), private)


def generate(
    identity: Identity, kind: PrekeyKind, count: int, now: int, *, taken: Container[int] = ()
) -> list[PrekeyPair]:
    """`count` fresh pairs, signed, with ids that are random, different from each other and not in `taken`;
    expiry `now` (unix seconds) + 60 days.
    """
    pairs: dict[int, PrekeyPair] = {}
    while len(pairs) < count:
        prekey_id = secrets.randbelow(_MAX_ID) + 1
        if prekey_id not in pairs and prekey_id not in taken:
            pairs[prekey_id] = make_pair(
                identity, kind, prekey_id, now + LIFETIME, secrets.token_bytes(kind.private_size)
            )
    return list(pairs.values())


def verify_prekey(public: bytes, kind: PrekeyKind, prekey: SignedPrekey, now: int) -> None:
    """Return if `prekey` is one that the identity `public` (32 bytes) signed as this kind and that is in
    force at `now` (unix seconds).

    Raises SignatureError if the signature is refused, CryptoError for a wrong length or id and for an expiry
    that has passed or lies more than 60 days ahead, with one day of slack each way.
    """
    if len(prekey.public) != kind.public_size:
        raise CryptoError(f"A prekey of this kind has {kind.public_size} bytes, not {len(prekey.public)}.")
    if not (0 < prekey.id <= _MAX_ID and 0 <= prekey.expires <= _MAX_TIME):
        raise CryptoError("This prekey's id or expiry is out of range.")
    verify(public, prekey.signature, _signed_bytes(kind, prekey.id, prekey.expires, prekey.public))
    if prekey.expires + SLACK < now:
        raise CryptoError(
            "This contact has not been online for so long that the keys for a new conversation have expired."
        )
    if prekey.expires > now + LIFETIME + SLACK:
        raise CryptoError(
            "This contact's prekey expires too far in the future; one of the two clocks is probably wrong."
        )


class Bundle(NamedTuple):
    """What an initiator is handed for one identity.

    `identity` is the key that was asked for, never one that an answer brings along: everything is verified
    under it. `kem_kind` says whether `kem` is a one-time or the last-resort key; `one_time` is None when the
    stock is used up.
    """

    identity: bytes
    x_public: bytes
    binding: bytes
    signed: SignedPrekey
    kem: SignedPrekey
    kem_kind: PrekeyKind
    one_time: SignedPrekey | None

    def verify(self, now: int) -> None:
        """Return if every key in the bundle is signed by `identity` and in force at `now` (unix seconds).

        Raises SignatureError or CryptoError as `verify_binding` and `verify_prekey` do.
        """
        verify_binding(self.identity, self.x_public, self.binding)
        verify_prekey(self.identity, PrekeyKind.SIGNED, self.signed, now)
        if not self.kem_kind.is_kem:
            raise CryptoError("The bundle's KEM prekey is named as a kind that is none.")
        verify_prekey(self.identity, self.kem_kind, self.kem, now)
        if self.one_time is not None:
            verify_prekey(self.identity, PrekeyKind.ONE_TIME, self.one_time, now)


class Prekeys:
    """The private prekeys of one identity in memory, and the server's part of handing each one-time key out
    once.

    For programs and tests without the engine. Nothing expires or is replaced here; `discard` what a session
    used.
    """

    __slots__ = ("_binding", "_identity", "_pairs", "_unused", "_x_public")

    def __init__(self, identity: Identity, pairs: dict[PrekeyKind, list[PrekeyPair]]) -> None:
        for kind in (PrekeyKind.SIGNED, PrekeyKind.KEM_LAST_RESORT):
            if not pairs.get(kind):
                raise CryptoError("Prekeys need at least one signed and one last-resort key.")
        self._identity = identity.public
        self._x_public = identity.x_public
        self._binding = identity.binding
        self._pairs = {(kind, pair.prekey.id): pair for kind, held in pairs.items() for pair in held}
        self._unused = {kind: [pair.prekey for pair in pairs.get(kind, [])] for kind in PrekeyKind}

    @classmethod
    def generate(
        cls,
        identity: Identity,
        now: int | None = None,
        one_time: int = STOCK_ONE_TIME,
        kem_one_time: int = STOCK_KEM_ONE_TIME,
    ) -> Prekeys:
        """A fresh set; `now` in unix seconds, by default the clock's."""
        at = int(time.time()) if now is None else now
        counts = {
            PrekeyKind.SIGNED: 1,
            PrekeyKind.ONE_TIME: one_time,
            PrekeyKind.KEM_LAST_RESORT: 1,
            PrekeyKind.KEM_ONE_TIME: kem_one_time,
        }
        return cls(identity, {kind: generate(identity, kind, count, at) for kind, count in counts.items()})

    def private(self, kind: PrekeyKind, prekey_id: int, /) -> PrekeyPair | None:
        """The pair of that kind and id, or None if it is unknown or was discarded."""
        return self._pairs.get((kind, prekey_id))

    def bundle(self, take_one_time: bool = True) -> Bundle:
        """What an initiator gets; with `take_one_time` it holds one-time keys, as long as there are some,
        each given out once.
        """
        one_time = self._unused[PrekeyKind.ONE_TIME]
        kem_one_time = self._unused[PrekeyKind.KEM_ONE_TIME]
        taken = one_time.pop(0) if take_one_time and one_time else None
        kem_kind = PrekeyKind.KEM_ONE_TIME if take_one_time and kem_one_time else PrekeyKind.KEM_LAST_RESORT
        kem = kem_one_time.pop(0) if kem_kind is PrekeyKind.KEM_ONE_TIME else self._unused[kem_kind][-1]
        signed = self._unused[PrekeyKind.SIGNED][-1]
        return Bundle(self._identity, self._x_public, self._binding, signed, kem, kem_kind, taken)

    def discard(self, used: UsedPrekeys) -> None:
        """Forget the one-time keys that a handshake used; what is not held is passed over."""
        if used.one_time is not None:
            self._pairs.pop((PrekeyKind.ONE_TIME, used.one_time), None)
        if used.kem_one_time is not None:
            self._pairs.pop((PrekeyKind.KEM_ONE_TIME, used.kem_one_time), None)

    def __repr__(self) -> str:
        return f"Prekeys(identity={self._identity.hex()}, held={len(self._pairs)})"
