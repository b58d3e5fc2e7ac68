"""Rosters in memory: read slice by slice, shared by all who ask meanwhile, given up for others, read again
after a fault. Storage jobs are moved by hand.
"""

from __future__ import annotations

from typing import cast

import pytest

from mobium.protocol.codes import ErrorCode
from mobium.protocol.roster import ZEROS, Access, Kind, Roster, build
from mobium.signing import SigningKey
from mobium_server import rooms
from mobium_server.health import Health
from mobium_server.rooms import Denied, Room, Rooms
from mobium_server.storage.base import StatementRow, Storage
from tests.support.office import Jobs

OWNER = SigningKey.from_seed(bytes(32))


def chain(number: int, length: int) -> list[bytes]:
    """The statements of an open channel whose owner renames it again and again."""
    data = bytes((Access.OPEN,)) + number.to_bytes(32, "big") + bytes(540)
    raws = [build(OWNER, Kind.CREATE, ZEROS, 0, ZEROS, OWNER.public, 0, data)]
    while len(raws) < length:
        now = Roster.load(raws, verify=False)
        at = (now.channel_id, now.index + 1, now.head)
        raws.append(build(OWNER, Kind.NAMES, *at, OWNER.public, 0, bytes(540)))
    return raws


class Shelf:
    """The part of a storage that rooms read; it counts how often."""

    def __init__(self) -> None:
        self.chains: dict[bytes, list[bytes]] = {}
        self.read: list[int] = []

    def put(self, raws: list[bytes]) -> bytes:
        channel = Roster.load(raws, verify=False).channel_id
        self.chains[channel] = raws
        return channel

    def statements(
        self, channel: bytes, start: int, end: int, max_rows: int, _max_bytes: int
    ) -> list[StatementRow]:
        self.read.append(start)
        found = self.chains.get(channel, [])[start : end + 1][:max_rows]
        return [StatementRow(start + at, raw) for at, raw in enumerate(found)]


