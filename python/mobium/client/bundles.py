"""Fetching what begins a session with somebody.

Not its concern: verifying it, which `mobium.crypto` does under the key that was asked for.
"""

from __future__ import annotations

from mobium.client.core import Request
from mobium.crypto.prekeys import Bundle, PrekeyKind, SignedPrekey
from mobium.errors import ProtocolError
from mobium.protocol.messages import GetPrekeyBundle, PrekeyBundle, WirePrekey

__all__ = ["fetch_bundle", "to_wire"]


async def fetch_bundle(request: Request, ed: bytes) -> Bundle:
    """The bundle of an identity (32 bytes), not verified.

    Raises ServerRefused, NotConnected, ProtocolError.
    """
    answer = await request(GetPrekeyBundle(ed))
    if not isinstance(answer, PrekeyBundle):
        raise ProtocolError("The server answered a question about prekeys with something else.")
    return Bundle(
        ed,
        answer.x25519_pub,
        answer.binding,
        _from_wire(answer.signed),
        _from_wire(answer.kem),
        PrekeyKind.KEM_ONE_TIME if answer.kem_kind == 1 else PrekeyKind.KEM_LAST_RESORT,
        None if answer.one_time is None else _from_wire(answer.one_time),
    )


def _from_wire(prekey: WirePrekey) -> SignedPrekey:
    return SignedPrekey(prekey.id, prekey.expires, prekey.public, prekey.signature)


def to_wire(prekey: SignedPrekey) -> WirePrekey:
    """A public prekey as it is published."""
    return WirePrekey(prekey.id, prekey.expires, prekey.public, prekey.signature)
