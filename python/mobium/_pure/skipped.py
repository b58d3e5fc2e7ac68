"""Skipped message keys: what a ratchet holds for messages that have not arrived (docs/CRYPTO.md section 4).

A set of them is a value that states share; a change makes a new one. Twin of native/core/src/skipped.rs,
which shares the unchanged parts of a changed set too; here a change copies the set, and `changes` compares
whole sets unless they are the same object. Not its concern: when keys are skipped, and where records are
stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Final

from mobium.errors import StateError

__all__ = [
    "COUNTER_END",
    "EMPTY",
    "KEY",
    "MAX_STORED",
    "RECORD",
    "Skipped",
    "changes",
    "checked",
    "hold",
    "holds_any",
    "records",
    "without",
    "without_older",
]

KEY: Final = 32
ID: Final = 36
RECORD: Final = 76
"""ratchet public(32) ‖ n(u32) ‖ message key(32) ‖ stored at(u64 s); the first 36 bytes are its id."""

MAX_STORED: Final = 2000
"""Keys held at most: both limits on skipping together, so that no message ever evicts a key that it brought.
"""

COUNTER_END: Final = 2**32 - 1
"""No message has this number; a chain whose next number it is has been used up."""

Skipped = Mapping[bytes, bytes]
"""id (36 bytes) -> message key(32) ‖ stored at(u64), oldest first.

Shared between states, so never changed in place.
"""

EMPTY: Final[Skipped] = MappingProxyType({})


def holds_any(skipped: Skipped, public: bytes) -> bool:
    """Whether a key of this ratchet key's chain is held."""
    return any(identifier.startswith(public) for identifier in skipped)


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


def checked(stored: Sequence[bytes], remote: bytes | None, awaited: int) -> Skipped:
    """The keys of records in the only order in which steps can have stored them, or StateError.

    One ratchet key's stand together and ascend; those of `remote`, the key being received, come last and lie
    below `awaited`. Before anything was received (`remote` is None) there are none.
    """
    if not stored:
        return EMPTY
    if len(stored) > MAX_STORED:
        raise StateError("The stored ratchet state holds too many skipped keys.")
    if remote is None:
        raise StateError("The stored ratchet state holds skipped keys before it received anything.")
    skipped: dict[bytes, bytes] = {}
    begun: set[bytes] = set()
    public, last = b"", -1
    for record in stored:
        if len(record) != RECORD:
            raise StateError("A stored skipped key has the wrong length.")
        n = int.from_bytes(record[KEY:ID], "big")
        if record[:KEY] != public:
            public, last = record[:KEY], -1
            if public in begun or remote in begun:
                raise StateError("The stored skipped keys are out of order.")
            begun.add(public)
        if n <= last or n >= (awaited if public == remote else COUNTER_END):
            raise StateError("The stored skipped keys are out of order.")
        last = n
        skipped[record[:ID]] = record[ID:]
    return MappingProxyType(skipped)
