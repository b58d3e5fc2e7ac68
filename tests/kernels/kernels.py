"""Both back ends side by side, seeded entropy, and two sides of one conversation.

Not its concern: what is asserted, but for a refusal that must leave no trace.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import cast

import pytest

from mobium._pure.frame import FrameOpener, FrameSealer
from mobium._pure.ratchet import Ratchet
from mobium._pure.sender_key import ReceiverChain, SenderChain
from mobium.errors import DecryptError, MobiumError
from tests.support.needs import require_extension

NOW = 1_800_000_000
"""The unix second at which tests happen."""

HEADER = 41
SALT = 16
OVERHEAD = HEADER + SALT
COUNTER_END = 2**32 - 1


AnyRatchet = Ratchet
AnyReceiver = ReceiverChain
AnyOpener = FrameOpener
"""A state on either back end. The class below has attributes of the other names."""


@dataclass(frozen=True)
class Kernels:
    """One back end. Both have the types of the pure twin."""

    name: str
    pad: Callable[[bytes], bytes]
    unpad: Callable[[bytes], bytes]
    BUCKETS: tuple[int, ...]
    Ratchet: type[Ratchet]
    SenderChain: type[SenderChain]
    ReceiverChain: type[ReceiverChain]
    read_head: Callable[[bytes], tuple[int, int]]
    FrameSealer: type[FrameSealer]
    FrameOpener: type[FrameOpener]
    frame_header: Callable[[bytes], tuple[int, int]]

    def take(self, ratchet: AnyRatchet) -> AnyRatchet:
        """The same state on this back end."""
        return self.Ratchet.from_bytes(ratchet.to_bytes())


Sides = tuple[Kernels, Kernels]
"""The back ends of initiator and responder."""


class _Absent:
    """Stands for the native kernels where they are not built: a test that reaches for one cannot be run."""

    name = "native"

    def __getattr__(self, name: str) -> None:
        if not name.startswith("_"):
            require_extension()
        raise AttributeError(name)


def _load(name: str, padding: str, ratchet: str, sender_key: str, frame: str) -> Kernels:
    if find_spec(padding) is None:
        return cast("Kernels", _Absent())
    pads, steps, chains, frames = (import_module(each) for each in (padding, ratchet, sender_key, frame))
    return Kernels(
        name,
        pads.pad,
        pads.unpad,
        pads.BUCKETS,
        cast("type[Ratchet]", steps.Ratchet),
        cast("type[SenderChain]", chains.SenderChain),
        cast("type[ReceiverChain]", chains.ReceiverChain),
        chains.read_head,
        cast("type[FrameSealer]", frames.FrameSealer),
        cast("type[FrameOpener]", frames.FrameOpener),
        frames.frame_header,
    )


NATIVE = _load("native", *["mobium._native"] * 4)
PURE = _load("pure", *(f"mobium._pure.{name}" for name in ("padding", "ratchet", "sender_key", "frame")))
BOTH = (NATIVE, PURE)
SIDES = ((NATIVE, NATIVE), (PURE, PURE), (NATIVE, PURE), (PURE, NATIVE))


def schedules() -> int:
    """How many random schedules a test runs: MOBIUM_SCHEDULES, 20 unless set."""
    return int(os.environ.get("MOBIUM_SCHEDULES", "20"))


class Entropy:
    """Bytes that the seed decides."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)

    def __call__(self, size: int) -> bytes:
        return self._random.randbytes(size)


def begin(
    a: Kernels, b: Kernels, entropy: Entropy, associated_data: bytes = b"d" * 32
) -> tuple[Ratchet, Ratchet]:
    """Initiator and responder of one session."""
    shared_secret, private = entropy(32), entropy(32)
    responder = b.Ratchet.accept(shared_secret, private, associated_data)
    public = responder.head()[66:98]
    return a.Ratchet.initiate(shared_secret, public, associated_data, entropy(32)), responder


def established(a: Kernels, b: Kernels, entropy: Entropy) -> tuple[Ratchet, Ratchet]:
    """Both after each has sent and received; the initiator's next message continues a chain that the
    responder knows.
    """
    left, right = begin(a, b, entropy)
    for _ in range(2):
        left, right = exchange(left, right, entropy)
        right, left = exchange(right, left, entropy)
    return exchange(left, right, entropy)


def exchange(sender: Ratchet, receiver: Ratchet, entropy: Entropy) -> tuple[Ratchet, Ratchet]:
    """Both after one message that arrived."""
    message, sender = sender.encrypt(b"hello", entropy(16))
    plaintext, receiver = receiver.decrypt(message, entropy(32), NOW)
    assert plaintext == b"hello"
    return sender, receiver


def burn(sender: Ratchet, count: int) -> Ratchet:
    """The sender after `count` messages that nobody gets."""
    for _ in range(count):
        _, sender = sender.encrypt(b"", bytes(16))
    return sender


def with_header(
    message: bytes, *, ratchet: bytes | None = None, pn: int | None = None, n: int | None = None
) -> bytes:
    """`message` under a forged header."""
    header = bytearray(message[:HEADER])
    if ratchet is not None:
        header[1:33] = ratchet
    if pn is not None:
        header[33:37] = pn.to_bytes(4, "big")
    if n is not None:
        header[37:41] = n.to_bytes(4, "big")
    return bytes(header) + message[HEADER:]


def outcome(
    step: Callable[[], tuple[bytes, Ratchet]],
) -> tuple[bytes, bytes] | tuple[type[MobiumError], str]:
    """What a step gave: result and next state, or error and sentence. Equal for twins, whatever the input."""
    try:
        result, following = step()
    except MobiumError as error:
        return type(error), str(error)
    return result, following.to_bytes()


def refuses(
    ratchet: Ratchet,
    message: bytes,
    error: type[DecryptError],
    entropy: Entropy,
    match: str | None = None,
    now: int = NOW,
) -> None:
    """The message is refused with exactly this error and the state is what it was. `match` is of its
    sentence, for an error that has several reasons.
    """
    before = ratchet.to_bytes()
    with pytest.raises(error, match=match) as caught:
        ratchet.decrypt(message, entropy(32), now)
    assert type(caught.value) is error
    assert ratchet.to_bytes() == before
