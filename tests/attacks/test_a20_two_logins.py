"""A20: the same identity logs in twice and the older socket closes late, or goes on acknowledging: the newer
one keeps its route and its mail (docs/PROTOCOL.md, Delivery 2 and Limits).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mobium.client import Engine
from mobium.client.transport import dial
from mobium.protocol import messages as m
from mobium_server.delivery import PostOffice
from mobium_server.envelope import Desk
from mobium_server.hub import Hub, Session
from tests.support.engines import PASSWORD, Ear, World, settle, until
from tests.support.server import Person, client, log_in, server


async def test_the_late_close_of_an_older_login_takes_nothing_away(tmp_path: Path) -> None:
    async with server(tmp_path) as running, client(running.url) as friend:
        person = Person()
        async with client(running.url, person):
            older = await log_in(running.url, person)
            older.socket.transport.pause_reading()  # it sees nothing, and answers no close
            newer = await log_in(running.url, person)
            line = running.hub.sessions[person.public].line
            older.socket.transport.abort()
            await friend.post(person.public, b"after the late close")
            assert (await newer.take()).payload[1:21] == b"after the late close"
            await friend.expect(m.Accepted)
            assert running.hub.sessions[person.public].line is line
            await newer.close()


async def test_a_replaced_login_acknowledges_nothing(tmp_path: Path) -> None:
    async with server(tmp_path) as running, client(running.url) as friend:
        async with client(running.url) as first:
            person = first.person
        for number in range(3):
            await friend.post_and_wait(person.public, b"%d" % number)
        older = await log_in(running.url, person)
        for _ in range(3):
            await older.take(ack=False)
        old_desk = running.hub.sessions[person.public].desk
        newer = await log_in(running.url, person)
        # What the older one has still said reaches the server behind the newer login.
        assert running.hub.office.acknowledge(old_desk, 3)
        assert await older.closed() == 4409
        assert [(await newer.take()).payload[1:2] for _ in range(3)] == [b"0", b"1", b"2"]
        await friend.post(person.public, b"3")
        assert (await newer.take()).payload[1:2] == b"3"
        await newer.close()
        await older.close()


async def crowd_out(folder: Path) -> int:
    """An older connection ends after a newer login; returns how many sessions the server still knows."""
    async with server(folder) as running:
        person = Person()
        async with client(running.url, person):
            older = await log_in(running.url, person)
            old = running.hub.sessions[person.public]
            newer = await log_in(running.url, person)
            running.hub.log_out(old)
            sessions = len(running.hub.sessions)
            older.socket.transport.abort()
            await newer.close()
            return sessions


async def test_an_older_session_that_ends_is_not_the_newer_one(tmp_path: Path) -> None:
    assert await crowd_out(tmp_path) == 1


async def test_without_looking_which_session_ended_the_newer_one_loses_its_route(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_identity(hub: Hub, session: Session) -> None:
        hub.office.detach(session.desk)
        hub.sessions.pop(session.identity, None)

    monkeypatch.setattr(Hub, "log_out", by_identity)  # the defence, off
    assert await crowd_out(tmp_path) == 0


async def test_without_a_desk_for_each_connection_old_mail_is_acknowledged_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledge = PostOffice.acknowledge

    def of_identity(office: PostOffice, desk: Desk, tag: int) -> bool:
        return acknowledge(office, office.desks[desk.identity], tag)

    monkeypatch.setattr(PostOffice, "acknowledge", of_identity)  # the defence, off
    async with server(tmp_path) as running, client(running.url) as friend:
        async with client(running.url) as first:
            person = first.person
        for number in range(3):
            await friend.post_and_wait(person.public, b"%d" % number)
        older = await log_in(running.url, person)
        await older.take(ack=False)
        old_desk = running.hub.sessions[person.public].desk
        newer = await log_in(running.url, person)
        newer.socket.transport.pause_reading()
        desk = running.hub.sessions[person.public].desk

        async def all_on_their_way() -> bool:
            return desk.tag == 3

        await until(all_on_their_way)
        running.hub.office.acknowledge(old_desk, 3)
        assert not desk.window  # nothing was read there, and the server takes it for received
        for one in (older, newer):
            one.socket.transport.abort()


async def test_two_engines_of_one_identity_do_not_fight(folder: Path) -> None:
    """The older one is told, and stays away until its user wants it back."""
    async with server(folder) as running, client(running.url):
        world = World(folder, dial, running.url)
        async with world:
            words = await world.create("here")
            await Engine.recover(world.path("there"), PASSWORD, words)
            friend, here = await world.engine("friend"), await world.engine("here")
            await settle(friend, here)
            ear = Ear(here)
            there = await world.engine("there")
            gone = await ear.connection("offline")
            assert "somewhere else" in gone.reason
            assert (here.connection, there.connection) == ("offline", "online")
            await settle(there)
            await friend.send(there.me, "where are you?")
            await Ear(there).text("where are you?")
            await here.connect()
            assert here.connection == "online"
