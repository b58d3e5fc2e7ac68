"""Messages that publish and fetch prekeys (docs/CRYPTO.md section 3)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mobium.protocol import limits
from mobium.protocol.messages.fields import Id32, Key, RequestId, Signature

__all__ = ["GetPrekeyBundle", "GetPrekeyCount", "PrekeyBundle", "PrekeyCount", "PublishPrekeys", "WirePrekey"]


class WirePrekey(msgspec.Struct, frozen=True):
    """One signed public prekey: 32 bytes for X25519, 1,568 for ML-KEM-1024. `expires` is in seconds since
    1970.
    """

    id: Id32
    expires: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    public: Annotated[bytes, msgspec.Meta(min_length=32, max_length=1_568)]
    signature: Signature


class PublishPrekeys(
    msgspec.Struct, frozen=True, tag_field="type", tag="publish_prekeys", omit_defaults=True
):
    """Up: new prekeys. With `reset` the identity's old ones are dropped in the same transaction. Answered
    by PrekeyCount.
    """

    signed: WirePrekey | None = None
    last_resort: WirePrekey | None = None
    one_time: Annotated[list[WirePrekey], msgspec.Meta(max_length=limits.ONE_TIME_STOCK)] = []
    kem_one_time: Annotated[list[WirePrekey], msgspec.Meta(max_length=limits.KEM_ONE_TIME_STOCK)] = []
    reset: bool = False
    rid: RequestId | None = None


class GetPrekeyBundle(
    msgspec.Struct, frozen=True, tag_field="type", tag="get_prekey_bundle", omit_defaults=True
):
    """Up: asks for the keys that begin a session with `pubkey`."""

    pubkey: Key
    rid: RequestId | None = None


class PrekeyBundle(msgspec.Struct, frozen=True, tag_field="type", tag="prekey_bundle", omit_defaults=True):
    """Down: the bundle. `kem_kind` is 1 for a one-time KEM prekey and 2 for the last-resort one."""

    pubkey: Key
    x25519_pub: Key
    binding: Signature
    signed: WirePrekey
    kem: WirePrekey
    kem_kind: Annotated[int, msgspec.Meta(ge=1, le=2)]
    one_time: WirePrekey | None = None
    rid: RequestId | None = None


class GetPrekeyCount(
    msgspec.Struct, frozen=True, tag_field="type", tag="get_prekey_count", omit_defaults=True
):
    """Up: asks how many one-time prekeys of mine the server still holds."""

    rid: RequestId | None = None


class PrekeyCount(msgspec.Struct, frozen=True, tag_field="type", tag="prekey_count", omit_defaults=True):
    """Down: the stock, and the ids of the signed and the last-resort prekey in force (0 where there is
    none).
    """

    one_time: Annotated[int, msgspec.Meta(ge=0)]
    kem_one_time: Annotated[int, msgspec.Meta(ge=0)]
    signed_id: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
    last_resort_id: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
    rid: RequestId | None = None
