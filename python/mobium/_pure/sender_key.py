"""Sender keys: one chain of a channel's member, for all who read there, as a value (docs/CRYPTO.md section
6).

    head         = 0x01 ‖ key id(u32) ‖ iteration(u32) ‖ salt(16)
    message      = head ‖ commit(32) ‖ AEAD ‖ signature(64)
    distribution = 0x01 ‖ channel id(32) ‖ key id(u32) ‖ iteration(u32) ‖ chain key(32) ‖ signing public(32)
                   ‖ roster index(u32) ‖ roster hash(32) ‖ length(u8) ‖ nickname
    place        = channel id(32) ‖ sender(32) ‖ roster index(u32) ‖ roster hash(32) ‖ key id(u32)
    sending      = 0x01 ‖ 0x01 ‖ place ‖ iteration(u32) ‖ chain key(32) ‖ signing seed(32)
    receiving    = 0x01 ‖ 0x02 ‖ place ‖ first(u32) ‖ iteration(u32) ‖ chain key(32) ‖ signing public(32)
                   ‖ length(u8) ‖ nickname ‖ count(u16) ‖ count times: iteration(u32) ‖ message key(32),
                   ascending

A message is looked at in this order, and the first thing wrong with it names the error: length, version and
key id (Invalid), signature (Invalid), number (TooFar beyond the chain's end, Invalid before the distribution,
Duplicate if it was used), commitment, tag and padding (Invalid). Only what passed all of them changes the
state. One state has one encoding and anything else is refused.

Twin of native/core/src/sender_key.rs. Not its concern: entropy, an argument; who is handed a chain, and when
a new one is due; where states are stored. The caller stores the next state and only then lets a message leave
or shows a plaintext.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hmac import compare_digest
from types import MappingProxyType
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mobium._pure.arguments import check_bytes, check_number, exact
from mobium._pure.fields import Reader
from mobium._pure.kdf import chain_step, sender_keys
from mobium._pure.padding import BUCKETS, pad, unpad
from mobium._pure.state import Chain
from mobium.errors import (
    CryptoError,
    Duplicate,
    Invalid,
    InvalidInput,
    PaddingError,
    SignatureError,
    StateError,
    TooFar,
)
from mobium.signing import SigningKey, check_public, verify

__all__ = ["ReceiverChain", "SenderChain", "read_head"]

VERSION: Final = 1
SENDING: Final = 1
RECEIVING: Final = 2
KEY: Final = 32
SALT: Final = 16
HEAD: Final = 25
COMMIT: Final = 32
SIGNATURE: Final = 64
OVERHEAD: Final = HEAD + COMMIT + SIGNATURE
LABEL: Final = b"mobium/1 sender message\0"

MESSAGES: Final = 1000
"""Messages of one chain: bounds what a stolen chain opens, and how far ahead a message can jump."""

MAX_NICKNAME: Final = 255

_SIZES: Final = frozenset(OVERHEAD + bucket for bucket in BUCKETS)
_Held = Mapping[int, bytes]
"""iteration -> message key (32 bytes), ascending. Shared between states, so never changed in place."""

_NONE_HELD: Final[_Held] = MappingProxyType({})


def read_head(message: bytes) -> tuple[int, int]:
    """The key id and the iteration that a message carries, not authenticated: which chain may open it.

    Raises Invalid for a length, a version or a key id that no message has.
    """
    check_bytes("message", message)
    if len(message) not in _SIZES:
        raise Invalid("This is no message: its length fits no bucket.")
    if message[0] != VERSION:
        raise Invalid("The message is of an unknown version.")
    key_id = int.from_bytes(message[1:5], "big")
    if key_id == 0:
        raise Invalid("The message carries a key id that no sender key has.")
    return key_id, int.from_bytes(message[5:9], "big")


@dataclass(frozen=True, slots=True, repr=False)
class _Place:
    """What every state of a chain says of itself."""

    channel_id: bytes
    sender: bytes
    roster_index: int
    roster_hash: bytes
    key_id: int

    def aad(self, head: bytes) -> bytes:
        return b"".join((self.channel_id, self.sender, self.roster_hash, head))

    def signed(self, body: bytes) -> bytes:
        """What is signed: label ‖ 0 ‖ channel id ‖ sender ‖ body."""
        return b"".join((LABEL, self.channel_id, self.sender, body))

    def encode(self) -> bytes:
        return b"".join(
            (
                self.channel_id,
                self.sender,
                self.roster_index.to_bytes(4, "big"),
                self.roster_hash,
                self.key_id.to_bytes(4, "big"),
            )
        )


@dataclass(frozen=True, slots=True, repr=False)
class _Sending:
    place: _Place
    signing: SigningKey
    chain: Chain


class SenderChain:
    """The sender's side of a chain at one moment.

    Every method leaves it untouched; `encrypt` returns the next one.
    """

    __slots__ = ("_state",)
    _state: _Sending

    def __init__(self) -> None:
        raise TypeError("a SenderChain is made by create or from_bytes")

    @classmethod
    def _of(cls, state: _Sending) -> SenderChain:
        made = object.__new__(cls)
        made._state = state
        return made

    @staticmethod
    def create(
        channel_id: bytes,
        sender: bytes,
        roster_index: int,
        roster_hash: bytes,
        key_id: int,
        chain_key: bytes,
        signing_seed: bytes,
    ) -> SenderChain:
        """A new chain, at its first message.

        `channel_id`, `sender` (an Ed25519 identity key), `roster_hash`, `chain_key` and `signing_seed` (both
        fresh entropy) have 32 bytes; `key_id` is random, below 2**32 and not 0. Raises InvalidInput.
        """
        exact("channel_id", channel_id, KEY)
        exact("sender", sender, KEY)
        check_number("roster_index", roster_index, 32)
        exact("roster_hash", roster_hash, KEY)
        check_number("key_id", key_id, 32)
        exact("chain_key", chain_key, KEY)
        exact("signing_seed", signing_seed, KEY)
        if key_id == 0:
            raise InvalidInput("key_id is never 0.")
        place = _Place(channel_id, sender, roster_index, roster_hash, key_id)
        return SenderChain._of(_Sending(place, SigningKey.from_seed(signing_seed), Chain(chain_key, 0)))

    @property
    def channel_id(self) -> bytes:
        """The channel of the chain (32 bytes)."""
        return self._state.place.channel_id

    @property
    def sender(self) -> bytes:
        """The Ed25519 identity key of who sends (32 bytes)."""
        return self._state.place.sender

    @property
    def roster_index(self) -> int:
        """The roster's index when the chain was made."""
        return self._state.place.roster_index

    @property
    def roster_hash(self) -> bytes:
        """The roster's head when the chain was made (32 bytes)."""
        return self._state.place.roster_hash

    @property
    def key_id(self) -> int:
        """The chain's id, never 0."""
        return self._state.place.key_id

    @property
    def iteration(self) -> int:
        """The number of the next message; 1,000 when the chain is used up."""
        return self._state.chain.n

    def distribution(self, nickname: bytes) -> bytes:
        """What a reader needs from the next message on. Secret: it goes into pairwise sessions only.

        Raises InvalidInput for a nickname of more than 255 bytes, CryptoError when the chain is used up.
        """
        check_bytes("nickname", nickname)
        if len(nickname) > MAX_NICKNAME:
            raise InvalidInput("nickname has at most 255 bytes.")
        state = self._state
        _check_usable(state.chain)
        return b"".join(
            (
                bytes((VERSION,)),
                state.place.channel_id,
                state.place.key_id.to_bytes(4, "big"),
                state.chain.n.to_bytes(4, "big"),
                state.chain.key,
                state.signing.public,
                state.place.roster_index.to_bytes(4, "big"),
                state.place.roster_hash,
                bytes((len(nickname),)),
                nickname,
            )
        )

    def encrypt(self, plaintext: bytes, salt: bytes) -> tuple[bytes, SenderChain]:
        """The message, of a bucket's size and 121 bytes, and the next state.

        `salt` is 16 bytes of fresh entropy: with it a state used twice repeats a number but never a key.
        Raises PaddingError above the largest bucket, InvalidInput for another length of salt, CryptoError
        when the chain is used up.
        """
        exact("salt", salt, SALT)
        check_bytes("plaintext", plaintext)
        state = self._state
        place, chain = state.place, state.chain
        _check_usable(chain)
        padded = pad(plaintext)
        message_key, following = chain_step(chain.key)
        key, nonce, commit = sender_keys(message_key, salt)
        head = b"".join(
            (bytes((VERSION,)), place.key_id.to_bytes(4, "big"), chain.n.to_bytes(4, "big"), salt)
        )
        body = b"".join((head, commit, AESGCM(key).encrypt(nonce, padded, place.aad(head))))
        message = body + state.signing.sign(place.signed(body))
        return message, SenderChain._of(replace(state, chain=Chain(following, chain.n + 1)))

    def to_bytes(self) -> bytes:
        """The state. The same bytes on both back ends; secret."""
        state = self._state
        return b"".join(
            (
                bytes((VERSION, SENDING)),
                state.place.encode(),
                state.chain.n.to_bytes(4, "big"),
                state.chain.key,
                state.signing.seed,
            )
        )

    @staticmethod
    def from_bytes(data: bytes) -> SenderChain:
        """The state that `to_bytes` gave. Raises StateError for anything else."""
        check_bytes("data", data)
        reader = _fields(data)
        place = _read_place(reader, SENDING)
        n = reader.number(4)
        chain = Chain(reader.take(KEY), n)
        seed = reader.take(KEY)
        reader.finish()
        if n > MESSAGES:
            raise _counters()
        return SenderChain._of(_Sending(place, SigningKey.from_seed(seed), chain))

    def __repr__(self) -> str:
        return "<SenderChain: redacted>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle 'SenderChain' object")


