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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Final

from mobium.errors import StateError

__all__ = ["EMPTY", "MAX_STORED", "Chain", "Skipped", "State"]

VERSION: Final = 1
ACCEPTED: Final = 1
INITIATED: Final = 2
ESTABLISHED: Final = 3

KEY: Final = 32
ID: Final = 36
RECORD: Final = 76

MAX_STORED: Final = 2000
"""Skipped keys held at most:

two messages' worth of both limits on skipping, so that one message never evicts its own keys.
"""

COUNTER_END: Final = 2**32 - 1
"""No message has this number; a chain whose next number it is has been used up."""

Skipped = Mapping[bytes, bytes]
"""id (36 bytes) -> message key(32) ‖ stored at(u64), oldest first.

Shared between states, so never changed in place.
"""

EMPTY: Final[Skipped] = MappingProxyType({})


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


def hold(skipped: Skipped, added: Iterable[tuple[bytes, bytes]]) -> Skipped:
    """`skipped` with more keys behind it;

    beyond MAX_STORED the oldest are evicted. The same object if nothing is added.
    """
    new = dict(added)
    if not new:
        return skipped
    everything = {**skipped, **new}
    return MappingProxyType(dict(islice(everything.items(), max(0, len(everything) - MAX_STORED), None)))


def without(skipped: Skipped, identifier: bytes) -> Skipped:
    """`skipped` less one key."""
    rest = dict(skipped)
    del rest[identifier]
    return MappingProxyType(rest)


def without_older(skipped: Skipped, before: int) -> Skipped:
    """`skipped` less those stored before that unix second. The same object if none was."""
    rest = {key: value for key, value in skipped.items() if int.from_bytes(value[KEY:], "big") >= before}
    return skipped if len(rest) == len(skipped) else MappingProxyType(rest)


def records(skipped: Skipped) -> list[bytes]:
    """The 76-byte records, oldest first."""
    return [key + value for key, value in skipped.items()]


def changes(skipped: Skipped, previous: Skipped) -> tuple[list[bytes], list[bytes]]:
    """The records that `previous` does not hold as they are, and the ids that only `previous` holds."""
    if skipped is previous:
        return [], []
    added = [key + value for key, value in skipped.items() if previous.get(key) != value]
    removed = [key for key in previous if key not in skipped]
    return added, removed


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


class _Reader:
    """Takes bytes off the front and refuses to take what is not there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise StateError("The stored ratchet state is cut off.")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def chain(self) -> Chain:
        return Chain(self.take(KEY), self.number(4))

    def finish(self) -> None:
        if self._at != len(self._data):
            raise StateError("The stored ratchet state has bytes too many.")


def _read_head(reader: _Reader) -> State:
    if reader.number(1) != VERSION:
        raise StateError("The stored ratchet state is of an unknown version.")
    stage = reader.number(1)
    if stage not in (ACCEPTED, INITIATED, ESTABLISHED):
        raise StateError("The stored ratchet state is of an unknown stage.")
    root, private, public = reader.take(KEY), reader.take(KEY), reader.take(KEY)
    remote = reader.take(KEY) if stage >= INITIATED else None
    sending = reader.chain() if stage >= INITIATED else None
    pn = reader.number(4) if stage == ESTABLISHED else 0
    receiving = reader.chain() if stage == ESTABLISHED else None
    associated_data = reader.take(reader.number(2))
    return State(associated_data, root, private, public, remote, sending, pn, receiving, EMPTY)


def _checked(state: State, stored: Sequence[bytes]) -> Skipped:
    """The skipped keys in the only order in which steps can have stored them.

    One ratchet key's stand together and ascend; those of the key in force come last, below the next number
    awaited.
    """
    if not stored:
        return EMPTY
    if len(stored) > MAX_STORED:
        raise StateError("The stored ratchet state holds too many skipped keys.")
    if state.receiving is None:
        raise StateError("The stored ratchet state holds skipped keys before it received anything.")
    skipped: dict[bytes, bytes] = {}
    finished: set[bytes] = set()
    public, last = b"", -1
    for record in stored:
        if len(record) != RECORD:
            raise StateError("A stored skipped key has the wrong length.")
        n = int.from_bytes(record[KEY:ID], "big")
        if record[:KEY] != public:
            finished.add(public)
            public, last = record[:KEY], -1
            if public in finished or state.remote in finished:
                raise StateError("The stored skipped keys are out of order.")
        if n <= last or n >= (state.receiving.n if public == state.remote else COUNTER_END):
            raise StateError("The stored skipped keys are out of order.")
        last = n
        skipped[record[:ID]] = record[ID:]
    return MappingProxyType(skipped)


def decode(data: bytes) -> State:
    """The state that `encode` wrote. Raises StateError for anything else."""
    reader = _Reader(data)
    state = _read_head(reader)
    stored = [reader.take(RECORD) for _ in range(reader.number(2))]
    reader.finish()
    return with_skipped(state, _checked(state, stored))


def decode_parts(head: bytes, stored: Sequence[bytes]) -> State:
    """The state of a head and its records, oldest first. Raises StateError if they do not belong together."""
    reader = _Reader(head)
    state = _read_head(reader)
    reader.finish()
    return with_skipped(state, _checked(state, stored))


def with_skipped(state: State, skipped: Skipped) -> State:
    """`state` with other skipped keys; `state` itself if they are the same."""
    if skipped is state.skipped:
        return state
    return State(
        state.associated_data,
        state.root,
        state.private,
        state.public,
        state.remote,
        state.sending,
        state.pn,
        state.receiving,
        skipped,
    )
