"""What the pure twins keep inside is a value, and its repr, which a traceback may print, shows no secret."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from tests.kernels.kernels import PURE, Entropy, established

CHANNEL, SENDER = b"c" * 32, b"s" * 32


def inside() -> list[Any]:
    """Every kind of value in a ratchet and in both chains of a channel."""
    ratchet, _ = established(PURE, PURE, Entropy(1))
    sending = PURE.SenderChain.create(CHANNEL, SENDER, 0, bytes(32), 1, b"k" * 32, b"e" * 32)
    distribution = sending.distribution(b"name")
    receiving = PURE.ReceiverChain.from_distribution(distribution, CHANNEL, SENDER)
    states: list[Any] = [ratchet._state, sending._state, receiving._state]
    return [
        *states,
        states[0].sending,
        states[0].receiving,
        states[1].place,
        states[1].chain,
        states[2].chain,
    ]


@pytest.mark.parametrize("value", inside(), ids=lambda value: type(value).__name__)
def test_a_value_inside_shows_nothing_and_stays_as_it_is(value: Any) -> None:
    assert repr(value) == object.__repr__(value)
    assert not hasattr(value, "__dict__")
    for field in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, b"")
