"""The commands that move messages without a conversation on the screen: send, retry, listen.

Not its concern: the interactive conversation (`mobium_client.cli.chat`), options and their help.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from rich.text import Text

from mobium.client import (
    CallChanged,
    CallMissed,
    CallScreenChanged,
    ChannelChanged,
    ConnectionChanged,
    ContactKeyChanged,
    Engine,
    Event,
    MessageReceived,
    MessageStateChanged,
    ScreenChanged,
    SoundChanged,
    SpeakingChanged,
    VoiceChanged,
    VoiceLeft,
)
from mobium.client.labels import is_channel
from mobium.errors import InvalidInput, MobiumError, NotConnected, StoreError
from mobium_client.cli.call import call_fields
from mobium_client.cli.failures import StaysQueued
from mobium_client.cli.lines import MARK_CELLS, key_changed, message_line, notice_line, unshown
from mobium_client.cli.partners import InChannel
from mobium_client.cli.session import Run, ended, name_of, run_async
from mobium_client.plain import sentence

__all__ = ["Wait", "listen", "retry", "send"]

_LONGEST_INPUT = 8 << 20  # bytes: above every server's limit
_PATIENCE = 30.0  # seconds for what was queued again
_AGAIN = " (mobium retry)"  # what may help; not in a channel that one is not in any more
_RANK = {"queued": 0, "sent": 1, "delivered": 2, "read": 3}


class Wait(StrEnum):
    """What `send` waits for."""

    SENT = "sent"
    DELIVERED = "delivered"


# ---------------------------------------------------------------- send, retry


def send(run: Run, peer: str, text: str, wait: Wait, timeout: float) -> None:
    """Queue a text, send it, and wait."""
    if text == "-":
        text = _standard_input()

    async def work() -> None:
        async with run.engine() as engine:
            await run.check_server(engine)
            if is_channel(peer):
                if wait is Wait.DELIVERED:
                    raise InvalidInput("Messages to a channel have no receipts; wait until they are sent.")
                await run.check_home(engine, await engine.channels.get(peer))
            async with _following(engine, "" if is_channel(peer) else _AGAIN) as states:
                message_id = await engine.send(peer, text)
                await _connect_or_queue(run, engine, 1)
                try:
                    async with asyncio.timeout(timeout):
                        state = await states.reach(message_id, wait)
                except TimeoutError:
                    state = (await engine.message(message_id)).state
                    if state == "queued":
                        raise NotConnected(
                            f"The server did not take the message within {timeout:g} s; it stays queued."
                        ) from None
                    raise StaysQueued(
                        f"The message was sent, but not delivered within {timeout:g} s; it is on the server."
                    ) from None
            run.screen.line(f"{message_id} {state}")

    run_async(work())


def retry(run: Run, message_id: str | None) -> None:
    """Queue failed messages again and send them."""

    async def work() -> None:
        async with run.engine() as engine:
            await run.check_server(engine)
            wanted = [message_id] if message_id is not None else await _failed(engine)
            if not wanted:
                run.screen.remark("Nothing has failed.")
                return
            async with _following(engine, _AGAIN) as states:
                for one in wanted:
                    await engine.retry(one)
                await _connect_or_queue(run, engine, len(wanted))
                left = 0
                for one in wanted:
                    try:
                        async with asyncio.timeout(_PATIENCE):
                            run.screen.line(f"{one} {await states.reach(one, Wait.SENT)}")
                    except StoreError:
                        raise
                    except (MobiumError, TimeoutError) as error:
                        left += 1
                        why = sentence(error) if isinstance(error, MobiumError) else "No answer yet."
                        run.screen.remark(f"{one}: {why}")
            if left:
                raise MobiumError(f"{left} of {len(wanted)} messages could not be sent yet.")

    run_async(work())


async def _failed(engine: Engine) -> list[str]:
    return [
        str(row["id"])
        async for row in engine.export()
        if row["type"] == "message" and row["outgoing"] and row["state"] in {"failed", "expired"}
    ]


async def _connect_or_queue(run: Run, engine: Engine, count: int) -> None:
    """Log in. Raises StoreError, and NotConnected, which also says that what was queued stays queued."""
    try:
        await run.connect(engine)
    except StoreError:  # whether it is queued nobody knows
        raise
    except MobiumError as error:
        stays = "The message stays" if count == 1 else f"The {count} messages stay"
        raise NotConnected(f"{sentence(error)} {stays} queued, to go out at the next connection.") from error


class _States:
    """The states of one's own messages, as they change."""

    def __init__(self, engine: Engine, events: AsyncIterator[Event], again: str) -> None:
        self._engine = engine
        self._events = events
        self._again = again
        self._last: dict[str, MessageStateChanged] = {}

    async def reach(self, message_id: str, wait: Wait) -> str:
        """Wait for a state, and return the one that is reached.

        Raises StaysQueued with the reason if the message cannot go out now, MobiumError if not at all, and
        NotConnected or StoreError if the connection is gone for good.
        """
        while True:
            event = self._last.get(message_id)
            if event is not None:
                if _RANK.get(event.state, -1) >= _RANK[wait]:
                    return event.state
                if event.state in {"failed", "expired"}:
                    raise MobiumError(f"{event.reason or 'The message was not sent.'}{self._again}")
                if event.state == "queued" and event.reason:
                    raise StaysQueued(f"{event.reason} The message stays queued.")
            await self._next()

    async def _next(self) -> None:
        event = await anext(self._events)
        if isinstance(event, MessageStateChanged):
            self._last[event.id] = event
        elif isinstance(event, ConnectionChanged) and event.state == "offline" and event.reason:
            raise ended(self._engine, f"{event.reason} What was not sent stays queued.")


