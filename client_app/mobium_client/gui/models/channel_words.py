"""What a channel's lines, members and standing are in words.

Names are those of `mobium_client.people`: one's own nickname for somebody, else ~ and what he calls himself.
Not its concern: where they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mobium.client import Channel, Engine, Message
from mobium_client.people import OPEN, People, change_of
from mobium_client.plain import one_line

__all__ = [
    "OPEN",
    "PRIVATE",
    "ROLES",
    "TRUST",
    "ChannelTalk",
    "Told",
    "access_words",
    "count_words",
    "standing_of",
]

PRIVATE: Final = (
    "Only invite links lead in. The server knows the members' keys, but neither the channel's name nor what "
    "is written there."
)
ROLES: Final = {"owner": "Owner", "admin": "Admin", "member": "Member"}
TRUST: Final = {"verified": "Verified", "unverified": "Not verified", "changed": "Key changed"}
_GONE: Final = {
    "left": "You have left this channel. What was said stays readable here.",
    "removed": "You were removed from this channel. What was said before stays here.",
    "banned": "You were banned from this channel. What was said before stays here.",
    "joining": "The server has not said yet whether you are in.",
}


def access_words(*, private: bool) -> str:
    """Private or open, and what that means, in a sentence or two."""
    return PRIVATE if private else OPEN


def count_words(count: int, what: str) -> str:
    """A number of things."""
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"


def standing_of(channel: Channel) -> tuple[str, bool]:
    """What has to be said of a channel for as long as it is so, and whether one can write there.

    A list of members that does not verify (another past, an older one, somebody whom nobody let in) is told
    in the engine's words; it does not go away by looking at it.
    """
    reason = one_line(channel.reason)
    if channel.state == "member":
        return reason, True  # what is written meanwhile waits
    if channel.state == "broken":
        return (
            reason or "What the server shows of this channel does not add up. Nothing is sent there.",
            False,
        )
    return reason or _GONE.get(channel.state, ""), False


@dataclass(frozen=True, slots=True)
class Told:
    """The lines of a channel with what they take to be shown: who is called how, and changes as sentences by
    the id of their line.
    """

    messages: list[Message]
    names: dict[str, str] = field(default_factory=dict)
    notices: dict[str, str] = field(default_factory=dict)
    standing: str = ""
    writable: bool = True


class ChannelTalk:
    """Finds what the lines of one channel take."""

    def __init__(self, engine: Engine, target: str) -> None:
        """`target` is "#" and the channel's id."""
        self._engine = engine
        self._target = target
        self._people = People(engine, target)

    async def told(self, messages: list[Message]) -> Told:
        """Lines of this channel with what they take to be shown. Raises what `Channels.get` raises."""
        standing, writable = standing_of(await self._engine.channels.get(self._target))
        await self._people.refresh()
        return Told(messages, await self._names(messages), await self._notices(messages), standing, writable)

    async def _names(self, messages: Sequence[Message]) -> dict[str, str]:
        keys = {message.peer for message in messages if message.peer and not message.outgoing}
        return {key: one_line(await self._people.name(key)) for key in keys}

    async def _notices(self, messages: Sequence[Message]) -> dict[str, str]:
        found = {}
        for message in messages:
            if message.kind == "notice":
                what, _, text = (message.text or "").partition(" ")
                actor, subject = (
                    await self._people.name(message.peer),
                    await self._people.name(message.subject),
                )
                found[message.id] = change_of(what, text, actor, subject)
        return found
