"""One schedule of logins, statements, messages, repeats, commits, failures, expiries and crashes, against a
small model of what a channel promises.

Not its concern: which schedules are played, and on what storage.
"""

from __future__ import annotations

import random
from typing import Any

from mobium.protocol import messages as m
from mobium.protocol.roster import Access, Kind, Role, Roster
from mobium.signing import SigningKey
from mobium_server import space as disk
from mobium_server.board import Board, Seat
from mobium_server.channels import APPENDED, Channels, Place
from mobium_server.envelope import Desk
from mobium_server.health import Health
from mobium_server.holding import Holding
from mobium_server.limits import Rate
from mobium_server.pages import Pages
from mobium_server.rooms import Denied, Rooms
from mobium_server.stats import Counters
from mobium_server.storage.base import GonePost, HistoryPage, Mailbox, Storage
from mobium_server.voice import Voice
from tests.support.channels import Room
from tests.support.office import Jobs, Timers
from tests.support.office import Wire as Desked
from tests.support.server import Person

PEOPLE = [Person(SigningKey.from_seed(letter * 32), bytes(32)) for letter in (b"a", b"b", b"c")]
NAMES = {one.public: one for one in PEOPLE}
EVERYTHING = 10**9
STEPS = 1_000


class Wire(Desked):
    """A connection to which messages of channels are relayed too."""

    def relay(self, data: bytes) -> bool:
        if not self.slow:
            self.send(data[{126: 4, 127: 10}.get(data[1], 2) :])
        return not self.slow


class Connection:
    """A login, and what came over it."""

    def __init__(self, desk: Desk, wire: Wire, seat: Seat, begun: dict[bytes, int]) -> None:
        self.desk = desk
        self.wire = wire
        self.seat = seat
        self.begun = begun
        """The newest number of each channel when the storage was asked for this login."""
        self.shown: dict[bytes, list[int]] = {}
        self.own: dict[bytes, set[int]] = {}
        self.heads: dict[bytes, int] = {}


class Post:
    """What the model knows of one message."""

    def __init__(self, sender: bytes, room: Room, index: int, delivery: bytes, payload: bytes) -> None:
        self.sender = sender
        self.room = room
        self.index = index
        self.delivery = delivery
        self.payload = payload
        self.number: int | None = None
        self.expired = False