@asynccontextmanager
async def _following(engine: Engine, again: str) -> AsyncIterator[_States]:
    stream = engine.events()
    try:
        yield _States(engine, stream, again)
    finally:
        await stream.aclose()


def _standard_input() -> str:
    data = sys.stdin.buffer.read(_LONGEST_INPUT + 1)
    if len(data) > _LONGEST_INPUT:
        raise InvalidInput(
            f"The message is too large: standard input holds more than {_LONGEST_INPUT} bytes."
        )
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise InvalidInput("The message on standard input is not UTF-8 text.") from None


# ---------------------------------------------------------------- listen


def listen(run: Run, as_json: bool, count: int | None) -> None:
    """Stay connected and print events until interrupted, until `count` messages came, or until only a person
    can help.
    """

    async def work() -> None:
        async with run.engine() as engine:
            await run.check_server(engine)
            events = engine.events()
            await engine.connect(run.server, wait=False)
            left = count
            said = ""
            channels = _Channels(engine)
            async for event in events:
                if as_json:
                    run.screen.json(await _event_fields(engine, channels, event))
                else:
                    said = await _tell(run, engine, channels, event, said)
                if isinstance(event, ConnectionChanged) and event.state == "offline" and event.reason:
                    raise ended(engine, event.reason)
                if isinstance(event, MessageReceived) and left is not None:
                    left -= 1
                    if not left:
                        return

    run_async(work())


