"""Keys of voice rooms: who opens what, whatever comes when (docs/CRYPTO.md section 8)."""

from __future__ import annotations

import heapq
import itertools
import os
import random
from typing import Any

import msgspec
import pytest

from mobium.client.room_keys import Handing, OpenedFrame, OwnKey, TheirKeys
from mobium.crypto.media import MediaKey, MediaKind

ROOM = b"r" * 32
VOICE, SCREEN = MediaKind.VOICE, MediaKind.SCREEN
A, B, C = b"a" * 32, b"b" * 32, b"c" * 32


def own(me: bytes = A, kind: MediaKind = VOICE, now: float = 0.0) -> OwnKey:
    return OwnKey(kind, ROOM, me, now)


def theirs(*members: bytes) -> TheirKeys:
    keys = TheirKeys(ROOM)
    keys.set_members(members)
    return keys


def handed(handings: list[Handing], peer: bytes) -> list[MediaKey]:
    return [handing.key for handing in handings if handing.peer == peer]


def plain(frame: OpenedFrame | None) -> bytes | None:
    return None if frame is None else frame.plaintext


class TestEntering:
    def test_whoever_is_there_is_handed_the_key_and_opens(self) -> None:
        sender, reader = own(), theirs(A)
        [key] = handed(sender.set_members([A, B], 0.0), B)
        assert reader.take(A, VOICE, key, 0.0) == []
        assert plain(reader.open(A, VOICE, sender.seal(b"one"), 0.0)) == b"one"

    def test_a14_whoever_enters_opens_nothing_that_was_sealed_before(self) -> None:
        sender, reader = own(), theirs(A)
        sender.set_members([B], 0.0)
        before = [sender.seal(b"before") for _ in range(3)]
        [key] = handed(sender.set_members([B, C], 1.0), C)
        reader.take(A, VOICE, key, 1.0)
        assert [reader.open(A, VOICE, frame, 1.0) for frame in before] == [None] * 3
        assert plain(reader.open(A, VOICE, sender.seal(b"after"), 1.0)) == b"after"

    def test_the_others_follow_without_a_word(self) -> None:
        sender, reader = own(), theirs(A)
        [key] = handed(sender.set_members([B], 0.0), B)
        reader.take(A, VOICE, key, 0.0)
        late = sender.seal(b"late")
        for entered in range(8):
            handings = sender.set_members([B, *(bytes([n]) * 32 for n in range(entered + 1))], 1.0)
            assert handed(handings, B) == []
        assert plain(reader.open(A, VOICE, sender.seal(b"after"), 1.0)) == b"after"
        assert plain(reader.open(A, VOICE, late, 2.0)) == b"late", "the previous key is kept"

    def test_one_who_is_silent_makes_a_new_key_before_others_lose_the_way(self) -> None:
        sender, reader = own(), theirs(A)
        members = [B]
        for key in handed(sender.set_members(members, 0.0), B):
            reader.take(A, VOICE, key, 0.0)
        now = 0.0
        for number in range(40):
            now += 0.01
            members.append(bytes([number]) * 32)
            for key in handed(sender.set_members(members, now), B):
                reader.take(A, VOICE, key, now)
        now += 1.0
        sender.due(now)
        assert plain(reader.open(A, VOICE, sender.seal(b"at last"), now)) == b"at last"

    def test_whoever_has_spoken_meanwhile_goes_on_in_steps(self) -> None:
        sender = own()
        members = [B]
        sender.set_members(members, 0.0)
        generation = sender.kid >> 8
        for number in range(40):
            for _ in range(50):
                sender.seal(b"")
            members.append(bytes([number]) * 32)
            assert handed(sender.set_members(members, 1.0), B) == []
        assert sender.kid >> 8 == generation


