"""Messages of channels over the wire: numbers, answers, readers who are slow or late, expiry, deaths."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mobium.protocol import messages as m
from mobium.protocol.roster import Access, Kind
from mobium_server import app, board, pace, upkeep
from mobium_server.storage.base import Bounds
from mobium_server.storage.sqlite import SqliteStorage
from tests.support.channels import (
    Room,
    append,
    begin,
    enter,
    gather,
    invite,
    read,
    read_all,
    refused,
    refused_in_vain,
    rows,
    states,
    tell,
    text,
    write,
)
from tests.support.clocks import Hands
from tests.support.server import WAIT, Client, ServerProcess, client, log_in, server, until


async def accepted(one: Client, number: int) -> list[m.Accepted]:
    return [await one.expect(m.Accepted) for _ in range(number)]


def removal(room: Room, who: Client, subject: Client) -> bytes:
    return room.keyed(who.person, Kind.REMOVE, subject.public)


# ---------------------------------------------------------------- answers


async def test_messages_are_numbered_in_their_order_and_shown_in_it(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        room = await gather(anna, ben)
        for start in range(0, 600, 100):
            batch = range(start, start + 100)
            deliveries = [await write(anna, room, b"%d" % at, rid=at) for at in batch]
            answers = await accepted(anna, 100)
            assert [(one.id, one.number, one.rid) for one in answers] == [
                (delivery, at + 3, at) for at, delivery in zip(batch, deliveries, strict=True)
            ]
            for at in batch:
                message = await ben.expect(m.ChannelMessage)
                assert (message.number, message.payload) == (at + 3, text(b"%d" % at))
        await anna.nothing(m.ChannelMessage)


async def test_one_commit_serves_many(running: app.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    real = running.hub.storage.post

    def post(posts: Any, now: int) -> Any:
        commits.append(len(posts))
        return real(posts, now)

    monkeypatch.setattr(running.hub.storage, "post", post)
    monkeypatch.setattr(board, "TICK", 0.2)
    async with client(running.url) as anna:
        room = await begin(anna)
        for _ in range(700):
            await write(anna, room)
        await accepted(anna, 700)
    assert sum(commits) == 700
    print(f"{len(commits)} commits of 700 messages")
    assert len(commits) < 70
    assert max(commits) <= pace.BATCH


async def test_a_repeated_message_has_the_number_it_had(tmp_path: Path) -> None:
    hands = Hands()
    async with (
        server(tmp_path, clock=hands.clock(), message_ttl=3_600) as running,
        client(running.url) as anna,
        client(running.url) as ben,
    ):
        room = await gather(anna, ben)
        delivery = await write(ben, room, b"once", rid=1)
        assert await ben.expect(m.Accepted) == m.Accepted(delivery, 1, 3)
        await anna.expect(m.ChannelMessage)
        before = rows(running)
        # At once, twice in one tick, and after its sender was removed: never shown again.
        for _ in range(2):
            await write(ben, room, b"once", delivery=delivery, rid=2)
            await write(ben, room, b"once", delivery=delivery, rid=3)
            assert await accepted(ben, 2) == [m.Accepted(delivery, rid, 3) for rid in (2, 3)]
        assert rows(running) == before
        await append(anna, room, removal(room, anna, ben))
        await write(ben, room, b"once", delivery=delivery)
        assert (await ben.expect(m.Accepted)).number == 3
        await anna.nothing(m.ChannelMessage)
        # For ten minutes after it expired its sender is told that it was taken, without its number.
        hands.ahead += 3_600
        await expired(running)
        await write(ben, room, b"once", delivery=delivery)
        assert await ben.expect(m.Accepted) == m.Accepted(delivery)
        for _ in range(2):
            hands.ahead += 700
            await write(anna, room)
            await anna.expect(m.Accepted)
        again = m.ChannelPost(delivery, room.id, 99, text())
        assert await refused_in_vain(running, ben, again) == "not_a_member"


async def expired(running: app.Server) -> None:
    """Let the server's upkeep run once."""
    done = asyncio.Event()
    running.hub.jobs.submit(lambda *_: None, lambda: None)
    one = upkeep.Upkeep(
        running.hub.storage,
        running.hub.clock,
        running.hub.jobs,
        running.hub.office,
        running.hub.board,
        running.settings.message_ttl,
        asyncio.get_running_loop(),
    )
    await asyncio.sleep(0)
    running.hub.jobs.submit(lambda *_: done.set(), lambda: None)
    await asyncio.wait_for(done.wait(), WAIT)
    one.stop()


