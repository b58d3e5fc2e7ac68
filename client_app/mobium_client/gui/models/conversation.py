"""One conversation: its lines as they are shown, newest last.

Not its concern: writing (`mobium_client.gui.models.composer`) and drawing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mobium.client import ChannelChanged, Message, MessageReceived, MessageStateChanged
from mobium_client.gui.models.channel_words import ChannelTalk, Told
from mobium_client.gui.models.composer import Composer
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.conversations import Kind
from mobium_client.gui.models.links import Link, find_links
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.refresh import Refresh
from mobium_client.gui.models.words import STATES, clock_time, day_words, text_of
from mobium_client.plain import one_line

__all__ = ["PAGE", "Bubble", "Conversation", "ConversationState", "Line", "Remark"]

PAGE = 50  # messages that are read at once
_TOGETHER = 300  # seconds within which messages of one writer stand together


@dataclass(frozen=True, slots=True)
class Bubble:
    """A message. `meta` is its time and, of one's own, its state in words; `problem` a sentence that says why
    it was not sent. `links` are where addresses begin and end, and what they open. `first` of those that
    stand together; `name` is who wrote it, where that is not plain.
    """

    id: str
    position: int
    own: bool
    text: str
    meta: str = ""
    links: tuple[Link, ...] = ()
    writer: str = ""
    name: str = ""
    problem: str = ""
    first: bool = True


@dataclass(frozen=True, slots=True)
class Remark:
    """A line of the program between messages: a day, what is missing, a change of a channel."""

    text: str
    kind: str = "day"


Line = Bubble | Remark


@dataclass(frozen=True, slots=True)
class ConversationState:
    """`lines` are those that were read until now; `more` says that there are older ones. `standing` is a
    sentence about a channel that stays for as long as it is so, and `writable` whether one can write.
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


class Conversation(Presenter[ConversationState]):
    """A conversation with a person or in a channel, while it is open."""

    def __init__(
        self,
        opened: Opened,
        target: str,
        kind: Kind,
        title: str,
        key: str,
        actions: Presenter[Any] | None = None,
    ) -> None:
        """`actions` is the presenter of what the head offers besides the title."""
        super().__init__(opened.context.bridge, ConversationState(target, kind, title, key))
        self.actions = actions
        self._channel = ChannelTalk(opened.engine, target) if kind == "channel" else None
        self._opened = opened
        self._messages: list[Message] = []
        self._limit = PAGE
        self.composer = Composer(opened, target, self._sent)
        self._until_closed(self.composer.close)
        self._refresh = Refresh(opened.context.later, self._load)
        self._until_closed(self._refresh.cancel)
        events = opened.context.events
        self._until_closed(events.on(MessageReceived, self._on_received))
        self._until_closed(events.on(MessageStateChanged, self._on_state))
        self._until_closed(events.on(ChannelChanged, self._on_channel))
        self._refresh.now()

    def retitle(self, title: str) -> None:
        """What it is called has changed."""
        self._show(replace(self.state, title=title))

    def older(self) -> None:
        """Read an older page."""
        if self.state.more:
            self._limit += PAGE
            self._refresh.now()

    def retry(self, message_id: str) -> None:
        """Send a message again that was not sent."""
        self._run(self._opened.engine.retry(message_id), lambda _: self._refresh.now(), self._problem)

    def refresh(self) -> None:
        """Read it anew: something changed that no event tells."""
        self._refresh.soon()

    def _sent(self) -> None:
        self._refresh.now()

    def _on_received(self, event: MessageReceived) -> None:
        if self.state.kind == "channel" or event.peer == self.state.target:
            self._refresh.soon()

    def _on_state(self, event: MessageStateChanged) -> None:
        if any(message.id == event.id for message in self._messages):
            self._refresh.soon()

    def _on_channel(self, event: ChannelChanged) -> None:
        if event.channel == self.state.key:
            self._show(replace(self.state, title=one_line(event.label)))
            self._refresh.soon()

    def _problem(self, sentence: str) -> None:
        self._show(replace(self.state, problem=sentence))

    def _load(self, finished: Callable[[], None]) -> None:
        limit = self._limit

        def shown(told: Told) -> None:
            self._messages = told.messages
            self._show(
                replace(
                    self.state,
                    lines=lines_of(told, self._opened.context.now()),
                    loaded=True,
                    more=len(told.messages) >= limit,
                    standing=told.standing,
                    writable=told.writable,
                )
            )
            self._read()
            finished()

        def failed(problem: str) -> None:
            self._show(replace(self.state, loaded=True, problem=problem))
            finished()

        self._run(self._told(limit), shown, failed)

    async def _told(self, limit: int) -> Told:
        if self._channel is not None:
            return await self._channel.read(limit)
        return Told(await self._opened.engine.history(self.state.target, limit=limit))

    def _read(self) -> None:
        """What is shown was read."""
        if self._messages:
            position = self._messages[-1].position
            tell = self.state.kind == "person"
            self._run(self._opened.engine.mark_read(self.state.target, position, tell=tell))


def lines_of(told: Told, now: datetime) -> tuple[Line, ...]:
    """The lines that show what was told, which is in order."""
    messages, shown = told.messages, list[Line]()
    for place, message in enumerate(messages):
        before = messages[place - 1] if place else None
        day = message.at.astimezone().date()
        if before is None or before.at.astimezone().date() != day:
            shown.append(Remark(day_words(day, now.date())))
        if message.kind != "text":
            shown.append(Remark(told.notices.get(message.id) or text_of(message), "notice"))
            continue
        after = messages[place + 1] if place + 1 < len(messages) else None
        text = text_of(message)
        shown.append(
            Bubble(
                id=message.id,
                position=message.position,
                own=message.outgoing,
                text=text,
                meta=_meta(message, after),
                links=find_links(text),
                writer=message.peer,
                name=told.names.get(message.peer, ""),
                problem=_problem(message),
                first=not _together(before, message),
            )
        )
    return tuple(shown)


def _together(one: Message | None, other: Message | None) -> bool:
    """Whether two messages, one behind the other, stand together."""
    return (
        one is not None
        and other is not None
        and (one.kind, one.outgoing, one.peer) == (other.kind, other.outgoing, other.peer)
        and one.at.astimezone().date() == other.at.astimezone().date()
        and (other.at - one.at).total_seconds() < _TOGETHER
    )


def _meta(message: Message, after: Message | None) -> str:
    """The time and the state, at the last of those that stand together and wherever the next has another
    state.
    """
    if after is not None and _together(message, after) and after.state == message.state:
        return ""
    time = clock_time(message.at)
    return f"{time} · {STATES[message.state]}" if message.outgoing else time


def _problem(message: Message) -> str:
    """Why a message was not sent."""
    if not message.outgoing or message.state not in {"failed", "expired"}:
        return ""
    return one_line(message.reason) or "It was not sent."
