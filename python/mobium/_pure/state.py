"""The state of a ratchet: its parts, its skipped keys, and the one form in which both are stored
(docs/CRYPTO.md section 4).

    head    = 0x01 ‖ stage(u8) ‖ root(32) ‖ own private(32) ‖ own public(32) ‖ stage's part ‖ length(u16) ‖
    associated data
    part    = stage 1 (accepted):    nothing
              stage 2 (initiated):   peer's public(32) ‖ sending chain
              stage 3 (established): peer's public(32) ‖ sending chain ‖ pn(u32) ‖ receiving chain
    chain   = chain key(32) ‖ n(u32)
    record  = ratchet public(32) ‖ n(u32) ‖ message key(32) ‖ stored at(u64), 76 bytes; its first 36 are its
    id
    state   = head ‖ count(u16) ‖ records, oldest first

One state has one encoding and anything else is refused. That the own public key belongs to the private one is
not computed again: it is a scalar multiplication at each load, and whoever can write this state has the keys
anyway. Twin of native/core/src/state.rs. Not its concern: what the steps of a ratchet do, and where the bytes
are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from mobium._pure.fields import Reader
from mobium._pure.skipped import EMPTY, KEY, RECORD, Skipped, checked, records
from mobium.errors import StateError

__all__ = ["Chain", "State", "decode", "decode_parts", "encode", "encode_head"]

VERSION: Final = 1
ACCEPTED: Final = 1
INITIATED: Final = 2
ESTABLISHED: Final = 3


@dataclass(frozen=True, slots=True, repr=False)
class Chain:
    """A chain key (32 bytes) and the number of the message whose key it gives next."""

    key: bytes
    n: int


@dataclass(frozen=True, slots=True, repr=False)
class State:
    """Everything that a ratchet knows.

    `receiving` implies `sending`, `sending` implies `remote`: the three stages.
    """

    associated_data: bytes
    root: bytes
    private: bytes
    public: bytes
    remote: bytes | None
    sending: Chain | None
    pn: int
    receiving: Chain | None
    skipped: Skipped


def encode_head(state: State) -> bytes:
    """The state without its skipped keys."""
    parts = [b"", state.root, state.private, state.public]
    stage = ACCEPTED
    if state.remote is not None and state.sending is not None:
        stage = INITIATED
        parts += [state.remote, state.sending.key, state.sending.n.to_bytes(4, "big")]
        if state.receiving is not None:
            stage = ESTABLISHED
            parts += [state.pn.to_bytes(4, "big"), state.receiving.key, state.receiving.n.to_bytes(4, "big")]
    parts[0] = bytes((VERSION, stage))
    parts += [len(state.associated_data).to_bytes(2, "big"), state.associated_data]
    return b"".join(parts)


def encode(state: State) -> bytes:
    """The whole state."""
    return b"".join((encode_head(state), len(state.skipped).to_bytes(2, "big"), *records(state.skipped)))


def _fields(data: bytes) -> Reader:
    return Reader(data, "ratchet state")


def _read_chain(reader: Reader) -> Chain:
    return Chain(reader.take(KEY), reader.number(4))


def _read_head(reader: Reader) -> State:
    if reader.number(1) != VERSION:
        raise StateError("The stored ratchet state is of an unknown version.")
    stage = reader.number(1)
    if stage not in (ACCEPTED, INITIATED, ESTABLISHED):
        raise StateError("The stored ratchet state is of an unknown stage.")
    root, private, public = reader.take(KEY), reader.take(KEY), reader.take(KEY)
    remote = reader.take(KEY) if stage >= INITIATED else None
    sending = _read_chain(reader) if stage >= INITIATED else None
    pn = reader.number(4) if stage == ESTABLISHED else 0
    receiving = _read_chain(reader) if stage == ESTABLISHED else None
    associated_data = reader.take(reader.number(2))
    return State(associated_data, root, private, public, remote, sending, pn, receiving, EMPTY)


def decode(data: bytes) -> State:
    """The state that `encode` wrote. Raises StateError for anything else."""
    reader = _fields(data)
    state = _read_head(reader)
    stored = [reader.take(RECORD) for _ in range(reader.number(2))]
    reader.finish()
    return _complete(state, stored)


def decode_parts(head: bytes, stored: Sequence[bytes]) -> State:
    """The state of a head and its records, oldest first. Raises StateError if they do not belong together."""
    reader = _fields(head)
    state = _read_head(reader)
    reader.finish()
    return _complete(state, stored)


def _complete(state: State, stored: Sequence[bytes]) -> State:
    if state.receiving is None:
        return replace(state, skipped=checked(stored, None, 0))
    return replace(state, skipped=checked(stored, state.remote, state.receiving.n))
