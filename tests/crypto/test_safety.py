"""Safety numbers (docs/CRYPTO.md section 1)."""

from __future__ import annotations

import pytest

from mobium.crypto import Identity, format_groups, safety_number
from mobium.errors import CryptoError, InvalidInput


def of(a: Identity, b: Identity) -> str:
    return safety_number(a.public, a.x_public, b.public, b.x_public)


def test_both_sides_see_the_same_sixty_digits(alice: Identity, bob: Identity) -> None:
    number = of(alice, bob)
    assert number == of(bob, alice)
    assert len(number) == 60
    assert number.isdigit()
    assert number[:30] < number[30:]


def test_every_key_counts(alice: Identity, bob: Identity, mallory: Identity) -> None:
    a, b, m = alice, bob, mallory
    numbers = [
        safety_number(a.public, a.x_public, b.public, b.x_public),
        safety_number(m.public, a.x_public, b.public, b.x_public),
        safety_number(a.public, m.x_public, b.public, b.x_public),
        safety_number(a.public, a.x_public, m.public, b.x_public),
        safety_number(a.public, a.x_public, b.public, m.x_public),
        safety_number(a.public, b.x_public, b.public, a.x_public),
    ]
    assert len(set(numbers)) == len(numbers)


def test_each_persons_half_is_the_same_in_every_pair(
    alice: Identity, bob: Identity, mallory: Identity
) -> None:
    halves = [{number[:30], number[30:]} for number in (of(alice, bob), of(alice, mallory))]
    assert len(halves[0] & halves[1]) == 1


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_of_another_length_are_refused(alice: Identity, size: int) -> None:
    for place in range(4):
        keys = [alice.public, alice.x_public, alice.public, alice.x_public]
        keys[place] = bytes(size)
        with pytest.raises(CryptoError, match="32 bytes each"):
            safety_number(*keys)


def test_groups_for_people_to_read() -> None:
    number = "".join(f"{n:05d}" for n in range(12))
    assert format_groups(number).split(" ") == [f"{n:05d}" for n in range(12)]
    lines = format_groups(number, per_line=4).split("\n")
    assert lines[0] == "00000 00001 00002 00003"
    assert len(lines) == 3
    assert format_groups(number, per_line=5).split("\n")[-1] == "00010 00011"


@pytest.mark.parametrize("number", ["", "1" * 59, "1" * 61, "1" * 59 + "a", "1" * 59 + "\u0664"])
def test_only_sixty_digits_are_grouped(number: str) -> None:
    with pytest.raises(InvalidInput, match="60 digits"):
        format_groups(number)


def test_a_line_holds_a_group() -> None:
    with pytest.raises(InvalidInput, match="at least one"):
        format_groups("1" * 60, per_line=0)
