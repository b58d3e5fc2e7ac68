"""A18: a stranger joins, leaves, lists, talks or listens in a channel of which it is no member, with every
request there is, and with the ids of other channels (docs/PROTOCOL.md, docs/CRYPTO.md section 7).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from mobium.protocol import messages as m
from mobium.protocol.messages import ClientMessage
from mobium.protocol.roster import Access, Kind, Role, build
from mobium_server import app
from mobium_server.storage.sqlite import SqliteStorage
from tests.support.channels import (
    Room,
    append,
    begin,
    enter,
    gather,
    invite,
    read_all,
    refused_in_vain,
    rows,
    sealed,
    states,
    tell,
    text,
)
from tests.support.server import Client, client, payload, server

pytestmark = pytest.mark.once

TICKET = b"t" * 16


class Scene:
    """Anna and Ben in a private channel, and Mallory, who is owner of another and holds a true invite into
    neither.
    """

    def __init__(self, running: app.Server, anna: Client, ben: Client, mallory: Client) -> None:
        self.running = running
        self.anna = anna
        self.ben = ben
        self.mallory = mallory
        self.room: Room
        self.own: Room
        self.ticket = b""

    async def begin(self) -> None:
        """The channels, and something to read in both."""
        self.room = await gather(self.anna, self.ben)
        self.own = await begin(self.mallory)
        self.ticket = await invite(self.mallory, self.own)
        await tell(self.anna, self.room, b"among us")
        await self.ben.expect(m.ChannelMessage)
        await tell(self.mallory, self.own)

    def statement(self, kind: Kind, channel: bytes | None = None, **changes: Any) -> bytes:
        """A statement of Mallory's that would be the next of the channel."""
        roster = self.room.roster
        fields: dict[str, Any] = {
            "channel_id": channel or self.room.id,
            "index": roster.index + 1,
            "prev": roster.head,
            "subject": self.mallory.public,
            "time_ms": 1,
        }
        return build(self.mallory.person, kind, **(fields | changes))

    async def unharmed(self) -> None:
        """Nobody was told anything, and the next honest message works."""
        for one in (self.anna, self.ben):
            await one.nothing(m.RosterPage, 0.02)
            await one.nothing(m.ChannelMessage, 0.02)
            await one.nothing(m.Delivery, 0.02)
        assert set(await states(self.mallory)) == {self.own.id}
        number = await tell(self.anna, self.room, b"still")
        assert number == 4
        assert (await self.ben.expect(m.ChannelMessage)).number == number
        await self.mallory.nothing(m.ChannelMessage, 0.05)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with (
        server(tmp_path) as running,
        client(running.url) as anna,
        client(running.url) as ben,
        client(running.url) as mallory,
    ):
        one = Scene(running, anna, ben, mallory)
        await one.begin()
        yield one


Attack = Callable[[Scene], Any]
KEYED = b"k" * 32