class TestLeaving:
    def test_a13_whoever_has_left_opens_nothing_from_then_on(self) -> None:
        sender, gone, stays = own(), theirs(A), theirs(A)
        handings = sender.set_members([B, C], 0.0)
        gone.take(A, VOICE, handed(handings, C)[0], 0.0)
        stays.take(A, VOICE, handed(handings, B)[0], 0.0)
        handings = sender.set_members([B], 10.0)
        assert handed(handings, C) == []
        [key] = handed(handings, B)
        stays.take(A, VOICE, key, 10.0)
        sender.acknowledged(B, key.kid, 10.1)
        frame = sender.seal(b"among us")
        assert gone.open(A, VOICE, frame, 10.1) is None
        assert plain(stays.open(A, VOICE, frame, 10.1)) == b"among us"

    def test_a_word_that_comes_late_takes_no_new_key_from_anybody(self) -> None:
        """Another has left, and time has been short: the key that follows is handed over all the same."""
        sender = own()
        sender.set_members([B, C, b"d" * 32], 0.0)
        [key] = handed(sender.set_members([B, C], 10.0), B)
        sender.set_members([B], 10.1)
        sender.acknowledged(B, key.kid, 12.5)
        [follows] = handed(sender.due(12.5), B)
        sender.acknowledged(B, follows.kid, 12.6)
        assert sender.kid == follows.kid

    def test_the_new_key_is_used_when_acknowledged_or_after_half_a_second(self) -> None:
        sender = own()
        sender.set_members([B, C], 0.0)
        old = sender.kid
        [key] = handed(sender.set_members([B], 10.0), B)
        assert sender.next_time() == 10.5
        sender.due(10.4)
        assert sender.kid == old
        sender.due(10.5)
        assert sender.kid == key.kid
        assert sender.next_time() is None

    def test_two_departures_in_a_row_cost_two_keys_in_two_seconds(self) -> None:
        sender = own()
        everybody = [bytes([number]) * 32 for number in range(1, 12)]
        sender.set_members(everybody, 0.0)
        given = []
        now = 10.0
        while len(everybody) > 1:
            everybody.pop()
            given += handed(sender.set_members(everybody, now), everybody[0])
            now += 0.1
        given += handed(sender.due(12.0), everybody[0])
        assert len(given) == 2
        sender.due(12.5)
        assert sender.kid == given[-1].kid

    def test_whoever_leaves_while_a_key_is_on_its_way_does_not_keep_it(self) -> None:
        sender = own()
        sender.set_members([B, C], 0.0)
        [key] = handed(sender.set_members([C], 10.0), C)
        handings = sender.set_members([], 10.1)
        assert handings == []
        sender.due(12.1)
        assert sender.kid not in (key.kid, 0)
        assert sender.next_time() is None

    def test_a13_others_who_leave_again_and_again_keep_no_removed_one_in(self) -> None:
        """The server withholds every acknowledgement, and shows somebody leaving just after each new key."""
        sender, gone = own(), theirs(A)
        others = [bytes([number]) * 32 for number in range(1, 60)]
        for key in handed(sender.set_members([B, *others], 0.0), B):
            gone.take(A, VOICE, key, 0.0)
        sender.set_members(others, 10.0)
        now, opened = 10.0, []
        while now < 70:
            now += 0.02
            drawn = sender.due(now)
            if drawn:
                others.pop()
                sender.set_members(others, now + 0.01)
            if gone.open(A, VOICE, sender.seal(b""), now) is not None:
                opened.append(now)
        assert max(opened) <= 12.5

    def test_whoever_enters_while_a_key_is_on_its_way_is_handed_both(self) -> None:
        sender, reader = own(), theirs(A)
        sender.set_members([B, C], 0.0)
        sender.set_members([B], 10.0)
        for key in handed(sender.set_members([B, C], 10.2), C):
            reader.take(A, VOICE, key, 10.2)
        assert plain(reader.open(A, VOICE, sender.seal(b"x"), 10.2)) == b"x"
        sender.due(10.5)
        assert plain(reader.open(A, VOICE, sender.seal(b"y"), 10.5)) == b"y"


