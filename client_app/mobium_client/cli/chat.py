"""`mobium chat`: a conversation in a window on a terminal, or line by line through pipes.

Not its concern: drawing (`mobium_client.cli.window`), editing (`mobium_client.cli.editor`), reading keys
(`mobium_client.cli.keys`).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from rich.text import Text

from mobium.client import (
    ChannelChanged,
    ConnectionChanged,
    ContactKeyChanged,
    Engine,
    Event,
    Message,
    MessageReceived,
    MessageStateChanged,
)
from mobium.errors import InvalidInput, MobiumError, StoreError
from mobium_client.cli.editor import Closed, Editor, Entered, Redraw
from mobium_client.cli.failures import StaysQueued
from mobium_client.cli.keys import key_presses, pipe_lines
from mobium_client.cli.lines import MARK_CELLS, Marks, key_changed, message_line, notice_line, unshown
from mobium_client.cli.partners import InChannel, Partner, WithPerson, partner_of, said_by
from mobium_client.cli.screen import Screen
from mobium_client.cli.session import Run, ended, name_of, run_async
from mobium_client.cli.window import Window
from mobium_client.people import OPEN
from mobium_client.plain import one_line, sentence

__all__ = ["chat"]

_EARLIER = 20  # messages shown at the beginning
_PATIENCE = 30.0  # seconds that a pipe waits at its end until all is sent
_PATIENCE_OFFLINE = 3.0  # and if there is no connection then


def chat(run: Run, peer: str, *, tell_read: bool) -> None:
    """Talk with `peer`, a person or a channel, until the input ends."""

    async def work() -> None:
        async with run.engine() as engine:
            await run.check_server(engine)
            partner = await partner_of(engine, peer)
            if isinstance(partner, InChannel):
                await run.check_home(engine, partner.channel)
            if sys.stdin.isatty() and run.screen.is_terminal:
                await _Terminal(run, engine, partner, tell_read).talk()
            else:
                await _Pipe(run, engine, partner).talk()

    run_async(work())


class _View(Protocol):
    """What both kinds of conversation show."""

    def message(self, at: datetime, name: str, text: str) -> None: ...

    def notice(self, text: str, title: str) -> None: ...

    def state(self, event: MessageStateChanged) -> None: ...

    def connection(self, event: ConnectionChanged) -> None: ...

    def remark(self, text: str, style: str = ...) -> None: ...

    async def seen(self) -> None: ...


async def _show_events(engine: Engine, events: AsyncIterator[Event], partner: Partner, view: _View) -> None:
    elsewhere: set[str] = set()
    async for event in events:
        match event:
            case MessageReceived(peer=peer) if await partner.takes(event):
                text = unshown("unknown", 0) if event.text is None else event.text
                view.message(event.sent_at, await partner.name(peer), text)
                await view.seen()
            case MessageReceived():
                await _show_other(engine, event, elsewhere, view)
            case MessageStateChanged():
                view.state(event)
            case ConnectionChanged():
                view.connection(event)
            case ContactKeyChanged(peer=peer) if peer == partner.target:
                view.remark(key_changed(partner.title), "bold red")
            case ChannelChanged():
                await _show_change(event, partner, view)


async def _show_other(engine: Engine, event: MessageReceived, elsewhere: set[str], view: _View) -> None:
    """Say once that somebody has written elsewhere."""
    where = event.channel or event.peer
    if where not in elsewhere:
        elsewhere.add(where)
        who = event.channel or await name_of(engine, event.peer)
        view.remark(
            f"There are messages in {one_line(who)}, too: mobium history"
            if event.channel
            else f"{one_line(who)} has written, too: mobium history"
        )


async def _show_change(event: ChannelChanged, partner: Partner, view: _View) -> None:
    if not isinstance(partner, InChannel) or event.channel != partner.channel.id:
        return
    said = await partner.change(event)
    if event.what in {"broken", "disputed"}:
        view.remark(said, "bold red")
    else:
        view.notice(said, partner.title)
    await view.seen()


# ---------------------------------------------------------------- on a terminal


class _Terminal:
    """A window in which a person types."""

    def __init__(self, run: Run, engine: Engine, partner: InChannel | WithPerson, tell_read: bool) -> None:
        self._run = run
        self._engine = engine
        self._partner = partner
        self._tell_read = tell_read
        self._editor = Editor()
        self._window = Window(run.screen, partner.title, self._editor)
        self._said = ""
        self._unsent: set[str] = set()

    async def talk(self) -> None:
        """Show the conversation and send what is typed, until Ctrl-D."""
        events = self._engine.events()
        await self._engine.connect(self._run.server, wait=False)
        with key_presses(self._window.resized) as keys:
            self._window.open()
            try:
                await self._greet()
                async with asyncio.TaskGroup() as group:
                    showing = group.create_task(_show_events(self._engine, events, self._partner, self))
                    await self._type(keys)
                    showing.cancel()
            finally:
                self._window.close()
        if self._unsent:
            count = len(self._unsent)
            what = "1 message is" if count == 1 else f"{count} messages are"
            self._run.screen.remark(f"{what} queued, to go out at the next connection.")

    async def _greet(self) -> None:
        for message in await self._engine.history(self._partner.target, limit=_EARLIER):
            await self._show_earlier(message)
        marks = Marks(self._run.screen.can_draw)
        if isinstance(self._partner, InChannel):
            await self._introduce_channel(self._partner)
            self._window.remark(f"Ctrl-D leaves. {marks.channel_legend}")
        else:
            await self._introduce_person(self._partner)
            self._window.remark(f"Ctrl-D leaves. {marks.legend}")

    async def _introduce_channel(self, partner: InChannel) -> None:
        channel = await self._engine.channels.get(partner.target)
        if channel.reason:
            self._window.remark(channel.reason, "bold red")
        if channel.topic:
            self._window.remark(f"Topic: {one_line(channel.topic)}")
        if not channel.private:
            self._window.remark(OPEN)
        await self.seen()

    async def _introduce_person(self, partner: WithPerson) -> None:
        window = self._window
        with suppress(InvalidInput):  # nobody yet
            contact = await self._engine.contacts.get(partner.target)
            if contact.trust == "changed":
                window.remark(key_changed(partner.title), "bold red")
            elif contact.trust == "unverified":
                window.remark("Not verified: compare safety numbers with mobium contact verify.")
            if contact.request:
                window.remark("Not a contact yet: your answer accepts the request.")
            await self.seen()

    async def _show_earlier(self, message: Message) -> None:
        dated = message.sent_at.astimezone().date() != datetime.now().astimezone().date()
        if message.kind == "notice" and isinstance(self._partner, InChannel):
            self._window.notice(message.sent_at, await self._partner.notice(message), dated=dated)
            return
        who, text = await said_by(self._partner, message)
        if message.outgoing:
            self._window.own(message.id, message.state, message.sent_at, text, dated=dated)
        else:
            self._window.message(message.sent_at, who, text, dated=dated)

    async def _type(self, keys: AsyncIterator[str]) -> None:
        async for chunk in keys:
            for event in self._editor.feed(chunk):
                match event:
                    case Closed():
                        return
                    case Redraw():
                        self._window.draw()
                    case Entered(text):
                        await self._send(text)
            self._window.draw()

    async def _send(self, text: str) -> None:
        try:
            message_id = await self._engine.send(self._partner.target, text)
        except MobiumError as error:
            self._window.remark(f"{sentence(error)} (The up arrow brings your text back.)", "red")
            return
        self._unsent.add(message_id)
        self._window.own(message_id, "queued", datetime.now(UTC), text)

    def message(self, at: datetime, name: str, text: str) -> None:
        """Show a message."""
        self._window.message(at, name, text)

    def notice(self, text: str, title: str) -> None:
        """Show a change of the channel."""
        self._window.title(title)
        self._window.notice(datetime.now(UTC), text)

    def state(self, event: MessageStateChanged) -> None:
        """Show that a message's state has changed."""
        self._window.state(event.id, event.state)
        if event.state != "queued":
            self._unsent.discard(event.id)
        if event.reason:
            again = " (mobium retry)" if event.state in {"failed", "expired"} else ""
            self._window.remark(f"{event.state}: {event.reason}{again}", "red")

    def connection(self, event: ConnectionChanged) -> None:
        """Show that the connection has changed."""
        self._window.note({"online": "", "connecting": "(connecting)"}.get(event.state, "(offline)"))
        if event.state == "online":
            self._said = ""
        elif event.reason and event.reason != self._said:
            self._said = event.reason
            self._window.remark(event.reason, "red")

    def remark(self, text: str, style: str = "dim") -> None:
        """Show a sentence of the program."""
        self._window.remark(text, style)

    async def seen(self) -> None:
        """Note that the messages were read."""
        await self._engine.mark_read(self._partner.target, tell=self._tell_read)


