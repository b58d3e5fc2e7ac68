"""What an attacker can make without keys that are not its own: headers, sizes, flipped bits, swapped keys.

Not its concern: bringing them to somebody (tests/support/hostile.py).
"""

from __future__ import annotations

import os
from typing import NamedTuple

from mobium._pure.ratchet import Ratchet
from mobium.crypto import Bundle, Identity, PrekeyKind, Session, SignedPrekey
from mobium.crypto._primitives import x25519_public
from mobium.protocol import content
from mobium.protocol import messages as m

__all__ = [
    "HEADER",
    "PREKEY_HEADER",
    "Impostor",
    "Pair",
    "as_wire",
    "first_message",
    "flipped",
    "message",
    "pair",
    "renumbered",
    "text_of",
    "wire_bundle",
]

HEADER = 41
PREKEY_HEADER = 1_742
NOW = 1_800_000_000


class Pair(NamedTuple):
    """Two ratchets of one session; the initiator has sent nothing yet."""

    alice: Ratchet
    bob: Ratchet


def pair(kernel: type[Ratchet]) -> Pair:
    """A session's two sides, made by this kernel."""
    secret, private, data = os.urandom(32), os.urandom(32), os.urandom(32)
    return Pair(
        kernel.initiate(secret, x25519_public(private), data, os.urandom(32)),
        kernel.accept(secret, private, data),
    )


def flipped(data: bytes, bit: int) -> bytes:
    """`data` with one bit the other way."""
    at, mask = bit // 8, 1 << bit % 8
    return data[:at] + bytes((data[at] ^ mask,)) + data[at + 1 :]


def message(public: bytes, pn: int, n: int, bucket: int = 512) -> bytes:
    """A ratchet message with any header and nothing true behind it."""
    head = b"\x01" + public + pn.to_bytes(4, "big") + n.to_bytes(4, "big")
    return head + os.urandom(16 + bucket)


def renumbered(honest: bytes, *, pn: int | None = None, n: int | None = None) -> bytes:
    """A recorded payload with other counters; everything else, the handshake too, as it was."""
    at = PREKEY_HEADER if honest[:1] == b"\x02" else 0
    old_pn, old_n = honest[at + 33 : at + 37], honest[at + 37 : at + 41]
    new_pn = old_pn if pn is None else pn.to_bytes(4, "big")
    new_n = old_n if n is None else n.to_bytes(4, "big")
    return honest[: at + 33] + new_pn + new_n + honest[at + 41 :]


class Impostor(Identity):
    """The attacker's keys under somebody else's name: what a server would need people to believe."""

    __slots__ = ("_claimed",)

    def __init__(self, claimed: bytes, seed: bytes | None = None) -> None:
        super().__init__(os.urandom(64) if seed is None else seed)
        self._claimed = claimed

    @property
    def public(self) -> bytes:
        """The key of the one who is impersonated."""
        return self._claimed


def as_wire(prekey: SignedPrekey) -> m.WirePrekey:
    """A prekey as a server hands it out."""
    return m.WirePrekey(prekey.id, prekey.expires, prekey.public, prekey.signature)


def wire_bundle(bundle: Bundle, rid: int | None) -> m.PrekeyBundle:
    """A bundle as a server hands it out."""
    return m.PrekeyBundle(
        bundle.identity,
        bundle.x_public,
        bundle.binding,
        as_wire(bundle.signed),
        as_wire(bundle.kem),
        1 if bundle.kem_kind is PrekeyKind.KEM_ONE_TIME else 2,
        None if bundle.one_time is None else as_wire(bundle.one_time),
        rid,
    )


def text_of(words: str) -> bytes:
    """The content of a text."""
    return content.encode(content.Text(os.urandom(16), 0, words))


def first_message(sender: Identity, bundle: Bundle, text: str) -> bytes:
    """A text in the first message of a new session."""
    return Session.initiate(sender, bundle).encrypt(text_of(text))[0]