# Of every type of request, with all that a stranger can put into it.
ATTACKS: dict[str, tuple[Attack, str]] = {
    "joins by a signature of its own": (
        lambda s: m.JoinChannel(s.statement(Kind.JOIN, data=s.mallory.person.sign(b"join")), TICKET),
        "wrong_secret",
    ),
    "joins with a join made for another channel": (
        lambda s: m.JoinChannel(
            s.statement(Kind.JOIN, data=Room.join(s.own, s.mallory.person)[-128:-64]), s.ticket
        ),
        "wrong_secret",
    ),
    "joins as if it were open": (lambda s: m.JoinChannel(s.statement(Kind.JOIN)), "bad_statement"),
    "joins with a leaked secret and no invite": (
        lambda s: m.JoinChannel(s.room.join(s.mallory.person)),
        "bad_invite",
    ),
    "joins with a leaked secret and an invite of its own channel": (
        lambda s: m.JoinChannel(s.room.join(s.mallory.person), s.ticket),
        "bad_invite",
    ),
    "lets somebody else join": (
        lambda s: m.JoinChannel(s.room.join(s.anna.person), s.ticket),
        "bad_statement",
    ),
    "leaves": (lambda s: m.LeaveChannel(s.statement(Kind.LEAVE)), "not_a_member"),
    "lets a member leave": (
        lambda s: m.LeaveChannel(s.room.make(s.ben.person, Kind.LEAVE)),
        "bad_statement",
    ),
    "renames": (lambda s: m.RosterAppend(s.statement(Kind.NAMES, data=sealed())), "not_a_member"),
    "renews the secret": (
        lambda s: m.RosterAppend(s.statement(Kind.SECRET, data=KEYED + sealed())),
        "not_a_member",
    ),
    "removes a member": (
        lambda s: m.RosterAppend(s.statement(Kind.REMOVE, subject=s.ben.public, data=KEYED + sealed())),
        "not_a_member",
    ),
    "bans a member": (
        lambda s: m.RosterAppend(s.statement(Kind.BAN, subject=s.ben.public, data=KEYED + sealed())),
        "not_a_member",
    ),
    "unbans": (
        lambda s: m.RosterAppend(s.statement(Kind.UNBAN, subject=s.ben.public)),
        "not_a_member",
    ),
    "makes itself an owner": (
        lambda s: m.RosterAppend(s.statement(Kind.ROLE, subject=s.anna.public, data=bytes([Role.OWNER]))),
        "not_a_member",
    ),
    "begins it again": (lambda s: m.CreateChannel(s.room.create), "bad_statement"),
    "lists": (lambda s: m.GetMembers(s.room.id), "not_a_member"),
    "lists with the proof of another channel": (
        lambda s: m.GetMembers(s.room.id, 0, s.own.proof(s.mallory), s.ticket),
        "wrong_secret",
    ),
    "lists with a leaked secret and no invite": (
        lambda s: m.GetMembers(s.room.id, 0, s.room.proof(s.mallory)),
        "bad_invite",
    ),
    "lists with a leaked secret and an invite of its own channel": (
        lambda s: m.GetMembers(s.room.id, 0, s.room.proof(s.mallory), s.ticket),
        "bad_invite",
    ),
    "lists with the proof of a member": (
        lambda s: m.GetMembers(s.room.id, 0, s.room.proof(s.anna), s.ticket),
        "wrong_secret",
    ),
    "talks": (lambda s: m.ChannelPost(os.urandom(16), s.room.id, 99, text()), "not_a_member"),
    "listens": (lambda s: m.GetHistory(s.room.id, 0), "not_a_member"),
    "gives sender keys": (
        lambda s: m.Distribute(os.urandom(16), s.room.id, [m.Distribution(s.ben.public, payload())]),
        "not_a_member",
    ),
    "enters the voice room": (lambda s: m.JoinVoice(s.room.id), "not_a_member"),
    "leaves the voice room": (lambda s: m.LeaveVoice(s.room.id), "not_in_room"),
    "invites": (lambda s: m.CreateInvite(s.room.id, 1, 0), "not_a_member"),
    "lists the invites": (lambda s: m.ListInvites(s.room.id), "not_a_member"),
    "revokes an invite": (lambda s: m.RevokeInvite(s.room.id, s.ticket), "not_a_member"),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_stranger_is_refused_and_changes_nothing(scene: Scene, attack: str) -> None:
    make, code = ATTACKS[attack]
    assert await refused_in_vain(scene.running, scene.mallory, make(scene)) == code
    await scene.unharmed()


def test_every_request_is_tried() -> None:
    about_channels = {
        kind for kind in ClientMessage.__args__ if {"channel_id", "statement"} & set(kind.__struct_fields__)
    }
    tried = {
        name
        for name in (kind.__name__ for kind in about_channels)
        if any(f"m.{name}(" in line for line in Path(__file__).read_text().splitlines())
    }
    assert tried == {kind.__name__ for kind in about_channels}


UNKNOWN: list[Callable[[Scene, bytes], Any]] = [
    lambda s, channel: m.JoinChannel(s.statement(Kind.JOIN, channel, data=bytes(64)), s.ticket),
    lambda s, channel: m.LeaveChannel(s.statement(Kind.LEAVE, channel)),
    lambda s, channel: m.RosterAppend(s.statement(Kind.NAMES, channel, data=sealed())),
    lambda _, channel: m.GetMembers(channel),
    lambda _, channel: m.ChannelPost(os.urandom(16), channel, 99, text()),
    lambda _, channel: m.GetHistory(channel, 0),
    lambda s, channel: m.Distribute(os.urandom(16), channel, [m.Distribution(s.ben.public, payload())]),
    lambda _, channel: m.JoinVoice(channel),
    lambda _, channel: m.CreateInvite(channel, 1, 0),
    lambda _, channel: m.ListInvites(channel),
    lambda s, channel: m.RevokeInvite(channel, s.ticket),
]


async def test_ids_of_nothing_are_refused_by_every_request(scene: Scene) -> None:
    for make in UNKNOWN:
        for channel in (os.urandom(32), bytes(32), scene.mallory.public):
            message = make(scene, channel)
            assert await refused_in_vain(scene.running, scene.mallory, message) == "unknown_channel"
    await scene.unharmed()


async def test_who_has_left_is_a_stranger_but_for_what_was_before(scene: Scene) -> None:
    await append(scene.anna, scene.room, scene.room.keyed(scene.anna.person, Kind.REMOVE, scene.ben.public))
    await scene.ben.expect(m.RosterPage)
    await tell(scene.anna, scene.room, b"without you")
    for message in (
        m.ChannelPost(os.urandom(16), scene.room.id, 99, text()),
        m.CreateInvite(scene.room.id, 0, 0),
        m.JoinVoice(scene.room.id),
        m.RosterAppend(scene.room.make(scene.ben.person, Kind.NAMES, data=sealed())),
    ):
        assert await refused_in_vain(scene.running, scene.ben, message) == "not_a_member"
    assert [entry.number for entry in await read_all(scene.ben, scene.room)] == [2, 3, 4]
    await scene.ben.nothing(m.ChannelMessage)


async def test_in_an_open_channel_a_stranger_reads_the_roster_alone(scene: Scene) -> None:
    public = await begin(scene.anna, Access.OPEN)
    await tell(scene.anna, public)
    for message in (
        m.GetHistory(public.id, 0),
        m.ChannelPost(os.urandom(16), public.id, 99, text()),
        m.Distribute(os.urandom(16), public.id, [m.Distribution(scene.anna.public, payload())]),
        m.ListInvites(public.id),
        m.JoinVoice(public.id),
    ):
        assert await refused_in_vain(scene.running, scene.mallory, message) == "not_a_member"
    await scene.mallory.send(m.GetMembers(public.id))
    assert (await scene.mallory.expect(m.RosterPage)).statements == public.raws
    await enter(scene.mallory, public)
    assert [entry.number for entry in await read_all(scene.mallory, public)] == [3]


# ---------------------------------------------------------------- with a defence switched off


async def test_without_the_look_at_members_a_stranger_talks(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        SqliteStorage, "_members", staticmethod(lambda _, pairs: set(pairs))
    )  # the defence, off
    await tell(scene.mallory, scene.room, b"among you")
    message = await scene.ben.expect(m.ChannelMessage)
    assert (message.sender, message.payload) == (scene.mallory.public, text(b"among you"))


async def test_without_the_proof_a_stranger_lists(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobium_server.channels.verify", lambda *_: None)  # the defence, off
    ticket = await invite(scene.anna, scene.room)
    await scene.mallory.send(m.GetMembers(scene.room.id, 0, bytes(64), ticket))
    assert (await scene.mallory.expect(m.RosterPage)).statements == scene.room.raws


async def test_without_the_secret_s_signature_a_stranger_joins_and_listens(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobium.protocol.roster.Roster._verify_invite", lambda *_: None)  # the defence, off
    ticket = await invite(scene.anna, scene.room)
    before = rows(scene.running)
    await scene.mallory.send(m.JoinChannel(scene.statement(Kind.JOIN, data=bytes(64)), ticket))
    await scene.mallory.expect(m.Appended)
    assert rows(scene.running) != before
    scene.room.roster = scene.room.roster.append(
        (await scene.ben.expect(m.RosterPage)).statements[0], verify=False
    )
    await tell(scene.anna, scene.room, b"overheard")
    assert (await scene.mallory.expect(m.ChannelMessage)).payload == text(b"overheard")
