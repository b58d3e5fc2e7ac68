"""What people in a channel are called on the screen, and the sentence of a change.

One's own nickname for a contact; else ~name, as they call themselves, which nobody checks; else the first 16
digits of the key. No two members are called the same. Not its concern: where it is shown.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable

from mobium.client import Channel, Engine, Member
from mobium.client.names import nickname_key
from mobium.errors import InvalidInput
from mobium_client.plain import one_line

__all__ = ["OPEN", "People", "change_of", "in_channel", "names_of", "shown_name"]

OPEN = (
    "An open channel keeps no secret from the server: its operator reads its name and topic, and can join "
    "and read along like anybody who knows its link."
)
_KEY_CELLS = 16
_SHORTEST_PREFIX = 8  # digits of a key that somebody may type in its place
_TELLING = 4  # digits that tell members apart who call themselves the same
_LONGEST_NAME = 14  # characters of a name with such digits behind it, so that a column shows them
_AGAIN = 1.0  # seconds until the names of a large channel are read anew
_ROLES = {"admin": "an admin", "owner": "the owner", "member": "a member again"}
_CHANGES = {
    "created": "{actor} made this channel",
    "joined": "{actor} joined",
    "left": "{actor} left",
    "removed": "{actor} removed {subject}",
    "banned": "{actor} banned {subject}",
    "unbanned": "{actor} lifted the ban on {subject}",
    "secret": "{actor} renewed the secret: invite links made before are worthless",
    "mended": "The server shows everything again that it had hidden",
    "agreed": "Nobody speaks of another list of members any more",
    "reordered": "The server shows what {actor} wrote in another order than it was written",
}
_UNKNOWN = "{actor} changed something that needs a newer version of mobium"
_HEX = re.compile(r"[0-9a-f]+")


class People:
    """The members of a channel, as they are called here; read anew when somebody is not among them."""

    def __init__(self, engine: Engine, channel: str) -> None:
        """`channel` is "#" and its id."""
        self._engine = engine
        self._channel = channel
        self._names: dict[str, str] = {}
        self._unnamed: set[str] = set()
        self._read = 0.0

    async def refresh(self) -> list[Member]:
        """Read the members; empty for a channel that one is not in. Those who have left keep their names."""
        self._read = time.monotonic()
        try:
            members = await self._engine.members(self._channel)
        except InvalidInput:
            members = []
        self._names |= names_of(members)
        self._unnamed = {member.key for member in members if not member.nickname and not member.name}
        return members

    async def name(self, key: str, myself: str = "you") -> str:
        """What the identity `key` (hex; empty for oneself) is called; it is not harmless yet."""
        if key in {"", self._engine.me}:
            return myself
        unknown = key not in self._names or key in self._unnamed
        if unknown and (not self._read or time.monotonic() - self._read > _AGAIN):
            await self.refresh()
        if key not in self._names:  # a former member
            own = await self._own_names()
            alike = [name for name in own.values() if nickname_key(name) == nickname_key(own.get(key, ""))]
            self._names[key] = shown_name(
                await _nickname(self._engine, key), own.get(key, ""), key, told_apart=len(alike) > 1
            )
        return self._names[key]

    async def _own_names(self) -> dict[str, str]:
        try:
            return await self._engine.channels.names(self._channel)
        except InvalidInput:  # it was forgotten
            return {}

    async def key(self, text: str, among: Iterable[str] = ()) -> str:
        """Whom somebody means: a contact, a key or link, a name or the digits that are shown here, also of
        one `among` others (hex). Raises InvalidInput.
        """
        wanted = text.strip()
        if await _nickname(self._engine, wanted):
            return wanted
        if wanted.startswith("~") or _is_prefix(wanted.lower()):
            await self.refresh()
            keys = {*self._names, *among}
            found = [key for key in keys if _means(wanted, key, self._names.get(key, ""))]
            if len(found) == 1:
                return found[0]
            if found:
                raise InvalidInput(f"“{one_line(wanted)[:40]}” fits several members; write more of the key.")
            raise InvalidInput(f"Nobody in this channel is called “{one_line(wanted)[:40]}”.")
        return wanted


async def in_channel(engine: Engine, channel: Channel) -> tuple[People, list[Member]]:
    """The people of a channel, and its members."""
    people = People(engine, f"#{channel.id}")
    return people, await people.refresh()


def names_of(members: Iterable[Member]) -> dict[str, str]:
    """What each member is called, by key; two who call themselves the same are told apart by digits."""
    members = list(members)
    alike = Counter(nickname_key(member.name) for member in members if member.name)
    return {
        member.key: shown_name(
            member.nickname, member.name, member.key, told_apart=alike[nickname_key(member.name)] > 1
        )
        for member in members
    }


def shown_name(nickname: str | None, name: str, key: str, *, told_apart: bool = False) -> str:
    """One's own nickname for somebody, or ~ and what he calls himself, or the beginning of the key.

    `told_apart` adds digits of the key; so does a name that could pass for one with digits.
    """
    if nickname:
        return nickname
    if not name:
        return key[:_KEY_CELLS]
    if told_apart or "~" in name:
        return f"~{name[:_LONGEST_NAME]}~{key[:_TELLING]}"
    return f"~{name}"


def change_of(what: str, text: str, actor: str, subject: str) -> str:
    """A change of a channel as a sentence. `actor` and `subject` are names, or “you”."""
    match what:
        case "role":
            said = f"{actor} made {subject} {_ROLES.get(text, 'something that a newer mobium knows')}"
        case "renamed" if not text:
            said = f"{actor} gave this channel another name or topic, which cannot be read yet"
        case "renamed":
            said = f"{actor} called this channel {text}" if actor else f"This channel is called {text}"
        case "topic":
            said = f"{actor} set the topic: {text}" if text else f"{actor} took the topic away"
        case "broken" | "disputed" | "withheld":
            said = text
        case _:
            said = _CHANGES.get(what, _UNKNOWN).format(actor=actor, subject=subject)
    return one_line(said[:1].upper() + said[1:] if said.startswith("you ") else said)


def _is_prefix(text: str) -> bool:
    return _SHORTEST_PREFIX <= len(text) < 64 and _HEX.fullmatch(text) is not None


def _means(wanted: str, key: str, name: str) -> bool:
    if wanted.startswith("~"):
        return nickname_key(wanted) == nickname_key(name)
    return key.startswith(wanted.lower())


async def _nickname(engine: Engine, peer: str) -> str | None:
    try:
        return (await engine.contacts.get(peer)).nickname
    except InvalidInput:
        return None
