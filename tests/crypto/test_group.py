"""`SenderKey` and `ReceiverKey` bring entropy to the kernel, no more."""

from __future__ import annotations

import os
import pickle

import pytest

from mobium.crypto import ReceiverKey, SenderKey, group, message_head
from mobium.errors import CryptoError, Duplicate, Invalid, InvalidInput, StateError
from tests.kernels.kernels import BOTH, Kernels

CHANNEL, SENDER = b"c" * 32, b"s" * 32


@pytest.fixture(params=BOTH, ids=lambda kernels: kernels.name, autouse=True)
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kernels:
    """Each back end in turn, under the facade."""
    chosen: Kernels = request.param
    for name in ("SenderChain", "ReceiverChain", "read_head"):
        monkeypatch.setattr(group, name, getattr(chosen, name))
    return chosen


def test_a_channel() -> None:
    sender = SenderKey.create(CHANNEL, SENDER, 7, b"r" * 32)
    early = ReceiverKey.from_distribution(sender.distribution("näme"), CHANNEL, sender=SENDER)
    first, sender = sender.encrypt(b"first")
    late = ReceiverKey.from_distribution(sender.distribution(), sender=SENDER)
    second, sender = sender.encrypt(b"second")
    assert message_head(second) == (sender.key_id, 1)
    for key in (sender, early, late):
        assert (key.channel_id, key.sender, key.roster_index) == (CHANNEL, SENDER, 7)
        assert (key.roster_hash, key.key_id) == (b"r" * 32, sender.key_id)
    assert (early.nickname, late.nickname) == ("näme", "")
    plaintext, ahead = early.decrypt(second)
    assert plaintext == b"second"
    assert (ahead.skipped(), ahead.iteration, early.iteration) == ([0], 2, 0)
    ahead = ReceiverKey.from_bytes(ahead.to_bytes())
    assert ahead.decrypt(first)[0] == b"first"
    assert late.decrypt(second)[0] == b"second"
    with pytest.raises(Invalid):
        late.decrypt(first)
    with pytest.raises(Duplicate):
        ahead.decrypt(second)
    assert SenderKey.from_bytes(sender.to_bytes()).iteration == 2


def test_a_distribution_is_for_one_channel_and_of_one_sender() -> None:
    sender = SenderKey.create(CHANNEL, SENDER)
    data = sender.distribution()
    message, _ = sender.encrypt(b"text")
    with pytest.raises(Invalid, match="another channel"):
        ReceiverKey.from_distribution(data, b"C" * 32, sender=SENDER)
    other = ReceiverKey.from_distribution(data, sender=b"S" * 32)
    with pytest.raises(Invalid, match="signature"):
        other.decrypt(message)
    for cut in range(len(data)):
        with pytest.raises(Invalid):
            ReceiverKey.from_distribution(data[:cut], sender=SENDER)
    with pytest.raises(InvalidInput):
        ReceiverKey.from_distribution(data, b"", sender=SENDER)
    with pytest.raises(TypeError):
        ReceiverKey.from_distribution(data, CHANNEL)  # type: ignore[call-arg]


def test_nicknames() -> None:
    sender = SenderKey.create(CHANNEL, SENDER)
    longest = "ü" * 127 + "x"
    assert ReceiverKey.from_distribution(sender.distribution(longest), sender=SENDER).nickname == longest
    with pytest.raises(InvalidInput):
        sender.distribution("ü" * 128)
    data = sender._chain.distribution(b"\xff")
    with pytest.raises(Invalid, match="UTF-8"):
        ReceiverKey.from_distribution(data, sender=SENDER)


def test_entropy_is_fresh_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sender = SenderKey.create(CHANNEL, SENDER)
    assert len({sender.encrypt(b"")[0][9:25] for _ in range(50)}) == 50
    states = [SenderKey.create(CHANNEL, SENDER).to_bytes() for _ in range(20)]
    for part in (slice(102, 106), slice(110, 142), slice(142, 174)):
        assert len({state[part] for state in states}) == 20
    given = iter((bytes(4), bytes(4), b"\0\0\0\x05", bytes(32), bytes(32)))
    monkeypatch.setattr(group, "urandom", lambda size: next(given)[:size])
    assert SenderKey.create(CHANNEL, SENDER).key_id == 5


def test_a_thousand_messages(kernels: Kernels) -> None:
    sender = SenderKey.create(CHANNEL, SENDER)
    for _ in range(1_000):
        _, sender = sender.encrypt(b"")
    with pytest.raises(CryptoError, match="used up"):
        sender.encrypt(b"")


def test_shows_nothing_and_is_made_only_by_its_two_ways() -> None:
    sender = SenderKey.create(CHANNEL, SENDER)
    reader = ReceiverKey.from_distribution(sender.distribution(), sender=SENDER)
    for key in (sender, reader):
        assert repr(key) == str(key) == f"<{type(key).__name__}: redacted>"
        assert not hasattr(key, "__dict__")
        with pytest.raises(TypeError):
            pickle.dumps(key)
        with pytest.raises(TypeError):
            type(key)()
        with pytest.raises(StateError):
            type(key).from_bytes(os.urandom(64))
