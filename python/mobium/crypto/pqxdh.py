"""PQXDH: X3DH with ML-KEM-1024, from a bundle to a shared secret (docs/CRYPTO.md section 3).

Owns the 1,742-byte handshake header, the order of the initiator's and the responder's checks, the shared
secret and the associated data, which binds every key and id that either side used. Not its concern: the
messages that follow (`session`), replayed handshakes (whoever stores sessions asks `Header.handshake`), and
which server was asked for the bundle.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from mobium.crypto import _primitives
from mobium.crypto.identity import Identity, verify_binding
from mobium.crypto.prekeys import Bundle, PrekeyKind, PrekeyPair, PrekeySource, SignedPrekey, UsedPrekeys
from mobium.errors import CryptoError, IdentityChanged, Invalid

__all__ = ["HEADER_SIZE", "PREKEY_MESSAGE", "Header", "check_sender", "initiate", "read_header", "respond"]

PREKEY_MESSAGE = 0x02
HEADER_SIZE = 1742

_KEM_CODES = {PrekeyKind.KEM_ONE_TIME: 1, PrekeyKind.KEM_LAST_RESORT: 2}
_KEM_KINDS = {code: kind for kind, code in _KEM_CODES.items()}
_INFO = b"mobium/1 pqxdh x25519 ml-kem-1024 sha-256"
_SALT = bytes(32)
_LABEL_SESSION = b"mobium/1 session\0\x01"
_NO_KEY = bytes(32)


class Header(NamedTuple):
    """A handshake header, read. Keys and `handshake` have 32 bytes, `binding` 64, `ciphertext` 1,568;
    `one_time_id` 0 means none.

    `handshake` is the SHA-256 of the 1,742 bytes: it names this handshake for ever.
    """

    raw: bytes
    handshake: bytes
    ed: bytes
    x: bytes
    binding: bytes
    ephemeral: bytes
    signed_id: int
    one_time_id: int
    kem_kind: PrekeyKind
    kem_id: int
    ciphertext: bytes

    def __repr__(self) -> str:
        return f"Header({self.handshake.hex()}, from {self.ed.hex()})"


def read_header(message: bytes) -> Header:
    """The header at the beginning of a prekey message, or a header alone.

    Raises Invalid if it is none; nothing is verified yet.
    """
    if len(message) < HEADER_SIZE or message[0] != PREKEY_MESSAGE:
        raise Invalid("This is not a prekey message.")
    raw = bytes(message[:HEADER_SIZE])
    kem_kind = _KEM_KINDS.get(raw[169])
    signed_id, one_time_id, kem_id = (int.from_bytes(raw[at : at + 4], "big") for at in (161, 165, 170))
    if kem_kind is None or signed_id == 0 or kem_id == 0:
        raise Invalid("This prekey message names a prekey that cannot exist.")
    return Header(
        raw=raw,
        handshake=hashlib.sha256(raw).digest(),
        ed=raw[1:33],
        x=raw[33:65],
        binding=raw[65:129],
        ephemeral=raw[129:161],
        signed_id=signed_id,
        one_time_id=one_time_id,
        kem_kind=kem_kind,
        kem_id=kem_id,
        ciphertext=raw[174:],
    )


def _shared_secret(secrets: list[bytes]) -> bytes:
    return _primitives.hkdf(b"\xff" * 32 + b"".join(secrets), _SALT, _INFO, 32)


def _associated_data(
    initiator: tuple[bytes, bytes],
    responder: tuple[bytes, bytes],
    header: Header,
    signed: SignedPrekey,
    one_time: SignedPrekey | None,
    kem: SignedPrekey,
) -> bytes:
    return hashlib.sha256(
        b"".join(
            (
                _LABEL_SESSION,
                *initiator,
                *responder,
                header.ephemeral,
                signed.id.to_bytes(4, "big"),
                signed.public,
                header.one_time_id.to_bytes(4, "big"),
                _NO_KEY if one_time is None else one_time.public,
                bytes((_KEM_CODES[header.kem_kind],)),
                kem.id.to_bytes(4, "big"),
                kem.public,
                header.ciphertext,
            )
        )
    ).digest()


def initiate(
    identity: Identity, bundle: Bundle, ephemeral_private: bytes, now: int, *, pinned_x: bytes | None = None
) -> tuple[bytes, bytes, bytes]:
    """(shared secret of 32 bytes, associated data of 32, header of 1,742) for a bundle, with a fresh X25519
    private key of 32 bytes.

    The bundle is verified first, at `now` (unix seconds). Raises SignatureError or CryptoError if it is
    refused, if it is one's own, or if a key is of small order; IdentityChanged if it carries another, validly
    bound X25519 identity key than `pinned_x`.
    """
    if bundle.identity == identity.public:
        raise CryptoError("This is your own identity; a conversation needs two.")
    bundle.verify(now)
    _check_pinned(bundle.identity, bundle.x_public, pinned_x)
    dh = [
        identity.exchange(bundle.signed.public),
        _primitives.x25519(ephemeral_private, bundle.x_public),
        _primitives.x25519(ephemeral_private, bundle.signed.public),
    ]
    if bundle.one_time is not None:
        dh.append(_primitives.x25519(ephemeral_private, bundle.one_time.public))
    ciphertext, kem_secret = _primitives.kem_encapsulate(bundle.kem.public)
    raw = b"".join(
        (
            bytes((PREKEY_MESSAGE,)),
            identity.public,
            identity.x_public,
            identity.binding,
            _primitives.x25519_public(ephemeral_private),
            bundle.signed.id.to_bytes(4, "big"),
            (0 if bundle.one_time is None else bundle.one_time.id).to_bytes(4, "big"),
            bytes((_KEM_CODES[bundle.kem_kind],)),
            bundle.kem.id.to_bytes(4, "big"),
            ciphertext,
        )
    )
    associated_data = _associated_data(
        (identity.public, identity.x_public),
        (bundle.identity, bundle.x_public),
        read_header(raw),
        bundle.signed,
        bundle.one_time,
        bundle.kem,
    )
    return _shared_secret([*dh, kem_secret]), associated_data, raw


def _check_pinned(public: bytes, x_public: bytes, pinned_x: bytes | None) -> None:
    if pinned_x is not None and x_public != pinned_x:
        raise IdentityChanged(public, x_public)


def check_sender(
    identity: Identity, header: Header, *, sender: bytes | None = None, pinned_x: bytes | None = None
) -> None:
    """The responder's first checks, in the specification's order; they come before a session or a replay is
    looked for.

    `sender` is the envelope's (32 bytes), `pinned_x` the X25519 identity key first seen for it. Raises
    Invalid if the header names another sender or oneself, SignatureError if the binding is refused,
    IdentityChanged if the validly bound key is not the pinned one.
    """
    if sender is not None and header.ed != sender:
        raise Invalid("This prekey message was made by another identity than the one that sent it.")
    if header.ed == identity.public:
        raise Invalid("This prekey message claims to come from oneself.")
    verify_binding(header.ed, header.x, header.binding)
    _check_pinned(header.ed, header.x, pinned_x)


def _held(source: PrekeySource, kind: PrekeyKind, prekey_id: int) -> PrekeyPair:
    pair = source.private(kind, prekey_id)
    if pair is None:
        raise Invalid("This prekey message was made for a prekey that is not held any more, or never was.")
    return pair


def respond(
    identity: Identity, source: PrekeySource, header: Header
) -> tuple[bytes, bytes, bytes, UsedPrekeys]:
    """(shared secret of 32 bytes, associated data of 32, first ratchet private key of 32, the one-time ids
    used) for a header.

    Call `check_sender` before. Nothing is deleted and nothing is authenticated until the first message opens.
    Raises Invalid if a prekey is not held, CryptoError if a key is of small order.
    """
    signed = _held(source, PrekeyKind.SIGNED, header.signed_id)
    one_time = _held(source, PrekeyKind.ONE_TIME, header.one_time_id) if header.one_time_id else None
    kem = _held(source, header.kem_kind, header.kem_id)
    dh = [
        _primitives.x25519(signed.private, header.x),
        identity.exchange(header.ephemeral),
        _primitives.x25519(signed.private, header.ephemeral),
    ]
    if one_time is not None:
        dh.append(_primitives.x25519(one_time.private, header.ephemeral))
    dh.append(_primitives.kem_decapsulate(kem.private, header.ciphertext))
    associated_data = _associated_data(
        (header.ed, header.x),
        (identity.public, identity.x_public),
        header,
        signed.prekey,
        None if one_time is None else one_time.prekey,
        kem.prekey,
    )
    used = UsedPrekeys(
        one_time=None if one_time is None else one_time.prekey.id,
        kem_one_time=kem.prekey.id if header.kem_kind is PrekeyKind.KEM_ONE_TIME else None,
    )
    return _shared_secret(dh), associated_data, signed.private, used
