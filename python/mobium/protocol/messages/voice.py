"""Messages of calls and voice rooms: signals between two people, who is in a room, and the numbers that media
frames carry (docs/PROTOCOL.md, Realtime).

Not its concern: the media frames themselves (`mobium.protocol.media_frames`), and what a signal says
(`mobium.protocol.content`).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from mobium.protocol import limits
from mobium.protocol.messages.fields import Key, RequestId

__all__ = ["Forwarded", "JoinVoice", "LeaveVoice", "SendSignal", "Signal", "Speaker", "VoiceState"]

_RoomNumber = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
_SpeakerNumber = Annotated[int, msgspec.Meta(ge=1, le=0xFFFF)]


class SendSignal(msgspec.Struct, frozen=True, tag_field="type", tag="voice_signal", omit_defaults=True):
    """Up: an opaque payload for somebody who is online, never stored. With `rid` answered by Forwarded; or by
    `offline`.
    """

    recipient: Key
    payload: bytes
    rid: RequestId | None = None


class Signal(msgspec.Struct, frozen=True, tag_field="type", tag="voice_signal"):
    """Down: an opaque payload from a sender, who was told that it was forwarded. It is not acknowledged."""

    sender: Key
    payload: bytes


class Forwarded(msgspec.Struct, frozen=True, tag_field="type", tag="forwarded", omit_defaults=True):
    """Down: the signal is on its way on the recipient's connection. Nobody says whether it arrives."""

    rid: RequestId | None = None


class JoinVoice(msgspec.Struct, frozen=True, tag_field="type", tag="join_voice", omit_defaults=True):
    """Up: enters the voice room of a channel, and leaves the one in which this connection was. Answered by
    VoiceState.
    """

    channel_id: Key
    rid: RequestId | None = None


class LeaveVoice(msgspec.Struct, frozen=True, tag_field="type", tag="leave_voice", omit_defaults=True):
    """Up: leaves the voice room of a channel, as the end of the connection does. Answered by VoiceState."""

    channel_id: Key
    rid: RequestId | None = None


class Speaker(msgspec.Struct, frozen=True):
    """Somebody in a voice room, and the number that media frames of theirs carry."""

    identity: Key
    number: _SpeakerNumber


class VoiceState(msgspec.Struct, frozen=True, tag_field="type", tag="voice_state", omit_defaults=True):
    """Down: who is in the voice room of a channel; nobody where `room` is 0. Without `rid` it has changed, or
    is told after a login: to every member who is connected, in the room or not.
    """

    channel_id: Key
    room: _RoomNumber = 0
    members: Annotated[list[Speaker], msgspec.Meta(max_length=limits.MAX_SPEAKERS)] = []
    rid: RequestId | None = None
