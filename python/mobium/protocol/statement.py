"""A roster's statement: its bytes, and what can be said of it without its channel (docs/CRYPTO.md section 7).

    0x01 ‖ kind(u8) ‖ channel_id ‖ index(u32) ‖ prev ‖ actor ‖ subject ‖ time_ms(u64) ‖ length(u16) ‖ data
    ‖ signature(64)

One statement has one layout: what could be written in two ways, or has a length that its kind has not, is
refused. Not its concern: whether the actor may make it and where it belongs (`mobium.protocol.roster`), and
what is sealed in it (the client).
"""

from __future__ import annotations

import struct
from enum import IntEnum
from hashlib import sha256
from typing import Final, Protocol

import msgspec

from mobium.errors import ProtocolError, SignatureError
from mobium.protocol.codes import ErrorCode, sentence
from mobium.protocol.limits import KEY_SIZE
from mobium.signing import SIGNATURE_SIZE, check_public, verify
from mobium.text import names_ad

__all__ = [
    "LEAVES",
    "LONGEST_STATEMENT",
    "MEMBERSHIP",
    "SEALED_SIZE",
    "ZEROS",
    "Access",
    "Kind",
    "Role",
    "RosterError",
    "Signer",
    "Statement",
    "build",
    "channel_id_of",
    "join_input",
    "names_ad",
    "parse",
    "peek_input",
    "verify_statement",
]

ZEROS: Final = bytes(32)  # the channel id and the previous head inside a create statement
SEALED_SIZE: Final = 540  # nonce 12, names padded to 512, tag 16

_VERSION: Final = 1
_HEAD: Final = struct.Struct(">BB32sI32s32s32sQH")
_LATEST: Final = 2**53  # milliseconds, as in contents: every store and every language holds it exactly
_LABEL_STATEMENT: Final = b"mobium/1 roster\0"
_LABEL_HEAD: Final = b"mobium/1 roster head\0"
_LABEL_CHANNEL: Final = b"mobium/1 channel\0"
_LABEL_JOIN: Final = b"mobium/1 join\0"
_LABEL_PEEK: Final = b"mobium/1 peek\0"


class Kind(IntEnum):
    """What a statement does."""

    CREATE = 1
    JOIN = 2
    LEAVE = 3
    REMOVE = 4
    ROLE = 5
    SECRET = 6
    NAMES = 7
    BAN = 8
    UNBAN = 9


class Access(IntEnum):
    """Who may join: whoever has the secret, or anyone."""

    PRIVATE = 0
    OPEN = 1


class Role(IntEnum):
    """What a member is; a higher one is above a lower one."""

    MEMBER = 1
    ADMIN = 2
    OWNER = 3


LEAVES: Final = frozenset({Kind.LEAVE, Kind.REMOVE, Kind.BAN})
"""After these nobody sends with a chain from before."""
MEMBERSHIP: Final = LEAVES | {Kind.CREATE, Kind.JOIN}
"""What changes who reads."""

_KEYED: Final = KEY_SIZE + SEALED_SIZE
_SIZES: Final[dict[int, tuple[Kind, tuple[int, ...]]]] = {
    int(kind): (kind, sizes)
    for kind, sizes in {
        Kind.CREATE: (1 + _KEYED,),
        Kind.JOIN: (0, SIGNATURE_SIZE),  # which of the two, the channel's access says
        Kind.LEAVE: (0,),
        Kind.REMOVE: (_KEYED,),
        Kind.ROLE: (1,),
        Kind.SECRET: (_KEYED,),
        Kind.NAMES: (SEALED_SIZE,),
        Kind.BAN: (_KEYED,),
        Kind.UNBAN: (0,),
    }.items()
}
_SETS_KEY: Final = frozenset({Kind.CREATE, Kind.REMOVE, Kind.SECRET, Kind.BAN})
_OF_ANOTHER: Final = frozenset({Kind.REMOVE, Kind.ROLE, Kind.BAN, Kind.UNBAN})

LONGEST_STATEMENT: Final = _HEAD.size + 1 + _KEYED + SIGNATURE_SIZE  # a create: 781 bytes


class RosterError(ProtocolError):
    """A statement is malformed or breaks a rule; `code` says which. Nothing was changed."""

    code: ErrorCode

    def __init__(self, code: ErrorCode, text: str | None = None) -> None:
        super().__init__(sentence(code) if text is None else text, code)


class Signer(Protocol):
    """Who signs a statement: an identity, or a `mobium.signing.SigningKey`."""

    @property
    def public(self) -> bytes:
        """The Ed25519 public key (32 bytes)."""

    def sign(self, data: bytes, /) -> bytes:
        """The signature (64 bytes) over `data`."""


