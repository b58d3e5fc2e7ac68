"""What is inside the ciphertext: one MessagePack map with `kind`, `id` and `sent`, and the fields of its
kind (docs/PROTOCOL.md, Content).

The frame type is a delivery class, never a meaning: a known kind in another class is refused, an unknown
kind is kept as `Unknown` and never shown as text. Not its concern: encryption, and what a client does
with a content.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgpack
import msgspec

from mobium.errors import ProtocolError
from mobium.protocol.codec import unpack_map

__all__ = ["Content", "Receipt", "Retry", "Text", "Unknown", "decode", "encode"]

ContentId = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Sent = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Text(msgspec.Struct, frozen=True, tag_field="kind", tag="text"):
    """A message that a person wrote. `sent` is in milliseconds since 1970: shown, never used for order."""

    id: ContentId
    sent: Sent
    text: str


class Receipt(msgspec.Struct, frozen=True, tag_field="kind", tag="receipt"):
    """The contents with these ids were delivered, or read."""

    id: ContentId
    sent: Sent
    what: Annotated[str, msgspec.Meta(pattern="^(delivered|read)$")]
    ids: Annotated[list[ContentId], msgspec.Meta(min_length=1, max_length=512)]


class Retry(msgspec.Struct, frozen=True, tag_field="kind", tag="retry"):
    """The payloads with these SHA-256 hashes could not be opened; please encrypt their contents again."""

    id: ContentId
    sent: Sent
    hashes: Annotated[list[_Hash], msgspec.Meta(min_length=1, max_length=512)]


class Unknown(msgspec.Struct, frozen=True):
    """A content of a kind that this version does not know: kept, and shown as needing a newer version."""

    kind: str
    id: ContentId
    sent: Sent


Content = Text | Receipt | Retry

_KINDS: dict[str, Any] = {"text": Text, "receipt": Receipt, "retry": Retry}
_CLASSES: dict[str, frozenset[str]] = {
    "text": frozenset({"message"}),
    "receipt": frozenset({"message"}),
    "retry": frozenset({"message"}),
}
_NATIVE = (bytes,)


def encode(content: Content) -> bytes:
    """The plaintext of `content`, to be padded and encrypted."""
    packed: bytes = msgpack.packb(msgspec.to_builtins(content, builtin_types=_NATIVE))
    return packed


def decode(plaintext: bytes, delivery_class: str) -> Content | Unknown:
    """The content that `plaintext` holds, come in a frame of type `delivery_class`.

    Raises ProtocolError if it is malformed or of a kind that belongs into another class.
    """
    fields = unpack_map(plaintext)
    kind = fields.get("kind")
    if type(kind) is not str:
        raise ProtocolError("The content has no kind.")
    cls = _KINDS.get(kind, Unknown)
    if delivery_class not in _CLASSES.get(kind, (delivery_class,)):
        raise ProtocolError("The content came in a frame of another class.")
    try:
        return msgspec.convert(fields, cls, builtin_types=_NATIVE)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise ProtocolError("The content is malformed.") from error
