"""Sizes: which payloads are padded messages, and what fits."""

import pytest

from mobium.protocol import limits


def test_buckets_are_the_kernel_s() -> None:
    from mobium._backend import BUCKETS

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


def test_the_largest_content_fills_its_bucket() -> None:
    from mobium._backend import pad

    for size in limits.BUCKET_SIZES:
        assert len(pad(bytes(limits.largest_content(size)))) + 16 == size
    assert limits.largest_content(511) == 0
    assert limits.largest_content(1_000_000) == limits.largest_content(1 << 19)