@dataclass(frozen=True, slots=True, repr=False)
class _Receiving:
    """`first` is the number from which the distribution opens messages."""

    place: _Place
    first: int
    public: bytes
    nickname: bytes
    chain: Chain
    skipped: _Held


class ReceiverChain:
    """A reader's side of a chain at one moment.

    Every method leaves it untouched; `decrypt` returns the next one.
    """

    __slots__ = ("_state",)
    _state: _Receiving

    def __init__(self) -> None:
        raise TypeError("a ReceiverChain is made by from_distribution or from_bytes")

    @classmethod
    def _of(cls, state: _Receiving) -> ReceiverChain:
        made = object.__new__(cls)
        made._state = state
        return made

    @staticmethod
    def from_distribution(data: bytes, channel_id: bytes, sender: bytes) -> ReceiverChain:
        """The chain that `sender` distributed in a pairwise session, for this channel (32 bytes each).

        Raises Invalid if it is malformed, names another channel, or carries a signing key that is refused.
        """
        exact("channel_id", channel_id, KEY)
        exact("sender", sender, KEY)
        check_bytes("data", data)
        reader = _fields(data)
        try:
            version, named = reader.number(1), reader.take(KEY)
            key_id, n = reader.number(4), reader.number(4)
            chain_key, public = reader.take(KEY), reader.take(KEY)
            roster_index, roster_hash = reader.number(4), reader.take(KEY)
            nickname = reader.take(reader.number(1))
            reader.finish()
        except StateError:
            raise Invalid("This is no distribution of a sender key.") from None
        if version != VERSION:
            raise Invalid("The distribution is of an unknown version.")
        if named != channel_id:
            raise Invalid("The distribution is for another channel.")
        if key_id == 0 or n >= MESSAGES:
            raise Invalid("The distribution carries a number that no sender key has.")
        try:
            check_public(public)
        except SignatureError:
            raise Invalid("The distribution carries a signing key that is refused.") from None
        place = _Place(channel_id, sender, roster_index, roster_hash, key_id)
        return ReceiverChain._of(_Receiving(place, n, public, nickname, Chain(chain_key, n), _NONE_HELD))

    @property
    def channel_id(self) -> bytes:
        """The channel of the chain (32 bytes)."""
        return self._state.place.channel_id

    @property
    def sender(self) -> bytes:
        """The Ed25519 identity key of who sends (32 bytes)."""
        return self._state.place.sender

    @property
    def roster_index(self) -> int:
        """The roster's index when the sender made the chain."""
        return self._state.place.roster_index

    @property
    def roster_hash(self) -> bytes:
        """The roster's head when the sender made the chain (32 bytes)."""
        return self._state.place.roster_hash

    @property
    def key_id(self) -> int:
        """The chain's id, never 0."""
        return self._state.place.key_id

    @property
    def iteration(self) -> int:
        """The number of the message that is expected next."""
        return self._state.chain.n

    @property
    def nickname(self) -> bytes:
        """What the sender calls himself, as it came: at most 255 bytes."""
        return self._state.nickname

    def decrypt(self, message: bytes) -> tuple[bytes, ReceiverChain]:
        """The plaintext and the next state. Raises Duplicate, TooFar or Invalid."""
        key_id, iteration = read_head(message)
        state = self._state
        if key_id != state.place.key_id:
            raise Invalid("The message is of another sender key.")
        body = message[:-SIGNATURE]
        try:
            verify(state.public, message[-SIGNATURE:], state.place.signed(body))
        except SignatureError:
            raise Invalid("The message's signature does not verify.") from None
        if iteration >= MESSAGES:
            raise TooFar("The message's number lies beyond the end of its sender key.")
        if iteration < state.first:
            raise Invalid("The message was sent before this sender key was given.")
        if iteration < state.chain.n:
            held = state.skipped.get(iteration)
            if held is None:
                raise Duplicate("This message was opened before.")
            plaintext = _open(state.place, held, body)
            rest = {n: key for n, key in state.skipped.items() if n != iteration}
            return plaintext, ReceiverChain._of(replace(state, skipped=MappingProxyType(rest)))
        ahead: dict[int, bytes] = {}
        key = state.chain.key
        for n in range(state.chain.n, iteration):
            ahead[n], key = chain_step(key)
        message_key, following = chain_step(key)
        plaintext = _open(state.place, message_key, body)
        skipped = MappingProxyType({**state.skipped, **ahead}) if ahead else state.skipped
        chain = Chain(following, iteration + 1)
        return plaintext, ReceiverChain._of(replace(state, chain=chain, skipped=skipped))

    def skipped(self) -> list[int]:
        """The numbers of the messages that have not arrived and whose keys are held, ascending."""
        return list(self._state.skipped)

    def to_bytes(self) -> bytes:
        """The state. The same bytes on both back ends; secret."""
        state = self._state
        return b"".join(
            (
                bytes((VERSION, RECEIVING)),
                state.place.encode(),
                state.first.to_bytes(4, "big"),
                state.chain.n.to_bytes(4, "big"),
                state.chain.key,
                state.public,
                bytes((len(state.nickname),)),
                state.nickname,
                len(state.skipped).to_bytes(2, "big"),
                *(n.to_bytes(4, "big") + key for n, key in state.skipped.items()),
            )
        )

    @staticmethod
    def from_bytes(data: bytes) -> ReceiverChain:
        """The state that `to_bytes` gave. Raises StateError for anything else."""
        check_bytes("data", data)
        reader = _fields(data)
        place = _read_place(reader, RECEIVING)
        first, n = reader.number(4), reader.number(4)
        chain = Chain(reader.take(KEY), n)
        public = reader.take(KEY)
        nickname = reader.take(reader.number(1))
        stored = [(reader.number(4), reader.take(KEY)) for _ in range(reader.number(2))]
        reader.finish()
        if first >= MESSAGES or not first <= n <= MESSAGES:
            raise _counters()
        least = first
        for iteration, _ in stored:
            # The message before the next one was opened, or the chain would not be there.
            if not least <= iteration < n - 1:
                raise _counters()
            least = iteration + 1
        try:
            check_public(public)
        except SignatureError:
            raise StateError("The stored sender key has a signing key that is refused.") from None
        skipped = MappingProxyType(dict(stored)) if stored else _NONE_HELD
        return ReceiverChain._of(_Receiving(place, first, public, nickname, chain, skipped))

    def __repr__(self) -> str:
        return "<ReceiverChain: redacted>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle 'ReceiverChain' object")