class TestOpening:
    def test_a15_a_frame_opens_once_in_its_room_of_its_sender_and_kind(self) -> None:
        sender = own()
        [key] = handed(sender.set_members([B], 0.0), B)
        reader = theirs(A, C)
        reader.take(A, VOICE, key, 0.0)
        frame = sender.seal(b"once")
        assert plain(reader.open(A, VOICE, frame, 0.0)) == b"once"
        assert reader.open(A, VOICE, frame, 0.0) is None
        assert reader.dropped["duplicate"] == 1
        for who, kind in ((C, VOICE), (A, SCREEN)):
            reader.take(who, kind, key, 0.0)  # even under that key
            assert reader.open(who, kind, sender.seal(b"moved"), 0.0) is None
        elsewhere = TheirKeys(b"x" * 32)
        elsewhere.set_members([A])
        elsewhere.take(A, VOICE, key, 0.0)
        assert elsewhere.open(A, VOICE, sender.seal(b"moved"), 0.0) is None

    def test_a_frame_waits_half_a_second_for_its_key(self) -> None:
        sender, reader = own(), theirs(A)
        [key] = handed(sender.set_members([B], 0.0), B)
        late = sender.seal(b"too late")
        assert reader.open(A, VOICE, late, 0.0) is None
        early = [sender.seal(bytes([number])) for number in range(3)]
        assert [reader.open(A, VOICE, frame, 0.4) for frame in early] == [None] * 3
        assert reader.missing(0.4) == []
        assert reader.missing(0.5) == [(A, VOICE)]
        opened = reader.take(A, VOICE, key, 0.6)
        assert [frame.plaintext for frame in opened] == [bytes([number]) for number in range(3)]

    def test_a_key_that_is_missing_is_asked_for_less_and_less(self) -> None:
        sender, reader = own(), theirs(A)
        asked, now = 0, 0.0
        while now < 120:
            reader.open(A, VOICE, sender.seal(b""), now)
            asked += len(reader.missing(now))
            now += 0.02
        assert 4 <= asked <= 10

    def test_what_waits_is_bounded(self) -> None:
        sender, reader = own(kind=SCREEN), theirs(A)
        for number in range(100):
            reader.open(A, SCREEN, sender.seal(bytes(400_000)), number / 1000)
        source = reader._sources[A, SCREEN]
        assert sum(len(data) for _, _, data in source.waiting) == source.size <= 600 << 10
        for number in range(1000):
            reader.open(A, SCREEN, sender.seal(b""), number / 1000)
        assert len(source.waiting) <= 30

    def test_nobody_outside_is_heard(self) -> None:
        sender, reader = own(C), theirs(A)
        [key] = handed(sender.set_members([B], 0.0), B)
        assert reader.take(C, VOICE, key, 0.0) == []
        assert reader.open(C, VOICE, sender.seal(b"x"), 0.0) is None
        assert reader._sources == {}
        assert reader.open(A, VOICE, b"", 0.0) is None
        assert reader.open(A, VOICE, b"\xff" + bytes(144), 0.0) is None
        assert reader.dropped == {"key": 1, "duplicate": 0, "tag": 2}

    def test_a_key_that_comes_again_opens_nothing_again(self) -> None:
        sender, reader = own(), theirs(A)
        [key] = handed(sender.set_members([B], 0.0), B)
        reader.take(A, VOICE, key, 0.0)
        frame = sender.seal(b"once")
        assert plain(reader.open(A, VOICE, frame, 0.0)) == b"once"
        reader.take(A, VOICE, key, 0.0)
        assert reader.open(A, VOICE, frame, 0.0) is None
        for number in range(3):  # and not when it is forgotten, either
            sender.set_members([B, *(bytes([n]) * 32 for n in range(number + 1))], 1.0)
            assert plain(reader.open(A, VOICE, sender.seal(b"on"), 1.0)) == b"on"
        reader.open(A, VOICE, sender.seal(b"on"), 20.0)
        reader.take(A, VOICE, key, 20.0)
        assert reader.open(A, VOICE, frame, 20.0) is None

    def test_a_step_is_kept_only_after_a_frame_under_it_has_opened(self) -> None:
        sender, reader = own(), theirs(A)
        [key] = handed(sender.set_members([B], 0.0), B)
        reader.take(A, VOICE, key, 0.0)
        forged = bytearray(sender.seal(b"x" * 120))
        forged[4] += 5  # the step, of which nobody has sealed
        assert reader.open(A, VOICE, bytes(forged), 0.0) is None
        assert plain(reader.open(A, VOICE, sender.seal(b"on"), 20.0)) == b"on"
        assert len(reader._sources[A, VOICE].openers) == 1

    def test_the_previous_key_goes_after_ten_seconds(self) -> None:
        sender, reader = own(), theirs(A)
        [key] = handed(sender.set_members([B], 0.0), B)
        reader.take(A, VOICE, key, 0.0)
        reader.open(A, VOICE, sender.seal(b""), 0.0)
        late = [sender.seal(b"late") for _ in range(2)]
        sender.set_members([B, C], 1.0)
        reader.open(A, VOICE, sender.seal(b""), 1.0)
        assert plain(reader.open(A, VOICE, late[0], 10.9)) == b"late"
        assert reader.open(A, VOICE, late[1], 11.1) is None

    def test_it_goes_though_nothing_more_comes(self) -> None:
        sender, reader = own(), theirs(A)
        [key] = handed(sender.set_members([B], 0.0), B)
        reader.take(A, VOICE, key, 0.0)
        reader.open(A, VOICE, sender.seal(b""), 0.0)
        sender.set_members([B, C], 1.0)
        reader.open(A, VOICE, sender.seal(b""), 1.0)
        assert reader.next_time() == 11.0
        reader.missing(11.0)
        assert len(reader._sources[A, VOICE].openers) == 1
        assert reader.next_time() is None

    def test_a_key_that_came_before_its_sender_was_seen_to_come_again(self) -> None:
        before, after, reader = own(), own(), theirs(A)
        [key] = handed(before.set_members([B], 0.0), B)
        reader.take(A, VOICE, key, 0.0)
        old = [before.seal(b"before") for _ in range(2)]
        assert plain(reader.open(A, VOICE, old[0], 0.0)) == b"before"
        [key] = handed(after.set_members([B], 1.0), B)
        reader.take(A, VOICE, key, 1.0)
        reader.came_again(A)
        assert plain(reader.open(A, VOICE, after.seal(b"after"), 1.0)) == b"after"
        assert [reader.open(A, VOICE, frame, 1.0) for frame in old] == [None, None]

    def test_a_sender_with_many_keys_is_bounded(self) -> None:
        reader = theirs(A)
        for _ in range(1000):
            reader.take(A, VOICE, MediaKey.create(VOICE, ROOM, A), 0.0)
        source = reader._sources[A, VOICE]
        assert len(source.openers) <= 4
        assert len(source.steps) <= 256

    def test_whoever_asks_is_handed_the_key_if_he_is_in_the_room(self) -> None:
        sender, reader = own(), theirs(A)
        sender.set_members([B], 0.0)
        assert sender.handing(C) == []
        [again] = sender.handing(B)
        reader.take(A, VOICE, again.key, 0.0)
        assert plain(reader.open(A, VOICE, sender.seal(b"x"), 0.0)) == b"x"


