"""Bytes to typed messages and back: one MessagePack map a frame, read strictly.

Repeated keys, ext types, trailing bytes, wrong types and oversized trees are malformed; unknown fields
are ignored; an unknown `type` has its own error. Sizes are checked before decoding. Not its concern:
which message may come when (`mobium.protocol.connection`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NoReturn

import msgpack
import msgspec

from mobium.errors import ProtocolError
from mobium.protocol import limits
from mobium.protocol.codes import ErrorCode
from mobium.protocol.messages import ClientMessage, ServerMessage

__all__ = ["decode_client", "decode_server", "encode", "encode_accepted", "encode_delivery", "unpack_map"]


def encode(message: ClientMessage | ServerMessage) -> bytes:
    """The frame of `message`."""
    packed: bytes = msgpack.packb(msgspec.to_builtins(message, builtin_types=(bytes,)))
    return packed


def encode_delivery(
    tag: int, delivery: bytes, sender: bytes, payload: bytes, channel: bytes | None = None
) -> bytes:
    """The frame of `messages.Delivery` with these values, without the struct: a server's hot path."""
    fields: dict[str, object] = {
        "type": "message",
        "tag": tag,
        "id": delivery,
        "sender": sender,
        "payload": payload,
    }
    if channel is not None:
        fields["channel_id"] = channel
    packed: bytes = msgpack.packb(fields)
    return packed


def encode_accepted(delivery: bytes, rid: int | None, number: int | None = None) -> bytes:
    """The frame of `messages.Accepted` with these values, without the struct: a server's hot path."""
    fields: dict[str, object] = {"type": "ack", "id": delivery}
    if rid is not None:
        fields["rid"] = rid
    if number is not None:
        fields["number"] = number
    packed: bytes = msgpack.packb(fields)
    return packed


def decode_client(data: bytes) -> ClientMessage:
    """The message that a client sent. Raises ProtocolError with code `malformed` or `unknown_type`."""
    return _decode(data, _CLIENT_TYPES)  # type: ignore[no-any-return]


def decode_server(data: bytes) -> ServerMessage:
    """The message that a server sent. Raises ProtocolError with code `malformed` or `unknown_type`."""
    return _decode(data, _SERVER_TYPES)  # type: ignore[no-any-return]


def unpack_map(data: bytes) -> dict[str, Any]:
    """The one map that `data` holds, under the strict rules above.

    Raises ProtocolError with code `malformed`.
    """
    flat = _unpack_flat(data)
    if flat is not None:
        return flat
    tree = _Tree()
    try:
        value = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            object_pairs_hook=tree.map,
            list_hook=tree.list,
            ext_hook=_refuse_ext,
            max_array_len=limits.MAX_LIST,
            max_map_len=limits.MAX_MAP,
        )
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise ProtocolError("The frame is not one well-formed MessagePack map.") from error
    if type(value) is not dict:
        raise ProtocolError("The frame is not a MessagePack map.")
    return value


def _unpack_flat(data: bytes) -> dict[str, Any] | None:
    """The map of a small frame that holds no other containers, as most do, or None: look again, strictly.

    The same rules without a call into Python for each container: a map that came out as long as its first
    byte says has no repeated keys.
    """
    if len(data) > _SMALL:
        return None
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=True, ext_hook=_refuse_ext)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        return None
    if type(value) is not dict or len(value) ^ 0x80 != data[0]:
        return None
    return value if _PLAIN.issuperset(map(type, value.values())) else None


class _Tree:
    """Counts the containers of one frame while it is read, so that few bytes cannot become many objects."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def map(self, pairs: list[tuple[object, object]]) -> dict[object, object]:
        result = dict(pairs)
        self.list(result.values())
        if len(result) != len(pairs):
            raise ValueError("repeated key")
        return result

    def list(self, items: Collection[Any]) -> Collection[Any]:
        self.count += 1
        if self.count > limits.MAX_CONTAINERS:
            raise ValueError("too many containers")
        if msgpack.Timestamp in map(type, items):  # the one ext type that never reaches ext_hook
            raise ValueError("ext type")
        return items


# So few bytes cannot become many objects, even where nothing counts them.
_SMALL = 8_192
_PLAIN = frozenset({bytes, str, int, float, bool, type(None)})


def _refuse_ext(_code: int, _data: bytes) -> NoReturn:
    raise ValueError("ext type")


def _classes(union: Any) -> dict[str, Any]:
    return {member.__struct_config__.tag: member for member in union.__args__}


# By name, because msgspec builds a union's description anew for every call (17 us against 1).
_CLIENT_TYPES = _classes(ClientMessage)
_SERVER_TYPES = _classes(ServerMessage)
# Without this, a str where bytes belong would be read as base64.
_NATIVE = (bytes,)


def _decode(data: bytes, known: dict[str, Any]) -> Any:
    fields = unpack_map(data)
    kind = fields.get("type")
    if type(kind) is not str:
        raise ProtocolError("The frame has no type.")
    cls = known.get(kind)
    if cls is None:
        raise ProtocolError("The type of the frame is unknown.", ErrorCode.UNKNOWN_TYPE)
    try:
        return msgspec.convert(fields, cls, builtin_types=_NATIVE)
    except msgspec.ValidationError as error:
        # The library's text names fields and types, never values.
        raise ProtocolError(f"The {kind} frame is malformed: {error}") from None
