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

__all__ = ["decode_client", "decode_server", "encode", "encode_delivery", "unpack_map"]


def encode(message: ClientMessage | ServerMessage) -> bytes:
    """The frame of `message`."""
    packed: bytes = msgpack.packb(msgspec.to_builtins(message, builtin_types=(bytes,)))
    return packed


def encode_delivery(tag: int, delivery: bytes, sender: bytes, payload: bytes) -> bytes:
    """The frame of `messages.Delivery` with these values, without the struct: a server's hot path."""
    packed: bytes = msgpack.packb(
        {"type": "message", "tag": tag, "id": delivery, "sender": sender, "payload": payload}
    )
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
