"""What an engine tells, and the streams by which a program hears it.

An event about stored things is told after the transaction that stored them, in the order of commits. Not its
concern: keeping events over a restart; what was received is in the history, and what was not read is counted
there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

__all__ = [
    "CallChanged",
    "CallMissed",
    "CallScreenChanged",
    "CallState",
    "ChannelChanged",
    "ConnectionChanged",
    "ConnectionState",
    "ContactKeyChanged",
    "Event",
    "EventHub",
    "EventStream",
    "MessageReceived",
    "MessageState",
    "MessageStateChanged",
    "ScreenChanged",
    "SoundChanged",
    "SpeakingChanged",
    "VoiceChanged",
    "VoiceLeft",
    "from_ms",
]

ConnectionState = Literal["connecting", "online", "waiting", "offline"]
CallState = Literal["calling", "ringing", "incoming", "connecting", "active", "reconnecting", "ended"]
MessageState = Literal["queued", "sent", "delivered", "read", "failed", "expired", "received"]

# A program that does not read its events must not fill the memory: beyond this the oldest are dropped; the
# history has them all.
_KEPT_EVENTS: Final = 10_000
_LAST_MS: Final = 253_402_300_799_000  # the end of the year 9999, the last that `datetime` can show


class ConnectionChanged(msgspec.Struct, frozen=True):
    """The connection is in another state.

    `reason` is a sentence about what went wrong, or empty; `retry_in` the seconds until the next try, if
    there is one. `offline` with a reason means that only a person can mend it.
    """

    state: ConnectionState
    reason: str = ""
    retry_in: float | None = None


class MessageReceived(msgspec.Struct, frozen=True):
    """A message was received and stored. `id` and `peer` are hex; `channel` is what the channel is called
    here ("#name", which `send` takes), or None in a direct conversation.

    `text` is None if a newer version of mobium is needed to show it. `request` is true for somebody who is no
    contact yet: answering him, or accepting him, makes him one.
    """

    id: str
    peer: str
    channel: str | None
    text: str | None
    sent_at: datetime
    request: bool = False


class MessageStateChanged(msgspec.Struct, frozen=True):
    """A message of one's own is in another state. `reason` is a sentence where there is one to say."""

    id: str
    state: MessageState
    reason: str = ""


class ChannelChanged(msgspec.Struct, frozen=True):
    """A channel has changed. `channel` is its id in hex, `label` what it is called here.

    `what` is "created", "joined", "left", "removed", "banned", "unbanned", "role" (`text` is the new one),
    "renamed" or "topic" (`text` is the new one, empty while it cannot be read), "secret" (earlier invite
    links are worthless), "broken" (`text` is a sentence about what does not add up; nothing is sent there),
    "mended", "disputed" (`actor` speaks of another list of members than this profile has, and `text` is a
    sentence; nothing is sent there), "agreed" (nobody does any more), "withheld" (`text` is a sentence: the
    server leaves something out), or "reordered" (the server shows what `actor` wrote in another order).
    `actor` did it, and `subject` is whom it concerns, both in hex and empty where there is none.
    """

    channel: str
    label: str
    what: str
    actor: str = ""
    subject: str = ""
    text: str = ""


class ContactKeyChanged(msgspec.Struct, frozen=True):
    """A contact's identity carries another X25519 key than the one first seen:

    nothing is sent to it until that is accepted.
    """

    peer: str


class VoiceChanged(msgspec.Struct, frozen=True):
    """Others are in the voice room of a channel: `people`, identity keys in hex, oneself included.

    `channel` is its id in hex, `label` what it is called here.
    """

    channel: str
    label: str
    people: tuple[str, ...]


class VoiceLeft(msgspec.Struct, frozen=True):
    """This profile has left a voice room; `reason` is a sentence if that was nobody's wish."""

    channel: str
    reason: str = ""


class CallChanged(msgspec.Struct, frozen=True):
    """The call with `peer` (hex) is in another state. `call` (hex) names it from its first state to "ended".

    "calling": not known whether anybody hears it; "ringing": it rings at the other side; "incoming": it rings
    here; "connecting": it was taken; "active"; "reconnecting": nothing is heard for some seconds; "ended".
    Then `code` is a word for programs, and `reason` a sentence where there is one to say.
    """

    call: str
    peer: str
    state: CallState
    code: str = ""
    reason: str = ""


