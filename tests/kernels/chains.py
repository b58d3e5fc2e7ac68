"""One chain of sender keys and what can be done to its messages.

Not its concern: what is asserted, but for a refusal that must leave no trace.
"""

from __future__ import annotations

import pytest

from mobium._pure.sender_key import ReceiverChain, SenderChain
from mobium.errors import MobiumError
from mobium.signing import SigningKey
from tests.kernels.kernels import Entropy, Kernels

HEAD = 25
COMMIT = 32
SIGNATURE = 64
OVERHEAD = HEAD + COMMIT + SIGNATURE
SMALLEST = 512 + OVERHEAD
KEY_ID = 0xA0B0C0D0
ROSTER_INDEX = 9
CHANNEL, SENDER, ROSTER = b"c" * 32, b"s" * 32, b"r" * 32


def create(kernels: Kernels, seed: bytes = b"e" * 32) -> SenderChain:
    return kernels.SenderChain.create(CHANNEL, SENDER, ROSTER_INDEX, ROSTER, KEY_ID, b"k" * 32, seed)


def begin(a: Kernels, b: Kernels, nickname: bytes = b"nick") -> tuple[SenderChain, ReceiverChain]:
    """The two sides of one chain, each on its back end."""
    sender = create(a)
    return sender, b.ReceiverChain.from_distribution(sender.distribution(nickname), CHANNEL, SENDER)


def send(sender: SenderChain, count: int, entropy: Entropy) -> tuple[list[bytes], SenderChain]:
    """`count` messages whose texts are their numbers, and the chain after them."""
    messages = []
    for _ in range(count):
        text = str(sender.iteration).encode()
        message, sender = sender.encrypt(text, entropy(16))
        messages.append(message)
    return messages, sender


def at(kernels: Kernels, iteration: int) -> SenderChain:
    """The chain at a number, without the messages before it: its stored state, changed."""
    state = bytearray(create(kernels).to_bytes())
    state[106:110] = iteration.to_bytes(4, "big")
    return kernels.SenderChain.from_bytes(bytes(state))


def resigned(message: bytes, seed: bytes = b"e" * 32) -> bytes:
    """`message` signed anew: what only its sender can make, and what he cannot make either is refused."""
    body = message[:-SIGNATURE]
    return body + SigningKey.from_seed(seed).sign(b"mobium/1 sender message\0" + CHANNEL + SENDER + body)


def edited(message: bytes, where: int, value: bytes) -> bytes:
    return message[:where] + value + message[where + len(value) :]


def refused(
    reader: ReceiverChain, message: bytes, error: type[MobiumError], match: str | None = None
) -> None:
    """`message` is refused and leaves the reader as it was."""
    before = reader.to_bytes()
    with pytest.raises(error, match=match):
        reader.decrypt(message)
    assert reader.to_bytes() == before
