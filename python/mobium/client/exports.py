"""What a person may want to take along, as dictionaries fit for JSON.

Not its concern: what is in the profile (`mobium.client.engine`).
"""

from __future__ import annotations

from typing import Any

from mobium.client.channels import Channel
from mobium.client.contacts import Contact
from mobium.client.store.messages import Message

__all__ = ["channel", "contact", "message", "profile"]


def profile(key: str, server: str | None) -> dict[str, Any]:
    """Whose it is, and the address of the server."""
    return {"type": "profile", "key": key, "server": server}


def contact(one: Contact) -> dict[str, Any]:
    """Somebody known, or who asks to be."""
    return {
        "type": "contact",
        "key": one.key,
        "nickname": one.nickname,
        "trust": one.trust,
        "request": one.request,
        "blocked": one.blocked,
        "added_at": one.added_at.isoformat(),
    }


def channel(one: Channel) -> dict[str, Any]:
    """A channel that is known here."""
    return {
        "type": "channel",
        "id": one.id,
        "name": one.name,
        "topic": one.topic,
        "private": one.private,
        "state": one.state,
        "role": one.role,
        "server": one.host,
    }


def message(one: Message) -> dict[str, Any]:
    """A line of a conversation."""
    return {
        "type": "message",
        "id": one.id,
        "peer": one.peer,
        "outgoing": one.outgoing,
        "channel": one.channel,
        "subject": one.subject,
        "kind": one.kind,
        "text": one.text,
        "sent_at": one.sent_at.isoformat(),
        "at": one.at.isoformat(),
        "state": one.state,
        "reason": one.reason,
    }
