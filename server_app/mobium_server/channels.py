"""Channels as the server knows them: rosters, the statements that are appended to them, and who may read what
(docs/CRYPTO.md section 7).

Statements of one channel are carried out one after the other, each checked by `mobium.protocol.roster`
against the roster that is on the disk; the roster here moves on when the commit is reported, never before.
Not its concern: messages and readers (`mobium_server.board`), frames (`mobium_server.handlers.channels`),
rows (`mobium_server.storage`).
"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from typing import NamedTuple, TypeVar

from mobium.errors import SignatureError
from mobium.protocol import codec
from mobium.protocol.codes import ErrorCode
from mobium.protocol.limits import MAX_STATEMENT, PAGE_BYTES, ROSTER_PAGE
from mobium.protocol.messages import RosterPage
from mobium.protocol.roster import (
    LEAVES,
    MEMBERSHIP,
    Access,
    Kind,
    Role,
    Roster,
    RosterError,
    Statement,
    channel_id_of,
    parse,
    peek_input,
)
from mobium.signing import verify
from mobium_server.board import Board
from mobium_server.delivery import RETRY_AFTER
from mobium_server.envelope import Desk
from mobium_server.health import Health
from mobium_server.limits import DAY, HOUR, Allowance
from mobium_server.pages import Pages
from mobium_server.storage.base import HeldInvite, NewInvite, NewStatement, Refused, StatementRow, Storage
from mobium_server.storage.worker import Jobs

__all__ = ["APPENDED", "Channels", "Denied", "Place", "Proof", "Room", "Rows", "code_of"]

T = TypeVar("T")

JOINS = 4  # an hour, of one channel by one identity: each join costs every member something
CREATIONS = 20  # a day, by one identity
ROOMS = 1_000  # rosters in memory
STATEMENTS = 200_000  # and statements in all of them (about 300 bytes each)
INVITE_SIZE = 16  # bytes of an invite's id
SLICE = 512  # statements read in one job, so that others are not kept waiting by a long roster

APPENDED = frozenset({Kind.REMOVE, Kind.ROLE, Kind.SECRET, Kind.NAMES, Kind.BAN, Kind.UNBAN})

_CODES = {
    Refused.UNKNOWN: ErrorCode.UNKNOWN_CHANNEL,
    Refused.FULL: ErrorCode.QUEUE_FULL,
    Refused.NOT_MEMBER: ErrorCode.NOT_A_MEMBER,
    Refused.STALE: ErrorCode.STALE_ROSTER,
    Refused.TOO_MANY: ErrorCode.TOO_MANY_CHANNELS,
    Refused.BAD_INVITE: ErrorCode.BAD_INVITE,
    Refused.INVITE_EXPIRED: ErrorCode.INVITE_EXPIRED,
    Refused.INVITE_USED: ErrorCode.INVITE_USED,
}


def code_of(refused: Refused) -> ErrorCode:
    """What is said on the wire about a refusal of the storage."""
    return _CODES[refused]


class Denied(NamedTuple):
    """A request is not carried out; nothing was changed."""

    code: ErrorCode
    retry_after: float | None = None


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


class Room:
    """A channel's roster in memory, and what waits for its turn there."""

    __slots__ = ("busy", "roster", "turns")

    def __init__(self, roster: Roster) -> None:
        self.roster = roster
        self.busy = False
        self.turns: deque[Callable[[], None]] = deque()


