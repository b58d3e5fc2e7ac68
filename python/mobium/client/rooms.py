"""The voice rooms of an open engine: who is in them, and the one in which this profile is.

Not its concern: what happens in a room (`mobium.client.voice_room`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from mobium.client import labels
from mobium.client.core import Core
from mobium.client.events import Event, VoiceChanged, VoiceLeft
from mobium.client.online import Online
from mobium.client.signals import Said
from mobium.client.store import channels
from mobium.client.store.channels import ChannelRow
from mobium.client.store.database import Tx
from mobium.client.voice_room import Listener, VoiceRoom
from mobium.errors import InvalidInput, NotConnected, StoreError
from mobium.protocol.media_frames import MediaDown
from mobium.protocol.messages import VoiceState

__all__ = ["Rooms"]


class Rooms:
    """The voice rooms of an open engine: who is in them, and the one in which this profile is.

    `start(work)` runs a coroutine as long as the engine is open; `tell` hands events out.
    """

    def __init__(
        self,
        core: Core,
        online: Callable[[], Online | None],
        tell: Callable[[list[Event]], None],
        start: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._core = core
        self._online = online
        self.tell = tell
        self._start = start
        self._states: dict[bytes, VoiceState] = {}
        self.present: VoiceRoom | None = None
        """The room in which this profile is."""

    async def join(self, channel: str, listener: Listener) -> VoiceRoom:
        """Enter the voice room of a channel ("#name"), and leave the one in which this profile was.

        Raises InvalidInput for a channel of which it is no member, ServerRefused with `room_full` or
        `not_a_member`, NotConnected.
        """
        online = self._online()
        if online is None or online.state == "offline":
            raise NotConnected("There is no connection to the server, and this needs one.")
        row = await self._core.store.run(_member_of, channel, online.address.host)
        if self.present is not None:
            await self.present.leave()
        room = self.present = VoiceRoom(self._core, self._online, row, listener)
        self._start(self._run(room))
        try:
            await room.entered()
        except BaseException:
            room.end("")
            raise
        return room

    async def _run(self, room: VoiceRoom) -> None:
        try:
            await room.run()
        finally:
            if self.present is room:
                self.present = None
            self.tell([VoiceLeft(room.channel, room.reason)])

    async def people(self, channel: str) -> list[str]:
        """Who is in the voice room of a channel, oneself included, as the server says and the roster knows:
        identity keys in hex. Raises InvalidInput.
        """
        row = await self._core.store.run(labels.resolve, channel)
        state = self._states.get(row.key)
        return [] if state is None else list(await self._core.store.run(_shown, row, state))

    # ------------------------------------------------------------ what comes

    def told(self, state: VoiceState) -> None:
        """The server says who is in the room of a channel."""
        self._states[state.channel_id] = state
        if not state.room:
            del self._states[state.channel_id]
        if self.present is not None and self.present.key == state.channel_id:
            self.present.told(state)
        self._start(self._tell_people(state))

    async def _tell_people(self, state: VoiceState) -> None:
        with suppress(StoreError):
            await self._core.store.run(_emit, state)

    def heard(self, sender: bytes, said: Said) -> None:
        """A signal has come."""
        if self.present is not None:
            self.present.heard(sender, said)

    def media(self, frame: MediaDown) -> None:
        """A media frame has come."""
        if self.present is not None:
            self.present.media(frame)

    def look_again(self) -> None:
        """There is a connection, or a roster or a contact may have changed."""
        if self.present is not None:
            self.present.look_again()

    def offline(self) -> None:
        """The connection is gone."""
        self._states.clear()
        if self.present is not None:
            self.present.offline()

    def close(self) -> None:
        """Nobody wants a connection any more."""
        if self.present is not None:
            self.present.end("")


def _member_of(tx: Tx, channel: str, host: str) -> ChannelRow:
    row = labels.resolve(tx, channel)
    if row.state != "member":
        raise InvalidInput(row.reason or "This profile is no member of the channel.")
    if row.host != host:
        raise InvalidInput(f"This channel is on {row.host}; connect there first.")
    return row


def _shown(tx: Tx, row: ChannelRow, state: VoiceState) -> tuple[str, ...]:
    roster = tx.rosters.of(tx, row.id)
    if roster is None:
        return ()
    return tuple(each.identity.hex() for each in state.members if roster.role(each.identity) is not None)


def _emit(tx: Tx, state: VoiceState) -> None:
    row = channels.by_key(tx, state.channel_id)
    if row is not None:
        tx.emit(VoiceChanged(row.hex, labels.label(tx, row), _shown(tx, row, state)))
