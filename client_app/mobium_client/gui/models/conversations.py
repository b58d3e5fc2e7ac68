"""The list of conversations: everybody and every channel that there is something with, the latest first.

Not its concern: how much of the list is drawn (`mobium_client.gui.widgets.row_list`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from mobium.client import (
    Channel,
    ChannelChanged,
    Contact,
    ContactKeyChanged,
    Conversation,
    Engine,
    Message,
    MessageReceived,
    MessageStateChanged,
)
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.refresh import Refresh
from mobium_client.gui.models.words import glance, preview, short_time
from mobium_client.plain import one_line

__all__ = ["Conversations", "Kind", "ListState", "Row", "read_rows"]

Kind = Literal["person", "channel"]

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation. `target` is what the engine takes: a key in hex, or "#" and a channel's id. `key` is
    what its picture is made from. `draft` is the beginning of what was not sent yet. `state` is that of the
    last message if it is one's own, else empty.
    """

    target: str
    kind: Kind
    title: str
    key: str
    preview: str = ""
    time: str = ""
    unread: int = 0
    state: str = ""
    draft: str = ""
    request: bool = False
    blocked: bool = False
    changed: bool = False


@dataclass(frozen=True, slots=True)
class ListState:
    """The rows, and which one is open. `loaded` is false until they were read for the first time."""

    rows: tuple[Row, ...] = ()
    selected: str | None = None
    loaded: bool = False
    problem: str = ""


class Conversations(Presenter[ListState]):
    """Keeps the list; `chosen` is called with the row that somebody opens."""

    def __init__(self, opened: Opened, chosen: Callable[[Row], object]) -> None:
        super().__init__(opened.context.bridge, ListState())
        self._opened = opened
        self._chosen = chosen
        self._refresh = Refresh(opened.context.later, self._load)
        self._until_closed(self._refresh.cancel)
        for kind in (MessageReceived, MessageStateChanged, ContactKeyChanged, ChannelChanged):
            self._until_closed(opened.context.events.on(kind, lambda _: self._refresh.soon()))
        self._refresh.now()

    def open(self, target: str) -> None:
        """Open the conversation of a row."""
        for row in self.state.rows:
            if row.target == target:
                self.select(target)
                self._chosen(row)
                return

    def select(self, target: str | None) -> None:
        """Mark a row as the open one."""
        self._show(replace(self.state, selected=target))

    def move(self, steps: int) -> None:
        """Open the row so many below the open one (above, if negative)."""
        rows = self.state.rows
        if not rows:
            return
        places = [place for place, row in enumerate(rows) if row.target == self.state.selected]
        at = places[0] + steps if places else 0
        self.open(rows[min(max(at, 0), len(rows) - 1)].target)

    def refresh(self) -> None:
        """Read the list anew: something changed that no event tells."""
        self._refresh.soon()

    def _load(self, finished: Callable[[], None]) -> None:
        def shown(rows: tuple[Row, ...]) -> None:
            self._show(replace(self.state, rows=rows, loaded=True, problem=""))
            finished()

        def failed(problem: str) -> None:
            self._show(replace(self.state, loaded=True, problem=problem))
            finished()

        self._run(read_rows(self._opened.engine, self._opened.context.now()), shown, failed)


async def read_rows(engine: Engine, now: datetime) -> tuple[Row, ...]:
    """Every conversation, the latest first."""
    contacts = {contact.key: contact for contact in await engine.contacts.list()}
    drafts = await engine.drafts.all()
    latest = await engine.channels.latest()
    found: list[tuple[datetime, Row]] = []
    for conversation in await engine.conversations():
        contact = contacts.pop(conversation.peer, None)
        found.append((conversation.last.at, _person(conversation, contact, now)))
    for channel in await engine.channels.list():
        last = latest.get(channel.id)
        found.append((_NEVER if last is None else last.at, _channel(channel, last, now)))
    found += [(contact.added_at, _silent(contact)) for contact in contacts.values()]
    found.sort(key=lambda one: one[0], reverse=True)
    return tuple(
        replace(row, draft=glance(drafts[row.target])) if row.target in drafts else row for _, row in found
    )


def _person(conversation: Conversation, contact: Contact | None, now: datetime) -> Row:
    last = conversation.last
    return Row(
        target=conversation.peer,
        kind="person",
        title=one_line(conversation.nickname or conversation.peer[:16]),
        key=conversation.peer,
        preview=preview(last),
        time=short_time(last.at, now),
        unread=conversation.unread,
        state=last.state if last.outgoing else "",
        request=conversation.request,
        blocked=conversation.blocked,
        changed=contact is not None and contact.trust == "changed",
    )


def _silent(contact: Contact) -> Row:
    return Row(
        contact.key, "person", one_line(contact.name), contact.key, blocked=contact.blocked,
        changed=contact.trust == "changed",
    )  # fmt: skip


def _channel(channel: Channel, last: Message | None, now: datetime) -> Row:
    return Row(
        target=f"#{channel.id}",
        kind="channel",
        title=one_line(channel.label),
        key=channel.id,
        preview="" if last is None else preview(last),
        time="" if last is None else short_time(last.at, now),
        unread=channel.unread,
        state=last.state if last is not None and last.outgoing else "",
    )
