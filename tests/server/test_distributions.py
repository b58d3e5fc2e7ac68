"""Distributions: pairwise payloads of a channel's members, many in one frame."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mobium.protocol import messages as m
from mobium.protocol.limits import DISTRIBUTION_BATCH
from mobium.protocol.roster import Access, Kind
from mobium_server import app, delivery
from mobium_server.limits import Rate
from tests.support.channels import NOBODY, Room, append, begin, enter, gather, invite, refused_in_vain, rows
from tests.support.server import Client, ServerProcess, client, log_in, payload, server


def part(one: Client, content: bytes = b"") -> m.Distribution:
    return m.Distribution(one.public, payload(content))


async def give(
    one: Client, room: Room, parts: list[m.Distribution], name: bytes | None = None, rid: int | None = None
) -> bytes:
    """Send a batch without waiting for its answer; returns the delivery id."""
    name = name or os.urandom(16)
    await one.send(m.Distribute(name, room.id, parts, rid))
    return name


async def given(one: Client, room: Room, parts: list[m.Distribution], **fields: Any) -> m.Accepted:
    """Send a batch; returns its answer."""
    name = await give(one, room, parts, **fields)
    accepted = await one.expect(m.Accepted)
    assert accepted.id == name
    return accepted


async def test_a_batch_reaches_members_and_names_the_others(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben, client(running.url) as carl:
        room = await gather(anna, ben, carl)
        parts = [part(ben, b"b"), m.Distribution(NOBODY, payload()), part(carl, b"c")]
        name = await give(anna, room, parts, rid=5)
        for one, content in ((ben, b"b"), (carl, b"c")):
            found = await one.take()
            assert (found.id, found.sender, found.channel_id) == (name, anna.public, room.id)
            assert found.payload == payload(content)
        accepted = await anna.expect(m.Accepted)
        assert accepted == m.Accepted(name, 5, failed=[m.NotTaken(NOBODY, "not_a_member")])


async def test_the_answer_comes_when_every_part_has_its_own(
    running: app.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "TICK", 0.3)
    async with client(running.url) as anna, client(running.url) as ben:
        room = await gather(anna, ben)
        async with client(running.url) as carl:
            await enter(carl, room, await invite(anna, room))
        name = await give(anna, room, [part(ben), part(carl)])
        await ben.take()
        await anna.nothing(m.Accepted, 0.1)  # the part that waits for the commit
        assert await anna.expect(m.Accepted) == m.Accepted(name)
        stored = rows(running)["messages"]
        assert [row[-1] for row in stored] == [room.id]
        async with client(running.url, carl.person) as carl:
            found = await carl.take()
            assert (found.id, found.channel_id) == (name, room.id)


async def test_a_batch_that_comes_again_changes_nothing(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben, client(running.url) as carl:
        room = await gather(anna, ben, carl)
        await carl.close()
        parts = [part(ben), part(carl)]
        first = await given(anna, room, parts)
        await ben.take()
        for again in (parts, parts[:1], parts[1:], parts):
            assert await given(anna, room, again, name=first.id) == m.Accepted(first.id)
        await ben.nothing(m.Delivery)
        async with client(running.url, carl.person) as later:
            assert (await later.take()).id == first.id
            await later.nothing(m.Delivery)


async def test_what_was_not_taken_is_sent_again_alone(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        room = await begin(anna, Access.OPEN)
        await enter(ben, room)
        carl = await log_in(running.url)  # without prekeys: nobody can write to him
        await enter(carl, room)
        answer = await given(anna, room, [part(ben), part(carl)])
        assert answer.failed == [m.NotTaken(carl.public, "unknown_recipient")]
        assert (await ben.take()).id == answer.id
        await carl.publish()
        assert (await given(anna, room, [part(carl)], name=answer.id)).failed == []
        assert (await carl.take()).id == answer.id
        await ben.nothing(m.Delivery)
        await carl.close()


async def test_sender_and_recipients_are_members_of_that_channel(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben, client(running.url) as carl:
        room, other = await gather(anna, ben), await gather(ben, carl)
        for who, channel, code in (
            (carl, room.id, "not_a_member"),
            (anna, other.id, "not_a_member"),
            (anna, b"n" * 32, "unknown_channel"),
        ):
            name = os.urandom(16)
            before = rows(running)
            await who.send(m.Distribute(name, channel, [part(ben)], rid=3))
            error = await who.receive()
            assert isinstance(error, m.Error)
            assert (error.code, error.id, error.rid) == (code, name, 3)
            assert rows(running) == before
        await ben.nothing(m.Delivery, 0.05)
        # Who was removed neither gives nor gets.
        await append(anna, room, room.keyed(anna.person, Kind.REMOVE, ben.public))
        answer = await given(anna, room, [part(ben)])
        assert answer.failed == [m.NotTaken(ben.public, "not_a_member")]
        await ben.expect(m.RosterPage)
        assert await refused_in_vain(running, ben, m.Distribute(os.urandom(16), room.id, [part(anna)])) == (
            "not_a_member"
        )
        await ben.nothing(m.Delivery, 0.05)


async def test_payloads_have_the_size_of_padded_ones(tmp_path: Path) -> None:
    async with (
        server(tmp_path, max_message_size=1_024) as running,
        client(running.url) as anna,
        client(running.url) as ben,
        client(running.url) as carl,
    ):
        room = await gather(anna, ben, carl)
        parts = [
            m.Distribution(ben.public, bytes(100)),
            part(carl),
            m.Distribution(anna.public, bytes(2_105)),
        ]
        answer = await given(anna, room, parts)
        assert answer.failed == [m.NotTaken(ben.public, "bad_size"), m.NotTaken(anna.public, "too_large")]
        await carl.take()


async def test_a_recipient_comes_once_in_a_batch_and_a_batch_has_its_limit(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        room = await gather(anna, ben)
        before = rows(running)
        await give(anna, room, [part(ben), part(ben, b"other")])
        await give(anna, room, [m.Distribution(os.urandom(32), payload())] * (DISTRIBUTION_BATCH + 1))
        for _ in range(2):
            error = await anna.receive()
            assert isinstance(error, m.Error)
            assert error.code == "malformed"
        assert rows(running) == before
        assert (await given(anna, room, [part(ben)])).failed == []


async def test_a_batch_costs_as_much_as_its_recipients(tmp_path: Path) -> None:
    async with (
        server(tmp_path, rate_general=Rate(0.01, 70)) as running,
        client(running.url) as anna,
    ):
        room = await begin(anna)  # and its keys: two requests
        parts = [m.Distribution(os.urandom(32), payload()) for _ in range(64)]
        assert len((await given(anna, room, parts)).failed) == 64
        name = await give(anna, room, parts[:5], rid=8)
        error = await anna.receive()
        assert isinstance(error, m.Error)
        assert (error.code, error.id, error.rid) == ("rate_limited", name, 8)
        assert error.retry_after is not None
        assert error.retry_after > 50
        assert len((await given(anna, room, parts[:4])).failed) == 4


async def test_distributions_and_letters_do_not_take_each_others_room(tmp_path: Path) -> None:
    async with (
        server(tmp_path, max_offline_messages=20) as running,
        client(running.url) as anna,
        client(running.url) as ben,
    ):
        room = await gather(anna, ben)
        await ben.close()
        for _ in range(2):
            assert (await given(anna, room, [part(ben)])).failed == []
        full = (await given(anna, room, [part(ben)])).failed
        assert [(one.recipient, one.code, one.retry_after) for one in full] == [
            (ben.public, "queue_full", 60.0)
        ]
        for _ in range(2):
            await anna.post_and_wait(ben.public)
        async with client(running.url, ben.person) as later:
            assert later.welcome.offline_count == 4
            channels = [(await later.take()).channel_id for _ in range(4)]
            assert channels == [room.id, room.id, None, None]


async def test_a_batch_survives_a_death_as_letters_do(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"SC_RATE_GENERAL": "0"}) as process:
        anna, ben = await log_in(process.url), await log_in(process.url)
        for one in (anna, ben):
            await one.publish()
        room = await gather(anna, ben)
        name = await give(anna, room, [part(ben)])
        assert (await ben.take(ack=False)).id == name  # and dies with it
        await anna.expect(m.Accepted)
        process.kill()
        process.start()
        async with client(process.url, anna.person) as anna, client(process.url, ben.person) as ben:
            found = await ben.take()
            assert (found.id, found.channel_id) == (name, room.id)
            assert await given(anna, room, [part(ben)], name=name) == m.Accepted(name)
            await ben.nothing(m.Delivery)
