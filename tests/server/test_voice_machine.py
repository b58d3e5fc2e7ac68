"""Random schedules of logins, joins, leaves, removals, frames and slow sockets, against a small model of what
a voice room promises: frames reach exactly those who are in, numbers name one person, and everybody who may
know who is in a room knows it in the end.
"""

from __future__ import annotations

import random
from collections import deque

from mobium.protocol import codec
from mobium.protocol import messages as m
from mobium.protocol.limits import MAX_SPEAKERS, VOICE_BODY
from mobium.protocol.media_frames import VOICE, MediaDown, MediaUp, read_down
from mobium_server.board import Board, Seat
from mobium_server.envelope import Desk
from mobium_server.health import Health
from mobium_server.holding import Holding
from mobium_server.limits import Rate
from mobium_server.rooms import Denied
from mobium_server.space import Room, Space
from mobium_server.stats import Counters
from mobium_server.storage.base import Mailbox
from mobium_server.storage.memory import MemoryStorage
from mobium_server.voice import NUMBERS, Participant, Voice, _next
from tests.support.office import Jobs, Timers
from tests.support.server import randomness, schedules

PEOPLE = [bytes([i]) * 32 for i in range(1, 7)]
CHANNELS = [bytes([i]) * 32 for i in range(0xA0, 0xA3)]
STEPS = 400


class Line:
    """A connection that keeps what was written to it."""

    address = "here"

    def __init__(self) -> None:
        self.slow = False
        self.tuned = 0
        self.told: dict[bytes, m.VoiceState] = {}
        self.heard: deque[MediaDown] = deque()
        self.number_of: dict[tuple[int, int], bytes] = {}
        self.states = 0

    def send(self, frame: bytes) -> None:
        state = codec.decode_server(frame)
        assert isinstance(state, m.VoiceState)
        self.told[state.channel_id] = state
        self.states += 1
        for one in state.members:
            self.number_of[state.room, one.number] = one.identity

    def relay(self, data: bytes) -> bool:
        if not self.slow:
            self.send(data[{126: 4, 127: 10}.get(data[1], 2) :])
        return not self.slow

    def writable(self) -> bool:
        return not self.slow

    def hold(self) -> None:
        raise AssertionError("voice holds nobody")

    def resume(self) -> None:
        raise AssertionError("voice holds nobody")

    def tune_in(self) -> None:
        self.tuned += 1

    def tune_out(self) -> None:
        self.tuned -= 1

    def relay_media(self, kind: int, data: bytes) -> None:
        assert self.tuned == 1
        frame = read_down(data[{126: 4, 127: 10}.get(data[1], 2) :])
        assert frame.kind == kind
        self.heard.append(frame)


class Login:
    """Somebody who is online."""

    def __init__(self, identity: bytes, line: Line, seat: Seat) -> None:
        self.identity = identity
        self.line = line
        self.seat = seat
        self.participant: Participant | None = None


