"""The lines of a conversation: messages that stand together, days, and what stands in the place of a message.

Not its concern: reading them (`mobium_client.gui.models.conversation`) and drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mobium.client import Message
from mobium_client.gui.models.channel_words import Told
from mobium_client.gui.models.links import Link, find_links
from mobium_client.gui.models.words import STATES, clock_time, day_words, text_of
from mobium_client.plain import harmless, one_line

__all__ = ["Bubble", "Line", "Remark", "first_unread", "lines_of"]

_TOGETHER = 300  # seconds within which messages of one writer stand together
# Of a message that much is drawn; whoever writes decides how long it is.
_GLANCE = 8_000  # characters
_ROWS = 200  # lines that the writer has broken
NEW = "New messages"


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
    """A line of the program between messages: a day, what is missing, a change of a channel, what is new."""

    text: str
    kind: Literal["day", "notice", "new"] = "day"


Line = Bubble | Remark


def lines_of(told: Told, now: datetime, new_from: int | None = None) -> tuple[Line, ...]:
    """The lines that show what was told, which is in order. `new_from` is the position of the first message
    that was not read.
    """
    messages = told.messages
    shown: list[Line] = []
    for place, message in enumerate(messages):
        before = messages[place - 1] if place else None
        day = message.at.astimezone().date()
        if before is None or before.at.astimezone().date() != day:
            shown.append(Remark(day_words(day, now.date())))
        new = message.position == new_from and not message.missing
        if new:
            shown.append(Remark(NEW, "new"))
        if message.kind != "text":
            shown.append(Remark(told.notices.get(message.id) or text_of(message), "notice"))
            continue
        after = messages[place + 1] if place + 1 < len(messages) else None
        text = _glance(message.text or "")
        first = new or not _together(before, message)
        shown.append(
            Bubble(
                id=message.id,
                position=message.position,
                own=message.outgoing,
                text=text,
                meta=_meta(message, after),
                links=find_links(text),
                writer=message.peer,
                name=told.names.get(message.peer, "") if first and not message.outgoing else "",
                problem=_problem(message),
                first=first,
            )
        )
    return tuple(shown)


def _glance(text: str) -> str:
    """A text, harmless, or the beginning of a long one; the rest is not looked at."""
    shown = harmless(text[:_GLANCE])
    rows = shown.split("\n", _ROWS)
    if len(text) <= _GLANCE and len(shown) <= _GLANCE and len(rows) <= _ROWS:
        return shown
    beginning = "\n".join(rows[:_ROWS])[:_GLANCE]
    return f"{beginning}…\n\n(This is the beginning of {len(text):,} characters; `mobium history` has all.)"


def first_unread(messages: Sequence[Message], unread: int) -> int | None:
    """The position of the first of the last `unread` messages that came from others."""
    came = [one.position for one in messages if not one.outgoing and not one.missing and one.kind != "notice"]
    return came[-min(unread, len(came))] if came and unread else None


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
    """The time and the state, at the last of those that stand together or before another state."""
    if after is not None and _together(message, after) and after.state == message.state:
        return ""
    time = clock_time(message.at)
    return f"{time} · {STATES[message.state]}" if message.outgoing else time


def _problem(message: Message) -> str:
    """Why a message was not sent."""
    if not message.outgoing or message.state not in {"failed", "expired"}:
        return ""
    return one_line(message.reason) or "It was not sent."
