"""The contract of a storage, over every storage there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mobium_server.storage.base import (
    KEPT,
    BadPrekeys,
    Gone,
    Kind,
    Mailbox,
    NewMessage,
    Prekey,
    Publication,
    Refused,
    Stock,
    Storage,
    Taken,
)
from mobium_server.storage.memory import MemoryStorage
from mobium_server.storage.sqlite import SqliteStorage

ANNA, BEN, CARL, NOBODY = (letter * 32 for letter in (b"a", b"b", b"c", b"n"))
MOST = 40
NOW = 1_000
LATER = 10_000


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    one: Storage = (
        MemoryStorage(MOST) if request.param == "memory" else SqliteStorage(tmp_path / "mobium.db", MOST)
    )
    one.open()
    for identity in (ANNA, BEN, CARL):
        one.publish(identity, publication(), NOW)
    yield one
    one.close()


def key(number: int, expires: int = LATER) -> Prekey:
    return Prekey(number, expires, number.to_bytes(2, "big") * 16, b"s" * 64)


def publication(
    one_time: list[Prekey] | None = None, kem: list[Prekey] | None = None, *, reset: bool = False
) -> Publication:
    return Publication(b"x" * 32, b"y" * 64, key(1), key(2), one_time or [], kem or [], reset)


def message(number: int, recipient: bytes = BEN, sender: bytes = ANNA, content: bytes = b"") -> NewMessage:
    return NewMessage(recipient, sender, number.to_bytes(16, "big"), content)


def numbers(storage: Storage, identity: bytes = BEN, after: int = 0) -> list[int]:
    return [int.from_bytes(row.delivery, "big") for row in storage.page(identity, after, 1_000, 10**9).rows]


def test_values_of_the_server(storage: Storage) -> None:
    assert storage.get("name") is None
    storage.put("name", b"one")
    storage.put("name", b"two")
    assert storage.get("name") == b"two"


def test_rows_come_back_in_order_for_their_recipient(storage: Storage) -> None:
    first = storage.apply([message(3), message(1), message(9, CARL), message(2)], [], LATER)
    assert first == sorted(first)  # type: ignore[type-var]
    assert numbers(storage) == [3, 1, 2]
    assert numbers(storage, CARL) == [9]
    assert storage.mailbox(BEN) == Mailbox(known=True, waiting=3)
    assert storage.mailbox(NOBODY) == Mailbox(known=False, waiting=0)
    row = storage.page(CARL, 0, 1, 1).rows[0]
    assert (row.sender, row.delivery, row.payload) == (ANNA, message(9).delivery, b"")


def test_nobody_can_write_to_who_never_published(storage: Storage) -> None:
    assert storage.apply([message(1, NOBODY)], [], LATER) == [Refused.UNKNOWN]
    assert storage.page(NOBODY, 0, 10, 10).rows == []


def test_a_delivery_id_is_stored_once_for_a_pair(storage: Storage) -> None:
    (seq,) = storage.apply([message(1)], [], LATER)
    assert storage.apply([message(1), message(1, sender=CARL), message(1, CARL)], [], LATER)[0] == seq
    assert numbers(storage) == [1, 1]
    assert storage.mailbox(BEN).waiting == 2


def test_pages_end_by_rows_and_bytes_but_hold_one(storage: Storage) -> None:
    seqs = storage.apply(
        [message(i, sender=bytes([i]) * 32, content=b"x" * 100) for i in range(6)], [], LATER
    )
    page = storage.page(BEN, 0, 4, 10**6)
    assert ([row.seq for row in page.rows], page.end) == (seqs[:4], False)
    page = storage.page(BEN, page.rows[-1].seq, 4, 10**6)
    assert ([row.seq for row in page.rows], page.end) == (seqs[4:], True)
    assert len(storage.page(BEN, 0, 10, 250).rows) == 3
    assert len(storage.page(BEN, 0, 10, 1).rows) == 1
    assert len(storage.page(BEN, 0, 0, 0).rows) == 1
    assert storage.page(BEN, 10**6, 1, 1) == ([], True)


def test_a_mailbox_fills_up_and_a_sender_takes_a_tenth(storage: Storage) -> None:
    share = MOST // 10
    results = storage.apply([message(i) for i in range(share + 2)], [], LATER)
    assert results[share:] == [Refused.FULL] * 2
    others = [message(i, sender=bytes([i + 1]) * 32) for i in range(MOST)]
    results = storage.apply(others, [], LATER)
    assert results[MOST - share :] == [Refused.FULL] * share
    # What is stored already needs no room, and room that was made is room.
    first = storage.page(BEN, 0, 1, 1).rows[0].seq
    assert storage.apply([message(0)], [], LATER) == [first]
    assert storage.apply([message(77)], [Taken(first, BEN, ANNA)], LATER)[0] not in (Refused.FULL, first)
    assert storage.apply([message(78)], [], LATER) == [Refused.FULL]
    assert storage.apply([message(1, CARL)], [], LATER) != [Refused.FULL]


def test_a_mailbox_and_a_sender_have_so_many_bytes(storage: Storage) -> None:
    whole, share = MOST << 16, (MOST << 16) // 10
    half = bytes(share // 2)
    # The first of a sender always fits; beside it, and beside others, the bytes count.
    assert Refused.FULL not in storage.apply([message(0, CARL, content=bytes(share + 1))], [], LATER)
    assert storage.apply([message(1, CARL, content=b"x")], [], LATER) == [Refused.FULL]
    results = storage.apply([message(i, content=half) for i in range(3)], [], LATER)
    assert results[2] is Refused.FULL
    senders = [bytes([i + 1]) * 32 for i in range(12)]
    results = storage.apply([message(9, sender=one, content=half + half) for one in senders], [], LATER)
    assert [result is Refused.FULL for result in results] == [False] * 9 + [True] * 3
    assert sum(len(row.payload) for row in storage.page(BEN, 0, 100, 10**9).rows) == whole
    assert storage.apply([message(10, sender=CARL, content=b"x")], [], LATER) == [Refused.FULL]
    # Distributions have as many of their own.
    given = [NewMessage(BEN, ANNA, i.to_bytes(16, "big"), half, b"r" * 32) for i in range(20, 23)]
    assert [one is Refused.FULL for one in storage.apply(given, [], LATER)] == [False, False, True]
    # What is sent again under an id counts as it is stored, now and when it is taken.
    first = storage.page(BEN, 0, 1, 1).rows[0].seq
    assert storage.apply([message(0, content=bytes(10 * share))], [], LATER) == [first]
    assert storage.apply([message(0, content=b"")], [], LATER) == [first]
    storage.apply([], [Taken(first, BEN, ANNA)], LATER)
    more = [message(i, content=half) for i in range(30, 32)]
    assert [one is Refused.FULL for one in storage.apply(more, [], LATER)] == [False, True]
    # What expires makes room.
    storage.expire(LATER, 1_000)
    assert Refused.FULL not in storage.apply(more, [], LATER)


def test_one_message_always_fits(storage: Storage) -> None:
    huge = bytes((MOST << 16) + 1)
    (seq,) = storage.apply([message(1, content=huge)], [], LATER)
    assert isinstance(seq, int)
    assert storage.apply([message(2, sender=CARL, content=huge)], [], LATER) == [Refused.FULL]
    storage.apply([], [Taken(seq, BEN, ANNA)], LATER)
    assert storage.apply([message(2, sender=CARL, content=huge)], [], LATER) != [Refused.FULL]


def test_who_publishes_nothing_for_long_is_forgotten(storage: Storage) -> None:
    storage.publish(ANNA, publication([key(10)], [key(20)]), NOW)
    storage.apply([message(1)], [], LATER)
    assert storage.retire(100, 99, 10) == []  # from now on it counts
    assert storage.retire(150, 99, 10) == []
    # A signed prekey is a sign of life, other prekeys are none.
    storage.publish(CARL, publication(), NOW)
    storage.publish(ANNA, Publication(b"x" * 32, b"y" * 64, one_time=[key(11)]), NOW)
    assert storage.retire(200, 100, 10) == [ANNA]  # for Ben something waits
    assert storage.bundle(ANNA, True, NOW) is None
    assert storage.stock(ANNA, NOW) == Stock(0, 0, 0, 0)
    assert storage.mailbox(ANNA) == Mailbox(False, 0)
    assert storage.apply([message(2, ANNA)], [], LATER) == [Refused.UNKNOWN]
    storage.expire(LATER, 10)
    assert storage.retire(300, 199, 10) == [BEN]
    assert storage.retire(300, 300, 1) == [CARL]
    # Whoever comes back begins anew, and gets nothing that was another's.
    storage.publish(ANNA, publication([key(10)]), NOW)
    storage.publish(BEN, publication(), NOW)
    assert storage.stock(ANNA, NOW) == Stock(1, 0, 1, 2)
    assert storage.stock(BEN, NOW) == Stock(0, 0, 1, 2)
    assert Refused.UNKNOWN not in storage.apply([message(i, ANNA) for i in range(4)], [], LATER)
    assert numbers(storage, ANNA) == list(range(4))
    assert numbers(storage) == []


def test_so_many_are_forgotten_at_once(storage: Storage) -> None:
    assert storage.retire(1, 0, 2) == []
    assert storage.retire(1, 0, 2) == []
    gone = storage.retire(2, 1, 2) + storage.retire(2, 1, 2)
    assert sorted(gone) == [ANNA, BEN, CARL]


def test_deletes_come_before_inserts_and_forgive_what_is_gone(storage: Storage) -> None:
    (seq,) = storage.apply([message(1)], [], LATER)
    assert isinstance(seq, int)
    gone = [Taken(seq, BEN, ANNA), Taken(seq, BEN, ANNA), Taken(999, BEN, CARL), Taken(998, NOBODY, CARL)]
    (again,) = storage.apply([message(1)], gone, LATER)
    assert isinstance(again, int)
    assert again > seq
    storage.apply([], gone, LATER)
    assert numbers(storage) == [1]
    assert storage.mailbox(BEN).waiting == 1


def test_any_number_of_rows_at_once(storage: Storage) -> None:
    for number in (1, 3, 64, 100, 200):
        senders = [i.to_bytes(32, "big") for i in range(number)]
        mixed = [message(i, (BEN, CARL)[i % 2], sender) for i, sender in enumerate(senders)]
        seqs = storage.apply(mixed, [], LATER)
        stored = [seq for seq in seqs if seq is not Refused.FULL]
        assert len(stored) == min(number, 2 * MOST)
        assert numbers(storage) == list(range(0, min(number, 2 * MOST), 2))
        rows = storage.page(BEN, 0, 1_000, 10**9).rows + storage.page(CARL, 0, 1_000, 10**9).rows
        assert sorted(row.seq for row in rows) == stored
        taken = [Taken(row.seq, (BEN, CARL)[row.delivery[-1] % 2], row.sender) for row in rows]
        storage.apply([], taken, LATER)
        assert (numbers(storage), numbers(storage, CARL)) == ([], [])
        assert (storage.mailbox(BEN).waiting, storage.mailbox(CARL).waiting) == (0, 0)


def test_messages_expire(storage: Storage) -> None:
    storage.apply([message(1), message(2, CARL)], [], 50)
    storage.apply([message(3)], [], 60)
    assert storage.expire(49, 10) == []
    gone = storage.expire(50, 1) + storage.expire(50, 1)
    assert gone == [Gone(BEN, ANNA, message(1).delivery), Gone(CARL, ANNA, message(2).delivery)]
    assert storage.expire(50, 10) == []
    assert numbers(storage) == [3]
    assert storage.mailbox(BEN).waiting == 1


def test_an_expired_message_makes_room(storage: Storage) -> None:
    share = MOST // 10
    storage.apply([message(i) for i in range(share)], [], 50)
    assert storage.apply([message(90)], [], LATER) == [Refused.FULL]
    storage.expire(50, 100)
    assert storage.apply([message(90)], [], LATER) != [Refused.FULL]


def test_one_time_keys_are_handed_out_once_oldest_first(storage: Storage) -> None:
    stock = storage.publish(BEN, publication([key(10), key(11)], [key(20)]), NOW)
    assert stock == Stock(2, 1, 1, 2)
    taken = [storage.bundle(BEN, True, NOW) for _ in range(3)]
    assert [one and one.one_time and one.one_time.id for one in taken] == [10, 11, None]
    assert [one and one.kem_one_time and one.kem_one_time.id for one in taken] == [20, None, None]
    assert storage.stock(BEN, NOW) == Stock(0, 0, 1, 2)
    assert taken[2] is not None
    assert (taken[2].signed, taken[2].last_resort) == (key(1), key(2))
    assert (taken[2].x_public, taken[2].binding) == (b"x" * 32, b"y" * 64)


def test_a_bundle_without_one_time_keys_takes_none(storage: Storage) -> None:
    storage.publish(BEN, publication([key(10)], [key(20)]), NOW)
    bundle = storage.bundle(BEN, False, NOW)
    assert bundle is not None
    assert (bundle.one_time, bundle.kem_one_time) == (None, None)
    assert storage.stock(BEN, NOW).one_time == 1
    assert storage.bundle(NOBODY, True, NOW) is None
    assert storage.stock(NOBODY, NOW) == Stock(0, 0, 0, 0)


def test_keys_are_appended_and_replaced(storage: Storage) -> None:
    storage.publish(BEN, publication([key(10)]), NOW)
    newer = Publication(b"X" * 32, b"Y" * 64, key(5), None, [key(11)], [])
    assert storage.publish(BEN, newer, NOW) == Stock(2, 0, 5, 2)
    resort = Publication(b"X" * 32, b"Y" * 64, None, key(6))
    assert storage.publish(BEN, resort, NOW) == Stock(2, 0, 5, 6)
    bundle = storage.bundle(BEN, True, NOW)
    assert bundle is not None
    assert (bundle.x_public, bundle.signed, bundle.last_resort) == (b"X" * 32, key(5), key(6))


def test_a_reset_drops_the_old_keys_and_keeps_the_mail(storage: Storage) -> None:
    storage.publish(BEN, publication([key(10)], [key(20)]), NOW)
    storage.apply([message(1)], [], LATER)
    assert storage.publish(BEN, publication([key(10)], reset=True), NOW) == Stock(1, 0, 1, 2)
    assert numbers(storage) == [1]


@pytest.mark.parametrize(
    "bad",
    [
        publication([key(10), key(10)]),
        publication(kem=[key(20), key(20)]),
        publication([key(7)]),
        Publication(b"x" * 32, b"y" * 64, key(8), None, [key(12)], reset=True),
    ],
    ids=["twice", "kem twice", "held already", "reset without last resort"],
)
def test_contradictory_keys_change_nothing(storage: Storage, bad: Publication) -> None:
    before = storage.publish(BEN, publication([key(7)]), NOW)
    with pytest.raises(BadPrekeys):
        storage.publish(BEN, bad, NOW)
    assert storage.stock(BEN, NOW) == before


def test_a_first_publication_holds_both_keys(storage: Storage) -> None:
    for part in (Publication(b"x" * 32, b"y" * 64, key(1)), Publication(b"x" * 32, b"y" * 64, None, key(2))):
        with pytest.raises(BadPrekeys):
            storage.publish(NOBODY, part, NOW)
    assert not storage.mailbox(NOBODY).known


def test_expired_one_time_keys_are_neither_counted_nor_handed_out(storage: Storage) -> None:
    storage.publish(BEN, publication([key(10, 2_000), key(11, 3_000)], [key(20, 2_000)]), NOW)
    assert storage.stock(BEN, 2_000) == Stock(1, 0, 1, 2)
    bundle = storage.bundle(BEN, True, 2_000)
    assert bundle is not None
    assert bundle.one_time == key(11, 3_000)
    assert bundle.kem_one_time is None
    # A clock that jumped back finds them again: only a publication forgets.
    assert storage.stock(BEN, NOW) == Stock(1, 1, 1, 2)
    storage.publish(BEN, publication(), 2_000)
    assert storage.stock(BEN, NOW) == Stock(0, 0, 1, 2)


def test_the_stock_is_bounded_and_the_oldest_go(storage: Storage) -> None:
    most = KEPT[Kind.ONE_TIME]
    for start in range(100, 100 + most + 50, 50):
        storage.publish(BEN, publication([key(start + i) for i in range(50)]), NOW)
    assert storage.stock(BEN, NOW).one_time == most
    bundle = storage.bundle(BEN, True, NOW)
    assert bundle is not None
    assert bundle.one_time is not None
    assert bundle.one_time.id == 150
