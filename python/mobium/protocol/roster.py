"""A channel's roster: the chain of signed statements that says who is in it (docs/CRYPTO.md section 7).

Server and clients check the same rules with this code. A roster is a value: `append` checks a statement
against everything before it and returns the next roster. Not its concern: how a statement is laid out
(`mobium.protocol.statement`, whose names are also here), where statements are kept, and what is done about a
chain that is broken.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from threading import Lock
from types import MappingProxyType
from typing import Final, NamedTuple, overload

import msgspec

from mobium.errors import SignatureError
from mobium.protocol.codes import ErrorCode
from mobium.protocol.limits import MAX_MEMBERS
from mobium.protocol.statement import (
    LEAVES,
    LONGEST_STATEMENT,
    MEMBERSHIP,
    SEALED_SIZE,
    ZEROS,
    Access,
    Kind,
    Role,
    RosterError,
    Signer,
    Statement,
    build,
    channel_id_of,
    join_input,
    names_ad,
    parse,
    peek_input,
    verify_statement,
)
from mobium.signing import SIGNATURE_SIZE, check_public, verify

__all__ = [
    "LEAVES",
    "LONGEST_STATEMENT",
    "MEMBERSHIP",
    "SEALED_SIZE",
    "ZEROS",
    "Access",
    "Kind",
    "Role",
    "Roster",
    "RosterError",
    "Signer",
    "Statement",
    "build",
    "channel_id_of",
    "join_input",
    "names_ad",
    "parse",
    "peek_input",
]


class _Standing(NamedTuple):
    """What somebody is in the channel, from the statement `since` on."""

    since: int
    role: Role | None
    banned: bool
    joined: int | None
    departed: int | None


_STRANGER: Final = _Standing(-1, None, False, None, None)
_since: Final = itemgetter(0)
_joined: Final = itemgetter(0)
Changes = tuple[tuple[bytes, _Standing], ...]


class _Log:
    """What the rosters of one chain share: it only ever grows, and each of them reads no further than its own
    index. Whoever appends to a roster that is not the newest gets a log of its own.
    """

    __slots__ = ("_lock", "heads", "keys", "people")

    def __init__(
        self, heads: list[bytes], people: dict[bytes, list[_Standing]], keys: dict[bytes, int]
    ) -> None:
        self.heads = heads
        self.people = people
        self.keys = keys  # and the index since when each was in force
        self._lock = Lock()  # two threads may hold the same roster

    def extended(self, index: int, head: bytes, changes: Changes, key: bytes | None) -> _Log:
        """A log that goes on with the statement `index`: this one, unless it has gone on otherwise."""
        with self._lock:
            log = self if len(self.heads) == index else self._until(index)
            log.heads.append(head)
            for ed, standing in changes:
                log.people.setdefault(ed, []).append(standing)
            if key is not None:
                log.keys[key] = index
            return log

    def _until(self, index: int) -> _Log:
        people = {ed: past[: bisect_right(past, index - 1, key=_since)] for ed, past in self.people.items()}
        return _Log(
            self.heads[:index],
            {ed: past for ed, past in people.items() if past},
            {key: since for key, since in self.keys.items() if since < index},
        )


class _Heads(Sequence[bytes]):
    """The heads of one roster, though its log may have gone on."""

    __slots__ = ("_heads", "_indices")

    def __init__(self, heads: list[bytes], length: int) -> None:
        self._heads = heads
        self._indices = range(length)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self._heads[i] for i in self._indices[index]]
        return self._heads[self._indices[index]]

    def __len__(self) -> int:
        return len(self._indices)


class Roster(msgspec.Struct, frozen=True, eq=False, dict=True):
    """A channel after the statement `index`, whose hash is `head`. Made by `begin`, `append` and `load`.

    `key` is the invite public key in force, or in an open channel the secret, set by the statement
    `secret_index`. `sealed` are the newest sealed names, by `sealed_by` in `sealed_index`. `member_index` is
    the newest statement of `MEMBERSHIP`, `last_departure` the newest of `LEAVES` (0: none yet). `size` counts
    the members. Two rosters with one head are equal.
    """

    channel_id: bytes
    access: Access
    index: int
    head: bytes
    key: bytes
    secret_index: int
    sealed: bytes
    sealed_by: bytes
    sealed_index: int
    member_index: int
    last_departure: int
    size: int
    _log: _Log

    @classmethod
    def begin(cls, raw_create: bytes, *, verify: bool = True) -> Roster:
        """The roster of a new channel. Raises RosterError with `bad_statement`.

        Without `verify`, here as below, signatures alone are taken as good: for statements that were verified
        before they were stored.
        """
        statement = parse(raw_create)
        key, sealed = statement.key, statement.sealed
        if statement.kind is not Kind.CREATE or key is None or sealed is None:
            raise _bad("A channel begins with its creation.")
        if verify:
            verify_statement(statement)
        owner, head = statement.actor, statement.head
        log = _Log([head], {owner: [_Standing(0, Role.OWNER, False, 0, None)]}, {key: 0})
        access = Access(statement.data[0])
        return cls(channel_id_of(raw_create), access, 0, head, key, 0, sealed, owner, 0, 0, 0, 1, log)

    @classmethod
    def load(cls, raws: Iterable[bytes], *, verify: bool = True) -> Roster:
        """The roster of a whole chain, from its creation on. Raises what `begin` and `append` raise."""
        statements = iter(raws)
        first = next(statements, None)
        if first is None:
            raise _bad("A channel begins with its creation.")
        roster = cls.begin(first, verify=verify)
        for raw in statements:
            roster = roster.append(raw, verify=verify)
        return roster

    def append(self, raw: bytes, *, verify: bool = True) -> Roster:
        """The roster after one more statement; this one stays as it is.

        Raises RosterError: `bad_statement` for what is malformed, not signed by its actor, of another channel
        or without effect, `stale_roster` for what does not follow on the head, and the code of the rule that
        it breaks.
        """
        statement = parse(raw)
        index = statement.index
        if statement.kind is Kind.CREATE or statement.channel_id != self.channel_id:
            raise _bad("The statement belongs to another channel.")
        if index != self.index + 1 or statement.prev != self.head:
            raise RosterError(ErrorCode.STALE_ROSTER)
        if verify:
            verify_statement(statement)
        changes = _RULES[statement.kind](self, statement)
        if verify and statement.kind is Kind.JOIN:
            self._verify_invite(statement)
        key, sealed = statement.key, statement.sealed
        if key is not None:
            self._check_key(key)
        size = self.size
        for ed, standing in changes:
            size += (standing.role is not None) - (self.role(ed) is not None)
        return Roster(
            self.channel_id,
            self.access,
            index,
            statement.head,
            self.key if key is None else key,
            self.secret_index if key is None else index,
            self.sealed if sealed is None else sealed,
            self.sealed_by if sealed is None else statement.actor,
            self.sealed_index if sealed is None else index,
            index if statement.kind in MEMBERSHIP else self.member_index,
            index if statement.kind in LEAVES else self.last_departure,
            size,
            self._log.extended(index, statement.head, changes, key),
        )

    @property
    def heads(self) -> Sequence[bytes]:
        """`heads[i]` is the head after the statement `i`."""
        return _Heads(self._log.heads, self.index + 1)

    @cached_property
    def members(self) -> Mapping[bytes, Role]:
        """Every member and its role, in the order of joining."""
        found = [
            (standing.joined, ed, standing.role)
            for ed, standing in self._standings()
            if standing.role is not None
        ]
        return MappingProxyType({ed: role for _, ed, role in sorted(found, key=_joined)})

    @cached_property
    def banned(self) -> frozenset[bytes]:
        """Who may not join."""
        return frozenset(ed for ed, standing in self._standings() if standing.banned)

    def role(self, ed: bytes) -> Role | None:
        """The role of `ed` (32 bytes), or None if it is no member."""
        return self._standing(ed, self.index).role

    def was_member(self, ed: bytes, index: int) -> bool:
        """Whether `ed` was a member after the statement `index`; beyond the newest: whether it is one."""
        return self._standing(ed, min(index, self.index)).role is not None

    def joined(self, ed: bytes) -> int | None:
        """The index of the statement by which `ed` came in last, the creation included; None if none."""
        return self._standing(ed, self.index).joined

    def departed(self, ed: bytes) -> int | None:
        """The index of the statement by which `ed` last left or was made to; None if none."""
        return self._standing(ed, self.index).departed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Roster) and other.head == self.head

    def __hash__(self) -> int:
        return hash(self.head)

    def __repr__(self) -> str:
        return f"Roster({self.channel_id.hex()}, {self.index})"

    def _standing(self, ed: bytes, index: int) -> _Standing:
        past = self._log.people.get(ed)
        found = bisect_right(past, index, key=_since) if past else 0
        return past[found - 1] if past and found else _STRANGER

    def _standings(self) -> list[tuple[bytes, _Standing]]:
        # copied in one step, since another thread may be appending to a newer roster
        return [(ed, self._standing(ed, self.index)) for ed in list(self._log.people)]

    def _check_key(self, key: bytes) -> None:
        if self._log.keys.get(key, self.index + 1) <= self.index:  # whoever was removed may know it
            raise _bad("The channel's new secret was in force before; draw a fresh one.")
        if self.access is Access.PRIVATE:
            try:
                check_public(key)
            except SignatureError as error:
                raise _bad("The channel's new invite key is none.") from error

    def _verify_invite(self, statement: Statement) -> None:
        if self.access is Access.OPEN:
            return
        signed = join_input(self.channel_id, self.head, statement.actor)
        try:
            verify(self.key, statement.data, signed)
        except SignatureError as error:
            raise RosterError(ErrorCode.WRONG_SECRET) from error


# The rules: each takes the roster so far and a statement that follows on its head, and says whose standing it
# changes to what.


def _join(roster: Roster, statement: Statement) -> Changes:
    if len(statement.data) != (SIGNATURE_SIZE if roster.access is Access.PRIVATE else 0):
        raise _bad(
            "A join of a private channel is signed with the invite key, one of an open channel is not."
        )
    before = roster._standing(statement.actor, roster.index)
    if before.role is not None:
        raise RosterError(ErrorCode.ALREADY_MEMBER)
    if before.banned:
        raise RosterError(ErrorCode.BANNED)
    if roster.size >= MAX_MEMBERS:
        raise RosterError(ErrorCode.CHANNEL_FULL)
    index = statement.index
    return ((statement.actor, _Standing(index, Role.MEMBER, False, index, before.departed)),)


def _leave(roster: Roster, statement: Statement) -> Changes:
    if _actor_role(roster, statement) is Role.OWNER and roster.size > 1:
        raise RosterError(ErrorCode.FORBIDDEN, "The owner cannot leave while others are in; hand over first.")
    return (_gone(roster, statement.actor, statement.index),)


def _remove(roster: Roster, statement: Statement) -> Changes:
    _above(roster, statement, needs_member=True)
    return (_gone(roster, statement.subject, statement.index),)


def _ban(roster: Roster, statement: Statement) -> Changes:
    _above(roster, statement, needs_member=False)
    subject = statement.subject
    before = roster._standing(subject, roster.index)
    if before.banned:
        raise _bad("This person is banned already.")
    if before.role is None:
        return ((subject, before._replace(since=statement.index, banned=True)),)
    return ((subject, _gone(roster, subject, statement.index)[1]._replace(banned=True)),)


def _unban(roster: Roster, statement: Statement) -> Changes:
    _governs(roster, statement)
    before = roster._standing(statement.subject, roster.index)
    if not before.banned:
        raise _bad("This person is not banned.")
    return ((statement.subject, before._replace(since=statement.index, banned=False)),)


def _role(roster: Roster, statement: Statement) -> Changes:
    if _actor_role(roster, statement) is not Role.OWNER:
        raise RosterError(ErrorCode.FORBIDDEN)
    index = statement.index
    before = roster._standing(statement.subject, roster.index)
    if before.role is None:
        raise RosterError(ErrorCode.NOT_A_MEMBER)
    if before.role is statement.role:
        raise _bad("This member has that role already.")
    given = (statement.subject, before._replace(since=index, role=statement.role))
    if statement.role is not Role.OWNER:
        return (given,)
    giver = roster._standing(statement.actor, roster.index)
    return (given, (statement.actor, giver._replace(since=index, role=Role.ADMIN)))


def _governs(roster: Roster, statement: Statement) -> Changes:
    if _actor_role(roster, statement) < Role.ADMIN:
        raise RosterError(ErrorCode.FORBIDDEN)
    return ()


def _above(roster: Roster, statement: Statement, *, needs_member: bool) -> None:
    _governs(roster, statement)
    subject = roster.role(statement.subject)
    if subject is None and needs_member:
        raise RosterError(ErrorCode.NOT_A_MEMBER)
    if subject is not None and subject >= _actor_role(roster, statement):
        raise RosterError(ErrorCode.FORBIDDEN)


def _actor_role(roster: Roster, statement: Statement) -> Role:
    role = roster.role(statement.actor)
    if role is None:
        raise RosterError(ErrorCode.NOT_A_MEMBER)
    return role


def _gone(roster: Roster, ed: bytes, index: int) -> tuple[bytes, _Standing]:
    return ed, roster._standing(ed, roster.index)._replace(since=index, role=None, departed=index)


def _bad(text: str) -> RosterError:
    return RosterError(ErrorCode.BAD_STATEMENT, text)


_RULES: Final[dict[Kind, Callable[[Roster, Statement], Changes]]] = {
    Kind.JOIN: _join,
    Kind.LEAVE: _leave,
    Kind.REMOVE: _remove,
    Kind.ROLE: _role,
    Kind.SECRET: _governs,
    Kind.NAMES: _governs,
    Kind.BAN: _ban,
    Kind.UNBAN: _unban,
}
