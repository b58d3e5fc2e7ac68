"""Being in a voice room: who else is, the keys that are handed out there, and frames sealed and opened
(docs/CRYPTO.md section 8; docs/PROTOCOL.md, Realtime).

A room is wanted until it is left: after a break the engine enters it again, under new keys. Keys go only to
those whom the server shows in the room and the verified roster knows as members. Not its concern: what a
packet or a picture holds, devices, and loudspeakers (`mobium.client.voice`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, Literal

from mobium.client import audience
from mobium.client.core import Core
from mobium.client.early_keys import EarlyKeys
from mobium.client.online import Online
from mobium.client.room_keys import Handing, OpenedFrame, OwnKey, TheirKeys
from mobium.client.signals import Said
from mobium.client.store.channels import ChannelRow
from mobium.crypto.media import MediaKey, MediaKind, pad_voice, unpad_voice
from mobium.errors import (
    CryptoError,
    Invalid,
    InvalidInput,
    MobiumError,
    NotConnected,
    ProtocolError,
    ServerRefused,
    StoreError,
)
from mobium.protocol import content
from mobium.protocol.codes import ErrorCode, explain
from mobium.protocol.media_frames import MediaDown
from mobium.protocol.messages import JoinVoice, LeaveVoice, VoiceState

__all__ = ["Listener", "RoomState", "VoiceRoom"]

log = logging.getLogger(__name__)

RoomState = Literal["entering", "in", "left"]

_PACKETS: Final = 10  # of voice that wait for the socket: 0.2 s, beyond which the oldest are dropped
_FRAGMENTS: Final = 4  # of pictures
_RETRY: Final = 2.0  # seconds until the next try to enter; a server may name others, up to
_LONGEST_RETRY: Final = 30.0
_ANSWER: Final = 5.0  # seconds for the server's answer to a handing, and to one's leaving
_ANSWER_PAUSE: Final = 1.0  # seconds in which one key is handed again to one peer who asks
_FAULT: Final = "Something went wrong in this voice room; enter it again."
_GONE: Final = "This profile is no member of the channel any more."


class Listener:
    """What a room tells, in the event loop; to be overridden. Speakers are identity keys in hex."""

    def voice(self, speaker: str, key: int, number: int, packet: bytes) -> None:
        """A packet of a speaker, the one of this number under this key."""

    def fragment(self, speaker: str, body: bytes) -> None:
        """A piece of a picture of a speaker's screen, sealed (`VoiceRoom.open_picture`)."""

    def people(self, people: Sequence[str]) -> None:
        """Who is in the room besides oneself."""

    def picture(self, speaker: str, key: int, number: int, picture: bytes) -> None:
        """An encoded picture of a speaker's screen, the one of this number under this key."""

    def picture_wanted(self, viewer: str) -> None:
        """Somebody needs a picture of one's own screen that needs none before it."""

    def left(self, reason: str) -> None:
        """The room is over; `reason` is a sentence if that was nobody's wish."""


