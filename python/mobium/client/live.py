"""What lives in the moment, calls and voice rooms: who of them is told what comes.

Not its concern: what they make of it (`mobium.client.calls`, `mobium.client.rooms`).
"""

from __future__ import annotations

from mobium.client.calls import Calls
from mobium.client.rooms import Rooms
from mobium.client.signals import Said
from mobium.protocol.content import Call
from mobium.protocol.media_frames import MediaDown
from mobium.protocol.messages import VoiceState

__all__ = ["Live"]


class Live:
    """The calls and the rooms of an open engine, as its connection sees them (`Realtime`)."""

    def __init__(self, calls: Calls, rooms: Rooms) -> None:
        self._calls = calls
        self._rooms = rooms

    def heard(self, sender: bytes, said: Said) -> None:
        """As `Realtime` has it."""
        if isinstance(said, Call):
            self._calls.heard(sender, said)
        else:
            self._rooms.heard(sender, said)

    def media(self, frame: MediaDown) -> None:
        """As `Realtime` has it."""
        self._rooms.media(frame)

    def told(self, state: VoiceState) -> None:
        """As `Realtime` has it."""
        self._rooms.told(state)

    def look_again(self) -> None:
        """As `Realtime` has it."""
        self._rooms.look_again()

    def offline(self) -> None:
        """As `Realtime` has it."""
        self._rooms.offline()

    def over(self, reason: str) -> None:
        """As `Realtime` has it."""
        self._rooms.close(reason)
