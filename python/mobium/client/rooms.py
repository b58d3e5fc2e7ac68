"""The voice rooms of an open engine: who is in them, and the one in which this profile is.

Not its concern: what happens in a room (`mobium.client.voice_room`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

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

_PATIENCE: Final = 30.0  # seconds for the server to let somebody in
_NEWS: Final = 1_100  # channels of which something new is to be told; more than anybody can be in


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
        self._news: dict[bytes, VoiceState] = {}
        self._partly: dict[bytes, tuple[str, ...]] = {}  # who was told, of rooms with somebody unknown
        self._before: set[bytes] = set()  # rooms in which somebody was told to be before the connection broke
        self._telling = False
        self._joining = asyncio.Lock()
        self.present: VoiceRoom | None = None
        """The room in which this profile is."""

    async def join(self, channel: str, listener: Listener) -> VoiceRoom:
        """Enter the voice room of a channel ("#name"), and leave the one in which this profile was.

        Raises InvalidInput for a channel of which it is no member, ServerRefused with `room_full` or
        `not_a_member`, NotConnected.
        """
        async with self._joining:
            return await self._join(channel, listener)

    async def _join(self, channel: str, listener: Listener) -> VoiceRoom:
        online = self._online()
        if online is None or online.state == "offline":
            raise NotConnected("There is no connection to the server, and this needs one.")
        row = await self._core.store.run(_member_of, channel, online.address.host)
        if self.present is not None:
            await self.present.leave()
        room = self.present = VoiceRoom(self._core, self._online, row, listener)
        self._start(self._run(room))
        try:
            async with asyncio.timeout(_PATIENCE):
                await room.entered()
        except TimeoutError:
            self.let_go(room)
            raise NotConnected("The server did not let this side into the voice room in time.") from None
        except BaseException:
            self.let_go(room)
            raise
        return room

    def let_go(self, room: VoiceRoom) -> None:
        """Leave a room, and wait for nothing."""
        self._start(room.leave())

    async def _run(self, room: VoiceRoom) -> None:
        try:
            await room.run()
        finally:
            if self.present is room:
                self.present = None
            if room.reason:  # the server may still show this side there
                self.let_go(room)
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
        if self.present is not None and self.present.key == state.channel_id:
            self.present.told(state)
        self._before.discard(state.channel_id)
        self._is_new(state)

    def _is_new(self, state: VoiceState) -> None:
        if len(self._news) < _NEWS or state.channel_id in self._news:
            self._news[state.channel_id] = state
            if not self._telling:
                self._telling = True
                self._start(self._tell_people())

    async def _tell_people(self) -> None:
        """Tell what is new of the channels that this profile knows; of one channel the newest."""
        while self._news:
            key, state = next(iter(self._news.items()))
            before = self._partly.pop(key, None) if self._states.get(key) is state else None
            shown = None
            with suppress(StoreError):
                shown = await self._core.store.run(_emit, state, before)
            if self._news.get(key) is not state:
                if shown and key not in self._news:
                    self._before.add(key)
                continue  # there is a newer one; or a break, after which nobody would take this one back
            del self._news[key]
            if shown is not None and state.room:
                self._states[key] = state
                if len(shown) < len(state.members):
                    self._partly[key] = shown
            else:
                self._states.pop(key, None)
                self._partly.pop(key, None)
        self._telling = False

    def heard(self, sender: bytes, said: Said) -> None:
        """A signal has come."""
        if self.present is not None:
            self.present.heard(sender, said)

    def media(self, frame: MediaDown) -> None:
        """A media frame has come."""
        if self.present is not None:
            self.present.media(frame)

    def look_again(self) -> None:
        """There is a connection, or a roster or a contact may have changed: whom a roster did not know, as
        after a login, it may know by now. And of the rooms of which a login tells nothing all have gone.
        """
        if self.present is not None:
            self.present.look_again()
        for key in self._partly.keys() - self._news.keys():  # what is told next is newer than what was
            self._is_new(self._states[key])
        online = self._online()
        if online is not None and online.sync.listed.is_set():
            self._forget_before()

    def _forget_before(self) -> None:
        """Nobody is known to be any more where somebody was before the connection broke."""
        before, self._before = self._before, set()
        for key in before:
            self._is_new(VoiceState(key))

    def offline(self) -> None:
        """The connection is gone."""
        self._before |= self._states.keys()
        self._states.clear()
        self._partly.clear()
        self._news.clear()
        if self.present is not None:
            self.present.offline()

    def close(self, reason: str = "") -> None:
        """There will be no connection any more, for a reason or because nobody wants one."""
        self._forget_before()
        if self.present is not None:
            self.present.end(reason)


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


def _emit(tx: Tx, state: VoiceState, before: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Tell of a channel that this profile knows, unless that was told `before`; returns who is shown.
    None for another channel.
    """
    row = channels.by_key(tx, state.channel_id)
    if row is None:
        return None
    shown = _shown(tx, row, state)
    if shown != before:
        tx.emit(VoiceChanged(row.hex, labels.label(tx, row), shown))
    return shown
