"""Two sides of one session, at its first steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mobium.crypto import Prekeys, Session

NOW = 1_800_000_000
"""The unix second at which tests happen that do not read the clock."""


@dataclass(frozen=True)
class Pair:
    """A conversation: alice's side, bob's, and what bob's has of prekeys."""

    a: Session
    b: Session
    prekeys: Prekeys

    def a_says(self, text: bytes) -> tuple[bytes, Pair]:
        payload, a = self.a.encrypt(text)
        return payload, replace(self, a=a)

    def b_says(self, text: bytes) -> tuple[bytes, Pair]:
        payload, b = self.b.encrypt(text)
        return payload, replace(self, b=b)

    def to_b(self, payload: bytes) -> tuple[bytes, Pair]:
        text, b = self.b.decrypt(payload, now=NOW)
        return text, replace(self, b=b)

    def to_a(self, payload: bytes) -> tuple[bytes, Pair]:
        text, a = self.a.decrypt(payload, now=NOW)
        return text, replace(self, a=a)


def many(pair: Pair, count: int) -> tuple[list[bytes], Pair]:
    """That many messages from alice, none delivered."""
    payloads = []
    for _ in range(count):
        payload, pair = pair.a_says(b"")
        payloads.append(payload)
    return payloads, pair
