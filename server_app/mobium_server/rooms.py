"""Rosters in memory: loaded when they are needed, given up when others need the place; and turns, so that
what changes a channel happens one after the other.

Not its concern: what happens in a turn (`mobium_server.channels`, `mobium_server.invites`).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from mobium.protocol.codes import ErrorCode
from mobium.protocol.limits import MAX_STATEMENT
from mobium.protocol.roster import Roster
from mobium_server.health import Health
from mobium_server.pace import RETRY_AFTER
from mobium_server.storage.base import Refused, Storage
from mobium_server.storage.worker import Jobs

__all__ = ["Denied", "Room", "Rooms", "denied"]

T = TypeVar("T")

ROOMS = 1_000  # rosters in memory
STATEMENTS = 200_000  # and statements in all of them
SLICE = 512  # statements read in one job, so that others are not kept waiting by a long roster

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


class Denied(NamedTuple):
    """A request is not carried out; nothing was changed."""

    code: ErrorCode
    retry_after: float | None = None


def denied(refused: Refused | None) -> Denied:
    """What becomes of a request that the storage refused, or (None) could not carry out."""
    return Denied(ErrorCode.STORAGE, RETRY_AFTER) if refused is None else Denied(_CODES[refused])


class Room:
    """A channel's roster in memory, and what waits for its turn there."""

    __slots__ = ("busy", "roster", "turns")

    def __init__(self, roster: Roster) -> None:
        self.roster = roster
        self.busy = False
        self.turns: deque[Callable[[], bool]] = deque()


class Rooms:
    """All rooms."""

    def __init__(self, storage: Storage, jobs: Jobs, health: Health) -> None:
        self._storage = storage
        self._jobs = jobs
        self._health = health
        self._rooms: OrderedDict[bytes, Room] = OrderedDict()
        self._loading: dict[bytes, list[Callable[[Room | Denied], None]]] = {}
        self._statements = 0
        self._open = 0
        self._idle: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._rooms)

    def find(self, channel: bytes, use: Callable[[Room | Denied], None]) -> None:
        """Call `use` with a channel's room, at once if it is here; requests that have to wait for it keep
        their order.
        """
        room = self._rooms.get(channel)
        if room is not None:
            self._rooms.move_to_end(channel)
            use(room)
            return
        waiting = self._loading.get(channel)
        if waiting is not None:
            waiting.append(use)
            return
        self._loading[channel] = [use]
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
                self._found(channel, self.keep(roster))

        self.do(None, load, done)

    def _found(self, channel: bytes, room: Room | Denied) -> None:
        for use in self._loading.pop(channel):
            begun = self._loading.get(channel)  # by the one before
            if begun is not None:
                begun.append(use)
            else:
                use(room)

    def begin(
        self, channel: bytes, job: Callable[[], T], done: Callable[[T | None, Exception | None], None]
    ) -> None:
        """Let a channel begin that was not found: run `job` on the storage, then `done`, which keeps the
        room if there is one now. Whoever asks for it meanwhile waits.
        """
        self._loading[channel] = []

        def placed(result: T | None, error: Exception | None) -> None:
            done(result, error)
            room = self._rooms.get(channel)
            if room is not None:
                self._found(channel, room)
            elif self._loading[channel]:
                self._load(channel, None)
            else:
                del self._loading[channel]

        self.do(None, job, placed)

    def keep(self, roster: Roster) -> Room:
        """The room of a roster that stands on the disk."""
        room = self._rooms.get(roster.channel_id)
        if room is not None:
            return room
        room = self._rooms[roster.channel_id] = Room(roster)
        self._statements += roster.index + 1
        for channel, other in list(self._rooms.items()):
            if len(self._rooms) <= ROOMS and self._statements <= STATEMENTS:
                break
            if other is not room and not other.busy:
                self._give_up(channel)
        return room

    def move_on(self, room: Room, roster: Roster) -> None:
        """One more statement of a room stands on the disk."""
        room.roster = roster
        if self._rooms.get(roster.channel_id) is room:
            self._statements += 1

    def drop(self, room: Room) -> None:
        """Look at the disk again before a room is used again."""
        channel = room.roster.channel_id
        if self._rooms.get(channel) is room:
            self._give_up(channel)

    def _give_up(self, channel: bytes) -> None:
        self._statements -= self._rooms.pop(channel).roster.index + 1

    # ------------------------------------------------------------ turns

    def take_turn(self, room: Room, turn: Callable[[], bool]) -> None:
        """Call `turn` when everything that came to a room before it is done. It says whether it goes on: then
        it has called `do`, and the next turn is when that is done.
        """
        room.turns.append(turn)
        if not room.busy:
            self._go_on(room)

    def _go_on(self, room: Room) -> None:
        room.busy = True
        while room.turns:
            if room.turns.popleft()():
                return
        room.busy = False

    def do(
        self,
        room: Room | None,
        job: Callable[[], T],
        done: Callable[[T | None, Exception | None], None],
    ) -> None:
        """Run `job` on the storage, then `done`; that is the end of a turn in `room`."""
        self._open += 1

        def reported(result: T | None, error: Exception | None) -> None:
            self._open -= 1
            if error is None:
                self._health.works()
            else:
                self._health.fails("A channel could not be read or changed", error)
            done(result, error)
            if room is not None:
                self._go_on(room)
            self._report_idle()

        self._jobs.submit(reported, job)

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
