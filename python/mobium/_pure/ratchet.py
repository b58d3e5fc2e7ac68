"""The Double Ratchet of one pairwise session, as a value (docs/CRYPTO.md section 4; Signal's specification,
revision 4).

Twin of native/core/src/ratchet.rs. Not its concern: entropy and time, which are arguments; how the first
shared secret is agreed; where states are stored. The caller stores the next state and only then lets a
ciphertext leave or shows a plaintext.

When a message brings a new ratchet key, the next own key pair and the sending chain are made at once, of the
entropy given to `decrypt`, as in Signal's specification: afterwards `encrypt` needs no entropy but its salt,
and a stored state can always be sent from.

A message is looked at in this order, and the first thing wrong with it names the error: length, version and
counters (Invalid), one's own ratchet key (Invalid), a number that was used (Duplicate), limits (TooFar), an
all-zero DH (Invalid), tag and padding (Invalid). A ratchet key of which skipped keys are held is a finished
chain: what is not held of it was used, so it is Duplicate and never a new step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mobium._pure import skipped as keys
from mobium._pure import state as states
from mobium._pure.arguments import check_bytes, check_number, exact
from mobium._pure.kdf import chain_step, message_keys, root_step
from mobium._pure.padding import BUCKETS, pad, unpad
from mobium._pure.skipped import COUNTER_END, EMPTY
from mobium._pure.state import Chain, State
from mobium.errors import CryptoError, Duplicate, Invalid, InvalidInput, PaddingError, TooFar

__all__ = ["MAX_SKIP", "Ratchet"]

MESSAGE_VERSION: Final = 1
HEADER: Final = 41
SALT: Final = 16
KEY: Final = 32
MAX_ASSOCIATED_DATA: Final = 2**16 - 1

MAX_SKIP: Final = 1000
"""Keys skipped at most in each of the two chains that a message touches:

