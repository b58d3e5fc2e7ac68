"""Voice rooms of channels: who is in one, the numbers that media frames carry, their relay, and who is told
(docs/PROTOCOL.md, Realtime).

Sans-I/O, as `mobium_server.board` is. Rooms are in memory alone: a restart empties them, and clients come
again. Nothing of them is stored or logged. A frame's body is copied, never looked into. Not its concern: who
is a member (`mobium_server.handlers.voice` asks), what waits for a socket (`mobium_server.media`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mobium.protocol import codec
from mobium.protocol.codes import ErrorCode
from mobium.protocol.limits import MAX_SPEAKERS, media_cost
from mobium.protocol.media_frames import MediaUp, to_client
from mobium.protocol.messages import Speaker, VoiceState
from mobium_server.bell import Bell
from mobium_server.board import Board, Seat
from mobium_server.envelope import Outlet
from mobium_server.frames import header
from mobium_server.limits import MINUTE, AddressRates, Allowance, Rate, Rates
from mobium_server.pace import Later
from mobium_server.rooms import Denied
from mobium_server.stats import Counters

__all__ = ["Ear", "Participant", "Voice"]

# Seconds between two tellings of one room: to those in it, who need it to exchange keys, and to the other
# members, of whom there may be a thousand.
INSIDE_GAP = 0.05
OUTSIDE_GAP = 1.0
JOINS = 30  # a minute, by one identity: each makes all others in the room exchange keys
NUMBERS = 0xFFFF  # of rooms and of speakers, from 1


class Ear(Outlet, Protocol):
    """A connection, as voice sees it."""

    @property
    def address(self) -> str:
        """What the connection's address counts as."""

    def tune_in(self) -> None:
        """Media will come."""

    def tune_out(self) -> None:
        """No more media will come, and what waits is dropped."""

    def relay_media(self, kind: int, data: bytes) -> None:
        """Write a media frame, a whole WebSocket frame already, once the socket has taken all messages; drop
        the oldest ones if it takes long.
        """


class Participant:
    """Somebody in a room, on one connection."""

    __slots__ = ("address", "identity", "line", "number", "room", "shown")

    def __init__(self, identity: bytes, line: Ear, number: int, room: _VoiceRoom) -> None:
        self.identity = identity
        self.line = line
        self.address = line.address
        self.number = number
        self.room: _VoiceRoom | None = room
        """None once they have left."""
        self.shown = False
        """Whether the others in the room were told of them."""


class _VoiceRoom:
    """The voice room of a channel, as long as somebody is in it."""

    __slots__ = ("channel", "last", "number", "people")

    def __init__(self, channel: bytes, number: int) -> None:
        self.channel = channel
        self.number = number
        self.people: dict[bytes, Participant] = {}
        self.last = 0
        """The speaker number that was given last."""