class Machine:
    """One schedule."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.timers = Timers()
        self.counters = Counters()
        self.board = Board(
            MemoryStorage(10),
            Jobs(),
            self.timers.later,
            now=lambda: 0,
            steady=lambda: self.timers.now,
            holding=Holding(),
            health=Health(),
            space=Space(lambda: Room(0, 0), lambda: self.timers.now),
        )
        self.voice = Voice(
            self.board, self.timers.later, lambda: self.timers.now, self.counters, Rate(0, 0), 0
        )
        self.members = {channel: set(PEOPLE[:4]) for channel in CHANNELS}
        self.online: dict[bytes, Login] = {}
        self.inside: dict[bytes, dict[bytes, Login]] = {channel: {} for channel in CHANNELS}

    def run(self) -> None:
        actions = {
            self.come_or_go: 3,
            self.join: 8,
            self.leave: 3,
            self.change_members: 2,
            self.talk: 12,
            self.slow_down: 2,
            self.wait: 6,
        }
        for _ in range(STEPS):
            (action,) = self.chance.choices(list(actions), list(actions.values()))
            action()
            assert self.voice.people == sum(map(len, self.inside.values()))
            assert len(self.voice) == sum(map(bool, self.inside.values()))
        self.everybody_knows()

    def anybody(self) -> Login | None:
        return self.chance.choice(list(self.online.values())) if self.online else None

    def room_of(self, one: Login) -> bytes | None:
        return next((channel for channel in CHANNELS if self.inside[channel].get(one.identity) is one), None)

    # ------------------------------------------------------------ what happens

    def come_or_go(self) -> None:
        identity = self.chance.choice(PEOPLE)
        older = self.online.pop(identity, None)
        if older is None or self.chance.random() < 0.5:
            desk = Desk(identity, Line(), Mailbox(True, 0))
            seat = self.board.sit_down(desk, [c for c in CHANNELS if identity in self.members[c]])
            assert isinstance(desk.outlet, Line)
            self.online[identity] = Login(identity, desk.outlet, seat)
        if older is not None:
            if older.participant is not None:
                self.voice.leave(older.participant)
            self.voice.forget(older.line)
            self.board.get_up(older.seat)
            room = self.room_of(older)
            if room is not None:
                del self.inside[room][identity]
        if identity in self.online:
            self.voice.greet(self.online[identity].seat)

    def join(self) -> None:
        one, channel = self.anybody(), self.chance.choice(CHANNELS)
        if one is None or one.identity not in self.members[channel]:
            return
        joined = self.voice.join(one.identity, one.line, channel, one.participant)
        if isinstance(joined, Denied):
            assert joined.code == "rate_limited"
            return
        one.participant = joined
        before = self.room_of(one)
        if before is not None:
            del self.inside[before][one.identity]
        self.inside[channel][one.identity] = one
        state = self.voice.state(channel)
        one.line.send(codec.encode(state))  # the answer
        numbers = {each.identity: each.number for each in state.members}
        assert numbers.keys() == self.inside[channel].keys()
        assert len(set(numbers.values())) == len(numbers)

    def leave(self) -> None:
        one = self.anybody()
        if one is not None and one.participant is not None:
            room = self.room_of(one)
            self.voice.leave(one.participant)
            if room is not None:
                del self.inside[room][one.identity]

    def change_members(self) -> None:
        channel, identity = self.chance.choice(CHANNELS), self.chance.choice(PEOPLE)
        one = self.online.get(identity)
        if identity in self.members[channel]:
            self.members[channel].discard(identity)
            self.board.leave(channel, identity)
            self.voice.removed(channel, identity)
            self.inside[channel].pop(identity, None)
            if one is not None and channel in one.line.told:
                assert one.line.told[channel].members == [] or not self.inside[channel]
        else:
            self.members[channel].add(identity)
            self.board.enter(channel, identity)
            self.voice.entered(channel, identity)

    def talk(self) -> None:
        one = self.anybody()
        if one is None:
            return
        channel = self.room_of(one)
        number = self.chance.randrange(1, 12)
        if channel is not None and self.chance.random() < 0.8:
            number = self.voice.state(channel).room
        right = channel is not None and number == self.voice.state(channel).room
        body = self.chance.randbytes(VOICE_BODY)
        assert self.voice.relay(one.participant, MediaUp(VOICE, number, body)) == right
        hearers = {}
        if right and channel is not None:
            hearers = {each: login for each, login in self.inside[channel].items() if login is not one}
        for identity, login in self.online.items():
            if identity in hearers:
                frame = login.line.heard.popleft()
                assert (frame.room, frame.body) == (number, body)
                if not login.line.slow:
                    assert login.line.number_of[number, frame.speaker] == one.identity
            assert not login.line.heard

    def slow_down(self) -> None:
        one = self.anybody()
        if one is not None:
            one.line.slow = not one.line.slow
            if not one.line.slow:
                self.voice.catch_up(one.line)

    def wait(self) -> None:
        self.timers.fire()

    # ------------------------------------------------------------ what holds in the end

    def everybody_knows(self) -> None:
        for one in self.online.values():
            one.line.slow = False
            self.voice.catch_up(one.line)
        while self.timers.fire():
            pass
        assert not self.voice._behind
        for channel in CHANNELS:
            state = self.voice.state(channel)
            assert {each.identity for each in state.members} == self.inside[channel].keys()
            for identity, one in self.online.items():
                told = one.line.told.get(channel, m.VoiceState(channel))
                if identity in self.members[channel]:
                    assert (told.room, told.members) == (state.room, state.members)
                else:
                    assert (told.room, told.members) == (0, [])
        for one in list(self.online.values()):
            assert one.line.tuned == (self.room_of(one) is not None)
            if one.participant is not None:
                self.voice.leave(one.participant)
        assert (len(self.voice), self.voice.people, self.voice._numbers) == (0, 0, set())


def test_any_schedule(seed: int) -> None:
    heard = 0
    for schedule in range(schedules()):
        machine = Machine(randomness(seed, schedule))
        try:
            machine.run()
        except AssertionError as error:
            error.add_note(f"schedule {schedule} of seed {seed}")
            raise
        heard += machine.counters.media_in - machine.counters.media_outside
    assert heard > 0


def test_numbers_are_not_given_again_soon_and_never_run_out() -> None:
    assert _next(0, set()) == 1
    assert _next(1, set()) == 2
    assert _next(NUMBERS, {1, 2}) == 3
    taken = set(range(1, NUMBERS + 1)) - {7}
    assert _next(7, taken) == 7


def test_a_room_is_full_before_its_numbers_are() -> None:
    assert MAX_SPEAKERS < NUMBERS