# ---------------------------------------------------------------- random schedules


class Party(msgspec.Struct):
    """Somebody in the model's room, with what he was sent and has opened."""

    name: bytes
    since: float
    own: OwnKey
    theirs: TheirKeys
    opened: set[bytes]


class Rooms:
    """A room with a server in between: keys take up to 0.3 s, frames up to 0.1 s, both in order."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.present: dict[bytes, Party] = {}
        self.was: list[tuple[bytes, float, float]] = []
        self.events: list[tuple[float, int, str, tuple[Any, ...]]] = []
        self.order = itertools.count()
        self.last: dict[tuple[str, bytes, bytes], float] = {}
        self.sealed: dict[bytes, tuple[bytes, float, frozenset[bytes]]] = {}
        self.opened: list[tuple[bytes, bytes, float]] = []

    def later(self, delay: float, what: str, a: bytes, b: bytes, *more: Any) -> None:
        at = max(self.now + delay, self.last.get((what, a, b), 0.0))
        self.last[what, a, b] = at
        heapq.heappush(self.events, (at, next(self.order), what, (a, b, *more)))

    def hand(self, party: Party, handings: list[Handing]) -> None:
        for handing in handings:
            self.later(self.random.uniform(0, 0.3), "key", party.name, handing.peer, handing.key)

    def changed(self) -> None:
        names = frozenset(self.present)
        for party in self.present.values():
            party.theirs.set_members(names - {party.name})
            self.hand(party, party.own.set_members(names, self.now))

    def enter(self, name: bytes) -> None:
        party = Party(name, self.now, OwnKey(VOICE, ROOM, name, self.now), TheirKeys(ROOM), set())
        self.present[name] = party
        self.changed()

    def leave(self, name: bytes) -> None:
        party = self.present.pop(name)
        self.was.append((name, party.since, self.now))
        self.changed()

    def speak(self, name: bytes) -> None:
        party = self.present[name]
        word = next(self.order).to_bytes(8, "big")
        frame = party.own.seal(word)
        self.sealed[word] = (name, self.now, frozenset(self.present) - {name})
        for other in self.present:
            if other != name:
                self.later(self.random.uniform(0, 0.1), "frame", name, other, frame)

    def run(self, until: float) -> None:
        while self.now < until:
            self.now = round(self.now + 0.02, 6)
            while self.events and self.events[0][0] <= self.now:
                _, _, what, (a, b, load) = heapq.heappop(self.events)
                self.arrive(what, a, b, load)
            for party in list(self.present.values()):
                self.hand(party, party.own.due(self.now))
                for sender, _ in party.theirs.missing(self.now):
                    if sender in self.present:
                        self.hand(self.present[sender], self.present[sender].own.handing(party.name))

    def arrive(self, what: str, a: bytes, b: bytes, load: Any) -> None:
        reader = self.present.get(b)
        if reader is None:
            return
        if what == "key":
            frames = reader.theirs.take(a, VOICE, load, self.now)
            if a in self.present:
                self.present[a].own.acknowledged(b, load.kid, self.now)
        else:
            frame = reader.theirs.open(a, VOICE, load, self.now)
            frames = [] if frame is None else [frame]
        for each in frames:
            assert each.plaintext not in reader.opened
            reader.opened.add(each.plaintext)
            self.opened.append((b, each.plaintext, reader.since))


def schedule(seed: int) -> None:
    rooms = Rooms(seed)
    names = [bytes([number]) * 32 for number in range(1, 9)]
    for name in names[:2]:
        rooms.enter(name)
    rooms.run(1.0)
    calm_since = rooms.now
    calm: list[tuple[float, float]] = []
    for _ in range(rooms.random.randrange(20, 60)):
        act = rooms.random.random()
        absent = [name for name in names if name not in rooms.present]
        if act < 0.2 and absent:
            rooms.enter(rooms.random.choice(absent))
        elif act < 0.35 and len(rooms.present) > 2:
            rooms.leave(rooms.random.choice(sorted(rooms.present)))
        else:
            for name in rooms.random.sample(sorted(rooms.present), 2):
                for _ in range(rooms.random.randrange(1, 40)):
                    rooms.speak(name)
                    if rooms.random.random() < 0.2:
                        rooms.run(rooms.now + 0.02)
            rooms.run(rooms.now + rooms.random.choice((0.1, 1.0, 4.0)))
            continue
        calm.append((calm_since, rooms.now))
        calm_since = rooms.now
    rooms.run(rooms.now + 2.0)
    calm.append((calm_since, rooms.now))
    heard = {(who, word) for who, word, _ in rooms.opened}
    for word, (sender, at, audience) in rooms.sealed.items():
        for who in audience:
            quiet = any(begin + 3.0 <= at <= end - 0.7 for begin, end in calm)
            assert not quiet or (who, word) in heard, f"seed {seed}: {word!r} of {sender[:1]!r} at {at}"
    for who, word, since in rooms.opened:
        _, at, audience = rooms.sealed[word]
        assert at >= since - 1e-6, f"seed {seed}: opened what was sealed before the entrance"
        assert who in audience, f"seed {seed}: opened what was sealed when nobody of this name was there"


def test_random_schedules() -> None:
    begin = int(os.environ["MOBIUM_TEST_SEED"])
    for number in range(20):
        schedule(begin + number)


@pytest.mark.long
def test_hundreds_of_random_schedules() -> None:
    begin = int(os.environ["MOBIUM_TEST_SEED"])
    for number in range(500):
        schedule(begin + 1000 + number)
