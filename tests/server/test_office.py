"""The post office by hand: when it commits, what it remembers, whom it makes wait."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mobium.protocol.messages import Accepted, Delivery, Error
from mobium_server import holding, pace, recent
from mobium_server.envelope import Desk
from mobium_server.recent import Recent
from mobium_server.storage.base import Gone, Mailbox, NewMessage, Prekey, Publication, Refused, Taken
from mobium_server.storage.memory import MemoryStorage
from tests.support.clocks import Seconds
from tests.support.office import Bench, Wire

ANNA, BEN, CARL = (letter * 32 for letter in (b"a", b"b", b"c"))
KEY = Prekey(1, 2**33, b"k" * 32, b"s" * 64)


class Counting(MemoryStorage):
    """Counts transactions."""

    def __init__(self) -> None:
        super().__init__(100_000)
        self.commits: list[tuple[int, int]] = []
        for one in (ANNA, BEN, CARL):
            self.publish(one, Publication(b"x" * 32, b"y" * 64, KEY, KEY), 0)

    def apply(self, inserts: Sequence[NewMessage], deletes: Sequence[Taken], now: int) -> list[int | Refused]:
        self.commits.append((len(inserts), len(deletes)))
        return super().apply(inserts, deletes, now)


@pytest.fixture
def storage() -> Counting:
    return Counting()


@pytest.fixture
def bench(storage: Counting) -> Bench:
    return Bench(storage)


def log_in(bench: Bench, who: bytes) -> tuple[Desk, int]:
    """A login as the hub does it; returns what it is told to wait. Whatever it asks for happens meanwhile."""
    found: list[tuple[Desk, int]] = []

    def done(mailbox: Mailbox | None, _error: Exception | None) -> None:
        assert mailbox is not None
        count = bench.office.unread(who, mailbox)
        found.append((bench.office.attach(who, Wire(), mailbox)[0], count))

    bench.office.look(who, done)
    while not found:
        assert bench.jobs.report() or bench.jobs.execute(), "a login waits for no timer"
    bench.office.begin(found[0][0])
    return found[0]


def online(bench: Bench, who: bytes) -> tuple[Desk, Wire]:
    wire = Wire()
    desk, _ = bench.office.attach(who, wire, bench.storage.mailbox(who))
    bench.office.begin(desk)
    return desk, wire


def post(bench: Bench, desk: Desk, number: int, to: bytes = BEN, payload: bytes = b"p") -> None:
    bench.office.accept(desk, None, to, number.to_bytes(16, "big"), payload)


def answers(wire: Wire) -> list[int]:
    """The numbers of the messages that were acknowledged."""
    found = [int.from_bytes(frame.id, "big") for frame in wire.frames if isinstance(frame, Accepted)]
    wire.frames.clear()
    return found


def test_what_comes_within_a_tick_is_one_transaction(bench: Bench, storage: Counting) -> None:
    anna, wire = online(bench, ANNA)
    for i in range(100):
        post(bench, anna, i)
    assert not bench.jobs.waiting
    bench.timers.fire()
    assert bench.timers.now == pytest.approx(1_000 + pace.TICK)
    bench.jobs.execute()
    assert storage.commits == [(100, 0)]
    assert answers(wire) == [], "committed, but nobody knows it yet"
    bench.jobs.report()
    assert answers(wire) == list(range(100))


def test_512_do_not_wait_for_the_tick(bench: Bench, storage: Counting) -> None:
    anna, _ = online(bench, ANNA)
    for i in range(pace.BATCH):
        post(bench, anna, i)
    assert len(bench.jobs.waiting) == 1
    # While it is being written the next gather, and follow in one transaction.
    for i in range(pace.BATCH, 2 * pace.BATCH + 10):
        post(bench, anna, i)
    assert len(bench.jobs.waiting) == 1
    bench.settle()
    assert storage.commits == [(512, 0), (522, 0)]


def test_a_transaction_is_bounded_in_bytes(bench: Bench, storage: Counting) -> None:
    anna, _ = online(bench, ANNA)
    for i in range(10):
        post(bench, anna, i, payload=bytes(1 << 20))
    bench.settle()
    assert storage.commits == [(4, 0), (4, 0), (2, 0)]


def test_an_acknowledgement_before_the_commit_spares_the_disk(bench: Bench, storage: Counting) -> None:
    anna, senders = online(bench, ANNA)
    ben, recipients = online(bench, BEN)
    for i in range(5):
        post(bench, anna, i)
    assert [frame.tag for frame in recipients.frames if isinstance(frame, Delivery)] == [1, 2, 3, 4, 5]
    bench.office.acknowledge(ben, 3)
    assert answers(senders) == [], "answers leave with the tick"
    bench.timers.fire()
    assert answers(senders) == [0, 1, 2]
    bench.jobs.execute()
    assert storage.commits == [(2, 0)]
    # Acknowledged while they are being written: answered, and deleted afterwards.
    bench.office.acknowledge(ben, 5)
    bench.jobs.report()
    assert answers(senders) == [3, 4]
    bench.settle()
    assert storage.commits == [(2, 0), (0, 2)]
    assert storage.mailbox(BEN).waiting == 0


def test_acknowledged_rows_are_deleted_with_the_next_messages(bench: Bench, storage: Counting) -> None:
    anna, _ = online(bench, ANNA)
    for i in range(5):
        post(bench, anna, i)
    bench.settle()
    ben, _ = online(bench, BEN)
    bench.settle()
    bench.office.acknowledge(ben, 5)
    post(bench, anna, 9, CARL)
    bench.timers.fire()
    bench.jobs.execute()
    assert storage.commits == [(5, 0), (1, 5)]


def test_a_failed_commit_is_told_and_not_repeated_by_itself(bench: Bench, storage: Counting) -> None:
    anna, wire = online(bench, ANNA)
    post(bench, anna, 1)
    bench.timers.fire()
    bench.jobs.execute(fail=True)
    bench.jobs.report()
    (error,) = wire.frames
    assert isinstance(error, Error)
    assert (error.code, error.id, error.retry_after) == ("storage", (1).to_bytes(16, "big"), 2.0)
    bench.settle()
    assert storage.commits == []
    assert bench.health.failures == 1


def test_deletes_that_failed_are_tried_again_with_patience(bench: Bench, storage: Counting) -> None:
    anna, _ = online(bench, ANNA)
    post(bench, anna, 1)
    bench.settle()
    ben, _ = online(bench, BEN)
    bench.settle()
    bench.office.acknowledge(ben, 1)
    begin = bench.timers.now
    for _ in range(5):
        bench.timers.fire()
        bench.jobs.execute(fail=True)
        bench.jobs.report()
    assert bench.timers.now - begin >= 4 * pace.RETRY_AFTER
    # In between the row is not handed out again on this connection, nor to a newer login.
    _, wire = online(bench, BEN)
    assert bench.jobs.execute()
    assert bench.jobs.report()
    assert not wire.frames
    bench.settle()
    assert storage.mailbox(BEN).waiting == 0


def test_a_sender_is_made_to_wait_and_let_go_again(bench: Bench) -> None:
    anna, wire = online(bench, ANNA)
    carl, other = online(bench, CARL)
    for i in range(5):
        post(bench, anna, i, payload=bytes(1 << 20))
    assert (wire.held, other.held) == (True, False)
    post(bench, carl, 9)
    assert not other.held, "only who sends so much waits"
    bench.settle()
    assert not wire.held
    assert (anna.held, carl.held) == (0, 0)


def test_all_senders_wait_when_memory_is_full(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "HELD_BYTES", 3 << 20)
    anna, wire = online(bench, ANNA)
    carl, other = online(bench, CARL)
    for i in range(3):
        post(bench, anna, i, payload=bytes(1 << 20))
    post(bench, carl, 9, payload=bytes(1 << 20))
    assert (wire.held, other.held) == (False, True)
    bench.settle()
    assert not other.held


def test_a_held_connection_that_ends_is_forgotten(bench: Bench) -> None:
    anna, wire = online(bench, ANNA)
    for i in range(5):
        post(bench, anna, i, payload=bytes(1 << 20))
    bench.office.detach(anna)
    bench.settle()
    assert wire.held, "nobody touches a connection that is gone"
    assert not answers(wire)


def test_a_slow_socket_gets_nothing_more_and_the_rest_waits_on_disk(bench: Bench, storage: Counting) -> None:
    anna, senders = online(bench, ANNA)
    ben, recipients = online(bench, BEN)
    post(bench, anna, 1)
    recipients.slow = True
    for i in range(2, 50):
        post(bench, anna, i)
    bench.settle()
    assert len(recipients.frames) == 1
    assert answers(senders) == list(range(1, 50))
    assert storage.mailbox(BEN).waiting == 49
    recipients.slow = False
    bench.office.pump(ben)
    bench.settle()
    tags = [frame.tag for frame in recipients.frames if isinstance(frame, Delivery)]
    assert tags == list(range(1, 50))


def test_draining_commits_and_answers_at_once(bench: Bench, storage: Counting) -> None:
    anna, wire = online(bench, ANNA)
    ben, _ = online(bench, BEN)
    post(bench, anna, 1)
    bench.office.acknowledge(ben, 1)
    post(bench, anna, 2)
    drained: list[bool] = []
    bench.office.drain(lambda: drained.append(True))
    assert answers(wire) == [1]
    assert not drained
    bench.jobs.execute()
    bench.jobs.report()
    assert answers(wire) == [2]
    assert drained == [True]
    assert storage.commits == [(1, 0)]


def test_draining_a_broken_storage_ends(bench: Bench) -> None:
    anna, wire = online(bench, ANNA)
    post(bench, anna, 2)
    drained: list[bool] = []
    bench.office.drain(lambda: drained.append(True))
    bench.jobs.execute(fail=True)
    bench.jobs.report()
    assert drained == [True]
    assert [frame.code for frame in wire.frames if isinstance(frame, Error)] == ["storage"]


def test_draining_while_something_is_being_written(bench: Bench, storage: Counting) -> None:
    anna, wire = online(bench, ANNA)
    post(bench, anna, 1)
    bench.timers.fire()
    post(bench, anna, 2)
    drained: list[bool] = []
    bench.office.drain(lambda: drained.append(True))
    for _ in range(2):
        assert not drained
        bench.jobs.execute()
        bench.jobs.report()
    assert drained == [True]
    assert answers(wire) == [1, 2]
    assert storage.commits == [(1, 0), (1, 0)]


# ---------------------------------------------------------------- what waits at a login


def test_a_login_counts_what_waits_in_memory(bench: Bench, storage: Counting) -> None:
    anna, _ = online(bench, ANNA)
    post(bench, anna, 1)
    post(bench, anna, 2, CARL)
    assert log_in(bench, BEN)[1] == 1
    assert storage.commits == [(2, 0)]


def test_a_login_counts_what_is_being_written(bench: Bench, storage: Counting) -> None:
    anna, _ = online(bench, ANNA)
    post(bench, anna, 1)
    bench.timers.fire()  # the commit is asked for
    post(bench, anna, 2)  # and this waits for the next one
    assert log_in(bench, BEN)[1] == 2
    assert storage.commits == [(1, 0), (1, 0)]


def test_a_login_waits_for_as_many_commits_as_it_takes(bench: Bench, storage: Counting) -> None:
    anna, _ = online(bench, ANNA)
    for i in range(6):
        post(bench, anna, i, payload=bytes(1 << 20))
    assert log_in(bench, BEN)[1] == 6
    assert storage.commits == [(4, 0), (2, 0)]


def test_a_login_counts_nothing_that_was_acknowledged(bench: Bench, storage: Counting) -> None:
    anna, _ = online(bench, ANNA)
    for i in range(3):
        post(bench, anna, i)
    bench.settle()
    ben, _ = online(bench, BEN)
    bench.settle()
    bench.office.acknowledge(ben, 2)
    bench.office.detach(ben)
    assert storage.mailbox(BEN).waiting == 3, "they are deleted a little later"
    assert log_in(bench, BEN)[1] == 1


def test_a_login_counts_nothing_that_is_acknowledged_meanwhile(bench: Bench) -> None:
    anna, _ = online(bench, ANNA)
    ben, _ = online(bench, BEN)
    post(bench, anna, 1)
    bench.timers.fire()
    bench.office.acknowledge(ben, 1)  # while it is being written
    assert log_in(bench, BEN)[1] == 0
    post(bench, anna, 2)
    bench.settle()
    assert log_in(bench, BEN)[1] == 1


def test_a_login_counts_a_repeated_message_once(bench: Bench, storage: Counting) -> None:
    anna, _ = online(bench, ANNA)
    post(bench, anna, 1)
    bench.settle()
    post(bench, anna, 1)  # its sender has not heard the answer
    assert log_in(bench, BEN)[1] == 1
    assert storage.commits == [(1, 0), (1, 0)]


def test_a_login_counts_nothing_that_was_refused(bench: Bench) -> None:
    anna, wire = online(bench, ANNA)
    post(bench, anna, 1)
    bench.timers.fire()
    bench.jobs.execute(fail=True)
    assert log_in(bench, BEN)[1] == 0
    assert [frame.code for frame in wire.frames if isinstance(frame, Error)] == ["storage"]


# ---------------------------------------------------------------- what is remembered


def test_an_answer_is_remembered_for_ten_minutes() -> None:
    clock = Seconds()
    memory = Recent(clock)
    digests = []
    for second in range(0, 3_000, 7):
        clock.now = float(second)
        digest = memory.digest(second.to_bytes(80, "big"))
        digests.append((second, digest))
        memory.add(digest)
        for then, old in digests:
            if second - then <= 600:
                assert old in memory
            elif second - then > 600 + 2 * 600 / recent.MEMORY_STEPS + 14:
                assert old not in memory
    assert len(memory) < 120


def test_what_is_remembered_says_nothing() -> None:
    one, other = Recent(Seconds()), Recent(Seconds())
    key = ANNA + BEN + bytes(16)
    assert len(one.digest(key)) == 16
    assert one.digest(key) != other.digest(key), "each server process has a secret of its own"
    assert ANNA[:4] not in one.digest(key)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MEMORY_MOST", 1_000)
    clock = Seconds()
    memory = Recent(clock)
    for i in range(10_000):
        clock.now += 1
        memory.add(memory.digest(i.to_bytes(8, "big")))
        assert len(memory) <= 1_000
    burst = Recent(Seconds())
    for i in range(10_000):
        burst.add(burst.digest(i.to_bytes(8, "big")))
        assert len(burst) <= 1_000


def test_an_expired_message_stays_answered(bench: Bench, storage: Counting) -> None:
    anna, wire = online(bench, ANNA)
    post(bench, anna, 1)
    bench.settle()
    gone = storage.expire(2**40, 10)
    assert gone == [Gone(BEN, ANNA, (1).to_bytes(16, "big"))]
    bench.office.forget(gone)
    answers(wire)
    post(bench, anna, 1)
    bench.settle()
    assert answers(wire) == [1]
    assert storage.mailbox(BEN).waiting == 0
