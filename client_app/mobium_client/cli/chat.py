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
    ConnectionChanged,
    ContactKeyChanged,
    Engine,
    Event,
    Message,
    MessageReceived,
    MessageStateChanged,
)
from mobium.client.links import is_nickname, parse_contact
from mobium.errors import InvalidInput, MobiumError, NotConnected
from mobium_client.cli.editor import Closed, Editor, Entered, Redraw
from mobium_client.cli.failures import sentence
from mobium_client.cli.keys import key_presses, pipe_lines
from mobium_client.cli.lines import MARK_CELLS, Marks, key_changed, message_line, text_of, unshown
from mobium_client.cli.screen import Screen
from mobium_client.cli.session import Run, name_of, run_async
from mobium_client.cli.window import Window
from mobium_client.plain import one_line

__all__ = ["chat"]

_EARLIER = 20  # messages shown at the beginning
_PATIENCE = 30.0  # seconds that a pipe waits at its end until all is sent
_PATIENCE_OFFLINE = 3.0  # and if there is no connection then


def chat(run: Run, peer: str, *, tell_read: bool) -> None:
    """Talk with `peer` until the input ends."""

    async def work() -> None:
        async with run.engine() as engine:
            await run.check_server(engine)
            key, name = await _whom(engine, peer)
            if sys.stdin.isatty() and run.screen.is_terminal:
                await _Terminal(run, engine, key, name, tell_read).talk()
            else:
                await _Pipe(run, engine, key, name).talk()

    run_async(work())


async def _whom(engine: Engine, peer: str) -> tuple[str, str]:
    """Key (hex) and name.

    Somebody new, named by a key or a link, becomes a contact with the first message.
    """
    try:
        contact = await engine.contacts.get(peer)
    except InvalidInput:
        if is_nickname(peer):
            raise
        key = parse_contact(peer).public.hex()
        return key, key[:16]
    return contact.key, contact.name


class _View(Protocol):
    """What both kinds of conversation show."""

    def message(self, at: datetime, name: str, text: str) -> None: ...

    def state(self, event: MessageStateChanged) -> None: ...

    def connection(self, event: ConnectionChanged) -> None: ...

    def remark(self, text: str, style: str = ...) -> None: ...

    async def seen(self) -> None: ...


async def _show_events(
    engine: Engine, events: AsyncIterator[Event], key: str, name: str, view: _View
) -> None:
    elsewhere: set[str] = set()
    async for event in events:
        match event:
            case MessageReceived(peer=peer) if peer == key:
                text = unshown("unknown", 0) if event.text is None else event.text
                view.message(event.sent_at, name, text)
                await view.seen()
            case MessageReceived(peer=peer):
                if peer not in elsewhere:
                    elsewhere.add(peer)
                    view.remark(f"{one_line(await name_of(engine, peer))} has written, too: mobium history")
            case MessageStateChanged():
                view.state(event)
            case ConnectionChanged():
                view.connection(event)
            case ContactKeyChanged(peer=peer) if peer == key:
                view.remark(key_changed(name), "bold red")
            case _:
                pass


# ---------------------------------------------------------------- on a terminal


class _Terminal:
    """A window in which a person types."""

    def __init__(self, run: Run, engine: Engine, key: str, name: str, tell_read: bool) -> None:
        self._run = run
        self._engine = engine
        self._key = key
        self._name = name
        self._tell_read = tell_read
        self._editor = Editor()
        self._window = Window(run.screen, name, self._editor)
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
                    showing = group.create_task(
                        _show_events(self._engine, events, self._key, self._name, self)
                    )
                    await self._type(keys)
                    showing.cancel()
            finally:
                self._window.close()
        if self._unsent:
            count = len(self._unsent)
            what = "1 message is" if count == 1 else f"{count} messages are"
            self._run.screen.remark(f"{what} queued, to go out at the next connection.")

    async def _greet(self) -> None:
        window = self._window
        for message in await self._engine.history(self._key, limit=_EARLIER):
            self._show_earlier(message)
        with suppress(InvalidInput):  # nobody yet
            contact = await self._engine.contacts.get(self._key)
            if contact.trust == "changed":
                window.remark(key_changed(self._name), "bold red")
            elif contact.trust == "unverified":
                window.remark("Not verified: compare safety numbers with mobium contact verify.")
            if contact.request:
                window.remark("Not a contact yet: your answer accepts the request.")
            await self.seen()
        window.remark(f"Ctrl-D leaves. {Marks(self._run.screen.can_draw).legend}")

    def _show_earlier(self, message: Message) -> None:
        text = text_of(message)
        dated = message.sent_at.astimezone().date() != datetime.now().astimezone().date()
        if message.outgoing:
            self._window.own(message.id, message.state, message.sent_at, text, dated=dated)
        else:
            self._window.message(message.sent_at, self._name, text, dated=dated)

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
            message_id = await self._engine.send(self._key, text)
        except MobiumError as error:
            self._window.remark(f"{sentence(error)} (The up arrow brings your text back.)", "red")
            return
        self._unsent.add(message_id)
        self._window.own(message_id, "queued", datetime.now(UTC), text)

    def message(self, at: datetime, name: str, text: str) -> None:
        """Show a message."""
        self._window.message(at, name, text)

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
        await self._engine.mark_read(self._key, tell=self._tell_read)


# ---------------------------------------------------------------- through pipes


class _Pipe:
    """Lines in, lines out."""

    def __init__(self, run: Run, engine: Engine, key: str, name: str) -> None:
        self._run = run
        self._engine = engine
        self._key = key
        self._name = name
        self._unsent: set[str] = set()
        self._failed: list[str] = []
        self._progress = asyncio.Event()
        self._said = ""
        self._lost = False

    async def talk(self) -> None:
        """Send every line, show every answer; at the end of the input wait until all is sent."""
        events = self._engine.events()
        await self._engine.connect(self._run.server, wait=False)
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(_show_events(self._engine, events, self._key, self._name, self))
            async for line in pipe_lines():
                if line.strip():
                    self._unsent.add(await self._engine.send(self._key, line))
            await self._until_sent()
            showing.cancel()
        if self._failed:
            raise MobiumError(self._failed[0])
        if self._unsent:
            count = len(self._unsent)
            what = "1 message stays" if count == 1 else f"{count} messages stay"
            raise NotConnected(f"{self._said or 'The server did not answer in time.'} {what} queued.")

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

    def state(self, event: MessageStateChanged) -> None:
        """Note that a message's state has changed."""
        if event.state in {"failed", "expired"} or (event.state == "queued" and event.reason):
            self._failed.append(f"{event.reason or 'A message was not sent.'}")
            self._lost = self._lost or event.state == "queued"
        self._progress.set()

    def connection(self, event: ConnectionChanged) -> None:
        """Note that the connection has changed."""
        if event.state == "online":
            self._said = ""
        elif event.reason:
            if event.reason != self._said:
                self._screen.remark(f"not connected: {event.reason}")
            self._said = event.reason
            self._lost = self._lost or event.state == "offline"
        self._progress.set()

    def remark(self, text: str, style: str = "") -> None:
        """Print a sentence of the program."""
        self._screen.remark(text, style)

    async def seen(self) -> None:
        """Note that the messages were shown; that a person has read them is not known."""
        await self._engine.mark_read(self._key)

    @property
    def _screen(self) -> Screen:
        return self._run.screen
