"""Mailboxes against a model: any order of sending, acknowledging, failing commits, lost connections and
crashes, over every storage.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mobium.protocol import limits
from mobium.protocol.codes import ErrorCode
from mobium.protocol.messages import Accepted, Delivery, Error
from mobium_server import delivery, holding
from mobium_server.envelope import Desk, Envelope
from mobium_server.storage.base import Mailbox, Prekey, Publication, Storage
from mobium_server.storage.memory import MemoryStorage
from mobium_server.storage.sqlite import SqliteStorage
from tests.support.office import Bench, Timers, Wire
from tests.support.patched_server import early
from tests.support.server import schedules

PEOPLE = [letter * 32 for letter in (b"a", b"b", b"c")]
NOBODY = b"n" * 32
KEY = Prekey(1, 2**33, b"k" * 32, b"s" * 64)
MOST = 30  # so that mailboxes and shares fill up
person = st.sampled_from(PEOPLE)
sizes = st.sampled_from([10, 10, 10, 60, 250])


class Message:
    """What the model knows of one message."""

    def __init__(self, sender: bytes, recipient: bytes, delivery: bytes, payload: bytes, order: int) -> None:
        self.sender = sender
        self.recipient = recipient
        self.id = delivery
        self.payload = payload
        self.order = order
        self.failed = False  # its sender was told that it was not taken, or a crash took it from memory
        self.acknowledged = False
        self.answered = False

    @property
    def key(self) -> bytes:
        return self.sender + self.recipient + self.id


class Connection:
    """A login, and what came over it."""

    def __init__(self, desk: Desk, wire: Wire) -> None:
        self.desk = desk
        self.wire = wire
        self.delivered: list[Message] = []
        self.acknowledged = 0


class Mailboxes(RuleBasedStateMachine):
    """The machine. `folder`: on SQLite there, else in memory."""

    folder: Path | None = None

    def __init__(self) -> None:
        super().__init__()
        self.patches = [
            mock.patch.object(limits, "WINDOW_DELIVERIES", 4),
            mock.patch.object(limits, "WINDOW_BYTES", 300),
            mock.patch.object(delivery, "BATCH", 6),
            mock.patch.object(delivery, "BATCH_BYTES", 400),
            mock.patch.object(holding, "HELD_BYTES", 1_500),
            mock.patch.object(holding, "HELD_BY_ONE", 600),
        ]
        for patch in self.patches:
            patch.start()
        self.messages: dict[bytes, Message] = {}
        self.online: dict[bytes, Connection] = {}
        self.taken: set[bytes] = set()  # acknowledged since the last crash
        self.count = 0

    @initialize()
    def begin(self) -> None:
        self.storage = self.new_storage()
        self.storage.open()
        for one in PEOPLE:
            self.storage.publish(one, Publication(b"x" * 32, b"y" * 64, KEY, KEY), 0)
        self.open_office(Timers())

    def open_office(self, timers: Timers) -> None:
        self.bench = Bench(self.storage, timers)
        refuse = self.bench.office._refuse

        def seen(envelope: Envelope, code: ErrorCode, retry_after: float | None) -> None:
            # Its sender may be gone and never read that it was refused, but then repeats it, and it has a new
            # place.
            self.messages[envelope.key].failed = True
            refuse(envelope, code, retry_after)

        self.bench.office._refuse = seen  # type: ignore[method-assign]

    def new_storage(self) -> Storage:
        if self.folder is None:
            return MemoryStorage(MOST)
        return SqliteStorage(Path(tempfile.mkdtemp(dir=self.folder)) / "m.db", MOST)

    # ------------------------------------------------------------ what people do

    @rule(who=person)
    def log_in(self, who: bytes) -> None:
        wire = Wire()
        office = self.bench.office
        found: list[tuple[Desk, Desk | None]] = []
        held = [*office._committing, *office._waiting.values()]
        rows: set[bytes] = set()

        def look(identity: bytes) -> Mailbox:
            rows.update(self.stored_keys())
            return real(identity)

        def done(mailbox: Mailbox | None, _error: Exception | None) -> None:
            assert mailbox is not None
            waiting = [self.messages[key] for key in rows if key not in self.taken]
            count = sum(message.recipient == who for message in waiting)
            assert office.unread(who, mailbox) == count, "told to wait"
            for message in (self.messages[one.key] for one in held if one.recipient == who):
                assert message.key in rows or message.acknowledged or message.failed, "not counted"
            found.append(office.attach(who, wire, mailbox))

        real = self.storage.mailbox
        with mock.patch.object(self.storage, "mailbox", look):
            office.look(who, done)
            while not found:
                assert self.bench.jobs.execute() or self.bench.jobs.report()
        desk, replaced = found[0]
        old = self.online.get(who)
        assert (replaced is None) == (old is None)
        if old is not None:
            self.read(old)
            self.late = old
        self.online[who] = Connection(desk, wire)
        self.bench.office.begin(desk)

    @rule(who=person)
    def log_out(self, who: bytes) -> None:
        gone = self.online.pop(who, None)
        if gone is not None:
            self.read(gone)
            self.bench.office.detach(gone.desk)

    @precondition(lambda self: self.online)
    @rule(data=st.data(), to=st.sampled_from([*PEOPLE, NOBODY]), size=sizes)
    def send(self, data: st.DataObject, to: bytes, size: int) -> None:
        who = data.draw(st.sampled_from(sorted(self.online)))
        self.count += 1
        message = Message(
            who, to, self.count.to_bytes(16, "big"), bytes([self.count % 256]) * size, self.count
        )
        self.messages[message.key] = message
        self.post(message)

    @precondition(lambda self: self.online and self.messages)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        mine = [key for key, message in self.messages.items() if message.sender in self.online]
        if mine:
            self.post(self.messages[data.draw(st.sampled_from(mine))])

    def post(self, message: Message) -> None:
        connection = self.online[message.sender]
        self.bench.office.accept(connection.desk, None, message.recipient, message.id, message.payload)

    @precondition(lambda self: self.online)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        connection = self.online[data.draw(st.sampled_from(sorted(self.online)))]
        self.read(connection)
        if len(connection.delivered) > connection.acknowledged:
            tag = data.draw(st.integers(connection.acknowledged + 1, len(connection.delivered)))
            for message in connection.delivered[connection.acknowledged : tag]:
                message.acknowledged = True
                self.taken.add(message.key)
            connection.acknowledged = tag
            assert self.bench.office.acknowledge(connection.desk, tag)

    @precondition(lambda self: self.online)
    @rule(data=st.data(), beyond=st.integers(1, 5))
    def acknowledge_what_never_was(self, data: st.DataObject, beyond: int) -> None:
        connection = self.online[data.draw(st.sampled_from(sorted(self.online)))]
        assert not self.bench.office.acknowledge(connection.desk, connection.desk.tag + beyond)

    @precondition(lambda self: hasattr(self, "late"))
    @rule()
    def the_replaced_login_speaks_and_closes_late(self) -> None:
        before = len(self.storage.page(self.late.desk.identity, 0, 10**6, 10**9).rows)
        self.bench.office.acknowledge(self.late.desk, self.late.desk.tag)
        self.bench.office.detach(self.late.desk)
        assert len(self.storage.page(self.late.desk.identity, 0, 10**6, 10**9).rows) == before
        assert not self.late.wire.frames
        del self.late

    @precondition(lambda self: self.online)
    @rule(data=st.data(), slow=st.booleans())
    def read_slowly(self, data: st.DataObject, slow: bool) -> None:
        connection = self.online[data.draw(st.sampled_from(sorted(self.online)))]
        connection.wire.slow = slow
        if not slow:
            self.bench.office.pump(connection.desk)

    # ------------------------------------------------------------ what the machine does

    @rule()
    def execute(self) -> None:
        self.bench.jobs.execute()

    @rule()
    def execute_and_fail(self) -> None:
        self.bench.jobs.execute(fail=True)

    @rule()
    def report(self) -> None:
        self.bench.jobs.report()

    @rule()
    def fire(self) -> None:
        self.bench.timers.fire()

    @rule()
    def crash(self) -> None:
        self.read_all()
        self.online.clear()
        self.taken.clear()
        if hasattr(self, "late"):
            del self.late
        stored = self.stored_keys()
        for message in self.messages.values():
            message.failed |= message.key not in stored  # repeated, it has a new place
        timers = Timers()
        timers.now = self.bench.timers.now
        self.open_office(timers)

    # ------------------------------------------------------------ what must hold

    def stored_keys(self) -> set[bytes]:
        return {
            row.sender + one + row.delivery
            for one in PEOPLE
            for row in self.storage.page(one, 0, 10**6, 10**9).rows
        }

    def read_all(self) -> None:
        for connection in self.online.values():
            self.read(connection)

    def read(self, connection: Connection) -> None:
        """Take what was written to a connection, and check all of it."""
        while connection.wire.frames:
            frame = connection.wire.frames.popleft()
            if isinstance(frame, Delivery):
                self.delivered(connection, frame)
            elif isinstance(frame, Accepted):
                message = self.sent_by(connection, frame.id)
                message.answered = True
                # The promise: acknowledged means that the recipient has it, or that it is a row.
                assert message.acknowledged or message.key in self.stored_keys(), "acknowledged too early"
            else:
                assert isinstance(frame, Error)
                assert frame.id is not None
                assert self.sent_by(connection, frame.id).failed

    def sent_by(self, connection: Connection, delivery: bytes) -> Message:
        (message,) = (
            one
            for one in self.messages.values()
            if one.sender == connection.desk.identity and one.id == delivery
        )
        return message

    def delivered(self, connection: Connection, frame: Delivery) -> None:
        message = self.messages[frame.sender + connection.desk.identity + frame.id]
        assert frame.payload == message.payload
        assert frame.tag == len(connection.delivered) + 1
        assert message not in connection.delivered, "twice on one connection"
        connection.delivered.append(message)
        open_ones = connection.delivered[connection.acknowledged :]
        assert len(open_ones) <= limits.WINDOW_DELIVERIES
        assert len(open_ones) == 1 or sum(len(one.payload) for one in open_ones) <= limits.WINDOW_BYTES
        orders = [one.order for one in connection.delivered if not one.failed]
        assert orders == sorted(orders), f"out of order: {orders}"

    @invariant()
    def promises_hold(self) -> None:
        if hasattr(self, "bench"):
            self.read_all()

    def teardown(self) -> None:
        try:
            if hasattr(self, "bench"):
                self.everything_arrives()
        finally:
            for patch in self.patches:
                patch.stop()
            if hasattr(self, "storage"):
                self.storage.close()

    def everything_arrives(self) -> None:
        """The disk works, everybody logs in and reads, senders repeat what was not answered: then all is
        shown, and nothing is left.
        """
        self.read_all()
        for who in PEOPLE:
            if who not in self.online:
                self.log_in(who)
            self.online[who].wire.slow = False
        for _ in range(200):
            for connection in self.online.values():
                self.bench.office.pump(connection.desk)
            self.bench.settle()
            self.read_all()
            for connection in self.online.values():
                for message in connection.delivered[connection.acknowledged :]:
                    message.acknowledged = True
                connection.acknowledged = len(connection.delivered)
                self.bench.office.acknowledge(connection.desk, connection.acknowledged)
            again = [one for one in self.messages.values() if not one.answered and one.recipient != NOBODY]
            for message in again:
                self.post(message)
            if not again and not self.stored_keys():
                break
        self.bench.settle()
        self.read_all()
        real = [one for one in self.messages.values() if one.recipient != NOBODY]
        assert all(one.acknowledged for one in real), "acknowledged to its sender, and lost"
        assert all(one.answered for one in real)
        lost = [one for one in self.messages.values() if one.recipient == NOBODY]
        assert not any(one.answered for one in lost), (
            "acknowledged to its sender, though there is no recipient"
        )
        assert not self.stored_keys()
        office = self.bench.office
        assert (office._live, office._waiting) == ({}, {})
        assert (office._holding.held, office._holding.holding) == (0, {})
        assert not any(connection.wire.held for connection in self.online.values())


def run(machine: type[Mailboxes], examples: int) -> None:
    # Long runs and no shrinking: one that fails is printed whole, and shrinking it takes minutes.
    phases = [Phase.explicit, Phase.reuse, Phase.generate]
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=60, phases=phases)
    )


def test_mailboxes_in_memory() -> None:
    class InMemory(Mailboxes):
        pass

    run(InMemory, 5 * schedules())


def test_mailboxes_on_sqlite(tmp_path: Path) -> None:
    class OnSqlite(Mailboxes):
        folder = tmp_path

    run(OnSqlite, schedules())


def test_an_early_acknowledgement_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty(Mailboxes):
        pass

    monkeypatch.setattr(delivery.PostOffice, "_wait", early(delivery.PostOffice._wait))
    with pytest.raises(AssertionError, match=r"acknowledged (to|too)"):
        run(Faulty, 500)
