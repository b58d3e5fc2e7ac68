"""What binds a certificate to a call: a frozen value, and that each part of it counts."""

from __future__ import annotations

import pytest

from mobium.crypto.call import call_binding

CALL, ANNA, BEN = bytes(range(16)), b"\xaa" * 32, b"\xbb" * 32
FROZEN = "eccc32845b5d2b33ff0dbfa5720f61a48b18f9d7adc155a9420c73dd81db566e"


def test_the_frozen_value() -> None:
    assert call_binding(CALL, 2, ANNA, BEN) == FROZEN


@pytest.mark.parametrize(
    "other",
    [
        (bytes(16), 2, ANNA, BEN),
        (CALL, 3, ANNA, BEN),
        (CALL, 2, BEN, ANNA),
        (CALL, 2, ANNA, b"\xcc" * 32),
    ],
)
def test_every_part_counts(other: tuple[bytes, int, bytes, bytes]) -> None:
    assert call_binding(*other) != FROZEN


@pytest.mark.parametrize("attempt", [-1, 256])
def test_an_attempt_is_one_byte(attempt: int) -> None:
    with pytest.raises(OverflowError):
        call_binding(CALL, attempt, ANNA, BEN)