class Voice:
    """All rooms. `rate` is the media rate of an identity, and `factor` how many of them an address stands
    for.
    """

    def __init__(
        self,
        board: Board,
        later: Later,
        steady: Callable[[], float],
        counters: Counters,
        rate: Rate,
        factor: float,
    ) -> None:
        self._board = board
        self._counters = counters
        self._rooms: dict[bytes, _VoiceRoom] = {}
        self._numbers: set[int] = set()
        self._last = 0
        self._behind: dict[Outlet, set[bytes]] = {}
        self._inside = Bell(INSIDE_GAP, later, self._tell_inside)
        self._outside = Bell(OUTSIDE_GAP, later, self._tell_outside)
        self._joins = Allowance(JOINS, MINUTE, steady)
        self._of_identity = Rates(rate, steady)
        self._of_address = AddressRates(rate.times(factor), steady)
        self.people = 0

    def __len__(self) -> int:
        return len(self._rooms)

    # ------------------------------------------------------------ in and out

    def join(
        self, identity: bytes, line: Ear, channel: bytes, before: Participant | None
    ) -> Participant | Denied:
        """Let a member in; out of the room in which its connection was `before`. Once in, it is in."""
        room = self._rooms.get(channel)
        if before is not None and before.room is not None and before.room is room:
            return before
        if len(self._numbers) >= NUMBERS if room is None else len(room.people) >= MAX_SPEAKERS:
            return Denied(ErrorCode.ROOM_FULL)
        wait = self._joins.take(identity)
        if wait:
            return Denied(ErrorCode.RATE_LIMITED, wait)
        if before is not None:
            self.leave(before)
        if room is None:
            room = self._rooms[channel] = _VoiceRoom(channel, self._new_number())
        taken = {one.number for one in room.people.values()}
        room.last = _next(room.last, taken)
        one = room.people[identity] = Participant(identity, line, room.last, room)
        self.people += 1
        line.tune_in()
        self._changed(channel)
        return one

    def _new_number(self) -> int:
        self._last = _next(self._last, self._numbers)
        self._numbers.add(self._last)
        return self._last

    def leave(self, one: Participant) -> None:
        """Somebody leaves, or the connection ended. Of somebody who has left it changes nothing."""
        room, one.room = one.room, None
        if room is None:
            return
        del room.people[one.identity]
        self.people -= 1
        one.line.tune_out()
        if not room.people:
            del self._rooms[room.channel]
            self._numbers.discard(room.number)
        self._changed(room.channel)

    def entered(self, channel: bytes, identity: bytes) -> None:
        """Somebody has become a member."""
        seat = self._board.seat(identity)
        if seat is not None and channel in self._rooms:
            self._send(seat.desk.outlet, channel, self._frame(channel))

    def removed(self, channel: bytes, identity: bytes) -> None:
        """Somebody has ceased to be a member, and is told nothing more but that the room is empty."""
        room = self._rooms.get(channel)
        one = room.people.get(identity) if room is not None else None
        if one is not None:
            self.leave(one)
        seat = self._board.seat(identity)
        if seat is None:
            return
        outlet = seat.desk.outlet
        behind = self._behind.get(outlet, set())
        if room is not None or channel in self._outside or channel in behind:
            outlet.send(codec.encode(VoiceState(channel)))
        behind.discard(channel)

    # ------------------------------------------------------------ who is told

    def state(self, channel: bytes, rid: int | None = None) -> VoiceState:
        """Who is in the room of a channel."""
        room = self._rooms.get(channel)
        if room is None:
            return VoiceState(channel, rid=rid)
        people = [Speaker(one.identity, one.number) for one in room.people.values()]
        return VoiceState(channel, room.number, people, rid)

    def greet(self, seat: Seat) -> None:
        """Somebody has logged in: tell of the rooms in which somebody is."""
        for channel in seat.channels & self._rooms.keys():
            self._send(seat.desk.outlet, channel, self._frame(channel))

    def catch_up(self, outlet: Outlet) -> None:
        """The socket takes more: tell what it was not told."""
        behind = self._behind.get(outlet)
        while behind and outlet.writable():
            outlet.send(codec.encode(self.state(behind.pop())))
        if not behind:
            self._behind.pop(outlet, None)

    def forget(self, outlet: Outlet) -> None:
        """The connection ended."""
        self._behind.pop(outlet, None)

    def _changed(self, channel: bytes) -> None:
        self._inside.touch(channel)
        self._outside.touch(channel)

    def _tell_inside(self, channel: bytes) -> None:
        room = self._rooms.get(channel)
        if room is None:
            return
        frame = self._frame(channel)
        for one in room.people.values():
            one.shown = True
            self._send(one.line, channel, frame)

    def _tell_outside(self, channel: bytes) -> None:
        room = self._rooms.get(channel)
        people = room.people if room is not None else {}
        frame = self._frame(channel)
        for identity, seat in self._board.readers(channel).items():
            if identity not in people:
                self._send(seat.desk.outlet, channel, frame)

    def _frame(self, channel: bytes) -> bytes:
        frame = codec.encode(self.state(channel))
        return header(len(frame)) + frame

    def _send(self, outlet: Outlet, channel: bytes, data: bytes) -> None:
        if not outlet.relay(data):
            self._behind.setdefault(outlet, set()).add(channel)

    # ------------------------------------------------------------ media

    def relay(self, one: Participant | None, frame: MediaUp) -> bool:
        """Copy a frame to everybody else in the room. False: it was dropped."""
        counters = self._counters
        counters.media_in += 1
        room = one.room if one is not None else None
        if one is None or room is None or room.number != frame.room:
            counters.media_outside += 1
            return False
        cost = media_cost(len(frame.body))
        if self._of_identity.wait(one.identity, cost) or self._of_address.take(one.address, cost):
            counters.media_limited += 1
            return False
        self._of_identity.take(one.identity, cost)
        if not one.shown:
            self._tell_inside(room.channel)  # nobody hears a number before they know whose it is
        data = to_client(frame.kind, room.number, one.number, frame.body)
        data = header(len(data)) + data  # the same bytes for all
        for other in room.people.values():
            if other is not one:
                other.line.relay_media(frame.kind, data)
        return True


def _next(last: int, taken: set[int]) -> int:
    """The next number that nobody has: one that was had is not given again soon."""
    number = last % NUMBERS + 1
    while number in taken:
        number = number % NUMBERS + 1
    return number
