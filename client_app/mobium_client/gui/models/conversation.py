"""One conversation while it is open: its lines, who it is with, and what has to be decided before one writes.

Not its concern: what a line says (`mobium_client.gui.models.lines`), writing (`...composer`) and drawing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from mobium.client import (
    ChannelChanged,
    Contact,
    ContactKeyChanged,
    Message,
    MessageReceived,
    MessageStateChanged,
)
from mobium.errors import InvalidInput
from mobium_client.gui.models.channel_words import ChannelTalk, Told
from mobium_client.gui.models.composer import Composer
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.conversations import Kind
from mobium_client.gui.models.lines import Line, first_unread, lines_of
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.refresh import Refresh
from mobium_client.plain import one_line

__all__ = ["PAGE", "Conversation", "ConversationState"]

PAGE = 50  # messages that are read at once
_FURTHEST = 5_000  # messages behind the newest that are read at once to show one that was found

Decision = Literal["", "request", "blocked", "changed"]


@dataclass(frozen=True, slots=True)
class ConversationState:
    """`lines` are those that were read until now; `more` says that there are older ones. `focus` is the
    position of the message to be shown, if one was looked for. `decision` is what has to be decided about
    the other side. `standing` is a sentence about a channel that stays for as long as it is so, and
    `writable` whether one can write.
    """

    target: str
    kind: Kind
    title: str
    key: str
    lines: tuple[Line, ...] = ()
    loaded: bool = False
    more: bool = False
    problem: str = ""
    standing: str = ""
    writable: bool = True
    focus: int | None = None
    decision: Decision = ""
    verified: bool = False


@dataclass(frozen=True, slots=True)
class _Page:
    told: Told
    lines: tuple[Line, ...]
    more: bool
    contact: Contact | None


class Conversation(Presenter[ConversationState]):
    """A conversation with a person or in a channel. `changed` is called when its row in the list has to be
    read anew, `gone` when there is no such conversation any more, `about` to show the pane beside it, `join`
    with an invite link that somebody has opened.
    """

    def __init__(
        self,
        opened: Opened,
        target: str,
        kind: Kind,
        title: str,
        key: str,
        actions: Presenter[Any] | None = None,
        *,
        unread: int = 0,
        changed: Callable[[], object] = lambda: None,
        gone: Callable[[], object] = lambda: None,
        about: Callable[[], object] = lambda: None,
        join: Callable[[str], object] = lambda _: None,
        hidden: Callable[[], bool] = lambda: False,
    ) -> None:
        """`actions` is the presenter of what the head offers besides the title; `unread` is how many messages
        were not read when it was opened; `hidden` whether something else stands in its place.
        """
        super().__init__(opened.context.bridge, ConversationState(target, kind, title, key))
        self.actions = actions
        self._channel = ChannelTalk(opened.engine, target) if kind == "channel" else None
        self._opened = opened
        self._changed = changed
        self._gone = gone
        self._about = about
        self._join = join
        self._hidden = hidden
        self._unread = unread
        self._new_from: int | None = None
        self._messages: list[Message] = []
        self._told: dict[str, MessageStateChanged] = {}
        """By the message's id, since the present reading began: older pages are not read anew."""
        self._wanted = PAGE
        self._seen = 0
        self.composer = Composer(opened, target, self._sent)
        self._until_closed(self.composer.close)
        self._refresh = Refresh(opened.context.later, self._load)
        self._until_closed(self._refresh.cancel)
        events = opened.context.events
        self._until_closed(events.on(MessageReceived, self._on_received))
        self._until_closed(events.on(MessageStateChanged, self._on_state))
        self._until_closed(events.on(ChannelChanged, self._on_channel))
        self._until_closed(events.on(ContactKeyChanged, self._on_key))
        for other in (opened.context.attention, opened.context.overlays):
            self._until_closed(other.watch(self.note_read))
        self._refresh.now()

    # ------------------------------------------------------------ intents

    def retitle(self, title: str) -> None:
        """What it is called has changed."""
        self._show(replace(self.state, title=title))

    def older(self) -> None:
        """Read an older page."""
        if self.state.more and self._wanted <= len(self._messages):
            self._wanted = len(self._messages) + PAGE
            self._refresh.now()

    def reveal(self, position: int) -> None:
        """Show the message at a position, however old it is."""
        self._show(replace(self.state, focus=position))
        self._refresh.now()

    def revealed(self) -> None:
        """It was shown; from now on one may scroll."""
        self._show(replace(self.state, focus=None))

    def retry(self, message_id: str) -> None:
        """Send a message again that was not sent."""
        self._run(self._opened.engine.retry(message_id), lambda _: self._refresh.now(), self._problem)

    def accept(self) -> None:
        """Whoever wrote first becomes a contact."""
        self._decide(self._opened.engine.contacts.accept(self.state.target))

    def decline(self) -> None:
        """Delete a request and what came with it."""

        def declined(_: object) -> None:
            self._changed()
            self._gone()

        self._run(self._opened.engine.contacts.decline(self.state.target), declined, self._problem)

    def block(self) -> None:
        """Take nothing from this peer any more."""
        self._decide(self._opened.engine.contacts.block(self.state.target))

    def unblock(self) -> None:
        """Take messages of this peer again."""
        self._decide(self._opened.engine.contacts.unblock(self.state.target))

    def join(self, link: str) -> None:
        """Ask whether to come into the channel of an invite link."""
        self._join(link)

    def look(self) -> None:
        """Show the pane of what this conversation is with."""
        self._about()

    def refresh(self) -> None:
        """Read it anew: something changed that no event tells."""
        self._refresh.soon()

    # ------------------------------------------------------------ inside

    def _decide(self, work: object) -> None:
        def decided(_: object) -> None:
            self._changed()
            self._refresh.now()

        self._run(work, decided, self._problem)  # type: ignore[arg-type]

    def _sent(self) -> None:
        self._new_from = None  # whoever answers has read
        self._refresh.now()
        self._changed()

    def _on_received(self, event: MessageReceived) -> None:
        if self.state.kind == "channel" or event.peer == self.state.target:
            self._refresh.soon()

    def _on_state(self, event: MessageStateChanged) -> None:
        self._told[event.id] = event
        if any(message.id == event.id and message.outgoing for message in self._messages):
            self._take_states()
            self._refresh.soon()

    def _take_states(self) -> None:
        self._messages = [
            _with_state(message, self._told[message.id])
            if message.outgoing and message.id in self._told
            else message
            for message in self._messages
        ]

    def _on_key(self, event: ContactKeyChanged) -> None:
        if event.peer == self.state.target:
            self._refresh.soon()

    def _on_channel(self, event: ChannelChanged) -> None:
        if event.channel == self.state.key:
            self._show(replace(self.state, title=one_line(event.label)))
            self._refresh.soon()

    def _problem(self, sentence: str) -> None:
        self._show(replace(self.state, problem=sentence))

    def _load(self, finished: Callable[[], None]) -> None:
        def shown(page: _Page) -> None:
            read = self._messages = page.told.messages
            self._take_states()
            if self._messages != read:  # the lines are behind what was told while they were made
                self._refresh.soon()
            self._show(
                replace(
                    self.state,
                    lines=page.lines,
                    loaded=True,
                    more=page.more,
                    problem="",
                    standing=page.told.standing,
                    writable=page.told.writable,
                    decision=_decision(page.contact),
                    verified=page.contact is not None and page.contact.trust == "verified",
                )
            )
            self.note_read()
            finished()

        def failed(problem: str) -> None:
            self._show(replace(self.state, loaded=True, problem=problem))
            finished()

        self._told.clear()
        self._run(self._page(self._messages, self._wanted, self.state.focus), shown, failed)

    async def _page(self, known: list[Message], wanted: int, focus: int | None) -> _Page:
        """What is to be shown: the newest page is read anew, older ones once."""
        engine, target = self._opened.engine, self.state.target
        found = await engine.history(target, limit=PAGE)
        more = len(found) >= PAGE
        if known:  # more than a page may have come since
            found, more = await self._back_to(known[-1].position, found, more)
            if found and (not more or found[0].position <= known[-1].position):
                fresh = [one for one in found if one.position >= known[0].position]
                more = more or len(fresh) < len(found)
                found = [one for one in known if one.position < found[0].position] + fresh
        while more and len(found) < wanted:
            older = await engine.history(target, before=found[0].position, limit=wanted - len(found))
            found = older + found
            more = bool(older)
        if focus is not None:
            found, more = await self._back_to(focus, found, more)
        if self._new_from is None and self._unread:
            self._new_from = first_unread(found, self._unread)
        self._unread = 0
        contact = None
        if self.state.kind == "person":
            try:
                contact = await engine.contacts.get(target)
            except InvalidInput:
                contact = None
        told = Told(found) if self._channel is None else await self._channel.told(found)
        # in a thread: texts are as long as their writers like, and voices go through this loop
        lines = await asyncio.to_thread(lines_of, told, self._opened.context.now(), self._new_from)
        return _Page(told, lines, more, contact)

    async def _back_to(self, position: int, found: list[Message], more: bool) -> tuple[list[Message], bool]:
        """With what is older, back to a position, and whether there is still more."""
        while more and found[0].position > position and len(found) < _FURTHEST:
            older = await self._opened.engine.history(
                self.state.target, before=found[0].position, limit=10 * PAGE
            )
            found = older + found
            more = bool(older)
        return found, more

    def note_read(self) -> None:
        """What is shown to somebody who looks was read; nothing under a dialog or a shared screen was."""
        context = self._opened.context
        if not self._messages or not context.attention.state or context.overlays.state or self._hidden():
            return
        position = self._messages[-1].position
        if position > self._seen:
            self._seen = position
            tell = self.state.kind == "person" and self.state.decision == ""
            work = self._opened.engine.mark_read(self.state.target, position, tell=tell)
            self._run(work, lambda _: self._changed())


def _decision(contact: Contact | None) -> Decision:
    if contact is None:
        return ""
    if contact.blocked:
        return "blocked"
    if contact.request:
        return "request"
    return "changed" if contact.trust == "changed" else ""


def _with_state(message: Message, event: MessageStateChanged) -> Message:
    """The same message in the state that an event tells."""
    fields = {name: getattr(message, name) for name in message.__struct_fields__}
    return Message(**{**fields, "state": event.state, "reason": event.reason})
