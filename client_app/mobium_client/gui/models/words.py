"""Times, names and states in the words that the desktop shows.

Not its concern: sentences about errors (`mobium_client.plain.sentence`).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

from mobium.client import Message
from mobium_client.plain import harmless, one_line

__all__ = ["STATES", "clock_time", "day_words", "glance", "preview", "short_time", "text_of"]

STATES: Final[dict[str, str]] = {
    "queued": "Queued",
    "sent": "Sent",
    "delivered": "Delivered",
    "read": "Read",
    "failed": "Not sent",
    "expired": "Not sent",
}
"""The state of one's own message in a word."""

_PREVIEW = 120  # characters; no row shows more
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def clock_time(at: datetime) -> str:
    """14:05, as this machine's clock had it."""
    return at.astimezone().strftime("%H:%M")


def day_words(day: date, today: date) -> str:
    """Today, Yesterday, the name of a day of the last week, or a date."""
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    if today - timedelta(days=7) < day < today:
        return _DAYS[day.weekday()]
    text = f"{day.day} {_MONTHS[day.month - 1]}"
    return text if day.year == today.year else f"{text} {day.year}"


def short_time(at: datetime, now: datetime) -> str:
    """When the last message of a conversation came, in a word that fits into a list."""
    local, today = at.astimezone(), now.date()
    if local.date() == today:
        return local.strftime("%H:%M")
    words = day_words(local.date(), today)
    if local.year != today.year:
        return local.strftime("%Y-%m-%d")
    return f"{words[:3]}" if words in _DAYS else words if words == "Yesterday" else local.strftime("%d.%m.")


def text_of(message: Message) -> str:
    """The text of a message, harmless, or what stands in its place."""
    if message.text is not None:
        return harmless(message.text)
    if message.kind == "missing":
        many = message.missing
        return "1 message has not arrived" if many == 1 else f"{many} messages have not arrived"
    if message.kind == "closed":
        return "This cannot be read: its key has not reached this machine, or it is damaged"
    return "This needs a newer version of mobium"


def glance(text: str) -> str:
    """The beginning of a text in one line, harmless."""
    return " ".join(one_line(text[:_PREVIEW]).replace("␊", " ").split())


def preview(message: Message) -> str:
    """The beginning of a message in one line; one's own is marked as such."""
    text = text_of(message) if message.text is None else glance(message.text)
    return f"You: {text}" if message.outgoing else text