class Bench:
    """Rooms whose storage is asked when told to."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.jobs = Jobs()
        self.health = Health()
        self.rooms = Rooms(cast("Storage", self.shelf), self.jobs, self.health)

    def step(self, *, fail: bool = False) -> bool:
        return self.jobs.execute(fail=fail) and self.jobs.report()

    def find(self, channel: bytes) -> list[Room | Denied]:
        """Ask for a room; what comes is put into the list that is returned."""
        found: list[Room | Denied] = []
        self.rooms.find(channel, found.append)
        return found

    def get(self, channel: bytes) -> Room:
        found = self.find(channel)
        while not found:
            assert self.step()
        room = found[0]
        assert isinstance(room, Room)
        return room


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("length", [1, 2, 3, 4, 6, 7])
def test_a_long_roster_is_read_in_slices(bench: Bench, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setattr(rooms, "SLICE", 3)
    raws = chain(1, length)
    channel = bench.shelf.put(raws)
    first, second = bench.find(channel), bench.find(channel)
    while bench.step():
        assert bool(first) is not bool(bench.jobs.waiting)
    assert first == second
    room = first[0]
    assert isinstance(room, Room)
    assert room.roster == Roster.load(raws, verify=False)
    # a last slice that is full is known to be the last by the empty one behind it
    assert bench.shelf.read == [*range(0, length + 1, 3)]
    assert bench.find(channel) == [room]
    assert not bench.jobs.waiting


def test_a_room_that_was_made_while_it_is_read_is_taken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "SLICE", 2)
    raws = chain(1, 5)
    found = bench.find(bench.shelf.put(raws))
    assert bench.step()
    made = bench.rooms.keep(Roster.load(raws, verify=False))
    assert bench.rooms.keep(Roster.load(raws[:3], verify=False)) is made
    assert bench.step()
    assert found == [made]


def test_what_is_not_there_or_cannot_be_read_is_told_to_all_who_ask(bench: Bench) -> None:
    first, second = bench.find(b"c" * 32), bench.find(b"c" * 32)
    assert bench.step()
    assert first == second == [Denied(ErrorCode.UNKNOWN_CHANNEL)]
    channel = bench.shelf.put(chain(1, 2))
    found = bench.find(channel)
    assert bench.step(fail=True)
    assert [one.code for one in found if isinstance(one, Denied)] == [ErrorCode.STORAGE]
    assert bench.health.failures == 1
    assert bench.get(channel).roster.index == 1
    assert not bench.health.failing


@pytest.mark.parametrize("limit", ["ROOMS", "STATEMENTS"])
def test_the_room_that_was_not_asked_for_longest_makes_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(rooms, limit, {"ROOMS": 3, "STATEMENTS": 6}[limit])
    channels = [bench.shelf.put(chain(number, 2)) for number in range(5)]
    made = {channel: bench.get(channel) for channel in channels[:3]}
    bench.get(channels[0])
    made[channels[3]] = bench.get(channels[3])
    assert len(bench.rooms) == 3
    here = [channel for channel in channels[:4] if bench.find(channel)]
    assert here == [channels[0], channels[2], channels[3]]
    assert bench.step()  # whoever asked for the one that made way has it again
    assert len(bench.rooms) == 3


def test_a_busy_room_stays_however_long_ago_it_was_asked_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "ROOMS", 1)
    one, other = (bench.shelf.put(chain(number, 1)) for number in (1, 2))
    room, ended = bench.get(one), []

    def turn() -> bool:
        bench.rooms.do(room, lambda: "done", lambda result, _error: ended.append(result))
        return True

    bench.rooms.take_turn(room, turn)
    found = bench.find(other)
    # its own job first: it is still busy when the other one comes
    busy = bench.jobs.waiting.popleft()
    assert bench.step()
    assert len(bench.rooms) == 2
    bench.jobs.waiting.append(busy)
    assert bench.step()
    assert (ended, room.busy, len(found)) == (["done"], False, 1)
    assert bench.find(one) == [room]


def test_a_room_that_is_dropped_is_read_again_and_counts_no_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "STATEMENTS", 4)
    raws = chain(1, 3)
    channel = bench.shelf.put(raws[:2])
    room = bench.get(channel)
    bench.shelf.put(raws)
    bench.rooms.drop(room)
    again = bench.get(channel)
    assert again is not room
    assert again.roster.index == 2
    bench.rooms.drop(room)  # it was dropped already: the newer one stays
    assert bench.find(channel) == [again]
    bench.rooms.move_on(room, room.roster)  # nor does it count any more
    bench.get(bench.shelf.put(chain(2, 1)))
    assert len(bench.rooms) == 2


@pytest.mark.parametrize("kept", [True, False])
def test_whoever_asks_while_a_channel_begins_waits_for_it(bench: Bench, kept: bool) -> None:
    raws = chain(1, 1)
    roster = Roster.begin(raws[0])
    channel = roster.channel_id
    said: list[str] = []

    def begun(result: str | None, _error: Exception | None) -> None:
        said.append(result or "failed")
        if kept:
            bench.rooms.keep(roster)

    bench.rooms.begin(channel, lambda: "stored", begun)
    found = bench.find(channel)
    idle = drained(bench.rooms)
    while bench.step():
        pass
    assert said == ["stored"]
    assert idle == [True]
    if kept:
        assert [one.roster for one in found if isinstance(one, Room)] == [roster]
        assert bench.shelf.read == []
    else:
        assert found == [Denied(ErrorCode.UNKNOWN_CHANNEL)]
        assert bench.shelf.read == [0]
    bench.rooms.begin(b"n" * 32, lambda: "stored", lambda _result, _error: None)
    assert bench.step()
    assert bench.find(b"n" * 32) == []
    assert bench.step()


def drained(found: Rooms) -> list[bool]:
    """Filled when everything that was begun is done."""
    idle: list[bool] = []
    found.drain(lambda: idle.append(True))
    return idle
