"""A session: one conversation's ratchet together with the handshake that began it (docs/CRYPTO.md sections 3
and 4).

A session is a value: `encrypt` and `decrypt` return their result and the next session, and the old one stays
as it was. The caller commits the next one in a durable transaction, and only then lets the payload leave or
shows the plaintext. Owns the two kinds of payload (0x01 a ratchet message, 0x02 a ratchet message behind the
handshake header, until the first answer decrypts) and the stored form. Not its concern: several sessions with
one peer, the handshakes seen before, prekeys to delete (the engine's), and the ratchet itself (the kernels).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from os import urandom
from typing import NoReturn

from mobium._backend import Ratchet
from mobium.crypto import pqxdh
from mobium.crypto.identity import Identity
from mobium.crypto.prekeys import Bundle, PrekeySource, UsedPrekeys
from mobium.errors import Invalid, StateError

__all__ = ["HEAD_OVERHEAD", "Session"]

_VERSION = 1
_RATCHET_MESSAGE = 0x01
_INITIATED = 0x01
_UNANSWERED = 0x02
_SALT_SIZE = 16
_KEY_SIZE = 32

HEAD_OVERHEAD = 2 + 3 * 32
"""Bytes that a session's head adds to its ratchet's: version, flags, peer, peer_x, handshake."""


class Session:
    """One side of a conversation with one peer.

    Made by `initiate`, `accept`, `from_bytes` and `from_parts`.
    """

    __slots__ = ("_handshake", "_header", "_initiated", "_peer", "_peer_x", "_ratchet")
    _ratchet: Ratchet
    _peer: bytes
    _peer_x: bytes
    _handshake: bytes
    _header: bytes | None
    _initiated: bool

    def __init__(self) -> None:
        raise TypeError("a Session is made by initiate, accept, from_bytes or from_parts")

    @classmethod
    def _of(
        cls,
        ratchet: Ratchet,
        peer: bytes,
        peer_x: bytes,
        handshake: bytes,
        header: bytes | None,
        initiated: bool,
    ) -> Session:
        made = object.__new__(cls)
        made._ratchet = ratchet
        made._peer = peer
        made._peer_x = peer_x
        made._handshake = handshake
        made._header = header
        made._initiated = initiated
        return made

    def _next(self, ratchet: Ratchet, header: bytes | None) -> Session:
        return Session._of(ratchet, self._peer, self._peer_x, self._handshake, header, self._initiated)

    @classmethod
    def initiate(
        cls, identity: Identity, bundle: Bundle, *, pinned_x: bytes | None = None, now: int | None = None
    ) -> Session:
        """A session with the identity whose bundle this is; it can send at once.

        `bundle.identity` must be the key that was asked for, `pinned_x` is the X25519 identity key (32 bytes)
        first seen for it, if any, `now` the unix time in seconds (default: the clock). Raises SignatureError
        or CryptoError if the bundle is refused, IdentityChanged if it carries another X25519 key than the
        pinned one.
        """
        secret, associated_data, header = pqxdh.initiate(
            identity, bundle, urandom(_KEY_SIZE), _now(now), pinned_x=pinned_x
        )
        ratchet = Ratchet.initiate(secret, bundle.signed.public, associated_data, urandom(_KEY_SIZE))
        handshake = hashlib.sha256(header).digest()
        return cls._of(ratchet, bundle.identity, bundle.x_public, handshake, header, initiated=True)

    @classmethod
    def accept(
        cls,
        identity: Identity,
        prekeys: PrekeySource,
        message: bytes,
        *,
        sender: bytes | None = None,
        pinned_x: bytes | None = None,
        now: int | None = None,
    ) -> tuple[bytes, Session, UsedPrekeys]:
        """(plaintext, session, ids of the one-time prekeys used) for the prekey message that begins a
        conversation.

        `sender` is the envelope's identity key and `pinned_x` the X25519 identity key first seen for it (32
        bytes each), `now` the unix time in seconds (default: the clock). The caller has refused handshakes
        that it saw before (`read_header(message).handshake`), and deletes the prekeys used in the transaction
        that stores the session. Raises Invalid, SignatureError, IdentityChanged or another CryptoError; then
        nothing happened.
        """
        header = pqxdh.read_header(message)
        pqxdh.check_sender(identity, header, sender=sender, pinned_x=pinned_x)
        secret, associated_data, private, used = pqxdh.respond(identity, prekeys, header)
        plaintext, ratchet = Ratchet.accept(secret, private, associated_data).decrypt(
            message[pqxdh.HEADER_SIZE :], urandom(_KEY_SIZE), _now(now)
        )
        return plaintext, cls._of(ratchet, header.ed, header.x, header.handshake, None, initiated=False), used

    def encrypt(self, plaintext: bytes) -> tuple[bytes, Session]:
        """The payload to send, and the next session to store before it leaves.

        The payload's size is a bucket + 57 bytes, + 1,799 while unanswered. Raises PaddingError above the
        largest bucket.
        """
        message, ratchet = self._ratchet.encrypt(plaintext, urandom(_SALT_SIZE))
        header = self._header
        return (message if header is None else header + message), self._next(ratchet, header)

    def decrypt(self, payload: bytes, *, now: int | None = None) -> tuple[bytes, Session]:
        """The plaintext, and the next session to store before it is shown; `now` in unix seconds (default:
        the clock).

        Opens ratchet messages, and prekey messages of the handshake that began this session. Raises
        Duplicate, TooFar or Invalid.
        """
        message = self._ratchet_message(payload)
        ratchet = self._ratchet
        # Entropy is dear beside a message in a known chain, and goes unused there.
        fresh = None if ratchet.knows(message) else urandom(_KEY_SIZE)
        plaintext, ratchet = ratchet.decrypt(message, fresh, _now(now))
        return plaintext, self._next(ratchet, None)

    def _ratchet_message(self, payload: bytes) -> bytes:
        kind = payload[:1]
        if kind == b"\x01":
            return payload
        if kind != b"\x02":
            raise Invalid("This payload is of no known kind.")
        if not self._began_with(payload):
            raise Invalid("This prekey message belongs to another session.")
        return payload[pqxdh.HEADER_SIZE :]

    def _began_with(self, payload: bytes) -> bool:
        # An initiator never receives its own header; a server that sends it back meets a refusal here.
        header = payload[: pqxdh.HEADER_SIZE]
        return not self._initiated and hashlib.sha256(header).digest() == self._handshake

    def knows(self, payload: bytes) -> bool:
        """Whether this session is the one to try first: it has the payload's ratchet key, or it began with
        its handshake.
        """
        kind = payload[:1]
        if kind == b"\x01":
            return self._ratchet.knows(payload)
        return kind == b"\x02" and self._began_with(payload)

    def expire(self, before: int) -> Session:
        """The session without the skipped keys that were stored before that unix second."""
        return self._next(self._ratchet.expire(before), self._header)

    @property
    def peer(self) -> bytes:
        """The peer's Ed25519 identity key (32 bytes)."""
        return self._peer

    @property
    def peer_x(self) -> bytes:
        """The peer's X25519 identity key (32 bytes), as it was when the session began."""
        return self._peer_x

    @property
    def handshake(self) -> bytes:
        """The SHA-256 of the handshake header (32 bytes), the same on both sides."""
        return self._handshake

    @property
    def initiated(self) -> bool:
        """Whether this side began the session."""
        return self._initiated

    @property
    def unanswered(self) -> bool:
        """Whether this side began the session and has not opened an answer yet."""
        return self._header is not None

    @property
    def header(self) -> bytes | None:
        """The handshake header (1,742 bytes) that precedes every message while unanswered, else None."""
        return self._header

    def head(self) -> bytes:
        """What changes with every message, under 1 KiB: everything but the handshake header and the skipped
        keys.

        Secret.
        """
        flags = (_INITIATED if self._initiated else 0) | (_UNANSWERED if self._header is not None else 0)
        return b"".join(
            (bytes((_VERSION, flags)), self._peer, self._peer_x, self._handshake, self._ratchet.head())
        )

    def skipped(self) -> list[bytes]:
        """The skipped keys as 76-byte records, oldest first; a record's first 36 bytes are its id. Secret."""
        return self._ratchet.skipped()

    def changes(self, previous: Session) -> tuple[list[bytes], list[bytes]]:
        """(records added, 36-byte ids removed) among the skipped keys since `previous`, an earlier state of
        this session.
        """
        return self._ratchet.changes(previous._ratchet)

    @classmethod
    def from_parts(cls, head: bytes, header: bytes | None, skipped: Sequence[bytes]) -> Session:
        """The session that was stored as `head()`, `header` and the skipped records in the order in which
        they were added.

        A header that is still stored after the answer came is passed over. Raises StateError if the parts do
        not belong together.
        """
        flags, peer, peer_x, handshake = _read_head(head)
        ratchet = Ratchet.from_parts(head[HEAD_OVERHEAD:], skipped)
        kept = _kept_header(flags, header, handshake)
        return cls._of(ratchet, peer, peer_x, handshake, kept, bool(flags & _INITIATED))

    def to_bytes(self) -> bytes:
        """The whole session. The same bytes on both back ends; secret."""
        flags = (_INITIATED if self._initiated else 0) | (_UNANSWERED if self._header is not None else 0)
        return b"".join(
            (
                bytes((_VERSION, flags)),
                self._peer,
                self._peer_x,
                self._handshake,
                self._header or b"",
                self._ratchet.to_bytes(),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Session:
        """The session that `to_bytes` gave. Raises StateError for anything else."""
        flags, peer, peer_x, handshake = _read_head(data)
        end = HEAD_OVERHEAD + (pqxdh.HEADER_SIZE if flags & _UNANSWERED else 0)
        header = _kept_header(flags, data[HEAD_OVERHEAD:end], handshake)
        ratchet = Ratchet.from_bytes(data[end:])
        return cls._of(ratchet, peer, peer_x, handshake, header, bool(flags & _INITIATED))

    def __repr__(self) -> str:
        return f"<Session with {self._peer.hex()}: redacted>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle 'Session' object")


def _now(now: int | None) -> int:
    return int(time.time()) if now is None else now


def _read_head(data: bytes) -> tuple[int, bytes, bytes, bytes]:
    """Flags, peer, peer_x and handshake. Raises StateError."""
    if len(data) < HEAD_OVERHEAD or data[0] != _VERSION:
        raise StateError("This is not the stored state of a session, or one of an unknown version.")
    flags = data[1]
    # Only the side that began a session can be waiting for its answer.
    if flags not in (0, _INITIATED, _INITIATED | _UNANSWERED):
        raise StateError("The stored state of this session is damaged.")
    return flags, data[2:34], data[34:66], data[66:98]


def _kept_header(flags: int, header: bytes | None, handshake: bytes) -> bytes | None:
    if not flags & _UNANSWERED:
        return None
    if header is None or len(header) != pqxdh.HEADER_SIZE or hashlib.sha256(header).digest() != handshake:
        raise StateError("The stored handshake header of this session is missing or damaged.")
    return header