bounds what a forged header costs.
"""

_Header = tuple[bytes, int, int]
"""Ratchet key, pn and n."""

_SIZES: Final = frozenset(HEADER + SALT + bucket for bucket in BUCKETS)


class Ratchet:
    """One side of a session at one moment.

    Every method leaves it untouched; those that step return the next one.
    """

    __slots__ = ("_state",)
    _state: State

    def __init__(self) -> None:
        raise TypeError("a Ratchet is made by initiate, accept, from_bytes or from_parts")

    @classmethod
    def _of(cls, state: State) -> Ratchet:
        made = object.__new__(cls)
        made._state = state
        return made

    @staticmethod
    def initiate(
        shared_secret: bytes, remote_public: bytes, associated_data: bytes, ratchet_private: bytes
    ) -> Ratchet:
        """The initiator's first state: it can send at once.

        `shared_secret`, `remote_public` (the responder's signed prekey) and `ratchet_private` (fresh entropy)
        have 32 bytes, `associated_data` at most 65,535. Raises InvalidInput for other lengths, CryptoError
        for an all-zero DH.
        """
        exact("shared_secret", shared_secret, KEY)
        exact("remote_public", remote_public, KEY)
        _check_associated_data(associated_data)
        exact("ratchet_private", ratchet_private, KEY)
        shared = _exchange(ratchet_private, remote_public)
        if shared is None:
            raise CryptoError("The other side's ratchet key is of small order, so it is refused.")
        root, chain = root_step(shared_secret, shared)
        public = _public(ratchet_private)
        return Ratchet._of(
            State(
                associated_data, root, ratchet_private, public, remote_public, Chain(chain, 0), 0, None, EMPTY
            )
        )

    @staticmethod
    def accept(shared_secret: bytes, ratchet_private: bytes, associated_data: bytes) -> Ratchet:
        """The responder's first state: it sends once it opened a message.

        `shared_secret` and `ratchet_private` (the signed prekey's private half) have 32 bytes,
        `associated_data` at most 65,535. Raises InvalidInput for other lengths.
        """
        exact("shared_secret", shared_secret, KEY)
        exact("ratchet_private", ratchet_private, KEY)
        _check_associated_data(associated_data)
        public = _public(ratchet_private)
        return Ratchet._of(
            State(associated_data, shared_secret, ratchet_private, public, None, None, 0, None, EMPTY)
        )

    def encrypt(self, plaintext: bytes, salt: bytes) -> tuple[bytes, Ratchet]:
        """header(41) ‖ salt(16) ‖ AES-256-GCM of the padded plaintext, and the next state.

        `salt` is 16 bytes of fresh entropy: with it a state used twice repeats a number but never a key.
        Raises PaddingError above the largest bucket, InvalidInput for another length of salt, CryptoError
        before anything was received by the responder and at the end of a chain.
        """
        exact("salt", salt, SALT)
        check_bytes("plaintext", plaintext)
        state = self._state
        sending = state.sending
        if sending is None:
            raise CryptoError("This side of the session cannot send before it has opened a first message.")
        # Its length becomes the next chain's pn, which is a counter too.
        if sending.n >= COUNTER_END - 1:
            raise CryptoError("This sending chain is used up until the other side answers.")
        padded = pad(plaintext)
        message_key, chain = chain_step(sending.key)
        header = b"".join(
            (
                bytes((MESSAGE_VERSION,)),
                state.public,
                state.pn.to_bytes(4, "big"),
                sending.n.to_bytes(4, "big"),
            )
        )
        key, nonce = message_keys(message_key, salt)
        sealed = AESGCM(key).encrypt(nonce, padded, state.associated_data + header)
        return b"".join((header, salt, sealed)), Ratchet._of(
            replace(state, sending=Chain(chain, sending.n + 1))
        )

    def decrypt(self, message: bytes, ratchet_private: bytes | None, now: int) -> tuple[bytes, Ratchet]:
        """The plaintext and the next state.

        `ratchet_private` is 32 bytes of fresh entropy, used if the message brings a new ratchet key; None is
        enough where `knows(message)`. `now` is the unix time in seconds with which skipped keys are stored.
        Raises Duplicate, TooFar or Invalid, and InvalidInput for a `ratchet_private` of another length, or
        None where it is needed.
        """
        if ratchet_private is not None:
            exact("ratchet_private", ratchet_private, KEY)
        check_number("now", now, 64)
        check_bytes("message", message)
        header = remote, _, n = _read_header(message)
        state = self._state
        if remote == state.public:
            raise Invalid("The message carries this side's own ratchet key.")
        identifier = message[1:33] + message[37:41]
        held = state.skipped.get(identifier)
        if held is not None:
            plaintext = _open(state, held[:KEY], message)
            return plaintext, Ratchet._of(replace(state, skipped=keys.without(state.skipped, identifier)))
        if remote == state.remote:
            return self._decrypt_in_chain(message, n, now)
        if keys.holds_any(state.skipped, remote):
            raise Duplicate("This message was opened before, or its key is no longer held.")
        return self._decrypt_in_new_chain(message, header, ratchet_private, now)

    def _decrypt_in_chain(self, message: bytes, n: int, now: int) -> tuple[bytes, Ratchet]:
        state = self._state
        if state.receiving is None or state.remote is None:
            raise Invalid("The message carries a ratchet key with which nothing is sent.")
        if n < state.receiving.n:
            raise Duplicate("This message was opened before, or its key is no longer held.")
        if n - state.receiving.n > MAX_SKIP:
            raise TooFar("The message is too far ahead of the last one.")
        stored, chain = _skip(state.receiving, n, state.remote, now)
        message_key, following = chain_step(chain.key)
        plaintext = _open(state, message_key, message)
        skipped = keys.hold(state.skipped, stored)
        return plaintext, Ratchet._of(replace(state, receiving=Chain(following, n + 1), skipped=skipped))

    def _decrypt_in_new_chain(
        self, message: bytes, header: _Header, ratchet_private: bytes | None, now: int
    ) -> tuple[bytes, Ratchet]:
        state = self._state
        remote, pn, n = header
        if ratchet_private is None:
            raise InvalidInput("The message brings a new ratchet key, so ratchet_private is needed.")
        if pn - (state.receiving.n if state.receiving else 0) > MAX_SKIP or n > MAX_SKIP:
            raise TooFar("The message is too far ahead of the last one.")
        shared = _exchange(state.private, remote)
        if shared is None:
            raise Invalid("The message carries a ratchet key of small order.")
        root, chain_key = root_step(state.root, shared)
        stored, chain = _skip(Chain(chain_key, 0), n, remote, now)
        message_key, following = chain_step(chain.key)
        plaintext = _open(state, message_key, message)
        # Only an authentic message gets here: now the rest of the finished chain, and the next own key pair
        # with its sending chain.
        if state.receiving is not None and state.remote is not None:
            stored = _skip(state.receiving, pn, state.remote, now)[0] + stored
        shared = _exchange(ratchet_private, remote)
        if shared is None:
            raise Invalid("The message carries a ratchet key of small order.")
        root, sending = root_step(root, shared)
        return plaintext, Ratchet._of(
            State(
                state.associated_data,
                root,
                ratchet_private,
                _public(ratchet_private),
                remote,
                Chain(sending, 0),
                state.sending.n if state.sending else 0,
                Chain(following, n + 1),
                keys.hold(state.skipped, stored),
            )
        )

    def knows(self, message: bytes) -> bool:
        """Whether the message's ratchet key is the one being received, or its skipped key is held.

        False for what is no message.
        """
        check_bytes("message", message)
        try:
            remote, _, _ = _read_header(message)
        except Invalid:
            return False
        state = self._state
        if state.receiving is not None and remote == state.remote:
            return True
        return message[1:33] + message[37:41] in state.skipped

    def expire(self, before: int) -> Ratchet:
        """The state without the skipped keys that were stored before that unix second."""
        check_number("before", before, 64)
        return Ratchet._of(replace(self._state, skipped=keys.without_older(self._state.skipped, before)))

    def to_bytes(self) -> bytes:
        """The whole state: `head()` ‖ count(u16) ‖ `skipped()`. The same bytes on both back ends; secret."""
        return states.encode(self._state)

    @staticmethod
    def from_bytes(data: bytes) -> Ratchet:
        """The state that `to_bytes` gave. Raises StateError for anything else."""
        check_bytes("data", data)
        return Ratchet._of(states.decode(data))

    def head(self) -> bytes:
        """The state without its skipped keys: 208 bytes at most and the associated data. Secret."""
        return states.encode_head(self._state)

    def skipped(self) -> list[bytes]:
        """The skipped keys, oldest first:

        ratchet key(32) ‖ n(u32) ‖ message key(32) ‖ stored at(u64 s). Secret. The first 36 bytes are the id.
        """
        return keys.records(self._state.skipped)

    @staticmethod
    def from_parts(head: bytes, skipped: Sequence[bytes]) -> Ratchet:
        """The state of a head and its records in the order in which they were added.

        Raises StateError if they do not belong together.
        """
        check_bytes("head", head)
        stored = list(skipped)
        for record in stored:
            check_bytes("each skipped key", record)
        return Ratchet._of(states.decode_parts(head, stored))

    def changes(self, previous: Ratchet) -> tuple[list[bytes], list[bytes]]:
        """What to store besides `head()` when this state follows `previous`:

        records to add, oldest first, and ids (36 bytes) to remove.
        """
        if not isinstance(previous, Ratchet):
            raise TypeError("previous must be a Ratchet of the same back end")
        return keys.changes(self._state.skipped, previous._state.skipped)

    def __repr__(self) -> str:
        return "<Ratchet: redacted>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle 'Ratchet' object")


def _check_associated_data(value: bytes) -> None:
    check_bytes("associated_data", value)
    if len(value) > MAX_ASSOCIATED_DATA:
        raise InvalidInput("associated_data has at most 65535 bytes.")


def _read_header(message: bytes) -> _Header:
    """Ratchet key, pn and n. Raises Invalid for a length, version or counter that no message has."""
    if len(message) not in _SIZES:
        raise Invalid("This is no message: its length fits no bucket.")
    if message[0] != MESSAGE_VERSION:
        raise Invalid("The message is of an unknown version.")
    pn, n = int.from_bytes(message[33:37], "big"), int.from_bytes(message[37:41], "big")
    if COUNTER_END in (pn, n):
        raise Invalid("The message carries a counter that no message has.")
    return message[1:33], pn, n


def _public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _exchange(private: bytes, public: bytes) -> bytes | None:
    """X25519; None when the result would be all zeros, which happens for a public key of small order."""
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public)
        )
    except ValueError:
        return None


def _skip(chain: Chain, until: int, public: bytes, now: int) -> tuple[list[tuple[bytes, bytes]], Chain]:
    """The keys of the numbers from the chain's to `until`, as they are stored, and the chain at `until`."""
    stored, key, at = [], chain.key, now.to_bytes(8, "big")
    for n in range(chain.n, until):
        message_key, key = chain_step(key)
        stored.append((public + n.to_bytes(4, "big"), message_key + at))
    return stored, Chain(key, max(chain.n, until))


def _open(state: State, message_key: bytes, message: bytes) -> bytes:
    """The plaintext. Raises Invalid for a wrong tag, or padding that does not fit under a right one."""
    key, nonce = message_keys(message_key, message[HEADER : HEADER + SALT])
    try:
        padded = AESGCM(key).decrypt(
            nonce, message[HEADER + SALT :], state.associated_data + message[:HEADER]
        )
    except InvalidTag:
        raise Invalid("The message is not authentic.") from None
    try:
        return unpad(padded)
    except PaddingError:
        raise Invalid("The message's padding does not fit.") from None
