"""Sizes: which payloads are padded messages, and what fits."""

import pytest

from mobium._backend import BUCKETS, pad
from mobium.protocol import limits
from mobium.protocol import messages as m
from mobium.protocol.cost import answer_cost, request_cost


def test_buckets_are_the_kernel_s() -> None:
    assert limits.BUCKET_SIZES == BUCKETS


@pytest.mark.parametrize("bucket", limits.BUCKET_SIZES)
def test_both_overheads_and_nothing_else(bucket: int) -> None:
    largest = limits.BUCKET_SIZES[-1]
    for overhead in (57, 1_799):
        assert limits.direct_payload_ok(bucket + overhead, largest)
        assert limits.direct_payload_ok(bucket + overhead, bucket)
        assert not limits.direct_payload_ok(bucket + overhead, bucket - 1)
        assert not limits.direct_payload_ok(bucket + overhead + 1, largest)
    assert not limits.direct_payload_ok(bucket, largest)


@pytest.mark.parametrize(("size", "cost"), [(569, 1), (2_311, 1), (8_249, 2), ((32 << 10) + 1_799, 8)])
def test_what_a_signal_costs(size: int, cost: int) -> None:
    assert limits.signal_cost(size) == cost
    assert request_cost(m.SendSignal(bytes(32), bytes(size))) == cost


@pytest.mark.parametrize(
    ("size", "cost"), [(1, 1), (145, 1), ((32 << 10) - 1, 1), (32 << 10, 2), (limits.SCREEN_BODY, 3)]
)
def test_what_a_media_frame_costs(size: int, cost: int) -> None:
    assert limits.media_cost(size) == cost


def test_the_largest_content_fills_its_bucket() -> None:
    for size in limits.BUCKET_SIZES:
        assert len(pad(bytes(limits.largest_content(size)))) + 16 == size
    assert limits.largest_content(511) == 0
    assert limits.largest_content(1_000_000) == limits.largest_content(1 << 19)


@pytest.mark.parametrize(
    ("size", "cost"),
    [(0, 1), (512 + 57, 1), ((64 << 10) + 1_799, 1), ((128 << 10) + 57, 2), ((1 << 20) + 121, 16)],
)
def test_what_a_message_costs(size: int, cost: int) -> None:
    key, delivery, payload = bytes(32), bytes(16), bytes(size)
    assert limits.message_cost(size) == cost
    assert request_cost(m.SendMessage(delivery, key, payload)) == cost
    assert request_cost(m.ChannelPost(delivery, key, 0, payload)) == cost
    parts = [m.Distribution(key, payload), m.Distribution(key, bytes(569))]
    assert request_cost(m.Distribute(delivery, key, parts)) == cost + 1


def test_prekeys_count_by_sixteen_or_by_their_size() -> None:
    def stock(x_size: int) -> m.PublishPrekeys:
        x, kem = m.WirePrekey(1, 2, bytes(x_size), bytes(64)), m.WirePrekey(1, 2, bytes(1_568), bytes(64))
        return m.PublishPrekeys(x, kem, [x] * limits.ONE_TIME_STOCK, [kem] * limits.KEM_ONE_TIME_STOCK)

    assert request_cost(stock(32)) == 7  # 120 one-time keys
    assert request_cost(stock(8_192)) == 13
    assert request_cost(m.PublishPrekeys(stock(32).signed, None, stock(32).one_time[:15])) == 1
    assert request_cost(m.GetPrekeyCount()) == 1


@pytest.mark.parametrize(
    ("count", "size", "cost"),
    [(0, 0, 0), (99, 633, 0), (500, 300, 5), (500, 633, 5), (60, 8_192, 7), (1, 1 << 20, 16)],
)
def test_what_a_page_costs(count: int, size: int, cost: int) -> None:
    entries = [m.Entry(number + 1, bytes(32), bytes(size)) for number in range(count)]
    assert answer_cost(m.History(bytes(32), entries, count, count)) == cost
    assert answer_cost(m.RosterPage(bytes(32), 0, [bytes(size)] * count, count, count)) == cost
    statements = [m.Entry(number + 1, statement=bytes(size)) for number in range(count)]
    assert answer_cost(m.History(bytes(32), statements, count, count)) == cost
    assert answer_cost(m.Channels([])) == 0
    assert answer_cost(m.Channels([m.ChannelState(bytes(32), 1, 1)] * 299)) == 2
