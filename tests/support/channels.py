"""People in channels for raw clients: their rosters, their statements, and what they ask the server.

Not its concern: what is tested.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import Any

from mobium.protocol import messages as m
from mobium.protocol.limits import SENDER_KEY_OVERHEAD
from mobium.protocol.roster import (
    SEALED_SIZE,
    ZEROS,
    Access,
    Kind,
    Role,
    Roster,
    build,
    join_input,
    peek_input,
)
from mobium.signing import SigningKey
from mobium_server import app
from mobium_server.config import database_path
from tests.support.server import Client, Person, Refused

NOBODY = SigningKey.from_seed(b"n" * 32).public


def sealed() -> bytes:
    """Sealed names that nobody opens."""
    return os.urandom(SEALED_SIZE)


def text(content: bytes = b"", bucket: int = 512) -> bytes:
    """Something of the size of a channel message in `bucket`, beginning with `content`."""
    return (b"\x01" + content).ljust(bucket + SENDER_KEY_OVERHEAD, b"\0")


class Room:
    """A channel as one knows it who has its secret: the roster, and the key of the invites in force."""

    def __init__(self, owner: Person, access: Access = Access.PRIVATE) -> None:
        self.secret = SigningKey.generate()
        key = self.secret.public if access is Access.PRIVATE else os.urandom(32)
        data = bytes([access]) + key + sealed()
        self.raws = [build(owner, Kind.CREATE, ZEROS, 0, ZEROS, owner.public, 1, data)]
        self.roster = Roster.begin(self.raws[0])

    @property
    def id(self) -> bytes:
        """The channel's id."""
        return self.roster.channel_id

    @property
    def create(self) -> bytes:
        """The statement that begins it."""
        return self.raws[0]

    def make(self, who: Person, kind: Kind, subject: bytes | None = None, data: bytes = b"") -> bytes:
        """A statement that follows on the newest one known here; `take` it when the server has."""
        roster = self.roster
        return build(
            who, kind, roster.channel_id, roster.index + 1, roster.head, subject or who.public, 1, data
        )

    def join(self, who: Person) -> bytes:
        """A join with the secret in force."""
        signed = join_input(self.id, self.roster.head, who.public)
        private = self.roster.access is Access.PRIVATE
        return self.make(who, Kind.JOIN, data=self.secret.sign(signed) if private else b"")

    def keyed(self, who: Person, kind: Kind, subject: bytes | None = None) -> bytes:
        """A statement with a new secret, which is in force from now on."""
        self.secret = SigningKey.generate()
        private = self.roster.access is Access.PRIVATE
        key = self.secret.public if private else os.urandom(32)
        return self.make(who, kind, subject, key + sealed())

    def role(self, who: Person, subject: bytes, role: Role) -> bytes:
        """A statement that gives a role."""
        return self.make(who, Kind.ROLE, subject, bytes([role]))

    def take(self, raw: bytes) -> bytes:
        """The server has it, or will."""
        self.roster = self.roster.append(raw)
        self.raws.append(raw)
        return raw

    def proof(self, one: Client) -> bytes:
        """What shows that a client knows the secret."""
        return self.secret.sign(peek_input(self.id, one.public, one.welcome.nonce))


# ---------------------------------------------------------------- requests


async def begin(owner: Client, access: Access = Access.PRIVATE) -> Room:
    """A new channel."""
    room = Room(owner.person, access)
    await owner.send(m.CreateChannel(room.create))
    appended = await owner.expect(m.Appended)
    assert (appended.channel_id, appended.index, appended.number) == (room.id, 0, 1)
    return room


async def invite(owner: Client, room: Room, uses: int = 0, ttl: int = 0) -> bytes:
    """A new invite."""
    await owner.send(m.CreateInvite(room.id, uses, ttl))
    return (await owner.expect(m.Invite)).id


async def enter(one: Client, room: Room, ticket: bytes | None = None) -> m.Appended:
    """Join a channel."""
    raw = room.join(one.person)
    await one.send(m.JoinChannel(raw, ticket))
    appended = await one.expect(m.Appended)
    room.take(raw)
    return appended


