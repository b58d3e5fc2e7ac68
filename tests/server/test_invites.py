"""Invites over the wire: who makes them, how they end, and that a use is taken by a join alone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from mobium.protocol import messages as m
from mobium.protocol.limits import MAX_INVITES
from mobium.protocol.roster import Access, Kind, Role
from mobium_server import app
from mobium_server.clock import Clock
from tests.support.channels import (
    NOBODY,
    append,
    begin,
    enter,
    gather,
    invite,
    invites,
    members,
    refused,
    refused_in_vain,
    sealed,
)
from tests.support.server import ServerProcess, client, server


async def test_an_invite_is_made_listed_and_revoked(running: app.Server) -> None:
    async with client(running.url) as anna:
        room = await begin(anna)
        await anna.send(m.CreateInvite(room.id, 3, 600, rid=1))
        first = await anna.expect(m.Invite)
        assert (first.channel_id, first.uses, first.rid) == (room.id, 3, 1)
        assert time.time() + 590 < first.expires <= time.time() + 600
        second = await invite(anna, room)
        assert await invites(anna, room) == [
            m.InviteRow(first.id, 3, first.expires, anna.public),
            m.InviteRow(second, 0, 0, anna.public),
        ]
        await anna.send(m.RevokeInvite(room.id, first.id, rid=2))
        left = await anna.expect(m.Invites)
        assert ([row.id for row in left.invites], left.rid) == ([second], 2)
        assert await refused_in_vain(running, anna, m.RevokeInvite(room.id, first.id)) == "bad_invite"
        await anna.send(m.CreateInvite(room.id, 0, 2**53))
        assert (await anna.expect(m.Invite)).expires == 2**53


async def test_owner_and_admins_of_a_private_channel_alone_may(running: app.Server) -> None:
    async with (
        client(running.url) as anna,
        client(running.url) as ben,
        client(running.url) as carl,
        client(running.url) as stranger,
    ):
        room = await gather(anna, ben, carl)
        await append(anna, room, room.role(anna.person, ben.public, Role.ADMIN))
        ticket = await invite(ben, room)
        public = await begin(anna, Access.OPEN)

        def requests(channel: bytes) -> list[Any]:
            return [m.CreateInvite(channel, 1, 0), m.ListInvites(channel), m.RevokeInvite(channel, ticket)]

        for who, channel, code in (
            (carl, room.id, "forbidden"),
            (stranger, room.id, "not_a_member"),
            (stranger, public.id, "not_a_member"),
            (anna, public.id, "forbidden"),
            (anna, b"n" * 32, "unknown_channel"),
        ):
            for message in requests(channel):
                assert await refused_in_vain(running, who, message) == code
        # An invite of one channel is none of another.
        other = await begin(carl)
        joining = m.JoinChannel(other.join(stranger.person), ticket)
        assert await refused_in_vain(running, stranger, joining) == "bad_invite"
        assert await refused_in_vain(running, carl, m.RevokeInvite(other.id, ticket)) == "bad_invite"


async def test_a_use_is_taken_by_a_join_alone(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben, client(running.url) as carl:
        room = await begin(anna)
        ticket = await invite(anna, room, uses=1)
        stale = room.join(ben.person)
        await append(anna, room, room.make(anna.person, Kind.NAMES, data=sealed()))
        await members(ben, room, 0, room.proof(ben), ticket)  # neither does reading
        assert await refused_in_vain(running, ben, m.JoinChannel(stale, ticket)) == "stale_roster"
        assert [row.uses for row in await invites(anna, room)] == [1]
        await enter(ben, room, ticket)
        assert await invites(anna, room) == []
        joining = m.JoinChannel(room.join(carl.person), ticket)
        assert await refused_in_vain(running, carl, joining) == "invite_used"
        peeking = m.GetMembers(room.id, 0, room.proof(carl), ticket)
        assert await refused_in_vain(running, carl, peeking) == "invite_used"


async def test_of_two_who_come_at_once_one_gets_the_last_use(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben, client(running.url) as carl:
        room = await begin(anna)
        ticket = await invite(anna, room, uses=1)
        await asyncio.gather(*(one.send(m.JoinChannel(room.join(one.person), ticket)) for one in (ben, carl)))
        answers = [type(await one.receive()) for one in (ben, carl)]
        assert sorted(answer.__name__ for answer in answers) == ["Appended", "Error"]


async def test_an_invite_ends_when_its_time_comes(tmp_path: Path) -> None:
    ahead = [0.0]
    clock = Clock(lambda: time.time() + ahead[0], time.monotonic)
    async with (
        server(tmp_path, clock=clock) as running,
        client(running.url) as anna,
        client(running.url) as ben,
    ):
        room = await begin(anna)
        ticket = await invite(anna, room, ttl=60)
        ahead[0] = 61
        joining = m.JoinChannel(room.join(ben.person), ticket)
        assert await refused_in_vain(running, ben, joining) == "invite_expired"
        peeking = m.GetMembers(room.id, 0, room.proof(ben), ticket)
        assert await refused(ben, peeking) == "invite_expired"
        assert await invites(anna, room) == []


KEYED = [Kind.REMOVE, Kind.SECRET, Kind.BAN]


@pytest.mark.parametrize("kind", KEYED)
async def test_invites_end_with_the_secret(running: app.Server, kind: Kind) -> None:
    async with client(running.url) as anna, client(running.url) as ben, client(running.url) as carl:
        room = await gather(anna, ben)
        ticket = await invite(anna, room)
        await append(anna, room, room.make(anna.person, Kind.NAMES, data=sealed()))
        await append(anna, room, room.role(anna.person, ben.public, Role.ADMIN))
        assert ticket in [row.id for row in await invites(anna, room)]
        old = room.join(carl.person)
        subject = {Kind.REMOVE: ben.public, Kind.SECRET: None, Kind.BAN: NOBODY}[kind]
        await append(anna, room, room.keyed(anna.person, kind, subject))
        assert await invites(anna, room) == []
        joining = m.JoinChannel(room.join(carl.person), ticket)
        assert await refused_in_vain(running, carl, joining) == "bad_invite"
        assert await refused_in_vain(running, carl, m.JoinChannel(old, ticket)) == "stale_roster"
        await enter(carl, room, await invite(anna, room))


async def test_a_role_that_ended_on_the_way_makes_no_invite(running: app.Server) -> None:
    """Requests of one channel are carried out one after the other."""
    async with client(running.url) as anna, client(running.url) as ben:
        room = await gather(anna, ben)
        await append(anna, room, room.role(anna.person, ben.public, Role.ADMIN))
        await ben.expect(m.RosterPage)
        before = len(await invites(anna, room))
        raw = room.keyed(anna.person, Kind.REMOVE, ben.public)
        await asyncio.gather(anna.send(m.RosterAppend(raw)), ben.send(m.CreateInvite(room.id, 0, 0, rid=6)))
        await anna.expect(m.Appended)
        made = await ben.receive()
        while isinstance(made, m.RosterPage):
            made = await ben.receive()
        assert before == 1
        assert await invites(anna, room) == [], made  # made before the removal it ended with it


async def test_a_channel_has_so_many_invites(running: app.Server) -> None:
    async with client(running.url) as anna:
        room = await begin(anna)
        tickets = [await invite(anna, room) for _ in range(MAX_INVITES)]
        assert await refused_in_vain(running, anna, m.CreateInvite(room.id, 1, 0)) == "too_many_invites"
        await anna.send(m.RevokeInvite(room.id, tickets[7]))
        await anna.expect(m.Invites)
        await invite(anna, room)


async def test_invites_and_their_uses_survive_a_death(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as process:
        async with client(process.url) as anna, client(process.url) as ben:
            room = await begin(anna)
            ticket = await invite(anna, room, uses=2)
            await enter(ben, room, ticket)
        process.kill()
        process.start()
        async with client(process.url, anna.person) as anna, client(process.url) as carl:
            assert [(row.id, row.uses) for row in await invites(anna, room)] == [(ticket, 1)]
            await enter(carl, room, ticket)
            assert await invites(anna, room) == []
