"""A18, in voice rooms: a stranger enters, is told who is in, listens or talks, and puts others out
(docs/PROTOCOL.md, Realtime). The requests themselves are among those of test_a18_strangers_in_rooms.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mobium.protocol import messages as m
from mobium.protocol.roster import Access, Kind, Role, Roster
from mobium_server import app
from tests.support.channels import append, begin, gather, refused
from tests.support.server import Client, client, server
from tests.support.voice import come, gathered, go, heard, people, say, sees, voice

pytestmark = pytest.mark.once


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[app.Server]:
    async with server(tmp_path) as one:
        yield one


async def quiet(one: Client) -> None:
    """Somebody was neither told who is in a room nor heard anything."""
    assert await heard(one) == []
    await one.nothing(m.VoiceState, 0.05)


async def test_a_stranger_gets_nowhere(running: app.Server) -> None:
    async with people(running.url, 2) as everybody, client(running.url) as mallory:
        anna, ben = everybody
        room, number = await gathered(everybody)
        assert await refused(mallory, m.JoinVoice(room.id)) == "not_a_member"
        assert await refused(mallory, m.LeaveVoice(room.id)) == "not_in_room"
        await say(anna, number, b"among us")
        await say(mallory, number, b"me, too")
        assert (await ben.hear()).body == voice(b"among us")
        await quiet(mallory)
        assert await heard(anna) == await heard(ben) == []
        await go(ben, room)
        await sees(anna, room, anna)
        await quiet(mallory)


async def test_a_stranger_puts_nobody_out(running: app.Server) -> None:
    async with people(running.url, 2) as everybody, client(running.url) as mallory:
        anna, ben = everybody
        room, number = await gathered(everybody)
        own = await begin(mallory)
        await come(mallory, own)
        assert await refused(mallory, m.LeaveVoice(room.id)) == "not_in_room"
        await go(mallory, own)
        for channel in (own.id, room.id, os.urandom(32)):
            assert await refused(mallory, m.LeaveVoice(channel)) == "not_in_room"
        await say(anna, number, b"still here")
        assert (await ben.hear()).body == voice(b"still here")
        assert running.hub.voice.people == 2


async def test_in_an_open_channel_too_voice_is_for_members(running: app.Server) -> None:
    async with people(running.url, 1) as (anna,), client(running.url) as mallory:
        room = await gather(anna, access=Access.OPEN)
        await come(anna, room)
        assert await refused(mallory, m.JoinVoice(room.id)) == "not_a_member"
        await quiet(mallory)


async def test_ids_of_nothing_have_no_room(running: app.Server) -> None:
    async with client(running.url) as mallory:
        for channel in (os.urandom(32), bytes(32), mallory.public):
            assert await refused(mallory, m.JoinVoice(channel)) == "unknown_channel"
            assert await refused(mallory, m.LeaveVoice(channel)) == "not_in_room"
        assert len(running.hub.voice) == 0


async def test_who_was_removed_is_a_stranger_at_once(running: app.Server) -> None:
    async with people(running.url, 3) as everybody:
        anna, ben, mallory = everybody
        room, number = await gathered(everybody)
        await append(anna, room, room.keyed(anna.person, Kind.REMOVE, mallory.public))
        await mallory.settled()
        mallory.heard.clear()
        await sees(mallory, room)
        await say(anna, number, b"without you")
        assert (await ben.hear()).body == voice(b"without you")
        assert await refused(mallory, m.JoinVoice(room.id)) == "not_a_member"
        await go(ben, room)
        await sees(anna, room, anna)
        await quiet(mallory)


async def test_without_the_look_at_members_a_stranger_listens_and_talks(
    running: app.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with people(running.url, 2) as everybody, client(running.url) as mallory:
        anna, ben = everybody
        room, number = await gathered(everybody)
        monkeypatch.setattr(Roster, "role", lambda *_: Role.MEMBER)  # the defence, off
        state = await come(mallory, room)
        assert {one.identity for one in state.members} > {anna.public, ben.public}
        await say(anna, number, b"among us")
        assert (await mallory.hear()).body == voice(b"among us")
        await say(mallory, number, b"me, too")
        assert voice(b"me, too") in [(await ben.hear()).body for _ in range(2)]
