"""Whom a conversation is with: one person, or a channel with its members.

Not its concern: what is said (`mobium_client.cli.lines`) and where it is shown.
"""

from __future__ import annotations

from typing import Protocol

from mobium.client import Channel, ChannelChanged, Engine, Message, MessageReceived
from mobium.client.labels import is_channel
from mobium.client.links import is_nickname, parse_contact
from mobium.errors import InvalidInput
from mobium_client.cli.lines import text_of
from mobium_client.people import People, change_of

__all__ = ["InChannel", "Partner", "WithPerson", "partner_of", "said_by"]


class Partner(Protocol):
    """The other side of a conversation."""

    @property
    def target(self) -> str:
        """What the engine takes for it."""

    @property
    def title(self) -> str:
        """What it is called; not harmless yet."""

    async def takes(self, event: MessageReceived) -> bool:
        """Whether a message belongs to this conversation."""

    async def name(self, key: str) -> str:
        """What one who writes here is called."""


class WithPerson:
    """A conversation with one person, whose key is `target`."""

    def __init__(self, key: str, name: str) -> None:
        self.target = key
        self.title = name

    async def takes(self, event: MessageReceived) -> bool:
        """Whether a message belongs to this conversation."""
        return event.channel is None and event.peer == self.target

    async def name(self, _key: str) -> str:
        """What the other side is called."""
        return self.title


class InChannel:
    """A channel; `title` follows what it is called."""

    def __init__(self, engine: Engine, channel: Channel) -> None:
        self._engine = engine
        self.channel = channel
        self.target = f"#{channel.id}"  # which stays, whatever the channel is called
        self.title = channel.label
        self.people = People(engine, self.target)

    async def takes(self, event: MessageReceived) -> bool:
        """Whether a message belongs to this conversation."""
        if event.channel is None:
            return False
        if event.channel == self.title:
            return True
        try:
            return (await self._engine.channels.get(event.channel)).id == self.channel.id
        except InvalidInput:
            return False

    async def name(self, key: str) -> str:
        """What a member is called."""
        return await self.people.name(key)

    async def change(self, event: ChannelChanged) -> str:
        """A change of this channel as a sentence; the title follows it."""
        self.title = event.label
        actor = await self.people.name(event.actor) if event.actor else ""
        return change_of(event.what, event.text, actor, await self.people.name(event.subject))

    async def notice(self, message: Message) -> str:
        """A line of the kind "notice" as a sentence."""
        what, _, text = (message.text or "").partition(" ")
        return change_of(
            what, text, await self.people.name(message.peer), await self.people.name(message.subject)
        )


async def partner_of(engine: Engine, peer: str) -> InChannel | WithPerson:
    """Whom `peer` means. Somebody new, named by a key or a link, becomes a contact with the first message.

    Raises InvalidInput.
    """
    if is_channel(peer):
        return InChannel(engine, await engine.channels.get(peer))
    try:
        contact = await engine.contacts.get(peer)
    except InvalidInput:
        if is_nickname(peer):
            raise
        key = parse_contact(peer).public.hex()
        return WithPerson(key, key[:16])
    return WithPerson(contact.key, contact.name)


async def said_by(partner: Partner, message: Message) -> tuple[str, str]:
    """Who wrote a line, and its text or what stands in its place."""
    mine = message.outgoing or (message.channel is not None and not message.peer)
    return "you" if mine else await partner.name(message.peer), text_of(message)
