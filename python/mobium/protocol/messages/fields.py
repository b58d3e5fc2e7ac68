"""The field types that several messages share: sizes are part of the type, so a wrong one never reaches a
handler.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

__all__ = [
    "DeliveryId",
    "Id16",
    "Id32",
    "Index",
    "Key",
    "Nonce",
    "Number",
    "Place",
    "RequestId",
    "Signature",
    "Tag",
]

Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
Nonce = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
DeliveryId = Annotated[bytes, Meta(min_length=16, max_length=16)]
RequestId = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
Id32 = Annotated[int, Meta(ge=1, le=0xFFFFFFFF)]
Tag = Annotated[int, Meta(ge=1, le=0x7FFFFFFFFFFFFFFF)]
Id16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Index = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
Number = Annotated[int, Meta(ge=0, le=(1 << 40) - 1)]
Place = Annotated[int, Meta(ge=1, le=(1 << 40) - 1)]