REFUSED: dict[str, tuple[Callable[[Room, Client, Client], Any], str]] = {
    "of a stranger": (lambda room, _, stranger: (stranger, room.id, 9), "not_a_member"),
    "nowhere": (lambda _room, member, _: (member, b"n" * 32, 9), "unknown_channel"),
    "from before a join": (lambda room, member, _: (member, room.id, 0), "stale_roster"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_refused_changes_nothing(running: app.Server, case: str) -> None:
    who, code = REFUSED[case]
    async with client(running.url) as anna, client(running.url) as ben, client(running.url) as carl:
        room = await gather(anna, ben)
        one, channel, index = who(room, ben, carl)
        delivery = os.urandom(16)
        before = rows(running)
        await one.send(m.ChannelPost(delivery, channel, index, text(), rid=4))
        error = await one.receive()
        assert isinstance(error, m.Error)
        assert (error.code, error.id, error.rid) == (code, delivery, 4)
        assert rows(running) == before
        await anna.nothing(m.ChannelMessage, 0.05)


SIZES = {0: "bad_size", 632: "bad_size", 512 + 57: "bad_size", 2_048 + 121: "too_large", 5_000: "too_large"}


@pytest.mark.parametrize("size", SIZES)
async def test_payloads_have_the_size_of_padded_ones(tmp_path: Path, size: int) -> None:
    async with server(tmp_path, max_message_size=1_024) as running, client(running.url) as anna:
        room = await begin(anna)
        post = m.ChannelPost(os.urandom(16), room.id, 0, bytes(size))
        assert await refused_in_vain(running, anna, post) == SIZES[size]
        await tell(anna, room, bucket=1_024)


async def test_who_is_a_member_when_it_is_numbered_can_read_it(running: app.Server) -> None:
    """A message that was on its way during a removal is refused or comes before it, whichever was first."""
    async with client(running.url) as anna, client(running.url) as ben, client(running.url) as carl:
        room = await gather(anna, ben, carl)
        for turn in range(4):
            post = m.ChannelPost(os.urandom(16), room.id, room.roster.index, text())
            raw = room.take(removal(room, anna, carl))
            requests = [anna.send(m.RosterAppend(raw)), ben.send(post)]
            await asyncio.gather(*(requests if turn % 2 else reversed(requests)))
            removed = (await anna.expect(m.Appended)).number
            answer = await answered(ben)
            numbers = [entry.number for entry in await read_all(carl, room)]
            assert numbers[-1] == removed
            if isinstance(answer, m.Accepted):
                assert answer.number == removed - 1 == numbers[-2]
            else:
                assert answer.code == "stale_roster"
                assert await tell(ben, room, delivery=post.id) == removed + 1
            if turn < 3:
                await enter(carl, room, await invite(anna, room))


async def answered(one: Client) -> m.Accepted | m.Error:
    """The answer to a message, whatever it is."""
    while not isinstance(answer := await one.receive(), m.Accepted | m.Error):
        pass
    return answer


async def test_a_full_channel_says_when_to_come_again(tmp_path: Path) -> None:
    storage = SqliteStorage(tmp_path / "mobium.db", 100, bounds=Bounds(posts=3))
    async with server(tmp_path, storage=storage) as running, client(running.url) as anna:
        room = await begin(anna)
        for _ in range(3):
            await tell(anna, room)
        delivery = await write(anna, room)
        error = await anna.receive()
        assert isinstance(error, m.Error)
        assert (error.code, error.id, error.retry_after) == ("queue_full", delivery, 60.0)
        await append(anna, room, room.make(anna.person, Kind.LEAVE))  # statements have room


async def test_a_failing_storage_is_said_and_gets_over(
    running: app.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("told to fail")

    async with client(running.url) as anna, client(running.url) as ben:
        room = await gather(anna, ben)
        with monkeypatch.context() as patch:
            for name in ("post", "history", "channels"):
                patch.setattr(running.hub.storage, name, fail)
            delivery = await write(anna, room)
            error = await anna.receive()
            assert isinstance(error, m.Error)
            assert (error.code, error.id, error.retry_after) == ("storage", delivery, 2.0)
            for message in (m.GetHistory(room.id, 0), m.GetChannels()):
                assert await refused(anna, message) == "storage"
        await write(anna, room, delivery=delivery)
        assert (await anna.expect(m.Accepted)).number == 3
        assert (await ben.expect(m.ChannelMessage)).number == 3


# ---------------------------------------------------------------- history


async def test_a_history_comes_in_pages(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        room = await gather(anna, ben)
        for at in range(20):
            await write(anna, room, b"%d" % at)
        await accepted(anna, 20)
        page = await read(ben, room, 0, 5)
        assert ([entry.number for entry in page.entries], page.upto, page.head) == ([2, 3, 4, 5, 6], 6, 22)
        assert page.entries[0] == m.Entry(2, statement=room.raws[1])
        assert page.entries[1] == m.Entry(3, anna.public, text(b"0"))
        assert [entry.number for entry in await read_all(ben, room, 6, 7)] == list(range(7, 23))
        page = await read(ben, room, 22)
        assert (page.entries, page.upto, page.head) == ([], 22, 22)


async def test_a_page_has_half_a_megabyte_and_at_least_one(running: app.Server) -> None:
    async with client(running.url) as anna:
        room = await begin(anna)
        for bucket in (262_144, 131_072, 131_072, 1_048_576, 512):
            await tell(anna, room, bucket=bucket)
        sizes = []
        after = 0
        while after < 6:
            page = await read(anna, room, after)
            sizes.append(len(page.entries))
            after = page.upto
        assert sizes == [3, 1, 1, 1]


async def test_what_expired_leaves_a_gap_that_is_said(tmp_path: Path) -> None:
    hands = Hands()
    async with (
        server(tmp_path, clock=hands.clock(), message_ttl=3_600) as running,
        client(running.url) as anna,
    ):
        room = await begin(anna)
        await tell(anna, room)
        await append(anna, room, room.make(anna.person, Kind.NAMES, data=os.urandom(540)))
        hands.ahead += 1_800
        await tell(anna, room)
        hands.ahead += 1_800
        await expired(running)
        page = await read(anna, room)
        assert ([entry.number for entry in page.entries], page.upto, page.head) == ([1, 3, 4], 4, 4)
        hands.ahead += 1_800
        await expired(running)
        assert (await read(anna, room)).upto == 4
        assert await tell(anna, room) == 5


# ---------------------------------------------------------------- readers


async def test_those_who_come_and_go_see_what_is_theirs(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        room = await gather(anna, ben)
        await ben.close()
        await until(lambda: ben.public not in running.hub.sessions)
        await tell(anna, room, b"away")
        async with client(running.url, ben.person) as again:
            await tell(anna, room, b"back")
            assert (await again.expect(m.ChannelMessage)).payload == text(b"back")
            assert await states(again) == {room.id: (4, 1)}
            async with client(running.url, ben.person) as newer:
                await again.close()  # late, since it was replaced
                await tell(anna, room, b"newer")
                assert (await newer.expect(m.ChannelMessage)).payload == text(b"newer")
        assert [entry.number for entry in await read_all(anna, room, 2)] == [3, 4, 5]
        await until(lambda: ben.public not in running.hub.sessions)
        assert set(running.hub.board._readers) == {room.id}


async def test_a_slow_reader_hurts_nobody_and_is_told_how_far_it_is_behind(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben, client(running.url) as carl:
        room = await gather(anna, ben, carl)
        other = await gather(anna, ben)
        ben.socket.transport.pause_reading()
        last = far = 0
        for _ in range(40):
            last = await tell(anna, room, bucket=65_536)
            assert (await carl.expect(m.ChannelMessage)).number == last
            far = await tell(anna, other, bucket=65_536)
        memory = running.hub.sessions[ben.public].line
        assert not memory.writable()
        assert memory._transport.get_write_buffer_size() < 300_000  # type: ignore[attr-defined]
        assert running.hub.board.behinds == 2
        ben.socket.transport.resume_reading()
        heads = {head.channel_id: head.number for head in [await ben.expect(m.ChannelHead) for _ in range(2)]}
        assert heads == {room.id: last, other.id: far}
        seen = [one for one in ben._kept if isinstance(one, m.ChannelMessage)]
        got = [one.number for one in seen if one.channel_id == room.id]
        assert got == list(range(got[0], got[0] + len(got)))
        assert len(got) < 40
        fetched = [entry.number for entry in await read_all(ben, room, got[-1])]
        assert fetched == list(range(got[-1] + 1, last + 1))
        ben._kept.clear()
        last = await tell(anna, room)
        assert (await ben.expect(m.ChannelMessage)).number == last
        await ben.nothing(m.ChannelHead)


async def test_too_much_at_once_is_cut_short_and_said(
    running: app.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many in one commit: a reader whose socket takes everything still gets so much in one turn only."""
    monkeypatch.setattr(board, "TICK", 0.3)
    async with client(running.url) as anna, client(running.url) as ben:
        room = await gather(anna, ben)
        for _ in range(40):
            await write(anna, room, bucket=32_768)
        numbers = [one.number for one in await accepted(anna, 40)]
        assert numbers == list(range(3, 43))
        head = await ben.expect(m.ChannelHead)
        got = [one.number for one in ben._kept if isinstance(one, m.ChannelMessage)]
        assert got == list(range(3, 3 + len(got)))
        assert 2 <= len(got) < 40
        assert got[-1] < head.number <= 42
        seen = got + [entry.number for entry in await read_all(ben, room, got[-1])]
        assert seen == list(range(3, 43))


async def test_of_a_large_message_the_number_is_told(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        room = await gather(anna, ben)
        number = await tell(anna, room, b"large", bucket=131_072)
        assert await ben.expect(m.ChannelHead) == m.ChannelHead(room.id, number)
        assert (await read(ben, room, 2)).entries == [m.Entry(number, anna.public, text(b"large", 131_072))]
        await tell(anna, room, b"small")
        assert (await ben.expect(m.ChannelMessage)).number == number + 1


async def test_who_asks_for_many_pages_and_reads_none_costs_no_memory(running: app.Server) -> None:
    async with client(running.url) as anna:
        room = await begin(anna)
        await tell(anna, room, bucket=1_048_576)
        anna.socket.transport.pause_reading()
        for rid in range(200):
            await anna.send(m.GetHistory(room.id, 1, rid=rid))
        line = running.hub.sessions[anna.public].line
        await asyncio.sleep(0.5)
        assert line._transport.get_write_buffer_size() < 3 << 20  # type: ignore[attr-defined]
        anna.socket.transport.resume_reading()
        assert [(await anna.expect(m.History)).rid for _ in range(200)] == list(range(200))


async def test_a_member_who_is_away_costs_nothing(running: app.Server) -> None:
    """A message is handed to those who are here; of the others nobody is looked at."""
    async with client(running.url) as anna, client(running.url) as ben:
        room = await begin(anna, Access.OPEN)
        for _ in range(5):
            async with client(running.url) as one:
                await enter(one, room)
        await enter(ben, room)
        await tell(anna, room)
        shown = running.hub.board.shown
        await tell(anna, room)
        assert running.hub.board.shown == shown + 1
        assert len(running.hub.board._readers[room.id]) == 2


# ---------------------------------------------------------------- the end


async def test_a_stop_commits_and_answers_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "TICK", 10.0)
    async with server(tmp_path) as running:
        anna = await log_in(running.url)
        room = await begin(anna)
        delivery = await write(anna, room)
        await until(lambda: bool(running.hub.board._waiting))
    assert await anna.expect(m.Accepted) == m.Accepted(delivery, number=2)
    async with server(tmp_path) as running, client(running.url, anna.person) as again:
        assert [entry.number for entry in await read_all(again, room)] == [1, 2]


async def test_what_was_answered_is_there_after_a_death(tmp_path: Path) -> None:
    process = ServerProcess(tmp_path, {"SC_RATE_GENERAL": "0"}).start()
    async with client(process.url) as anna:
        room = await begin(anna)
        sent = [await write(anna, room, b"%d" % at) for at in range(300)]
        known = {one.id: one.number for one in await accepted(anna, 100)}
        process.kill()
    process.start()
    async with client(process.url, anna.person) as anna:
        for delivery in sent:
            at = sent.index(delivery)
            await write(anna, room, b"%d" % at, delivery=delivery)
        again = {one.id: one.number for one in await accepted(anna, 300)}
        assert known.items() <= again.items()
        entries = await read_all(anna, room)
        assert [entry.number for entry in entries] == list(range(1, 302))
        assert sorted(entry.payload for entry in entries[1:]) == sorted(text(b"%d" % at) for at in range(300))
    process.close()