class VoiceRoom:
    """The voice room of a channel, from `Rooms.join` to `leave`. All methods belong to the event loop."""

    def __init__(
        self, core: Core, online: Callable[[], Online | None], row: ChannelRow, listener: Listener
    ) -> None:
        self.channel = row.hex
        self.key = row.key
        self.reason = ""
        """A sentence if it ended, and that was nobody's wish."""
        self.state: RoomState = "entering"
        self.dropped = 0
        """Frames of one's own that the network did not take in time."""
        self._core = core
        self._online = online
        self._me = core.identity.public
        self._listener = listener
        self._time = asyncio.get_running_loop().time
        self._wake = asyncio.Event()
        self._out: dict[MediaKind, deque[bytes]] = {MediaKind.VOICE: deque(), MediaKind.SCREEN: deque()}
        self._some_out = asyncio.Event()
        self._taken = asyncio.Event()
        self._entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number = 0
        self._told: VoiceState | None = None  # last, while the answer to being let in is on its way
        self._speakers: dict[int, bytes] = {}
        self._audience: frozenset[bytes] = frozenset()
        self._answered: dict[tuple[bytes, int], float] = {}
        self._own: dict[MediaKind, OwnKey] = {}
        self._theirs = TheirKeys(self.key)
        self._early = EarlyKeys()
        self._changed = False
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def people(self) -> list[str]:
        """Who is in the room besides oneself, and is a member: identity keys in hex."""
        return sorted(key.hex() for key in self._audience)

    @property
    def lost(self) -> dict[str, int]:
        """Frames of others that were not shown, by the reason: "key", "duplicate", "tag"."""
        return self._theirs.dropped

    # ------------------------------------------------------------ sending and opening

    def say(self, packet: bytes) -> None:
        """Send a packet of voice (at most 119 bytes) to everybody in the room. Nothing happens while it is
        being entered.
        """
        if self.state == "in":
            frame = self._own[MediaKind.VOICE].seal(pad_voice(packet))
            self._put(MediaKind.VOICE, frame, _PACKETS)

    def seal_picture(self, picture: bytes) -> bytes | None:
        """The SFrame of an encoded picture; None while the room is being entered. From the first one on the
        key of the screen is handed out.
        """
        if self.state != "in":
            return None
        own = self._own.get(MediaKind.SCREEN)
        if own is None:
            own = self._own[MediaKind.SCREEN] = OwnKey(MediaKind.SCREEN, self.key, self._me, self._time())
            self._hand(own.set_members(self._audience, self._time()))
            self._wake.set()
        return own.seal(picture)

    async def send_fragment(self, body: bytes) -> None:
        """Send a piece of a sealed picture (at most SCREEN_BODY bytes), once the network has taken those
        before it. Nothing happens while the room is being entered.
        """
        while self.state == "in" and len(self._out[MediaKind.SCREEN]) >= _FRAGMENTS:
            self._taken.clear()
            await self._taken.wait()
        if self.state == "in":
            self._put(MediaKind.SCREEN, body, _FRAGMENTS)

    def open_picture(self, speaker: str, sealed: bytes) -> None:
        """The listener is given a speaker's picture if this is one, once its key is there."""
        sender = bytes.fromhex(speaker)
        opened = self._theirs.open(sender, MediaKind.SCREEN, sealed, self._time())
        if opened is not None:
            self._give(sender, MediaKind.SCREEN, opened)
        else:
            self._wake.set()

    def ask_picture(self, speaker: str) -> None:
        """Ask a speaker for a picture of the screen that needs none before it."""
        if self.state == "in":
            self.start(self._say(bytes.fromhex(speaker), self._request(MediaKind.SCREEN, "picture")))

    def _put(self, kind: MediaKind, frame: bytes, most: int) -> None:
        waiting = self._out[kind]
        waiting.append(frame)
        while len(waiting) > most:
            waiting.popleft()
            self.dropped += 1
        self._some_out.set()

    # ------------------------------------------------------------ what comes

    def media(self, frame: MediaDown) -> None:
        """A media frame has come."""
        sender = self._speakers.get(frame.speaker)
        if self.state != "in" or frame.room != self._number or sender is None:
            return
        if frame.kind == MediaKind.SCREEN:
            self._call(self._listener.fragment, sender.hex(), frame.body)
            return
        opened = self._theirs.open(sender, MediaKind.VOICE, frame.body, self._time())
        if opened is not None:
            self._give(sender, MediaKind.VOICE, opened)
        else:
            self._wake.set()  # its key may have to be asked for

    def _give(self, sender: bytes, kind: MediaKind, opened: OpenedFrame) -> None:
        if kind is MediaKind.SCREEN:
            self._call(self._listener.picture, sender.hex(), opened.kid, opened.counter, opened.plaintext)
            return
        with suppress(Invalid):
            packet = unpad_voice(opened.plaintext)
            self._call(self._listener.voice, sender.hex(), opened.kid, opened.counter, packet)

    def heard(self, sender: bytes, said: Said) -> None:
        """A signal has come."""
        if isinstance(said, content.MediaKey) and said.channel_id == self.key:
            if not self._take_key(sender, said):
                self._early.put(sender, said, self._time())
                self._changed = True
                self._wake.set()
        elif isinstance(said, content.MediaRequest) and said.channel_id == self.key:
            self._asked(sender, said)

    def _asked(self, sender: bytes, said: content.MediaRequest) -> None:
        if self.state != "in" or said.room != self._number or sender not in self._audience:
            return
        own = self._own.get(MediaKind(said.media_kind))
        if said.want == "key" and own is not None:
            place, now = (sender, own.kid), self._time()
            if now >= self._answered.get(place, 0.0) + _ANSWER_PAUSE:
                self._answered[place] = now
                self._hand(own.handing(sender))
        elif said.want == "picture":
            self._call(self._listener.picture_wanted, sender.hex())

    def told(self, state: VoiceState) -> None:
        """The server says who is in the room."""
        if self.state != "in":
            self._told = state
            return
        if all(each.identity != self._me for each in state.members):
            self._lose()  # it has forgotten this side, as after a restart
            return
        self._take(state)

    def offline(self) -> None:
        """The connection is gone, and with it the place in the room."""
        self._lose()

    def look_again(self) -> None:
        """The roster, or a contact, may have changed; or there is a connection."""
        self._changed = True
        self._wake.set()

    def _lose(self) -> None:
        if self.state == "in":
            self.state = "entering"
            self._speakers.clear()
            self._audience = frozenset()
            for waiting in self._out.values():
                waiting.clear()
            self._taken.set()
            self._call(self._listener.people, ())
        self._wake.set()

    # ------------------------------------------------------------ being in

    async def entered(self) -> None:
        """Wait until the room was entered for the first time. Raises what kept this side out."""
        await asyncio.shield(self._entered)

    async def leave(self) -> None:
        """Leave the room; never raises for what the network does, nor waits for it longer than 5 seconds."""
        self.end("")
        online = self._online()
        if online is not None and online.link.online:
            with suppress(MobiumError, TimeoutError):
                async with asyncio.timeout(_ANSWER):
                    await online.request(LeaveVoice(self.key))

    def end(self, reason: str) -> None:
        """It is over here; the reason is a sentence where it was nobody's wish."""
        if not self._over.is_set():
            self.reason = reason
            self.state = "left"
            self._over.set()
            self._taken.set()

    async def run(self) -> None:
        """Be in the room until it is left, or nobody lets this side in."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self.start(self._send_out())
                self.start(self._stay())
                await self._over.wait()
                for task in self._tasks:
                    task.cancel()
        except* Exception as errors:  # noqa: BLE001 - a fault of ours ends the room, and not the engine
            names = ", ".join(sorted({type(error).__name__ for error in errors.exceptions}))
            log.warning("A voice room ended by a fault: %s.", names)
        finally:
            self.state = "left"
            self._own.clear()
            self._theirs = TheirKeys(self.key)
            self._early.clear()
            if not self._entered.done():
                self._entered.set_exception(NotConnected(self.reason or "The room was left."))
                self._entered.exception()  # nobody need ask
            self._call(self._listener.left, self.reason)

    async def _stay(self) -> None:
        while True:
            await self._once()
            await self._rest()

    async def _rest(self) -> None:
        times = [own.next_time() for own in self._own.values()] + [self._theirs.next_time()]
        soonest = min((at for at in times if at is not None), default=None) if self.state == "in" else None
        delay = None if soonest is None else max(0.0, soonest - self._time())
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._wake.wait()
        self._wake.clear()

    async def _once(self) -> None:
        online = self._online()
        if self.state == "entering" and online is not None and online.link.online:
            await self._enter(online)
        if self.state != "in":
            return
        if self._changed:
            self._changed = False
            await self._look()
        now = self._time()
        for own in self._own.values():
            self._hand(own.due(now))
        for sender, kind in self._theirs.missing(now):
            self.start(self._say(sender, self._request(kind, "key")))

    async def _enter(self, online: Online) -> None:
        self._told = None
        try:
            answer = await online.request(JoinVoice(self.key))
        except ServerRefused as error:
            if error.retry_after is None:
                gone = error.code == ErrorCode.NOT_A_MEMBER
                self._refused(ServerRefused(error.code, _GONE if gone else explain(error.code)))
            else:
                self._again(error.retry_after)
            return
        except NotConnected:
            self._again(_RETRY)
            return
        if not isinstance(answer, VoiceState) or answer.channel_id != self.key or not answer.room:
            self._again(_RETRY)
            return
        now = self._time()
        self.state = "in"
        self._number = answer.room
        self._own = {MediaKind.VOICE: OwnKey(MediaKind.VOICE, self.key, self._me, now)}
        self._theirs = TheirKeys(self.key)
        self._audience = frozenset()
        self._take(self._newer(answer))
        if not self._entered.done():
            self._entered.set_result(None)

    def _newer(self, answer: VoiceState) -> VoiceState:
        """The answer, or what was told behind it but looked at before: it shows one's new number."""
        told, self._told = self._told, None
        mine = [each for each in answer.members if each.identity == self._me]
        same = told is not None and told.room == answer.room and any(one in told.members for one in mine)
        return told if told is not None and same else answer

    def _again(self, seconds: float) -> None:
        # In this order, in which what is no number becomes the least: it would upset the loop's other timers.
        pause = max(0.1, min(seconds, _LONGEST_RETRY))
        asyncio.get_running_loop().call_later(pause, self._wake.set)

    def _refused(self, error: ServerRefused) -> None:
        if not self._entered.done():
            self._entered.set_exception(error)
            self._entered.exception()  # whoever asks is told
        self.end(str(error))

    def _take(self, state: VoiceState) -> None:
        before = self._speakers
        self._number = state.room
        self._speakers = {each.number: each.identity for each in state.members if each.identity != self._me}
        known = set(before.values())
        # Whoever comes under another number has entered anew, and has none of the keys.
        again = {key for number, key in self._speakers.items() if key in known and before.get(number) != key}
        for sender in again:
            self._theirs.came_again(sender)
        # Whoever is gone is so at once: he may be back before anybody has looked, and then has none either.
        self._set_audience(
            self._audience.intersection(self._speakers.values()) - again, self._audience & again
        )
        self._changed = True
        self._wake.set()

    async def _look(self) -> None:
        """Who of those in the room may be handed keys, and what was handed over before one was to be seen."""
        shown = frozenset(self._speakers.values())
        try:
            allowed, settled = await self._core.store.run(audience.allowed, self.key, shown)
        except StoreError:  # as on a full disk: whoever is there stays, and nobody is added
            self._changed = True
            self._again(_RETRY)
            return
        if allowed is None:
            self.end(_GONE)
            return
        if not settled:  # there is word of a newer roster: nobody is added before it was seen
            allowed &= self._audience
        self._set_audience(allowed & frozenset(self._speakers.values()))
        self._early.offer(self._take_key, self._time())

    def _take_key(self, sender: bytes, said: content.MediaKey) -> bool:
        """Take a key that was handed over; False if its sender is not to be seen in the room."""
        if sender not in self._audience or said.room != self._number:
            return False
        kind = MediaKind(said.media_kind)
        for opened in self._theirs.take(sender, kind, MediaKey(said.kid, said.base), self._time()):
            self._give(sender, kind, opened)
        return True

    def _set_audience(self, audience: frozenset[bytes], again: frozenset[bytes] = frozenset()) -> None:
        """Who may be handed keys, without those who are about to be in it again."""
        before, self._audience = self._audience, audience
        self._theirs.set_members(audience | again)
        self._answered = {place: at for place, at in self._answered.items() if place[0] in audience}
        now = self._time()
        for own in self._own.values():
            self._hand(own.set_members(audience, now))
        if audience != before:
            self._call(self._listener.people, self.people)

    def _call(self, tell: Callable[..., None], *values: object) -> None:
        """Tell the listener, whose faults are not the connection's."""
        try:
            tell(*values)
        except Exception as error:  # noqa: BLE001 - whatever a program does
            log.warning("The listener of a voice room failed: %s.", type(error).__name__)

    # ------------------------------------------------------------ the network

    def _hand(self, handings: Sequence[Handing]) -> None:
        for handing in handings:
            self.start(self._hand_one(handing))

    async def _hand_one(self, handing: Handing) -> None:
        core, key = self._core, handing.key
        said = content.MediaKey(
            core.entropy(16), core.now_ms(), self.key, self._number, handing.kind, key.kid, key.base
        )
        if await self._say(handing.peer, said):
            own = self._own.get(handing.kind)
            if own is not None:
                own.acknowledged(handing.peer, key.kid, self._time())
                self._wake.set()

    def _request(self, kind: MediaKind, want: Literal["key", "picture"]) -> content.MediaRequest:
        core = self._core
        return content.MediaRequest(core.entropy(16), core.now_ms(), self.key, self._number, kind, want)

    async def _say(self, peer: bytes, said: Said) -> bool:
        """Say something to somebody in the room; what is lost on the way is asked for again."""
        online = self._online()
        if online is None:
            return False
        try:
            async with asyncio.timeout(_ANSWER):
                return await online.signals.send(peer, said)
        except (
            NotConnected, ServerRefused, ProtocolError, CryptoError, InvalidInput, StoreError, TimeoutError
        ):  # fmt: skip
            return False

    def start(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """Run something until the room is left."""
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.end(_FAULT)  # at once: a group of which a task has failed starts no other

    async def _send_out(self) -> None:
        """Voice first, and pictures where there is none."""
        while True:
            await self._some_out.wait()
            self._some_out.clear()
            while True:
                kind = next((kind for kind, waiting in self._out.items() if waiting), None)
                online = self._online()
                if kind is None or online is None:
                    break
                frame = self._out[kind].popleft()
                self._taken.set()
                with suppress(NotConnected):
                    await online.link.send_media(kind, self._number, frame)
