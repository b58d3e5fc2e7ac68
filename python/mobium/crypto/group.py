"""`SenderKey` and `ReceiverKey`: the sender keys of a channel on the back end in use, with their entropy
(docs/CRYPTO.md section 6).

Both are values: every step returns its result and the next state and leaves the old one as it was. Store the
next state, then let the message leave or show the plaintext. Not its concern: the algorithm
(`mobium._backend` picks who runs it); whom a sender key is handed to, and when a new one is due (the
engine's); the pairwise sessions that carry a distribution.
"""

from __future__ import annotations

from os import urandom
from typing import NoReturn

from mobium._backend import ReceiverChain, SenderChain, read_head
from mobium.errors import Invalid

__all__ = ["ReceiverKey", "SenderKey", "message_head"]

_ID_SIZE = 32

# As in `mobium.crypto.ratchet`: the methods called for every message do without `__init__`.
_new = object.__new__


def message_head(message: bytes) -> tuple[int, int]:
    """(key id, iteration) of a channel message, to find its chain by; not authenticated before it is opened.

    Raises Invalid for what is no message.
    """
    return read_head(message)


class SenderKey:
    """My own chain in a channel at one moment. Its repr shows nothing of it."""

    __slots__ = ("_chain",)
    _chain: SenderChain

    def __init__(self) -> None:
        raise TypeError("a SenderKey is made by create or from_bytes")

    @staticmethod
    def create(
        channel_id: bytes, sender: bytes, roster_index: int = 0, roster_hash: bytes = bytes(32)
    ) -> SenderKey:
        """A new chain with a random id, at its first message.

        `channel_id`, `sender` (my Ed25519 identity key) and `roster_hash` (the roster's head) have 32 bytes,
        `roster_index` is the head's. Raises InvalidInput for other lengths.
        """
        key_id = 0
        while key_id == 0:
            key_id = int.from_bytes(urandom(4), "big")
        return _wrap_sender(
            SenderChain.create(
                channel_id, sender, roster_index, roster_hash, key_id, urandom(32), urandom(32)
            )
        )

    @property
    def channel_id(self) -> bytes:
        """The channel of the chain (32 bytes)."""
        return self._chain.channel_id

    @property
    def sender(self) -> bytes:
        """The Ed25519 identity key of who sends (32 bytes)."""
        return self._chain.sender

    @property
    def roster_index(self) -> int:
        """The roster's index when the chain was made."""
        return self._chain.roster_index

    @property
    def roster_hash(self) -> bytes:
        """The roster's head when the chain was made (32 bytes)."""
        return self._chain.roster_hash

    @property
    def key_id(self) -> int:
        """The chain's id, never 0."""
        return self._chain.key_id

    @property
    def iteration(self) -> int:
        """The number of the next message; 1,000 when the chain is used up."""
        return self._chain.iteration

    def distribution(self, nickname: str = "") -> bytes:
        """What a reader needs from the next message on; secret, so it goes into pairwise sessions only.

        Raises InvalidInput for a nickname of more than 255 bytes of UTF-8, CryptoError when the chain is used
        up.
        """
        return self._chain.distribution(nickname.encode())

    def encrypt(self, plaintext: bytes) -> tuple[bytes, SenderKey]:
        """The message and the next state. A message has a bucket's size and 121 bytes.

        Raises PaddingError for a plaintext of more than 4,194,280 bytes, CryptoError when the chain has sent
        1,000 messages.
        """
        following = _new(SenderKey)
        message, following._chain = self._chain.encrypt(plaintext, urandom(16))
        return message, following

    def to_bytes(self) -> bytes:
        """The state; secret. The same bytes on both back ends."""
        return self._chain.to_bytes()

    @staticmethod
    def from_bytes(data: bytes) -> SenderKey:
        """The state that `to_bytes` gave. Raises StateError for anything else."""
        return _wrap_sender(SenderChain.from_bytes(data))

    def __repr__(self) -> str:
        return "<SenderKey: redacted>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle 'SenderKey' object")


class ReceiverKey:
    """Another member's chain in a channel at one moment. Its repr shows nothing of it."""

    __slots__ = ("_chain",)
    _chain: ReceiverChain

    def __init__(self) -> None:
        raise TypeError("a ReceiverKey is made by from_distribution or from_bytes")

    @staticmethod
    def from_distribution(data: bytes, channel_id: bytes | None = None, *, sender: bytes) -> ReceiverKey:
        """The chain that `sender` distributed.

        `sender` is the Ed25519 identity key (32 bytes) of the session's peer: a distribution is believed for
        nobody else. It must be for `channel_id` (32 bytes); None takes the channel that it names. Raises
        Invalid if it is malformed, for another channel, or carries a signing key that is refused.
        """
        if channel_id is None:
            # What is too short to name a channel is refused for its length.
            channel_id = data[1 : 1 + _ID_SIZE].ljust(_ID_SIZE, b"\0")
        chain = ReceiverChain.from_distribution(data, channel_id, sender)
        try:
            chain.nickname.decode()
        except UnicodeDecodeError:
            raise Invalid("The distribution carries a nickname that is not UTF-8.") from None
        return _wrap_receiver(chain)

    @property
    def channel_id(self) -> bytes:
        """The channel of the chain (32 bytes)."""
        return self._chain.channel_id

    @property
    def sender(self) -> bytes:
        """The Ed25519 identity key of who sends (32 bytes)."""
        return self._chain.sender

    @property
    def roster_index(self) -> int:
        """The roster's index when the sender made the chain."""
        return self._chain.roster_index

    @property
    def roster_hash(self) -> bytes:
        """The roster's head when the sender made the chain (32 bytes)."""
        return self._chain.roster_hash

    @property
    def key_id(self) -> int:
        """The chain's id, never 0."""
        return self._chain.key_id

    @property
    def iteration(self) -> int:
        """The number of the message that is expected next."""
        return self._chain.iteration

    @property
    def nickname(self) -> str:
        """What the sender calls himself: not checked for what it shows."""
        return self._chain.nickname.decode(errors="replace")

    def decrypt(self, message: bytes) -> tuple[bytes, ReceiverKey]:
        """The plaintext and the next state.

        Raises Duplicate, TooFar or Invalid; this state is good after each of them.
        """
        following = _new(ReceiverKey)
        plaintext, following._chain = self._chain.decrypt(message)
        return plaintext, following

    def skipped(self) -> list[int]:
        """The numbers of the messages that have not arrived and can still be opened, ascending."""
        return self._chain.skipped()

    def to_bytes(self) -> bytes:
        """The state; secret. The same bytes on both back ends."""
        return self._chain.to_bytes()

    @staticmethod
    def from_bytes(data: bytes) -> ReceiverKey:
        """The state that `to_bytes` gave. Raises StateError for anything else."""
        return _wrap_receiver(ReceiverChain.from_bytes(data))

    def __repr__(self) -> str:
        return "<ReceiverKey: redacted>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle 'ReceiverKey' object")


def _wrap_sender(chain: SenderChain) -> SenderKey:
    made = _new(SenderKey)
    made._chain = chain
    return made


def _wrap_receiver(chain: ReceiverChain) -> ReceiverKey:
    made = _new(ReceiverKey)
    made._chain = chain
    return made
