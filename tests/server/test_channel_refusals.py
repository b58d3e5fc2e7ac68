"""Channels over the wire: what is refused, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mobium.protocol import messages as m
from mobium.protocol import roster
from mobium.protocol.roster import ZEROS, Access, Kind, Role
from mobium_server import app
from mobium_server.storage.base import Bounds
from mobium_server.storage.sqlite import SqliteStorage
from tests.support.channels import (
    NOBODY,
    Room,
    another,
    append,
    begin,
    enter,
    established,
    invite,
    refused,
    refused_in_vain,
    sealed,
)
from tests.support.clocks import Hands
from tests.support.server import Client, client, server

Make = Callable[[Room, list[Client]], Any]


def altered(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


def remove(room: Room, who: Client, subject: bytes) -> bytes:
    return another(room, who, Kind.REMOVE, subject=subject, data=b"k" * 32 + sealed())


REFUSED: dict[str, tuple[int, Make, str]] = {
    "no statement": (0, lambda _room, _four: m.RosterAppend(b"nonsense"), "bad_statement"),
    "cut off": (0, lambda room, four: m.RosterAppend(another(room, four[0])[:-1]), "bad_statement"),
    "a bad signature": (
        0,
        lambda room, four: m.RosterAppend(altered(another(room, four[0]))),
        "bad_statement",
    ),
    "of somebody else": (
        1,
        lambda room, four: m.RosterAppend(another(room, four[0])),
        "bad_statement",
    ),
    "a leave as an append": (
        2,
        lambda room, four: m.RosterAppend(another(room, four[2], Kind.LEAVE)),
        "bad_statement",
    ),
    "a join as a creation": (
        3,
        lambda room, four: m.CreateChannel(room.join(four[3].person)),
        "bad_statement",
    ),
    "a creation as an append": (
        0,
        lambda _room, four: m.RosterAppend(Room(four[0].person).create),
        "bad_statement",
    ),
    "a creation with a bad signature": (
        0,
        lambda _room, four: m.CreateChannel(altered(Room(four[0].person).create)),
        "bad_statement",
    ),
    "without effect": (
        0,
        lambda room, four: m.RosterAppend(room.role(four[0].person, four[1].public, Role.ADMIN)),
        "bad_statement",
    ),
    "an unban of who is not banned": (
        0,
        lambda room, four: m.RosterAppend(another(room, four[0], Kind.UNBAN, subject=NOBODY)),
        "bad_statement",
    ),
    "another channel": (
        0,
        lambda room, four: m.RosterAppend(another(room, four[0], channel_id=b"n" * 32)),
        "unknown_channel",
    ),
    "an old index": (
        0,
        lambda room, four: m.RosterAppend(another(room, four[0], index=room.roster.index)),
        "stale_roster",
    ),
    "a later index": (
        0,
        lambda room, four: m.RosterAppend(another(room, four[0], index=room.roster.index + 2)),
        "stale_roster",
    ),
    "an old head": (
        0,
        lambda room, four: m.RosterAppend(another(room, four[0], prev=room.roster.heads[-2])),
        "stale_roster",
    ),
    "no role for names": (2, lambda room, four: m.RosterAppend(another(room, four[2])), "forbidden"),
    "no role for roles": (
        1,
        lambda room, four: m.RosterAppend(room.role(four[1].person, four[2].public, Role.ADMIN)),
        "forbidden",
    ),
    "a removal from below": (
        1,
        lambda room, four: m.RosterAppend(remove(room, four[1], four[0].public)),
        "forbidden",
    ),
    "an owner's leave": (
        0,
        lambda room, four: m.LeaveChannel(another(room, four[0], Kind.LEAVE)),
        "forbidden",
    ),
    "a removal of a stranger": (
        0,
        lambda room, four: m.RosterAppend(remove(room, four[0], four[3].public)),
        "not_a_member",
    ),
    "a stranger's names": (3, lambda room, four: m.RosterAppend(another(room, four[3])), "not_a_member"),
    "a stranger's old names": (
        3,
        lambda room, four: m.RosterAppend(another(room, four[3], prev=ZEROS)),
        "not_a_member",
    ),
    "a stranger's leave": (
        3,
        lambda room, four: m.LeaveChannel(another(room, four[3], Kind.LEAVE)),
        "not_a_member",
    ),
    "a second join": (
        2,
        lambda room, four: m.JoinChannel(room.join(four[2].person), b"t" * 16),
        "already_member",
    ),
    "a join without an invite": (
        3,
        lambda room, four: m.JoinChannel(room.join(four[3].person)),
        "bad_invite",
    ),
    "a join with an unknown invite": (
        3,
        lambda room, four: m.JoinChannel(room.join(four[3].person), b"t" * 16),
        "bad_invite",
    ),
    "a join with another secret": (
        3,
        lambda room, four: m.JoinChannel(
            another(room, four[3], Kind.JOIN, data=four[3].person.sign(b"join")), b"t" * 16
        ),
        "wrong_secret",
    ),
    "a join without a signature": (
        3,
        lambda room, four: m.JoinChannel(another(room, four[3], Kind.JOIN), b"t" * 16),
        "bad_statement",
    ),
    "a join of nothing": (
        3,
        lambda _room, four: m.JoinChannel(Room(four[0].person).join(four[3].person), b"t" * 16),
        "unknown_channel",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_refused_changes_nothing(running: app.Server, four: list[Client], case: str) -> None:
    who, make, code = REFUSED[case]
    room = await established(four)
    assert await refused_in_vain(running, four[who], make(room, four)) == code
    for one in four:
        await one.nothing(m.RosterPage, 0.02)
    # Not even a number was used.
    appended = await append(four[0], room, another(room, four[0]))
    assert appended.number == room.roster.index + 1


async def test_who_is_banned_stays_out(running: app.Server, four: list[Client]) -> None:
    owner, admin, member, _ = four
    room = await established(four)
    await append(admin, room, room.keyed(admin.person, Kind.BAN, member.public))
    ticket = await invite(owner, room)
    joining = m.JoinChannel(room.join(member.person), ticket)
    assert await refused_in_vain(running, member, joining) == "banned"
    await append(owner, room, room.make(owner.person, Kind.UNBAN, member.public))
    await enter(member, room, ticket)


async def test_a_full_channel_takes_nobody(
    running: app.Server, four: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster, "MAX_MEMBERS", 3)
    room = await established(four)
    joining = m.JoinChannel(room.join(four[3].person), await invite(four[0], room))
    assert await refused_in_vain(running, four[3], joining) == "channel_full"


async def test_an_identity_is_in_so_many_channels(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "mobium.db", 100, bounds=Bounds(memberships=2))
    async with (
        server(tmp_path, storage=storage) as running,
        client(running.url) as anna,
        client(running.url) as ben,
    ):
        room = await begin(anna)
        await begin(ben)
        await begin(ben, Access.OPEN)
        ticket = await invite(anna, room, uses=1)
        full = "too_many_channels"
        assert await refused_in_vain(running, ben, m.CreateChannel(Room(ben.person).create)) == full
        assert await refused_in_vain(running, ben, m.JoinChannel(room.join(ben.person), ticket)) == full


async def test_one_channel_is_joined_four_times_an_hour(tmp_path: Path) -> None:
    hands = Hands()
    async with (
        server(tmp_path, clock=hands.clock()) as running,
        client(running.url) as anna,
        client(running.url) as ben,
    ):
        room = await begin(anna, Access.OPEN)
        stale = m.JoinChannel(another(room, ben, Kind.JOIN, prev=ZEROS))
        for _ in range(4):
            for _ in range(3):
                assert await refused(ben, stale) == "stale_roster"  # what is refused does not count
            await enter(ben, room)
            await append(ben, room, another(room, ben, Kind.LEAVE))
            hands.ahead += 600
        again = m.JoinChannel(room.join(ben.person))
        assert await refused_in_vain(running, ben, again) == "rate_limited"
        other = await begin(anna, Access.OPEN)
        await enter(ben, other)
        hands.ahead += 1_200
        await enter(ben, room)


async def test_twenty_channels_are_begun_a_day(tmp_path: Path) -> None:
    hands = Hands()
    async with server(tmp_path, clock=hands.clock()) as running, client(running.url) as anna:
        for _ in range(20):
            await begin(anna)
        another_one = m.CreateChannel(Room(anna.person).create)
        assert await refused_in_vain(running, anna, another_one) == "rate_limited"
        hands.ahead += 86_400
        await begin(anna)