class Channels:
    """All rosters. `wall` is the time in seconds since 1970, by which invites end."""

    def __init__(
        self,
        storage: Storage,
        jobs: Jobs,
        board: Board,
        pages: Pages,
        *,
        wall: Callable[[], int],
        steady: Callable[[], float],
        health: Health,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._storage = storage
        self._jobs = jobs
        self._board = board
        self._pages = pages
        self._entropy = entropy
        self._wall = wall
        self._health = health
        self._rooms: OrderedDict[bytes, Room] = OrderedDict()
        self._loading: dict[bytes, list[Callable[[Room | Denied], None]]] = {}
        self._statements = 0
        self._joins = Allowance(JOINS, HOUR, steady)
        self._creations = Allowance(CREATIONS, DAY, steady)
        self._open = 0
        self._idle: list[Callable[[], None]] = []
        self.appended = 0

    @property
    def loaded(self) -> int:
        """How many rosters are in memory."""
        return len(self._rooms)

    # ------------------------------------------------------------ rosters

    def find(self, channel: bytes, use: Callable[[Room | Denied], None]) -> None:
        """Call `use` with a channel's room, at once if it is here; requests that have to wait for it keep
        their order.
        """
        room = self._rooms.get(channel)
        if room is not None:
            self._rooms.move_to_end(channel)
            use(room)
            return
        waiting = self._loading.setdefault(channel, [])
        waiting.append(use)
        if len(waiting) == 1:
            self._load(channel, None)

    def _load(self, channel: bytes, begun: Roster | None) -> None:
        start = begun.index + 1 if begun is not None else 0

        def load() -> tuple[Roster | None, bool]:
            rows = self._storage.statements(channel, start, start + SLICE - 1, SLICE, SLICE * MAX_STATEMENT)
            roster = begun
            for row in rows:
                # Verified before it was stored, and this is our own database.
                if roster is None:
                    roster = Roster.begin(row.statement, verify=False)
                else:
                    roster = roster.append(row.statement, verify=False)
            return roster, len(rows) < SLICE

        def done(found: tuple[Roster | None, bool] | None, _error: Exception | None) -> None:
            if found is None:
                self._found(channel, Denied(ErrorCode.STORAGE, RETRY_AFTER))
                return
            roster, end = found
            here = self._rooms.get(channel)  # made meanwhile
            if here is not None:
                self._found(channel, here)
            elif not end:
                self._load(channel, roster)
            elif roster is None:
                self._found(channel, Denied(ErrorCode.UNKNOWN_CHANNEL))
            else:
                self._found(channel, self._keep(roster))

        self._do(None, load, done)

    def _found(self, channel: bytes, room: Room | Denied) -> None:
        for use in self._loading.pop(channel):
            use(room)

    def _keep(self, roster: Roster) -> Room:
        room = self._rooms[roster.channel_id] = Room(roster)
        self._statements += roster.index + 1
        if len(self._rooms) > ROOMS or self._statements > STATEMENTS:
            self._make_room(room)
        return room

    def _make_room(self, newest: Room) -> None:
        for channel, room in list(self._rooms.items()):
            if len(self._rooms) <= ROOMS and self._statements <= STATEMENTS:
                return
            if room is not newest and not room.busy:
                self._drop(channel)

    def _drop(self, channel: bytes) -> None:
        room = self._rooms.pop(channel)
        self._statements -= room.roster.index + 1

    # ------------------------------------------------------------ turns

    def _turn(self, room: Room, turn: Callable[[], None]) -> None:
        """Carry out what changes a channel when everything before it is done; it ends with `_next`."""
        room.turns.append(turn)
        if not room.busy:
            self._next(room)

    def _next(self, room: Room) -> None:
        room.busy = False
        while room.turns and not room.busy:
            room.busy = True
            room.turns.popleft()()

    def _do(
        self,
        room: Room | None,
        job: Callable[[], T],
        done: Callable[[T | None, Exception | None], None],
    ) -> None:
        """Run `job` on the storage, then `done`, then let the next have its turn in `room`."""
        self._open += 1

        def reported(result: T | None, error: Exception | None) -> None:
            self._open -= 1
            if error is None:
                self._health.works()
            else:
                self._health.fails("A channel could not be read or changed", error)
            done(result, error)
            if room is not None:
                self._next(room)
            self._report_idle()

        self._jobs.submit(reported, job)

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
                self._turn(room, lambda: self._append(room, desk, statement, invite, done))
            elif creates and room.code is ErrorCode.UNKNOWN_CHANNEL:
                self._create(desk, statement, channel, done)
            else:
                done(room)

        self.find(channel, found)

    def _create(
        self, desk: Desk, statement: Statement, channel: bytes, done: Callable[[Place | Denied], None]
    ) -> None:
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
                if channel not in self._rooms:
                    self._keep(roster)
                done(Place(channel, 0, result))
                return
            self._creations.give_back(statement.actor)
            if result is Refused.STALE:  # it came twice, and stands by now
                self.append(desk, statement.raw, (Kind.CREATE,), None, done)
            else:
                done(_denied(result))

        self._do(None, lambda: self._storage.place(new, None, 0), placed)

    def _append(
        self,
        room: Room,
        desk: Desk,
        statement: Statement,
        invite: bytes | None,
        done: Callable[[Place | Denied], None],
    ) -> None:
        roster = room.roster
        index = statement.index
        if index <= roster.index and roster.heads[index] == statement.head:
            self._repeat(room, index, done)
            return
        after = self._check(roster, statement, invite)
        if isinstance(after, Denied):
            done(after)
            self._next(room)
            return
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
                if result is Refused.STALE and self._rooms.get(channel) is room:
                    self._drop(channel)  # the disk is ahead: look again
                done(_denied(result))
                return
            self.appended += 1
            room.roster = after
            if self._rooms.get(channel) is room:
                self._statements += 1
            if joins is not None:
                self._board.enter(channel, joins)
            page = RosterPage(channel, index, [statement.raw], index, result)
            self._board.show(channel, result, codec.encode(page), (desk,))
            if leaves is not None:
                self._board.leave(channel, leaves)
            done(Place(channel, index, result))

        self._do(room, lambda: self._storage.place(new, ticket, now), placed)

    def _check(self, roster: Roster, statement: Statement, invite: bytes | None) -> Roster | Denied:
        joins = statement.kind is Kind.JOIN
        if not joins and roster.role(statement.actor) is None:
            return Denied(ErrorCode.NOT_A_MEMBER)  # who is none learns nothing more
        try:
            after = roster.append(statement.raw)
        except RosterError as error:
            return Denied(error.code)
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
            done(Place(channel, index, rows[0].number) if rows else _denied(None))

        self._do(room, lambda: self._storage.statements(channel, index, index, 1, 0), found)

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
                done(Rows(start, rows, end) if isinstance(rows, list) else _denied(rows))

            self._pages.read(desk, read, page)

        self.find(channel, found)

    # ------------------------------------------------------------ invites

    def make_invite(
        self, desk: Desk, channel: bytes, uses: int, ttl: int, done: Callable[[NewInvite | Denied], None]
    ) -> None:
        """Make an invite, if the identity may."""
        now = self._wall()
        new = NewInvite(self._entropy(INVITE_SIZE), uses, now + ttl if ttl else 0, desk.identity)

        def turn(room: Room) -> None:
            def made(refused: Refused | None, error: Exception | None) -> None:
                if refused is Refused.TOO_MANY:
                    done(Denied(ErrorCode.QUEUE_FULL))
                else:
                    done(new if refused is None and error is None else _denied(refused))

            self._do(room, lambda: self._storage.make_invite(channel, new, now), made)

        self._govern(desk, channel, turn, done)

    def invites(self, desk: Desk, channel: bytes, done: Callable[[list[HeldInvite] | Denied], None]) -> None:
        """The invites in force, if the identity may see them."""
        now = self._wall()

        def turn(room: Room) -> None:
            def found(held: list[HeldInvite] | None, _error: Exception | None) -> None:
                done(held if held is not None else _denied(None))

            self._do(room, lambda: self._storage.invites(channel, now), found)

        self._govern(desk, channel, turn, done)

    def revoke_invite(
        self, desk: Desk, channel: bytes, invite: bytes, done: Callable[[list[HeldInvite] | Denied], None]
    ) -> None:
        """End an invite, if the identity may; the others come back."""
        now = self._wall()

        def turn(room: Room) -> None:
            def revoke() -> list[HeldInvite] | Refused:
                if not self._storage.revoke_invite(channel, invite):
                    return Refused.BAD_INVITE
                return self._storage.invites(channel, now)

            def revoked(held: list[HeldInvite] | Refused | None, _error: Exception | None) -> None:
                done(held if isinstance(held, list) else _denied(held))

            self._do(room, revoke, revoked)

        self._govern(desk, channel, turn, done)

    def _govern(
        self, desk: Desk, channel: bytes, turn: Callable[[Room], None], deny: Callable[[Denied], None]
    ) -> None:
        """Give somebody a turn who has the role for invites, when it comes to it."""

        def begin(room: Room) -> None:
            role = room.roster.role(desk.identity)
            if role is not None and role >= Role.ADMIN and room.roster.access is Access.PRIVATE:
                turn(room)
                return
            deny(Denied(ErrorCode.NOT_A_MEMBER if role is None else ErrorCode.FORBIDDEN))
            self._next(room)

        def found(room: Room | Denied) -> None:
            if isinstance(room, Denied):
                deny(room)
            else:
                self._turn(room, lambda: begin(room))

        self.find(channel, found)

    # ------------------------------------------------------------ the end

    def drain(self, done: Callable[[], None]) -> None:
        """Call `done` when everything that was begun is done."""
        self._idle.append(done)
        self._report_idle()

    def _report_idle(self) -> None:
        if not self._open and self._idle:
            idle, self._idle = self._idle, []
            for done in idle:
                done()


def _denied(refused: Refused | None) -> Denied:
    """What becomes of a request that the storage refused, or could not carry out."""
    return Denied(ErrorCode.STORAGE, RETRY_AFTER) if refused is None else Denied(_CODES[refused])


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