# ---------------------------------------------------------------- through pipes


class _Pipe:
    """Lines in, lines out."""

    def __init__(self, run: Run, engine: Engine, partner: InChannel | WithPerson) -> None:
        self._run = run
        self._engine = engine
        self._partner = partner
        self._unsent: set[str] = set()
        self._failed: list[str] = []
        self._progress = asyncio.Event()
        self._said = ""
        self._lost = False
        self._refused = False

    async def talk(self) -> None:
        """Send every line, show every answer; at the end of the input wait until all is sent."""
        events = self._engine.events()
        await self._engine.connect(self._run.server, wait=False)
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(_show_events(self._engine, events, self._partner, self))
            async for line in pipe_lines():
                if line.strip():
                    self._unsent.add(await self._engine.send(self._partner.target, line))
            await self._until_sent()
            showing.cancel()
        count = len(self._unsent)
        stays = {0: "", 1: " 1 message stays queued."}.get(count, f" {count} messages stay queued.")
        if self._failed:
            raise (MobiumError if self._refused else StaysQueued)(f"{self._failed[0]}{stays}")
        if self._unsent:
            raise ended(self._engine, f"{self._said or 'The server did not answer in time.'}{stays}")

    async def _until_sent(self) -> None:
        offline = self._engine.connection in {"waiting", "offline"}
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_OFFLINE if offline else _PATIENCE):
                while self._unsent and not self._lost:
                    self._progress.clear()
                    # the state may have come before the id was known
                    for message_id in list(self._unsent):
                        if (await self._engine.message(message_id)).state != "queued":
                            self._unsent.discard(message_id)
                    if self._unsent:
                        await self._progress.wait()

    def message(self, at: datetime, name: str, text: str) -> None:
        """Print a message."""
        blank = Text(" " * MARK_CELLS)
        for line in message_line(blank, at, name, "bold cyan", text, self._screen.width):
            self._screen.line(line)

    def notice(self, text: str, _title: str) -> None:
        """Print a change of the channel."""
        for line in notice_line(datetime.now(UTC), text, self._screen.width):
            self._screen.line(line)

    def state(self, event: MessageStateChanged) -> None:
        """Note that a message's state has changed."""
        refused = event.state in {"failed", "expired"}
        if refused or (event.state == "queued" and event.reason):
            self._failed.append(f"{event.reason or 'A message was not sent.'}")
            self._refused = self._refused or refused
            self._lost = self._lost or not refused
        self._progress.set()

    def connection(self, event: ConnectionChanged) -> None:
        """Note that the connection has changed."""
        if event.state == "online":
            self._said = ""
        elif event.reason:
            # what ends the command is said there
            if event.reason != self._said and not isinstance(self._engine.failure, StoreError):
                self._screen.remark(f"not connected: {event.reason}")
            self._said = event.reason
            self._lost = self._lost or event.state == "offline"
        self._progress.set()

    def remark(self, text: str, style: str = "") -> None:
        """Print a sentence of the program."""
        self._screen.remark(text, style)

    async def seen(self) -> None:
        """Note that the messages were shown; that a person has read them is not known."""
        await self._engine.mark_read(self._partner.target)

    @property
    def _screen(self) -> Screen:
        return self._run.screen