class _Channels:
    """The channels from which something came, with the names of their members."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._met: dict[str, InChannel] = {}

    async def get(self, channel: str) -> InChannel | None:
        """The channel of an event, by what it is called or by its id; None for one that was forgotten."""
        known = [one for one in self._met.values() if channel in {one.title, one.channel.id}]
        if known:
            return known[0]
        try:
            found = await self._engine.channels.get(channel)
        except InvalidInput:
            return None
        return self._met.setdefault(found.id, InChannel(self._engine, found))


async def _event_fields(engine: Engine, channels: _Channels, event: Event) -> dict[str, Any]:
    """One line of `listen --json`. Names and values are stable; new fields may come."""
    match event:
        case ConnectionChanged():
            return {
                "event": "connection",
                "state": event.state,
                "reason": event.reason or None,
                "retry_in": event.retry_in,
            }
        case MessageReceived():
            fields = {
                "event": "message",
                "id": event.id,
                "peer": event.peer,
                "nickname": await _nickname(engine, event.peer),
                "channel": event.channel,
                "text": event.text,
                "sent_at": event.sent_at.isoformat(),
                "request": event.request,
            }
            if event.channel is not None:
                channel = await channels.get(event.channel)
                fields["channel_id"] = None if channel is None else channel.channel.id
                fields["shown"] = None if channel is None else await channel.name(event.peer)
            return fields
        case MessageStateChanged():
            return {
                "event": "state",
                "id": event.id,
                "state": event.state,
                "reason": event.reason or None,
            }
        case ContactKeyChanged():
            return {
                "event": "key_changed",
                "peer": event.peer,
                "nickname": await _nickname(engine, event.peer),
            }
        case ChannelChanged():
            channel = await channels.get(event.channel)
            return {
                "event": "channel",
                "channel": event.label,
                "channel_id": event.channel,
                "what": event.what,
                "actor": event.actor or None,
                "subject": event.subject or None,
                "text": event.text or None,
                "sentence": None if channel is None else await channel.change(event),
            }
        case _:
            return await _live_fields(engine, event)


async def _live_fields(
    engine: Engine,
    event: VoiceChanged
    | SpeakingChanged
    | ScreenChanged
    | VoiceLeft
    | CallChanged
    | CallMissed
    | CallScreenChanged
    | SoundChanged,
) -> dict[str, Any]:
    match event:
        case VoiceChanged():
            return {
                "event": "voice",
                "channel": event.label,
                "channel_id": event.channel,
                "people": list(event.people),
            }
        case SpeakingChanged():
            return {
                "event": "speaking",
                "channel_id": event.channel,
                "peer": event.peer or None,
                "speaking": event.speaking,
            }
        case ScreenChanged():
            return {
                "event": "screen",
                "channel_id": event.channel,
                "peer": event.peer or None,
                "shown": event.shown,
                "reason": event.reason or None,
            }
        case VoiceLeft():
            return {"event": "voice_left", "channel_id": event.channel, "reason": event.reason or None}
        case CallChanged() | CallMissed() | CallScreenChanged():
            return await call_fields(engine, event)
        case SoundChanged():
            return {
                "event": "sound",
                "kind": event.kind,
                "what": event.what,
                "name": event.name,
                "device": event.device,
                "reason": event.reason or None,
            }


async def _nickname(engine: Engine, key: str) -> str | None:
    try:
        return (await engine.contacts.get(key)).nickname
    except InvalidInput:
        return None


async def _tell(run: Run, engine: Engine, channels: _Channels, event: Event, said: str) -> str:
    """Show an event to a person; `said` is what was last said about the connection."""
    screen = run.screen
    match event:
        case ConnectionChanged(state="online"):
            if said != "online":
                screen.remark("connected")
            return "online"
        case ConnectionChanged() if isinstance(engine.failure, StoreError):
            return said  # it ends the command, and is said there
        case ConnectionChanged() if event.reason and event.reason != said:
            screen.remark(f"not connected: {event.reason}")
            return event.reason
        case MessageReceived():
            channel = None if event.channel is None else await channels.get(event.channel)
            name = await (name_of(engine, event.peer) if channel is None else channel.name(event.peer))
            text = unshown("unknown", 0) if event.text is None else event.text
            blank = Text(" " * MARK_CELLS)
            for line in message_line(
                blank,
                event.sent_at,
                name,
                "bold cyan",
                text,
                screen.width,
                request=event.request,
                channel=event.channel,
            ):
                screen.line(line)
        case ChannelChanged():
            channel = await channels.get(event.channel)
            change = event.what if channel is None else await channel.change(event)
            style = "bold red" if event.what in {"broken", "disputed"} else "dim"
            for line in notice_line(datetime.now(UTC), change, screen.width, style, channel=event.label):
                screen.line(line)
        case MessageStateChanged(reason=reason) if reason:
            screen.remark(f"message {event.id}: {event.state}: {reason}")
        case ContactKeyChanged():
            name = await name_of(engine, event.peer)
            screen.remark(f"{key_changed(name)}", style="bold red")
        case _:
            await _tell_live(run, engine, channels, event)
    return said


async def _tell_live(run: Run, engine: Engine, channels: _Channels, event: Event) -> None:
    """Show what happens in calls and voice rooms."""
    screen = run.screen
    match event:
        case VoiceChanged():
            channel = await channels.get(event.channel)
            if channel is not None:
                names = ", ".join([await channel.name(key) for key in event.people])
                change = f"in the voice room: {names}" if names else "nobody is in the voice room"
                for line in notice_line(datetime.now(UTC), change, screen.width, "dim", channel=event.label):
                    screen.line(line)
        case VoiceLeft(reason=reason) if reason:
            screen.remark(f"left the voice room: {reason}")
        case CallChanged(state="incoming"):
            screen.remark(f"{await name_of(engine, event.peer)} calls; to take calls: mobium answer")
        case CallMissed():
            screen.remark(f"{await name_of(engine, event.peer)} called during another call")
        case CallChanged(state="ended"):
            ended = event.reason or "it is over."
            screen.remark(f"call with {await name_of(engine, event.peer)}: {ended}")