class Machine:
    """One schedule: a server that is moved by hand, its people, and what must be true of it."""

    def __init__(self, storage: Storage, chance: random.Random) -> None:
        self.storage = storage
        self.chance = chance
        self.timers = Timers()
        self.posts: dict[bytes, Post] = {}
        self.online: dict[bytes, Connection] = {}
        self.shows = 0
        self.open_server()
        self.rooms = [Room(PEOPLE[0], Access.OPEN), Room(PEOPLE[1], Access.OPEN)]
        for one, room in zip(PEOPLE, self.rooms, strict=False):
            self.log_in(one)
            self.append(one, room, room.create, (Kind.CREATE,))
        self.settle()

    def run(self) -> None:
        """So many steps, and then rest."""
        actions = {
            self.come_or_go: 4,
            self.join_or_leave: 2,
            self.remove: 1,
            self.write: 14,
            self.write_again: 6,
            self.read_slowly: 4,
            self.execute: 16,
            self.execute_and_fail: 1,
            self.report: 16,
            self.fire: 8,
            self.expire: 1,
        }
        for step in range(STEPS):
            if step % 150 == 149:
                self.crash()
            (action,) = self.chance.choices(list(actions), list(actions.values()))
            action()
            for connection in self.online.values():
                self.read(connection)
            for room in self.rooms:
                self.statements(room)
        self.everything_is_known()

    def open_server(self) -> None:
        self.jobs = Jobs()
        self.holding = Holding()
        health = Health()
        self.board = Board(
            self.storage,
            self.jobs,
            self.timers.later,
            now=lambda: int(self.timers.now),
            steady=lambda: self.timers.now,
            holding=self.holding,
            health=health,
            space=disk.Space(lambda: disk.Room(0, 0), lambda: self.timers.now),
        )
        self.pages = Pages(self.jobs, health, self.timers.later, lambda _desk: 0.0)
        steady = lambda: self.timers.now  # noqa: E731
        self.voice = Voice(self.board, self.timers.later, steady, Counters(), Rate(0, 0), 0)
        self.channels = Channels(
            self.storage,
            self.board,
            Rooms(self.storage, self.jobs, health),
            self.pages,
            self.voice,
            wall=lambda: 0,
            steady=lambda: self.timers.now,
        )

    def settle(self) -> None:
        for _ in range(10_000):
            if not (self.jobs.execute() or self.jobs.report() or self.timers.fire()):
                return
        raise AssertionError("it does not come to rest")

    # ------------------------------------------------------------ what people do

    def come_or_go(self) -> None:
        one = self.chance.choice(PEOPLE)
        if one.public not in self.online or self.chance.random() < 0.5:
            self.log_in(one)
        else:
            self.log_out(one.public)

    def log_in(self, one: Person) -> None:
        identity = one.public
        found: list[Connection] = []

        def look() -> tuple[Mailbox, dict[bytes, int]]:
            begun = {room.id: self.head(room) for room in getattr(self, "rooms", [])}
            return self.storage.mailbox(identity), begun

        def done(looked: tuple[Mailbox, dict[bytes, int]] | None, _error: Exception | None) -> None:
            assert looked is not None
            mailbox, begun = looked
            older = self.online.get(identity)
            if older is not None:
                self.read(older)
                older.desk.open = False
            wire = Wire()
            desk = Desk(identity, wire, mailbox)
            found.append(Connection(desk, wire, self.board.sit_down(desk, mailbox.channels), begun))
            self.online[identity] = found[0]
            if older is not None:
                self.board.get_up(older.seat)  # the late end of a replaced login
                self.holding.forget(older.desk)

        self.jobs.submit(done, look)
        while not found:
            assert self.jobs.execute() or self.jobs.report()

    def log_out(self, identity: bytes) -> None:
        gone = self.online.pop(identity)
        self.read(gone)
        gone.desk.open = False
        self.holding.forget(gone.desk)
        self.board.get_up(gone.seat)
        self.pages.go_on(gone.desk)

    def somebody(self) -> Person | None:
        """Who is here."""
        return NAMES[self.chance.choice(sorted(self.online))] if self.online else None

    def join_or_leave(self) -> None:
        room, one = self.chance.choice(self.rooms), self.somebody()
        if one is None:
            return
        role = room.roster.role(one.public)
        if role is None:
            self.append(one, room, room.join(one), (Kind.JOIN,))
        elif room.roster.size > 1 and role < Role.OWNER:
            self.append(one, room, room.make(one, Kind.LEAVE), (Kind.LEAVE,))
        else:
            self.append(one, room, room.make(one, Kind.NAMES, data=bytes(540)), APPENDED)

    def remove(self) -> None:
        room, subject = self.chance.choice(self.rooms), self.chance.choice(PEOPLE).public
        owner = next(iter(room.roster.members))
        if owner in self.online and subject != owner and room.roster.role(subject) is not None:
            self.append(NAMES[owner], room, room.keyed(NAMES[owner], Kind.REMOVE, subject), APPENDED)

    def append(self, one: Person, room: Room, raw: bytes, kinds: Any) -> None:
        connection = self.online[one.public]

        def done(place: Place | Denied) -> None:
            if isinstance(place, Denied):
                assert place.code in ("stale_roster", "storage", "not_a_member", "already_member"), place
                return
            rows = self.storage.statements(room.id, place.position, place.position, 1, EVERYTHING)
            assert [(row.number, row.statement) for row in rows] == [(place.number, raw)], "said too early"
            connection.own.setdefault(room.id, set()).add(place.number)

        self.channels.append(connection.desk, raw, kinds, None, done)

    def write(self) -> None:
        one = self.somebody()
        if one is not None:
            mine = [room for room in self.rooms if room.roster.role(one.public) is not None]
            room = self.chance.choice([*mine, *mine, *self.rooms])
            number = len(self.posts)
            index = max(0, room.roster.index - self.chance.choice([0, 0, 0, 1]))
            payload = b"%d" % number + bytes(self.chance.choice([10, 10, 150]))
            post = Post(one.public, room, index, number.to_bytes(16, "big"), payload)
            self.posts[post.delivery] = post
            self.send(post)

    def write_again(self) -> None:
        mine = [post for post in self.posts.values() if post.sender in self.online]
        if mine:
            post = self.chance.choice(mine[-12:])
            if post.number is None:
                post.index = self.chance.choice([post.index, post.room.roster.index])
            self.send(post)

    def send(self, post: Post) -> None:
        desk = self.online[post.sender].desk
        self.board.post(desk, None, post.room.id, post.index, post.delivery, post.payload)

    def read_slowly(self) -> None:
        one = self.somebody()
        if one is not None:
            connection = self.online[one.public]
            connection.wire.slow = not connection.wire.slow
            if not connection.wire.slow:
                self.board.catch_up(connection.seat)

    # ------------------------------------------------------------ what the machine does

    def execute(self) -> None:
        self.jobs.execute()

    def execute_and_fail(self) -> None:
        self.jobs.execute(fail=True)

    def report(self) -> None:
        self.jobs.report()

    def fire(self) -> None:
        self.timers.fire()

    def expire(self) -> None:
        def done(gone: list[GonePost] | None, _error: Exception | None) -> None:
            self.board.forget(gone or [])

        def run() -> list[GonePost]:
            gone = self.storage.expire_posts(int(self.timers.now), 3)
            for one in gone:
                self.posts[one.delivery].expired = True
            return gone

        self.jobs.submit(done, run)

    def crash(self) -> None:
        for connection in self.online.values():
            self.read(connection)
        self.online.clear()
        now = self.timers.now
        self.timers = Timers()
        self.timers.now = now
        self.open_server()

    # ------------------------------------------------------------ what must hold

    def head(self, room: Room) -> int:
        """The newest number that is stored."""
        states = [state for one in PEOPLE for state in self.storage.channels(one.public, b"", 10)]
        return max((state.number for state in states if state.channel == room.id), default=0)

    def statements(self, room: Room) -> list[tuple[int, bytes]]:
        """What is stored, and the roster known to people with it."""
        rows = self.storage.statements(room.id, 0, EVERYTHING, EVERYTHING, EVERYTHING)
        if len(rows) > room.roster.index + 1 or rows[-1].statement != room.raws[-1]:
            room.raws = [row.statement for row in rows]
            room.roster = Roster.load(room.raws, verify=False)
        return [(row.number, row.statement) for row in rows]

    def readers(self, room: Room, number: int) -> set[bytes]:
        """The members just before a number."""
        before = [raw for placed, raw in self.statements(room) if placed < number]
        return set(Roster.load(before, verify=False).members) if before else set()

    def room_of(self, name: bytes) -> Room:
        (room,) = (room for room in self.rooms if room.id == name)
        return room

    def read(self, connection: Connection) -> None:
        """Take what was written to a connection, and check all of it."""
        while connection.wire.frames:
            frame = connection.wire.frames.popleft()
            if isinstance(frame, m.Accepted):
                self.accepted(connection, frame)
            elif isinstance(frame, m.Error):
                assert frame.code in ("stale_roster", "not_a_member", "storage", "unknown_channel"), frame
                assert frame.id is not None
                post = self.posts[frame.id]
                assert post.number is None or post.expired or frame.code == "storage"
            elif isinstance(frame, m.ChannelHead):
                room = self.room_of(frame.channel_id)
                assert frame.number <= self.head(room)
                assert frame.number > max(connection.shown.get(room.id, [0])[-1:], default=0)
                connection.heads[room.id] = frame.number
            else:
                assert isinstance(frame, m.ChannelMessage | m.RosterPage)
                self.shown(connection, frame)

    def accepted(self, connection: Connection, frame: m.Accepted) -> None:
        post = self.posts[frame.id]
        assert post.sender == connection.desk.identity
        if frame.number is None:
            assert post.expired
            return
        self.numbered(post, frame.number)
        connection.own.setdefault(post.room.id, set()).add(frame.number)
        before = [raw for placed, raw in self.statements(post.room) if placed < frame.number]
        roster = Roster.load(before, verify=False)
        assert roster.role(post.sender) is not None
        assert post.index >= roster.member_index

    def lines(self, room: Room) -> dict[int, tuple[bytes | None, bytes]]:
        """What is stored in a channel, as far as any of its people sees it."""
        found = {}
        for one in PEOPLE:
            page = self.storage.history(room.id, one.public, 0, EVERYTHING, EVERYTHING)
            if isinstance(page, HistoryPage):
                found.update({line.number: (line.sender, line.payload) for line in page.lines})
        return found

    def shown(self, connection: Connection, frame: m.ChannelMessage | m.RosterPage) -> None:
        room = self.room_of(frame.channel_id)
        shown = connection.shown.setdefault(room.id, [])
        assert frame.number > max([0, *shown]), "out of order, or twice"
        assert frame.number > connection.heads.get(room.id, 0), "announced, and shown later"
        assert frame.number not in connection.own.get(room.id, set()), "shown to who knows it"
        shown.append(frame.number)
        self.shows += 1
        readers = self.readers(room, frame.number)
        if isinstance(frame, m.RosterPage):
            readers |= self.readers(room, frame.number + 1)  # who has logged in again since he asked to join
        assert connection.desk.identity in readers, "shown to a stranger"
        if isinstance(frame, m.RosterPage):
            assert (frame.number, frame.statements[0]) in self.statements(room)
            return
        (post,) = (post for post in self.posts.values() if post.payload == frame.payload)
        assert (post.sender, post.room) == (frame.sender, room)
        self.numbered(post, frame.number)

    def numbered(self, post: Post, number: int) -> None:
        # Of what expired nothing is known any more after a crash, or ten minutes.
        assert post.expired or post.number in (None, number), "two numbers"
        post.number = number
        line = self.lines(post.room).get(number)
        assert post.expired if line is None else line == (post.sender, post.payload), "said too early"

    def everything_is_known(self) -> None:
        """Once all has come to rest, whoever is here was shown everything that is his, or was told of it."""
        for connection in self.online.values():
            connection.wire.slow = False
            self.board.catch_up(connection.seat)
        self.settle()
        for connection in self.online.values():
            self.board.catch_up(connection.seat)
            self.read(connection)
        for room in self.rooms:
            for identity, connection in self.online.items():
                self.complete(room, identity, connection)
        assert (self.board._live, self.board._waiting) == ({}, {})
        assert (self.holding.held, self.holding.holding) == (0, {})
        assert not any(connection.wire.held for connection in self.online.values())

    def complete(self, room: Room, identity: bytes, connection: Connection) -> None:
        known = {*connection.shown.get(room.id, []), *connection.own.get(room.id, set())}
        for number in range(connection.begun.get(room.id, 0) + 1, self.head(room) + 1):
            if number not in known and identity in self.readers(room, number):
                assert number <= connection.heads.get(room.id, 0), "neither shown nor announced"