def _open(place: _Place, message_key: bytes, body: bytes) -> bytes:
    """The plaintext. Raises Invalid for another commitment, a wrong tag, or padding that does not fit."""
    head, sent = body[:HEAD], body[HEAD : HEAD + COMMIT]
    key, nonce, commit = sender_keys(message_key, head[HEAD - SALT :])
    if not compare_digest(commit, sent):
        raise Invalid("The message commits to another key than the one it was given.")
    try:
        padded = AESGCM(key).decrypt(nonce, body[HEAD + COMMIT :], place.aad(head))
    except InvalidTag:
        raise Invalid("The message is not authentic.") from None
    try:
        return unpad(padded)
    except PaddingError:
        raise Invalid("The message's padding does not fit.") from None


def _fields(data: bytes) -> Reader:
    return Reader(data, "sender key")


def _read_place(reader: Reader, kind: int) -> _Place:
    version, found = reader.take(2)
    if version != VERSION:
        raise StateError("The stored sender key is of an unknown version.")
    if found != kind:
        raise StateError("The stored sender key is of another kind.")
    channel_id, sender = reader.take(KEY), reader.take(KEY)
    place = _Place(channel_id, sender, reader.number(4), reader.take(KEY), reader.number(4))
    if place.key_id == 0:
        raise _counters()
    return place


def _counters() -> StateError:
    return StateError("The stored sender key has numbers that do not fit together.")


def _check_usable(chain: Chain) -> None:
    if chain.n >= MESSAGES:
        raise CryptoError("This sender key is used up: a new one is due.")
