"""Statements of channels: checked, committed, numbered, shown; and who may read a roster (docs/CRYPTO.md
section 7).

Each is checked by `mobium.protocol.roster` against the roster that is on the disk; the roster in memory moves
on when the commit is reported, never before. Not its concern: rosters in memory and turns
(`mobium_server.rooms`), messages and readers (`mobium_server.board`), invites (`mobium_server.invites`),
frames (`mobium_server.handlers.channels`), rows (`mobium_server.storage`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from mobium.errors import SignatureError
from mobium.protocol import codec
from mobium.protocol.codes import ErrorCode
from mobium.protocol.limits import PAGE_BYTES, ROSTER_PAGE
from mobium.protocol.messages import RosterPage
from mobium.protocol.roster import (
    LEAVES,
    MEMBERSHIP,
    Access,
    Kind,
    Roster,
    RosterError,
    Statement,
    channel_id_of,
    parse,
    peek_input,
)
from mobium.signing import verify
from mobium_server.board import Board
from mobium_server.envelope import Desk
from mobium_server.limits import DAY, HOUR, Allowance
from mobium_server.pace import FULL_AFTER
from mobium_server.pages import Pages
from mobium_server.rooms import Denied, Room, Rooms, denied
from mobium_server.storage.base import NewStatement, Refused, StatementRow, Storage
from mobium_server.voice import Voice

__all__ = ["APPENDED", "Channels", "Place", "Proof", "Rows"]

JOINS = 4  # an hour, of one channel by one identity: each join costs every member something
CREATIONS = 20  # a day, by one identity
CHANGES = 600  # an hour, in one channel by one identity: every statement stays for ever, with every member
STATEMENTS = 50_000  # of one channel; after that one can only leave

APPENDED = frozenset({Kind.REMOVE, Kind.ROLE, Kind.SECRET, Kind.NAMES, Kind.BAN, Kind.UNBAN})
"""The statements that have no request of their own."""


class Place(NamedTuple):
    """Where a statement stands."""

    channel: bytes
    position: int
    number: int


class Proof(NamedTuple):
    """What somebody who is no member shows to read a private channel's roster: the invite key's signature
    over the login's nonce, and an invite.
    """

    signature: bytes | None
    invite: bytes | None
    nonce: bytes


class Rows(NamedTuple):
    """Statements from `start` on; `newest` is the last index that the asker may see."""

    start: int
    rows: list[StatementRow]
    newest: int


class Channels:
    """Statements of all channels. `wall` is the time in seconds since 1970, by which invites end."""

    def __init__(
        self,
        storage: Storage,
        board: Board,
        rooms: Rooms,
        pages: Pages,
        voice: Voice,
        *,
        wall: Callable[[], int],
        steady: Callable[[], float],
    ) -> None:
        self._storage = storage
        self._board = board
        self._rooms = rooms
        self._pages = pages
        self._voice = voice
        self._wall = wall
        self._joins = Allowance(JOINS, HOUR, steady)
        self._creations = Allowance(CREATIONS, DAY, steady)
        self._changes = Allowance(CHANGES, HOUR, steady)
        self.appended = 0

    # ------------------------------------------------------------ statements

    def append(
        self,
        desk: Desk,
        raw: bytes,
        kinds: Collection[Kind],
        invite: bytes | None,
        done: Callable[[Place | Denied], None],
    ) -> None:
        """Append a statement of one of `kinds` by `desk`'s identity. One that stands already is answered
        again and changes nothing.
        """
        try:
            statement = parse(raw)
        except RosterError as error:
            done(Denied(error.code))
            return
        if statement.kind not in kinds or statement.actor != desk.identity:
            done(Denied(ErrorCode.BAD_STATEMENT))
            return
        creates = statement.kind is Kind.CREATE
        channel = channel_id_of(raw) if creates else statement.channel_id

        def found(room: Room | Denied) -> None:
            if isinstance(room, Room):
                self._rooms.take_turn(room, lambda: self._append(room, desk, statement, invite, done))
            elif creates and room.code is ErrorCode.UNKNOWN_CHANNEL:
                self._create(statement, channel, done)
            else:
                done(room)

        self._rooms.find(channel, found)

    def _create(self, statement: Statement, channel: bytes, done: Callable[[Place | Denied], None]) -> None:
        try:
            roster = Roster.begin(statement.raw)
        except RosterError as error:
            done(Denied(error.code))
            return
        wait = self._creations.take(statement.actor)
        if wait:
            done(Denied(ErrorCode.RATE_LIMITED, wait))
            return
        new = NewStatement(channel, 0, statement.raw, joins=statement.actor, membership=True)

        def placed(result: int | Refused | None, _error: Exception | None) -> None:
            if isinstance(result, int):
                self.appended += 1
                self._board.enter(channel, statement.actor)
                self._rooms.keep(roster)
                done(Place(channel, 0, result))
                return
            self._creations.give_back(statement.actor)
            done(denied(result))

        self._rooms.begin(channel, lambda: self._storage.place(new, None, 0), placed)

    def _append(
        self,
        room: Room,
        desk: Desk,
        statement: Statement,
        invite: bytes | None,
        done: Callable[[Place | Denied], None],
    ) -> bool:
        """A turn."""
        roster = room.roster
        index = statement.index
        if index <= roster.index and roster.heads[index] == statement.head:
            self._repeat(room, index, done)
            return True
        after = self._check(roster, statement, invite)
        if isinstance(after, Denied):
            done(after)
            return False
        kind, channel = statement.kind, roster.channel_id
        joins = statement.actor if kind is Kind.JOIN else None
        leaves = statement.subject if kind in LEAVES and roster.role(statement.subject) is not None else None
        new = NewStatement(
            channel, index, statement.raw, joins, leaves, kind in MEMBERSHIP, statement.key is not None
        )
        ticket = invite if joins is not None and roster.access is Access.PRIVATE else None
        now = self._wall()

        def placed(result: int | Refused | None, _error: Exception | None) -> None:
            if not isinstance(result, int):
                if joins is not None:
                    self._joins.give_back((joins, channel))
                if result is Refused.STALE:
                    self._rooms.drop(room)  # the disk is ahead: look again
                done(denied(result))
                return
            self.appended += 1
            self._rooms.move_on(room, after)
            if joins is not None:
                self._board.enter(channel, joins)
                self._voice.entered(channel, joins)
            page = RosterPage(channel, index, [statement.raw], index, result)
            self._board.show(channel, result, codec.encode(page), (desk,))
            if leaves is not None:
                self._board.leave(channel, leaves)
                self._voice.removed(channel, leaves)
            done(Place(channel, index, result))

        self._rooms.do(room, lambda: self._storage.place(new, ticket, now), placed)
        return True

    def _check(self, roster: Roster, statement: Statement, invite: bytes | None) -> Roster | Denied:
        joins = statement.kind is Kind.JOIN
        if not joins and roster.role(statement.actor) is None:
            return Denied(ErrorCode.NOT_A_MEMBER)  # who is none learns nothing more
        try:
            after = roster.append(statement.raw)
        except RosterError as error:
            return Denied(error.code)
        if statement.kind is not Kind.LEAVE and statement.index >= STATEMENTS:
            return Denied(ErrorCode.QUEUE_FULL, FULL_AFTER)
        if statement.kind not in (Kind.JOIN, Kind.LEAVE):
            wait = self._changes.take((statement.actor, roster.channel_id))
            if wait:
                return Denied(ErrorCode.RATE_LIMITED, wait)
        if joins:
            if roster.access is Access.PRIVATE and invite is None:
                return Denied(ErrorCode.BAD_INVITE)
            wait = self._joins.take((statement.actor, roster.channel_id))
            if wait:
                return Denied(ErrorCode.RATE_LIMITED, wait)
        return after

    def _repeat(self, room: Room, index: int, done: Callable[[Place | Denied], None]) -> None:
        channel = room.roster.channel_id

        def found(rows: list[StatementRow] | None, _error: Exception | None) -> None:
            done(Place(channel, index, rows[0].number) if rows else denied(None))

        self._rooms.do(room, lambda: self._storage.statements(channel, index, index, 1, 0), found)

    # ------------------------------------------------------------ reading

    def members(
        self,
        desk: Desk,
        channel: bytes,
        start: int,
        proof: Proof,
        done: Callable[[Rows | Denied], None],
    ) -> None:
        """Read a page of a roster from `start` on."""

        def found(room: Room | Denied) -> None:
            if isinstance(room, Denied):
                done(room)
                return
            allowed = _readable(room.roster, desk.identity, proof)
            if isinstance(allowed, Denied):
                done(allowed)
                return
            end, invite = allowed
            now = self._wall()

            def read() -> list[StatementRow] | Refused:
                refused = self._storage.invite(channel, invite, now) if invite is not None else None
                return refused or self._storage.statements(channel, start, end, ROSTER_PAGE, PAGE_BYTES)

            def page(rows: list[StatementRow] | Refused | None, _error: Exception | None) -> None:
                done(Rows(start, rows, end) if isinstance(rows, list) else denied(rows))

            self._pages.read(desk, read, page)

        self._rooms.find(channel, found)


def _readable(roster: Roster, identity: bytes, proof: Proof) -> tuple[int, bytes | None] | Denied:
    """Up to which statement somebody may read a roster, and the invite that has to be in force for it."""
    if roster.role(identity) is not None or roster.access is Access.OPEN:
        return roster.index, None
    if proof.signature is not None:
        try:
            verify(roster.key, proof.signature, peek_input(roster.channel_id, identity, proof.nonce))
        except SignatureError:
            return Denied(ErrorCode.WRONG_SECRET)
        return (roster.index, proof.invite) if proof.invite is not None else Denied(ErrorCode.BAD_INVITE)
    departed = roster.departed(identity)
    return (departed, None) if departed is not None else Denied(ErrorCode.NOT_A_MEMBER)
