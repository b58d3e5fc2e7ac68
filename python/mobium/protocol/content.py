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

__all__ = [
    "Call",
    "ChainRequest",
    "ChannelSecret",
    "ChannelText",
    "Content",
    "Distribution",
    "MediaKey",
    "MediaRequest",
    "Receipt",
    "Retry",
    "RosterHead",
    "Signals",
    "Text",
    "Unknown",
    "decode",
    "encode",
]

ContentId = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Sent = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Index = Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
_MessageKey = Annotated[bytes, msgspec.Meta(min_length=36, max_length=36)]
_KeyId = Annotated[int, msgspec.Meta(ge=1, le=0xFFFFFFFF)]


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


class ChannelText(msgspec.Struct, frozen=True, tag_field="kind", tag="text"):
    """A message that a person wrote to a channel. `roster` is the index and the head of the newest roster
    statement that the sender knew.
    """

    id: ContentId
    sent: Sent
    text: str
    roster: tuple[_Index, _Hash]


class Distribution(msgspec.Struct, frozen=True, tag_field="kind", tag="distribution"):
    """A sender key: `data` is the fixed layout of docs/CRYPTO.md section 6."""

    id: ContentId
    sent: Sent
    data: Annotated[bytes, msgspec.Meta(min_length=142, max_length=142 + 255)]


class ChannelSecret(msgspec.Struct, frozen=True, tag_field="kind", tag="channel_secret"):
    """The secret of a channel, which the recipient checks against the roster."""

    id: ContentId
    sent: Sent
    channel_id: _Hash
    secret: _Hash


class RosterHead(msgspec.Struct, frozen=True, tag_field="kind", tag="roster_head"):
    """The sender knows the roster of a channel up to this index, where it has this head."""

    id: ContentId
    sent: Sent
    channel_id: _Hash
    index: _Index
    head: _Hash


class ChainRequest(msgspec.Struct, frozen=True, tag_field="kind", tag="chain_request"):
    """Messages of the recipient under this key id cannot be opened; please distribute the sender key."""

    id: ContentId
    sent: Sent
    channel_id: _Hash
    key_id: _KeyId


class Signals(msgspec.Struct, frozen=True, tag_field="kind", tag="signals"):
    """These numbers of the ratchet were signals, which are never stored: whichever of them has not arrived is
    no message that is missing. Each key is ratchet_public ‖ n(u32), as in the header of the message.
    """

    id: ContentId
    sent: Sent
    keys: Annotated[list[_MessageKey], msgspec.Meta(min_length=1, max_length=256)]


class MediaKey(msgspec.Struct, frozen=True, tag_field="kind", tag="media_key"):
    """A key under which the sender seals media frames in the voice room of a channel; `media_kind` is 1 for
    voice and 2 for a screen. `kid` is generation ‖ step, and `base` has 32 bytes at step 0 and 64 later
    (docs/CRYPTO.md section 8).
    """

    id: ContentId
    sent: Sent
    channel_id: _Hash
    room: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF)]
    media_kind: Annotated[int, msgspec.Meta(ge=1, le=2)]
    kid: Annotated[int, msgspec.Meta(ge=1 << 31, le=0xFFFFFFFF)]
    base: Annotated[bytes, msgspec.Meta(min_length=32, max_length=64)]

    def __post_init__(self) -> None:
        if len(self.base) != (64 if self.kid & 0xFF else 32):
            raise ValueError("base has 32 bytes at step 0 and 64 at any other")

    def __repr__(self) -> str:
        return f"<MediaKey {self.kid:08x}: redacted>"


class MediaRequest(msgspec.Struct, frozen=True, tag_field="kind", tag="media_request"):
    """Something of the recipient's is missing in the voice room of a channel: the `key` under which frames of
    theirs come, or a `picture` that needs none before it.
    """

    id: ContentId
    sent: Sent
    channel_id: _Hash
    room: Annotated[int, msgspec.Meta(ge=1, le=0xFFFF)]
    media_kind: Annotated[int, msgspec.Meta(ge=1, le=2)]
    want: Annotated[str, msgspec.Meta(pattern="^(key|picture)$")]


class Call(msgspec.Struct, frozen=True, tag_field="kind", tag="call", omit_defaults=True):
    """A step of a call between two. `sdp` is a session description (RFC 8866), in `offer` and `answer` alone;
    `attempt` counts the offers of a call, which is set up again when the network was lost; `again` asks for
    the next one. `reason` is a word for programs.
    """

    id: ContentId
    sent: Sent
    call_id: ContentId
    step: Annotated[str, msgspec.Meta(pattern="^(offer|ringing|answer|decline|busy|cancel|hangup|again)$")]
    attempt: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    sdp: Annotated[str, msgspec.Meta(min_length=1, max_length=16_384)] | None = None
    reason: Annotated[str, msgspec.Meta(pattern="^[a-z_]{1,32}$")] | None = None

    def __post_init__(self) -> None:
        if (self.sdp is not None) != (self.step in ("offer", "answer")):
            raise ValueError("offer and answer have an sdp, and no other step has one")

    def __repr__(self) -> str:
        return f"<Call {self.step}>"  # a description holds addresses


class Unknown(msgspec.Struct, frozen=True):
    """A content of a kind that this version does not know: kept, and shown as needing a newer version."""

    kind: str
    id: ContentId
    sent: Sent


Content = (
    Text
    | Receipt
    | Retry
    | ChannelText
    | Distribution
    | ChannelSecret
    | RosterHead
    | ChainRequest
    | Signals
    | Call
    | MediaKey
    | MediaRequest
)

# Every kind belongs into one class of frames, but for a text, which has a form of its own in channels.
_KINDS: dict[str, dict[str, Any]] = {
    "text": {"message": Text, "channel_message": ChannelText},
    "receipt": {"message": Receipt},
    "retry": {"message": Retry},
    "channel_secret": {"message": ChannelSecret},
    "roster_head": {"message": RosterHead},
    "chain_request": {"message": ChainRequest},
    "signals": {"message": Signals},
    "distribution": {"sender_key_distribution": Distribution},
    "call": {"voice_signal": Call},
    "media_key": {"voice_signal": MediaKey},
    "media_request": {"voice_signal": MediaRequest},
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
    try:
        found: Content | Unknown = msgspec.convert(fields, _form(kind, delivery_class), builtin_types=_NATIVE)
    except msgspec.ValidationError as error:
        raise ProtocolError("The content is malformed.") from error
    return found


def _form(kind: str, delivery_class: str) -> Any:
    forms = _KINDS.get(kind)
    if forms is None:
        return Unknown
    form = forms.get(delivery_class)
    if form is None:
        raise ProtocolError("The content came in a frame of another class.")
    return form
