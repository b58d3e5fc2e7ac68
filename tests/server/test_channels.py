"""Channels over the wire: begun, joined, left, repeated, read, and what a death leaves of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mobium.protocol import messages as m
from mobium.protocol.roster import Access, Kind, Role
from mobium_server import app, rooms
from mobium_server.storage.sqlite import SqliteStorage
from tests.support.channels import (
    NOBODY,
    Room,
    another,
    append,
    begin,
    enter,
    established,
    gather,
    invite,
    members,
    read_all,
    refused,
    refused_in_vain,
    rows,
    sealed,
    states,
    tell,
    text,
)
from tests.support.server import Client, ServerProcess, client, log_in, server


async def test_a_channel_from_its_first_word_to_the_last(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben, client(running.url) as carl:
        room = await gather(anna, ben, carl)
        assert (await members(carl, room)).statements == room.raws
        number = await tell(anna, room, b"hello")
        assert number == 4
        for one in (ben, carl):
            message = await one.expect(m.ChannelMessage)
            assert (message.channel_id, message.number, message.sender) == (room.id, 4, anna.public)
            assert message.payload == text(b"hello")
        await append(anna, room, room.keyed(anna.person, Kind.REMOVE, carl.public))
        for one in (ben, carl):
            page = await one.expect(m.RosterPage)
            assert (page.statements, page.start, page.newest, page.number) == ([room.raws[-1]], 3, 3, 5)
        await tell(ben, room, b"gone")
        assert (await anna.expect(m.ChannelMessage)).number == 6
        assert await states(ben) == {room.id: (6, 3)}
        assert await states(carl) == {room.id: (5, 3)}
        assert [entry.number for entry in await read_all(ben, room)] == [2, 3, 4, 5, 6]
        assert [entry.number for entry in await read_all(carl, room)] == [3, 4, 5]
        await carl.nothing(m.ChannelMessage)
        await anna.nothing(m.RosterPage)


async def test_every_statement_is_told_to_every_member_but_its_actor(
    running: app.Server, four: list[Client]
) -> None:
    owner, admin, member, stranger = four
    room = await established(four)
    number = (await states(owner))[room.id][0]
    steps: list[tuple[Client, Callable[[], bytes]]] = [
        (admin, lambda: room.make(admin.person, Kind.NAMES, data=sealed())),
        (owner, lambda: room.keyed(owner.person, Kind.SECRET)),
        (admin, lambda: room.keyed(admin.person, Kind.BAN, NOBODY)),
        (admin, lambda: room.make(admin.person, Kind.UNBAN, NOBODY)),
        (owner, lambda: room.role(owner.person, member.public, Role.OWNER)),
        (admin, lambda: room.make(admin.person, Kind.LEAVE)),
        (member, lambda: room.keyed(member.person, Kind.BAN, owner.public)),
        (member, lambda: room.make(member.person, Kind.LEAVE)),
    ]
    for who, make in steps:
        before = set(room.roster.members)
        raw = make()
        appended = await append(who, room, raw)
        number += 1
        assert (appended.index, appended.number) == (room.roster.index, number)
        for one in four:
            if one is not who and one.public in before:
                page = await one.expect(m.RosterPage)
                assert (page.statements, page.number) == ([raw], number)
    for one in four:
        await one.nothing(m.RosterPage, 0.05)
    assert await states(stranger) == {}
    assert not room.roster.members
    ticket = b"t" * 16  # whoever has the secret could revive it, but nobody is there to invite
    assert await refused(stranger, m.JoinChannel(room.join(stranger.person), ticket)) == "bad_invite"


# ---------------------------------------------------------------- repeated and at once


async def test_a_statement_that_comes_again_is_answered_again(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        room = await begin(anna)
        ticket = await invite(anna, room, uses=1)
        await enter(ben, room, ticket)
        await append(anna, room, another(room, anna))
        await append(ben, room, another(room, ben, Kind.LEAVE))
        before = rows(running)
        repeats: list[tuple[Client, Any]] = [
            (anna, m.CreateChannel(room.raws[0])),
            (ben, m.JoinChannel(room.raws[1], ticket)),
            (anna, m.RosterAppend(room.raws[2])),
            (ben, m.LeaveChannel(room.raws[3])),
        ]
        for index, (who, message) in enumerate(repeats):
            await who.send(message)
            appended = await who.expect(m.Appended)
            assert (appended.index, appended.number) == (index, index + 1)
        assert rows(running) == before


async def test_of_many_at_once_one_is_next_and_the_others_are_stale(running: app.Server) -> None:
    async with client(running.url) as anna:
        room = Room(anna.person)
        first = another(room, anna)
        await anna.send(m.CreateChannel(room.create, rid=1))
        await anna.send(m.CreateChannel(room.create, rid=2))
        await anna.send(m.RosterAppend(first, rid=3))
        for at in range(4, 40):
            await anna.send(m.RosterAppend(another(room, anna), rid=at))
        answers = [await anna.receive() for _ in range(39)]
        assert answers[:2] == [m.Appended(room.id, 0, 1, 1), m.Appended(room.id, 0, 1, 2)]
        assert answers[2] == m.Appended(room.id, 1, 2, 3)
        assert all(isinstance(one, m.Error) and one.code == "stale_roster" for one in answers[3:])
        assert len(rows(running)["statements"]) == 2


# ---------------------------------------------------------------- reading


async def test_who_may_read_a_roster(running: app.Server, four: list[Client]) -> None:
    owner, admin, member, stranger = four
    room = await established(four)
    ask = m.GetMembers(room.id)
    assert await refused(stranger, ask) == "not_a_member"
    assert await refused(stranger, m.GetMembers(b"n" * 32)) == "unknown_channel"
    # With the secret and an invite that is in force; which takes no use.
    ticket = await invite(owner, room, uses=1)
    page = await members(stranger, room, 0, room.proof(stranger), ticket)
    assert page == m.RosterPage(room.id, 0, room.raws, room.roster.index, room.roster.index + 1, 77)
    assert (await members(stranger, room, 2, room.proof(stranger), ticket)).statements == room.raws[2:]
    wrong: list[tuple[bytes | None, bytes | None, str]] = [
        (None, ticket, "not_a_member"),
        (room.proof(stranger), None, "bad_invite"),
        (room.proof(stranger), b"u" * 16, "bad_invite"),
        (room.proof(owner), ticket, "wrong_secret"),  # of another, on another connection
        (stranger.person.sign(b"peek"), ticket, "wrong_secret"),
    ]
    for proof, one, code in wrong:
        assert await refused_in_vain(running, stranger, m.GetMembers(room.id, 0, proof, one)) == code
    # Who was removed sees how, and nothing that came later, unless invited again.
    await append(admin, room, room.keyed(admin.person, Kind.REMOVE, member.public))
    gone = room.roster.index
    assert await refused(stranger, m.GetMembers(room.id, 0, room.proof(stranger), ticket)) == "bad_invite"
    await member.expect(m.RosterPage)
    await append(owner, room, another(room, owner))
    page = await members(member, room)
    assert (page.statements, page.newest) == (room.raws[: gone + 1], gone)
    assert (await members(member, room, gone + 1)) == m.RosterPage(room.id, gone + 1, [], gone, 0, 77)
    ticket = await invite(owner, room)
    assert (await members(member, room, 0, room.proof(member), ticket)).statements == room.raws


async def test_a_proof_is_good_on_its_own_connection_alone(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        room = await begin(anna)
        ticket = await invite(anna, room)
        proof = room.proof(ben)
        await members(ben, room, 0, proof, ticket)
        async with client(running.url, ben.person) as later:
            assert await refused(later, m.GetMembers(room.id, 0, proof, ticket)) == "wrong_secret"


async def test_anyone_reads_and_joins_an_open_channel(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        room = await begin(anna, Access.OPEN)
        await tell(anna, room)
        assert (await members(ben, room)).statements == room.raws
        assert await refused(ben, m.GetHistory(room.id, 0)) == "not_a_member"
        await enter(ben, room, b"t" * 16)  # an invite means nothing there
        await append(ben, room, another(room, ben, Kind.LEAVE))
        await append(anna, room, another(room, anna))
        assert (await members(ben, room)).newest == 3


async def test_a_long_roster_comes_in_pages(running: app.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "SLICE", 7)
    monkeypatch.setattr(running.hub.channels._changes, "_most", 1_000)
    async with client(running.url) as anna, client(running.url) as ben:
        room = await begin(anna, Access.OPEN)
        other = await begin(anna, Access.OPEN)
        for _ in range(520):
            raw = another(room, anna)
            await anna.send(m.RosterAppend(raw))
            room.take(raw)
        for _ in range(520):
            await anna.expect(m.Appended)
        page = await members(ben, room)
        assert (len(page.statements), page.newest, page.number) == (512, 520, 512)
        page = await members(ben, room, 512)
        assert (len(page.statements), page.newest, page.number) == (9, 520, 521)
        # Loaded again after it was given up, in slices, with requests in their order.
        monkeypatch.setattr(rooms, "ROOMS", 1)
        await append(anna, other, another(other, anna))
        page = await members(ben, room, 519)
        assert page.statements == room.raws[519:]
        await append(anna, other, another(other, anna))
        for _ in range(5):
            raw = another(room, anna)
            await anna.send(m.RosterAppend(raw))
            room.take(raw)
        assert [(await anna.expect(m.Appended)).index for _ in range(5)] == list(range(521, 526))


async def test_channels_are_listed_with_what_one_may_see(running: app.Server, four: list[Client]) -> None:
    owner, admin, member, stranger = four
    room = await established(four)
    other = await begin(member)
    await append(admin, room, room.keyed(admin.person, Kind.REMOVE, member.public))
    await append(owner, room, another(room, owner))
    assert await states(member) == {room.id: (5, 4), other.id: (1, 0)}
    assert await states(owner) == {room.id: (6, 5)}
    assert await states(stranger) == {}
    first, second = sorted((room.id, other.id))
    await member.send(m.GetChannels(first, rid=9))
    page = await member.expect(m.Channels)
    assert ([state.channel_id for state in page.channels], page.rid) == ([second], 9)


# ---------------------------------------------------------------- deaths


async def test_everything_is_there_after_a_death(process: ServerProcess) -> None:
    process.start()
    anna, ben = await log_in(process.url), await log_in(process.url)
    room = await gather(anna, ben)
    ticket = await invite(anna, room, uses=3)
    await tell(anna, room, b"before")
    await ben.expect(m.ChannelMessage)
    raw = another(room, anna)
    await anna.send(m.RosterAppend(raw))
    process.kill()  # with a statement on its way, which stands or does not
    process.start()
    async with (
        client(process.url, anna.person) as anna,
        client(process.url, ben.person) as ben,
        client(process.url) as carl,
    ):
        await anna.send(m.RosterAppend(raw))
        assert (await anna.expect(m.Appended)).index == 2
        room.take(raw)
        number = await tell(anna, room, b"after")
        assert [entry.number for entry in await read_all(ben, room)] == list(range(2, number + 1))
        while (await ben.receive()) != m.ChannelMessage(room.id, number, anna.public, text(b"after")):
            pass
        await enter(carl, room, ticket)
        assert (await members(carl, room)).statements == room.raws
    assert process.stop() == 0


async def test_a_storage_that_fails_leaves_the_roster_where_it_is(tmp_path: Path) -> None:
    class Failing(SqliteStorage):
        fails = False

        def place(self, *arguments: Any) -> Any:
            if self.fails:
                raise OSError("told to fail")
            return super().place(*arguments)

    storage = Failing(tmp_path / "mobium.db", 100)
    async with (
        server(tmp_path, storage=storage) as running,
        client(running.url) as anna,
        client(running.url) as ben,
    ):
        room = await gather(anna, ben)
        storage.fails = True
        raw = another(room, anna)
        assert await refused_in_vain(running, anna, m.RosterAppend(raw)) == "storage"
        assert await refused_in_vain(running, anna, m.CreateChannel(Room(anna.person).create)) == "storage"
        assert (await members(ben, room)).newest == 1
        await ben.nothing(m.RosterPage, 0.05)
        storage.fails = False
        for _ in range(2):  # another than the one that failed is as good
            await append(anna, room, another(room, anna))
            await ben.expect(m.RosterPage)
        assert await refused(anna, m.RosterAppend(raw)) == "stale_roster"


async def test_the_logs_and_figures_speak_of_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with (
        server(tmp_path) as running,
        client(running.url) as anna,
        client(running.url) as ben,
    ):
        room = await gather(anna, ben)
        await tell(anna, room, b"hello")
        await ben.expect(m.ChannelMessage)
        await refused(ben, m.RosterAppend(another(room, ben)))
        assert running.hub.board.shown == 2
        assert (running.hub.board.stored, len(running.hub.rooms)) == (1, 1)
    said = caplog.text.lower()
    for secret in (room.id, anna.public, ben.public, room.create):
        assert secret.hex()[:16] not in said
        assert repr(secret)[2:20].lower() not in said