class CallMissed(msgspec.Struct, frozen=True):
    """`peer` (hex) called during another call, and was told that this side is busy; `call` (hex) names what
    was missed.
    """

    call: str
    peer: str


class CallScreenChanged(msgspec.Struct, frozen=True):
    """The other side of a call shows its screen from now on, or does not any more: `peer` is its key in hex.
    Where `peer` is empty one's own screen is not shown any more, which was nobody's wish: `reason` says why.
    """

    call: str
    peer: str
    shown: bool
    reason: str = ""


class SoundChanged(msgspec.Struct, frozen=True):
    """A device that is in use was lost or is back, or a file that stood for a microphone has ended. `device`
    is what is used from now on, None for silence. `reason` is a sentence where there is more to say of what
    was lost, as of a recording that the disk does not take.
    """

    kind: Literal["microphone", "speaker"]
    what: Literal["lost", "found", "ended"]
    name: str
    device: str | None
    reason: str = ""


class SpeakingChanged(msgspec.Struct, frozen=True):
    """Somebody in the voice room in which this profile is begins or ends to speak: `peer` is a key in hex, or
    empty for oneself.
    """

    channel: str
    peer: str
    speaking: bool


class ScreenChanged(msgspec.Struct, frozen=True):
    """Somebody in the voice room in which this profile is shows a screen from now on, or does not any more:
    `peer` is a key in hex, or empty for oneself, whose screen cannot be captured any more (`reason`).
    """

    channel: str
    peer: str
    shown: bool
    reason: str = ""


Event = (
    ConnectionChanged
    | MessageReceived
    | MessageStateChanged
    | ContactKeyChanged
    | ChannelChanged
    | VoiceChanged
    | VoiceLeft
    | CallChanged
    | CallMissed
    | CallScreenChanged
    | SoundChanged
    | SpeakingChanged
    | ScreenChanged
)


def from_ms(milliseconds: int) -> datetime:
    """The moment, in UTC, of a number of milliseconds since 1970; one that no calendar has becomes the last
    that can be shown.
    """
    return datetime.fromtimestamp(min(max(milliseconds, 0), _LAST_MS) / 1000, UTC)


class EventStream(AsyncIterator[Event]):
    """The events from the moment on at which the stream was made; ends when the engine closes."""

    def __init__(self, first: list[Event], leave: Callable[[EventStream], None]) -> None:
        self._events: deque[Event] = deque(first, _KEPT_EVENTS)
        self._leave = leave
        self._wake = asyncio.Event()
        self._ended = False

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()

    def put(self, event: Event) -> None:
        """Add an event."""
        self._events.append(event)
        self._wake.set()

    def end(self) -> None:
        """Let the stream end after what it holds."""
        self._ended = True
        self._wake.set()

    async def aclose(self) -> None:
        """Stop listening."""
        self._leave(self)
        self.end()


class EventHub:
    """Hands every event to every stream. What is told before the first stream exists is kept for that one."""

    def __init__(self) -> None:
        self._streams: list[EventStream] = []
        self._early: deque[Event] | None = deque(maxlen=_KEPT_EVENTS)
        self._watched: dict[str, list[asyncio.Event]] = {}
        self._closed = False

    def stream(self) -> EventStream:
        """A new stream."""
        early, self._early = self._early, None
        stream = EventStream(list(early or ()), self._leave)
        if self._closed:
            stream.end()
        else:
            self._streams.append(stream)
        return stream

    @contextmanager
    def watch(self, message_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the message with this content id (hex) changes, and when the engine
        closes.
        """
        changed = asyncio.Event()
        self._watched.setdefault(message_id, []).append(changed)
        try:
            yield changed
        finally:
            self._watched[message_id].remove(changed)
            if not self._watched[message_id]:
                del self._watched[message_id]

    def tell(self, events: list[Event]) -> None:
        """Hand events to every stream, in order."""
        for event in events:
            if self._early is not None:
                self._early.append(event)
            for stream in self._streams:
                stream.put(event)
            if isinstance(event, MessageStateChanged):
                for changed in self._watched.get(event.id, ()):
                    changed.set()

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        for stream in self._streams:
            stream.end()
        self._streams.clear()
        for watched in self._watched.values():
            for changed in watched:
                changed.set()

    def _leave(self, stream: EventStream) -> None:
        if stream in self._streams:
            self._streams.remove(stream)
