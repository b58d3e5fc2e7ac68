"""The part of a storage's contract that is about channels, over every storage there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mobium_server.storage.base import (
    Bounds,
    GonePost,
    HeldInvite,
    HistoryPage,
    Line,
    Mailbox,
    NewInvite,
    NewMessage,
    NewStatement,
    Posted,
    Publication,
    Refused,
    State,
    StatementRow,
    Storage,
    Taken,
)
from mobium_server.storage.memory import MemoryStorage
from mobium_server.storage.sqlite import SqliteStorage
from tests.server.channel_rows import (
    ANNA,
    BEN,
    BOUNDS,
    CARL,
    HALL,
    KEY,
    MOST,
    NOW,
    NOWHERE,
    OTHER,
    ROOM,
    TICKET,
    create,
    history,
    join,
    leave,
    numbers,
    post,
    rename,
    statement,
)


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    one: Storage = (
        MemoryStorage(MOST, BOUNDS)
        if request.param == "memory"
        else SqliteStorage(tmp_path / "mobium.db", MOST, bounds=BOUNDS)
    )
    one.open()
    yield one
    one.close()


# ---------------------------------------------------------------- statements


def test_statements_follow_on_each_other_and_take_numbers(storage: Storage) -> None:
    assert create(storage) == 1
    assert create(storage) is Refused.STALE
    assert join(storage, 1, BEN) == 2
    for wrong in (0, 1, 3, 7):
        assert rename(storage, wrong) is Refused.STALE
    assert storage.place(NewStatement(NOWHERE, 1, b"x"), None, NOW) is Refused.UNKNOWN
    assert rename(storage, 2) == 3
    rows = [StatementRow(index + 1, statement(ROOM, index)) for index in range(3)]
    assert storage.statements(ROOM, 0, 10, 10, 10**6) == rows
    assert storage.statements(ROOM, 1, 1, 10, 10**6) == rows[1:2]
    assert storage.statements(ROOM, 0, 10, 2, 10**6) == rows[:2]
    assert storage.statements(ROOM, 0, 10, 10, 4) == rows[:2]
    assert storage.statements(ROOM, 0, 10, 0, 0) == rows[:1]
    assert storage.statements(ROOM, 3, 10, 10, 10**6) == []
    assert storage.statements(NOWHERE, 0, 10, 10, 10**6) == []


def test_messages_and_statements_share_one_sequence(storage: Storage) -> None:
    create(storage)
    assert storage.post([post(1), post(2)], NOW) == [Posted(2, True), Posted(3, True)]
    assert join(storage, 1, BEN) == 4
    assert storage.post([post(3, who=BEN)], NOW) == [Posted(5, True)]
    assert history(storage) == HistoryPage(
        [
            Line(1, None, statement(ROOM, 0)),
            Line(2, ANNA, b"p"),
            Line(3, ANNA, b"p"),
            Line(4, None, statement(ROOM, 1)),
            Line(5, BEN, b"p"),
        ],
        5,
        5,
    )
    assert create(storage, HALL) == 1
    assert storage.post([post(1, channel=HALL), post(4)], NOW) == [Posted(2, True), Posted(6, True)]


def test_an_identity_is_in_so_many_channels(storage: Storage) -> None:
    names = [bytes([at]) * 32 for at in range(4)]
    assert [create(storage, name, BEN) for name in names[:3]] == [1, 1, 1]
    assert create(storage, names[3], BEN) is Refused.TOO_MANY
    assert storage.statements(names[3], 0, 1, 1, 1) == []
    create(storage)
    assert join(storage, 1, BEN) is Refused.TOO_MANY
    assert join(storage, 1, CARL) == 2, "nothing of the other was kept"
    new = NewStatement(names[0], 1, b"x", leaves=BEN, membership=True)
    storage.place(new, None, NOW)
    assert join(storage, 2, BEN) == 3
    assert storage.mailbox(BEN) == Mailbox(False, 0, (*names[1:3], ROOM))


# ---------------------------------------------------------------- messages


def test_only_members_who_know_who_reads_it_are_numbered(storage: Storage) -> None:
    create(storage)
    assert storage.post([post(1, channel=NOWHERE), post(1, who=BEN), post(1)], NOW) == [
        Refused.UNKNOWN,
        Refused.NOT_MEMBER,
        Posted(2, True),
    ]
    join(storage, 1, BEN)
    rename(storage, 2)
    assert storage.post([post(2, 0), post(3, 1), post(4, 0, BEN)], NOW) == [
        Refused.STALE,
        Posted(5, True),
        Refused.STALE,
    ]
    leave(storage, 3, BEN)
    assert storage.post([post(5, 9, BEN), post(6, 2), post(7, 3)], NOW) == [
        Refused.NOT_MEMBER,
        Refused.STALE,
        Posted(7, True),
    ]
    assert numbers(storage) == [1, 2, 3, 4, 5, 6, 7]


def test_a_message_has_one_number_whatever_became_of_its_sender(storage: Storage) -> None:
    create(storage)
    join(storage, 1, BEN)
    assert storage.post([post(1, 1, BEN), post(1, 1, BEN), post(1, 1)], NOW) == [
        Posted(3, True),
        Posted(3, False),
        Posted(4, True),
    ]
    leave(storage, 2, BEN)
    assert storage.post([post(1, 1, BEN)], NOW) == [Posted(3, False)]
    storage.expire_posts(NOW, 10)
    assert storage.post([post(1, 2, BEN)], NOW) == [Refused.NOT_MEMBER]


def test_a_channel_fills_up_and_empties(storage: Storage) -> None:
    create(storage)
    assert storage.post([post(at) for at in range(8)], NOW)[5:] == [
        Posted(7, True),
        Refused.FULL,
        Refused.FULL,
    ]
    assert storage.post([post(3), post(9)], NOW) == [Posted(5, False), Refused.FULL]
    assert len(storage.expire_posts(NOW, 2)) == 2
    assert storage.post([post(9), post(10), post(11)], NOW + 1)[1:] == [Posted(9, True), Refused.FULL]


def test_large_messages_fill_a_channel_by_their_bytes(tmp_path: Path) -> None:
    bounds = Bounds(posts_bytes=100)
    for storage in (MemoryStorage(MOST, bounds), SqliteStorage(tmp_path / "m.db", MOST, bounds=bounds)):
        storage.open()
        create(storage)
        large, small, tiny = post(1, content=bytes(200)), post(2, content=bytes(60)), post(3)
        assert storage.post([large, tiny], NOW) == [Posted(2, True), Refused.FULL], "one always fits"
        storage.expire_posts(NOW, 10)
        assert storage.post([small, large, tiny], NOW) == [Posted(3, True), Refused.FULL, Posted(4, True)]
        assert storage.post([post(4, content=bytes(40))], NOW) == [Refused.FULL]
        assert storage.post([post(5, content=bytes(39))], NOW) == [Posted(5, True)]
        storage.close()


def test_any_number_of_messages_at_once(tmp_path: Path) -> None:
    bounds = Bounds(posts=10_000)
    for storage in (MemoryStorage(MOST, bounds), SqliteStorage(tmp_path / "m.db", MOST, bounds=bounds)):
        storage.open()
        create(storage)
        create(storage, HALL)
        taken = 0
        for size in (1, 3, 64, 100, 200):
            mixed = [post(taken + at, channel=(ROOM, HALL)[at % 2]) for at in range(size)]
            placed = storage.post(mixed, NOW)
            assert all(isinstance(one, Posted) and one.new for one in placed)
            again = storage.post(mixed, NOW)
            assert again == [Posted(one.number, False) for one in placed if isinstance(one, Posted)]
            taken += size
        assert numbers(storage) == list(range(1, 2 + sum((1, 2, 32, 50, 100))))
        storage.close()


def test_who_reads_what(storage: Storage) -> None:
    create(storage)
    storage.post([post(1)], NOW)  # 2
    join(storage, 1, BEN)  # 3
    storage.post([post(2)], NOW)  # 4
    leave(storage, 2, BEN)  # 5
    storage.post([post(3)], NOW)  # 6
    assert numbers(storage, BEN) == [3, 4, 5]
    assert history(storage, BEN).head == 5
    assert storage.channels(BEN, b"", 10) == [State(ROOM, 5, 2)]
    assert storage.mailbox(BEN) == Mailbox(False, 0)
    join(storage, 3, BEN)  # 7
    rename(storage, 4)  # 8
    assert numbers(storage, BEN) == [7, 8], "a rejoin starts anew"
    assert storage.channels(BEN, b"", 10) == [State(ROOM, 8, 4)]
    assert numbers(storage, BEN, 7) == [8]
    assert storage.history(ROOM, CARL, 0, 10, 10) is Refused.NOT_MEMBER
    assert storage.history(NOWHERE, ANNA, 0, 10, 10) is Refused.UNKNOWN
    assert history(storage, ANNA, 8) == HistoryPage([], 8, 8)
    assert history(storage, ANNA, 99) == HistoryPage([], 8, 8)


def test_channels_come_in_the_order_of_their_ids(storage: Storage) -> None:
    names = [bytes([at]) * 32 for at in (3, 1, 2)]
    for name in names:
        create(storage, name)
    assert [state.channel for state in storage.channels(ANNA, b"", 10)] == sorted(names)
    assert [state.channel for state in storage.channels(ANNA, min(names), 1)] == [b"\2" * 32]
    assert storage.channels(BEN, b"", 10) == []


def test_pages_of_a_history_end_by_rows_and_bytes_but_hold_one(storage: Storage) -> None:
    create(storage)
    storage.post([post(at, content=b"x" * 100) for at in range(4)], NOW)

    def page(after: int, rows: int, size: int) -> tuple[list[int], int, int]:
        found = storage.history(ROOM, ANNA, after, rows, size)
        assert isinstance(found, HistoryPage)
        return [line.number for line in found.lines], found.upto, found.head

    assert page(0, 3, 10**6) == ([1, 2, 3], 3, 5)
    assert page(3, 3, 10**6) == ([4, 5], 5, 5)
    assert page(1, 10, 200) == ([2, 3], 3, 5)
    assert page(1, 10, 199) == ([2], 2, 5)
    assert page(1, 0, 0) == ([2], 2, 5)
    assert page(5, 0, 0) == ([], 5, 5)


def test_messages_expire_statements_do_not_and_numbers_are_never_used_again(storage: Storage) -> None:
    create(storage)
    storage.post([post(1)], 50)
    storage.post([post(2)], 60)
    assert storage.expire_posts(49, 10) == []
    assert storage.expire_posts(50, 10) == [GonePost(ROOM, ANNA, post(1).delivery)]
    assert numbers(storage) == [1, 3]
    assert storage.expire_posts(60, 1) == [GonePost(ROOM, ANNA, post(2).delivery)]
    assert storage.expire_posts(60, 1) == []
    assert history(storage) == HistoryPage([Line(1, None, statement(ROOM, 0))], 3, 3)
    assert storage.post([post(1)], 70) == [Posted(4, True)]


# ---------------------------------------------------------------- distributions


def test_distributions_have_room_of_their_own(storage: Storage) -> None:
    storage.publish(BEN, Publication(b"x" * 32, b"y" * 64, KEY, KEY), NOW)
    share = MOST // 10
    direct = [NewMessage(BEN, ANNA, at.to_bytes(16, "big"), b"") for at in range(share)]
    given = [NewMessage(BEN, ANNA, at.to_bytes(16, "big"), b"", ROOM) for at in range(100, 101 + share)]
    results = storage.apply([*direct, *given], [], NOW)
    assert results[-1] is Refused.FULL
    assert Refused.FULL not in results[:-1]
    assert storage.apply([direct[0]._replace(delivery=OTHER)], [], NOW) == [Refused.FULL]
    rows = storage.page(BEN, 0, 100, 10**6).rows
    assert [row.channel for row in rows] == [None] * share + [ROOM] * share
    assert storage.mailbox(BEN).waiting == 2 * share
    storage.apply([], [Taken(rows[-1].seq, BEN, ANNA)], NOW)
    assert storage.apply([given[-1]], [], NOW) != [Refused.FULL]
    assert storage.apply([direct[0]._replace(delivery=OTHER)], [], NOW) == [Refused.FULL]
    assert len(storage.expire(NOW, 100)) == 2 * share
    assert Refused.FULL not in storage.apply([*direct, *given[1:]], [], NOW)
    assert storage.mailbox(BEN).waiting == 2 * share


# ---------------------------------------------------------------- invites


def test_invites_are_used_up_expire_and_end_with_the_secret(storage: Storage) -> None:
    create(storage)
    assert storage.make_invite(NOWHERE, NewInvite(TICKET, 0, 0, ANNA), NOW) is Refused.UNKNOWN
    assert storage.make_invite(ROOM, NewInvite(TICKET, 1, NOW + 10, ANNA), NOW) is None
    assert storage.make_invite(ROOM, NewInvite(OTHER, 0, 0, BEN), NOW) is None
    assert storage.invites(ROOM, NOW) == [HeldInvite(TICKET, 1, NOW + 10, ANNA), HeldInvite(OTHER, 0, 0, BEN)]
    assert storage.invite(ROOM, TICKET, NOW + 9) is None
    assert storage.invite(ROOM, TICKET, NOW + 10) is Refused.INVITE_EXPIRED
    assert storage.invite(ROOM, b"u" * 16, NOW) is Refused.BAD_INVITE
    assert storage.invite(HALL, TICKET, NOW) is Refused.BAD_INVITE
    assert join(storage, 1, BEN, invite=TICKET, now=NOW + 10) is Refused.INVITE_EXPIRED
    assert join(storage, 2, BEN, invite=TICKET) is Refused.STALE, "it takes no use"
    assert join(storage, 1, BEN, invite=TICKET) == 2
    assert join(storage, 2, CARL, invite=TICKET) is Refused.INVITE_USED
    assert storage.invite(ROOM, TICKET, NOW) is Refused.INVITE_USED
    assert join(storage, 2, CARL, invite=b"u" * 16) is Refused.BAD_INVITE
    assert join(storage, 2, CARL, invite=OTHER) == 3
    assert storage.invites(ROOM, NOW) == [HeldInvite(OTHER, 0, 0, BEN)]
    assert leave(storage, 3, BEN) == 4
    assert storage.invite(ROOM, OTHER, NOW) is None
    assert leave(storage, 4, CARL, rekeys=True) == 5
    assert storage.invites(ROOM, NOW) == []
    assert storage.invite(ROOM, TICKET, NOW) is Refused.BAD_INVITE


def test_uses_are_counted_down(storage: Storage) -> None:
    create(storage)
    storage.make_invite(ROOM, NewInvite(TICKET, 3, 0, ANNA), NOW)
    join(storage, 1, BEN, invite=TICKET)
    assert storage.invites(ROOM, NOW) == [HeldInvite(TICKET, 2, 0, ANNA)]


def test_so_many_invites_are_in_force(storage: Storage) -> None:
    create(storage)
    ids = [bytes([at]) * 16 for at in range(12)]
    for one in ids[:3]:
        assert storage.make_invite(ROOM, NewInvite(one, 0, NOW + 10, ANNA), NOW) is None
    assert storage.make_invite(ROOM, NewInvite(ids[3], 0, 0, ANNA), NOW) is Refused.TOO_MANY
    assert storage.revoke_invite(ROOM, ids[1])
    assert not storage.revoke_invite(ROOM, ids[1])
    assert not storage.revoke_invite(HALL, ids[0])
    assert not storage.revoke_invite(NOWHERE, ids[0])
    assert storage.make_invite(ROOM, NewInvite(ids[3], 0, NOW + 10, ANNA), NOW) is None
    # Those that are over stay for a while, the oldest go first.
    for at, one in enumerate(ids[4:]):
        later = NOW + 20 + at
        assert storage.make_invite(ROOM, NewInvite(one, 0, later + 1, ANNA), later) is None
    assert storage.invite(ROOM, ids[0], NOW + 99) is Refused.BAD_INVITE
    assert storage.invite(ROOM, ids[-1], NOW + 99) is Refused.INVITE_EXPIRED