async def gather(owner: Client, *others: Client, access: Access = Access.PRIVATE) -> Room:
    """A new channel with members; what was pushed about it is read."""
    room = await begin(owner, access)
    ticket = await invite(owner, room) if access is Access.PRIVATE else None
    for at, one in enumerate(others):
        await enter(one, room, ticket)
        for reader in (owner, *others[:at]):
            await reader.expect(m.RosterPage)
    return room


async def append(one: Client, room: Room, raw: bytes) -> m.Appended:
    """Append any statement."""
    await one.send(m.LeaveChannel(raw) if raw[1] == Kind.LEAVE else m.RosterAppend(raw))
    appended = await one.expect(m.Appended)
    room.take(raw)
    return appended


async def write(
    one: Client, room: Room, content: bytes = b"", *, index: int | None = None, **fields: Any
) -> bytes:
    """Send a message without waiting for its answer; returns the delivery id."""
    delivery: bytes = fields.pop("delivery", None) or os.urandom(16)
    index = room.roster.index if index is None else index
    await one.send(
        m.ChannelPost(delivery, room.id, index, text(content, fields.pop("bucket", 512)), **fields)
    )
    return delivery


async def tell(one: Client, room: Room, content: bytes = b"", **fields: Any) -> int:
    """Send a message; returns its number."""
    delivery = await write(one, room, content, **fields)
    accepted = await one.expect(m.Accepted)
    assert accepted.id == delivery
    assert accepted.number is not None
    return accepted.number


async def read(one: Client, room: Room, after: int = 0, limit: int = 500) -> m.History:
    """A page of a channel's history."""
    await one.send(m.GetHistory(room.id, after, limit))
    return await one.expect(m.History)


async def read_all(one: Client, room: Room, after: int = 0, limit: int = 500) -> list[m.Entry]:
    """Everything of a channel that one may see behind a number."""
    entries: list[m.Entry] = []
    while True:
        page = await read(one, room, after, limit)
        assert len(page.entries) <= limit
        entries += page.entries
        if page.upto >= page.head:
            return entries
        after = page.upto


async def members(
    one: Client, room: Room, start: int = 0, proof: bytes | None = None, ticket: bytes | None = None
) -> m.RosterPage:
    """A page of a channel's roster."""
    await one.send(m.GetMembers(room.id, start, proof, ticket, rid=77))
    return await one.expect(m.RosterPage)


async def states(one: Client) -> dict[bytes, tuple[int, int]]:
    """Number and index of each of one's channels."""
    await one.send(m.GetChannels())
    return {
        state.channel_id: (state.number, state.index) for state in (await one.expect(m.Channels)).channels
    }


async def invites(one: Client, room: Room) -> list[m.InviteRow]:
    """The invites in force."""
    await one.send(m.ListInvites(room.id))
    return (await one.expect(m.Invites)).invites


async def refused(one: Client, message: Any) -> str:
    """The code with which the server refuses a request."""
    await one.send(message)
    try:
        await one.expect(type(None))
    except Refused as refusal:
        return refusal.code
    raise AssertionError("unreachable")


# ---------------------------------------------------------------- the database


def rows(running: app.Server) -> dict[str, list[Any]]:
    """Everything that the database of a server holds about channels, and all deliveries."""
    path = database_path(running.settings.database_url)
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in ("channels", "statements", "members", "posts", "invites", "messages")
        }


async def refused_in_vain(running: app.Server, one: Client, message: Any) -> str:
    """The code with which the server refuses a request, which has changed nothing."""
    before = rows(running)
    code = await refused(one, message)
    assert rows(running) == before
    return code


async def established(four: list[Client]) -> Room:
    """The first three in one channel, in their roles; everything that was pushed is read."""
    owner, admin, member, _ = four
    room = await gather(owner, admin, member)
    await append(owner, room, room.role(owner.person, admin.public, Role.ADMIN))
    for one in (admin, member):
        await one.expect(m.RosterPage)
    return room


def another(room: Room, who: Client, kind: Kind = Kind.NAMES, **changes: Any) -> bytes:
    """A good statement but for what is changed."""
    fields: dict[str, Any] = {
        "channel_id": room.id,
        "index": room.roster.index + 1,
        "prev": room.roster.head,
        "subject": who.public,
        "time_ms": 1,
        "data": sealed() if kind is Kind.NAMES else b"",
    }
    return build(who.person, kind, **(fields | changes))