class Statement(msgspec.Struct, frozen=True):
    """A statement, taken apart. `channel_id` and `prev` are as written: zeros in a create.

    `raw` is the whole of it and `head` its hash, which the next one must name. Its repr leaves the data out,
    since in an open channel the key is the secret.
    """

    kind: Kind
    channel_id: bytes
    index: int
    prev: bytes
    actor: bytes
    subject: bytes
    time_ms: int
    data: bytes
    signature: bytes
    raw: bytes
    head: bytes

    @property
    def key(self) -> bytes | None:
        """The key that it puts in force (32 bytes), if it does."""
        if self.kind not in _SETS_KEY:
            return None
        return self.data[-_KEYED:-SEALED_SIZE]

    @property
    def sealed(self) -> bytes | None:
        """The sealed names in it (540 bytes), if there are some."""
        return self.data[-SEALED_SIZE:] if self.kind in _SETS_KEY or self.kind is Kind.NAMES else None

    @property
    def role(self) -> Role | None:
        """The role that it gives, if it does."""
        return Role(self.data[0]) if self.kind is Kind.ROLE else None

    def __repr__(self) -> str:
        return f"Statement({self.kind.name}, {self.index})"


def parse(raw: bytes) -> Statement:
    """The statement that `raw` is. Raises RosterError with `bad_statement` if it is none; signatures are not
    looked at.
    """
    if len(raw) < _HEAD.size + SIGNATURE_SIZE:
        raise _bad("it is too short")
    version, number, channel_id, index, prev, actor, subject, time_ms, length = _HEAD.unpack_from(raw)
    known = _SIZES.get(number)
    if version != _VERSION or known is None:
        raise _bad("its version or kind is unknown")
    kind, sizes = known
    if length not in sizes or len(raw) != _HEAD.size + length + SIGNATURE_SIZE:
        raise _bad("its length is not the one of its kind")
    if (index == 0) is not (kind is Kind.CREATE):
        raise _bad("a channel begins with its creation, and that alone")
    if kind is Kind.CREATE and not channel_id == prev == ZEROS:
        raise _bad("a creation follows on nothing")
    if (actor != subject) is not (kind in _OF_ANOTHER):
        raise _bad("it is about somebody whom its kind is not about")
    if time_ms > _LATEST:
        raise _bad("its time is out of range")
    data = raw[_HEAD.size : -SIGNATURE_SIZE]
    try:
        check_public(actor)
        check_public(subject)
        if kind is Kind.CREATE and data[0] == Access.PRIVATE:
            check_public(data[1 : 1 + KEY_SIZE])
    except SignatureError as error:
        raise _bad("a key in it is none") from error
    if kind is Kind.CREATE and data[0] > Access.OPEN:
        raise _bad("its access is unknown")
    if kind is Kind.ROLE and not Role.MEMBER <= data[0] <= Role.OWNER:
        raise _bad("its role is unknown")
    head = sha256(_LABEL_HEAD + raw).digest()
    signature = raw[-SIGNATURE_SIZE:]
    return Statement(kind, channel_id, index, prev, actor, subject, time_ms, data, signature, raw, head)


def build(
    signer: Signer,
    kind: Kind,
    channel_id: bytes,
    index: int,
    prev: bytes,
    subject: bytes,
    time_ms: int,
    data: bytes = b"",
) -> bytes:
    """A statement signed by `signer`. `channel_id` and `prev` are `ZEROS` in a create; `subject` is the
    signer where the kind is about nobody else.

    Raises RosterError with `bad_statement` for what `parse` would refuse.
    """
    if not len(channel_id) == len(prev) == len(subject) == KEY_SIZE:
        raise _bad("an id, a head or a key in it has another length than 32 bytes")
    try:
        head = _HEAD.pack(_VERSION, kind, channel_id, index, prev, signer.public, subject, time_ms, len(data))
    except struct.error:
        raise _bad("a number in it is out of range") from None
    raw = head + data + signer.sign(_LABEL_STATEMENT + head + data)
    parse(raw)
    return raw


def verify_statement(statement: Statement) -> None:
    """Return if the actor's signature is good. Raises RosterError with `bad_statement` otherwise."""
    try:
        verify(statement.actor, statement.signature, _LABEL_STATEMENT + statement.raw[:-SIGNATURE_SIZE])
    except SignatureError as error:
        raise _bad("its signature does not verify") from error


def channel_id_of(create_raw: bytes) -> bytes:
    """The id (32 bytes) of the channel that a create statement begins."""
    return sha256(_LABEL_CHANNEL + create_raw).digest()


def join_input(channel_id: bytes, prev: bytes, joiner: bytes) -> bytes:
    """What the invite key signs for a join of a private channel, right behind the head `prev`."""
    return _LABEL_JOIN + channel_id + prev + joiner


def peek_input(channel_id: bytes, ed: bytes, nonce: bytes) -> bytes:
    """What the invite key signs so that `ed`, no member, may read the roster; `nonce` is the login's."""
    return _LABEL_PEEK + channel_id + ed + nonce


def _bad(reason: str) -> RosterError:
    return RosterError(ErrorCode.BAD_STATEMENT, f"The channel statement was refused: {reason}.")
