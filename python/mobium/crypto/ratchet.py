"""`DoubleRatchet`: the ratchet of the back end in use, with its entropy and its clock (docs/CRYPTO.md section
4).

A ratchet is a value: every step returns its result and the next state and leaves the old one as it was. Store
the next state, then let the ciphertext leave or show the plaintext. Not its concern: the algorithm
(`mobium._backend` picks who runs it), the agreement on the first secret (`mobium.crypto.pqxdh`), storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import urandom
from time import time_ns

from mobium._backend import Ratchet

__all__ = ["DoubleRatchet"]


# The two methods called for every message do without `__init__`: calling the class was 4 % of each.
_new = object.__new__


class DoubleRatchet:
    """One side of a session at one moment. Its repr shows nothing of it."""

    __slots__ = ("_ratchet",)
    _ratchet: Ratchet

    def __init__(self) -> None:
        raise TypeError("a DoubleRatchet is made by initiate, accept, from_bytes or from_parts")

    @staticmethod
    def initiate(shared_secret: bytes, remote_public: bytes, associated_data: bytes) -> DoubleRatchet:
        """The initiator's first state, which can send at once.

        `shared_secret` and `remote_public` (the responder's signed prekey) have 32 bytes, `associated_data`
        at most 65,535. Raises InvalidInput for other lengths, CryptoError for a `remote_public` of small
        order.
        """
        return _wrap(Ratchet.initiate(shared_secret, remote_public, associated_data, urandom(32)))

    @staticmethod
    def accept(shared_secret: bytes, ratchet_private: bytes, associated_data: bytes) -> DoubleRatchet:
        """The responder's first state, which sends once it has opened a message.

        `shared_secret` and `ratchet_private` (the signed prekey's private half) have 32 bytes,
        `associated_data` at most 65,535. Raises InvalidInput for other lengths.
        """
        return _wrap(Ratchet.accept(shared_secret, ratchet_private, associated_data))

    def encrypt(self, plaintext: bytes) -> tuple[bytes, DoubleRatchet]:
        """The message and the next state. A message has a bucket's size and 57 bytes.

        Raises PaddingError for a plaintext of more than 4,194,280 bytes, CryptoError before the responder has
        opened a first message.
        """
        following = _new(DoubleRatchet)
        message, following._ratchet = self._ratchet.encrypt(plaintext, urandom(16))
        return message, following

    def decrypt(self, message: bytes) -> tuple[bytes, DoubleRatchet]:
        """The plaintext and the next state.

        Raises Duplicate, TooFar or Invalid; this state is good after each of them.
        """
        ratchet = self._ratchet
        # Entropy is the dearest part of opening a message in a known chain, where it is not used.
        fresh = None if ratchet.knows(message) else urandom(32)
        following = _new(DoubleRatchet)
        plaintext, following._ratchet = ratchet.decrypt(message, fresh, time_ns() // 1_000_000_000)
        return plaintext, following

    def knows(self, message: bytes) -> bool:
        """Whether this state can open `message`, going by its header, without a new agreement."""
        return self._ratchet.knows(message)

    def expire(self, before: int) -> DoubleRatchet:
        """The state without the skipped keys that were stored before that unix second."""
        return _wrap(self._ratchet.expire(before))

    def to_bytes(self) -> bytes:
        """The whole state; secret. The same bytes on both back ends."""
        return self._ratchet.to_bytes()

    @staticmethod
    def from_bytes(data: bytes) -> DoubleRatchet:
        """The state that `to_bytes` gave. Raises StateError for anything else."""
        return _wrap(Ratchet.from_bytes(data))

    def head(self) -> bytes:
        """The state without its skipped keys, to be stored at each step:

        208 bytes at most and the associated data. Secret.
        """
        return self._ratchet.head()

    def skipped(self) -> list[bytes]:
        """The skipped keys as records of 76 bytes, oldest first; the first 36 are a record's id. Secret."""
        return self._ratchet.skipped()

    @staticmethod
    def from_parts(head: bytes, skipped: Sequence[bytes]) -> DoubleRatchet:
        """The state of a head and its records, in the order in which `changes` added them.

        Raises StateError if they do not fit.
        """
        return _wrap(Ratchet.from_parts(head, skipped))

    def changes(self, previous: DoubleRatchet) -> tuple[list[bytes], list[bytes]]:
        """What to store besides `head()` when this state follows `previous`:

        records to add, oldest first, and ids to remove.
        """
        return self._ratchet.changes(previous._ratchet)

    def __repr__(self) -> str:
        return "<DoubleRatchet: redacted>"


def _wrap(ratchet: Ratchet) -> DoubleRatchet:
    made = _new(DoubleRatchet)
    made._ratchet = ratchet
    return made
