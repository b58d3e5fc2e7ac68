"""Voice rooms over real sockets: who gets in, who hears whom, who is told, and when somebody is out again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest

from mobium.protocol import messages as m
from mobium.protocol.limits import MAX_SPEAKERS, SCREEN_BODY
from mobium.protocol.media_frames import SCREEN, VOICE, MediaDown
from mobium.protocol.roster import Kind
from mobium_server import app
from mobium_server import voice as voice_rooms
from mobium_server.limits import Rate
from tests.support.channels import append, enter, gather, invite, refused
from tests.support.server import Client, Refused, ServerProcess, client, log_in, server
from tests.support.voice import RID, come, gathered, go, heard, number_of, people, say, sees, show, voice

# ---------------------------------------------------------------- in and out


async def test_who_enters_is_told_and_so_is_every_member(running: app.Server) -> None:
    async with people(running.url, 3) as (anna, ben, carl), client(running.url) as mallory:
        room = await gather(anna, ben, carl)
        alone = await come(anna, room)
        assert alone.channel_id == room.id
        assert [each.identity for each in alone.members] == [anna.public]
        assert alone.room > 0
        both = await come(ben, room)
        assert both.room == alone.room
        assert number_of(both, anna) == number_of(alone, anna) != number_of(both, ben)
        for one in (anna, carl):  # in the room, or not
            told = await sees(one, room, anna, ben)
            assert (told.room, told.members) == (both.room, both.members)
        assert [each.identity for each in (await go(anna, room)).members] == [ben.public]
        await sees(carl, room, ben)
        assert await go(ben, room) == m.VoiceState(room.id, rid=RID)
        assert (await sees(carl, room)).room == 0
        await mallory.nothing(m.VoiceState)


async def test_frames_go_to_all_others_in_the_room_as_they_came(running: app.Server) -> None:
    async with people(running.url, 4) as everybody:
        anna, ben, carl, _dora = everybody
        room = await gather(*everybody)
        await come(anna, room)
        await come(ben, room)
        state = await come(carl, room)
        body = os.urandom(SCREEN_BODY)
        await say(anna, state.room, b"hello")
        await show(anna, state.room, body)
        for one in (ben, carl):
            assert await one.hear() == MediaDown(VOICE, state.room, number_of(state, anna), voice(b"hello"))
            assert await one.hear() == MediaDown(SCREEN, state.room, number_of(state, anna), body)
        await say(ben, state.room)
        assert (await anna.hear()).speaker == number_of(state, ben)
        assert (await carl.hear()).speaker == number_of(state, ben)
        for one in everybody:
            assert await heard(one) == []  # nobody hears himself, and dora is not in the room


async def test_nobody_hears_a_number_before_he_knows_whose_it_is(
    running: app.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with people(running.url, 3) as everybody:
        anna, _ben, carl = everybody
        room = await gather(*everybody)
        monkeypatch.setattr(running.hub.voice._inside, "_gap", 3_600.0)  # the first change alone is told
        state = m.VoiceState(room.id)
        for one in everybody:
            state = await come(one, room)
        await say(carl, state.room, b"here I am")
        assert (await anna.hear()).speaker == number_of(await sees(anna, room, *everybody), carl)


async def test_forty_are_in_and_no_more(running: app.Server) -> None:
    async with people(running.url, MAX_SPEAKERS + 1) as everybody:
        *inside, late = everybody
        room = await gather(*everybody)
        states = [await come(one, room) for one in inside]
        numbers = {number_of(states[-1], one) for one in inside}
        assert len(numbers) == MAX_SPEAKERS
        assert await refused(late, m.JoinVoice(room.id)) == "room_full"
        assert len((await come(inside[0], room)).members) == MAX_SPEAKERS  # who is in, is in
        await go(inside[7], room)
        assert number_of(await come(late, room), late) not in numbers
        assert running.hub.voice.people == MAX_SPEAKERS


async def test_entering_again_changes_nothing(running: app.Server) -> None:
    async with people(running.url, 2) as (anna, ben):
        room = await gather(anna, ben)
        first = await come(anna, room)
        await come(ben, room)
        again = await come(anna, room)
        assert (again.room, number_of(again, anna)) == (first.room, number_of(first, anna))


async def test_a_connection_is_in_one_room(running: app.Server) -> None:
    async with people(running.url, 2) as (anna, ben):
        garden = await gather(anna, ben)
        kitchen = await gather(anna, ben)
        await come(ben, garden)
        first = await come(anna, garden)
        second = await come(anna, kitchen)
        assert second.room != first.room
        await sees(ben, garden, ben)
        await sees(ben, kitchen, anna)
        await say(anna, first.room)
        await say(anna, second.room)
        assert await heard(ben) == []
        assert running.hub.counters.media_outside == 1
        assert await refused(anna, m.LeaveVoice(garden.id)) == "not_in_room"
        assert (await go(anna, kitchen)).room == 0
        await sees(ben, kitchen)


async def test_who_has_left_neither_hears_nor_is_heard(running: app.Server) -> None:
    async with people(running.url, 2) as everybody:
        anna, ben = everybody
        room, number = await gathered(everybody)
        await go(ben, room)
        assert await refused(ben, m.LeaveVoice(room.id)) == "not_in_room"
        await say(ben, number, b"still me")
        await say(anna, number, b"alone")
        assert await heard(anna) == await heard(ben) == []
        assert running.hub.counters.media_outside == 1


@pytest.mark.parametrize("abrupt", [False, True])
async def test_the_end_of_a_connection_leaves(running: app.Server, abrupt: bool) -> None:
    async with people(running.url, 2) as everybody:
        anna, ben = everybody
        room, _ = await gathered(everybody)
        if abrupt:
            ben.socket.transport.abort()
        else:
            await ben.close()
        await sees(anna, room, anna)
        assert running.hub.voice.people == 1


async def test_a_newer_login_begins_outside_and_the_older_one_s_end_does_not_take_it_out(
    running: app.Server,
) -> None:
    async with people(running.url, 2) as everybody:
        anna, ben = everybody
        room, number = await gathered(everybody)
        before = number_of(running.hub.voice.state(room.id), ben)
        ben.socket.transport.pause_reading()  # it does not see that it is replaced
        newer = await log_in(running.url, ben.person)
        await sees(anna, room, anna)
        await say(newer, number)
        assert await heard(anna) == []
        state = await come(newer, room)
        assert number_of(state, ben) != before
        await sees(anna, room, anna, ben)
        ben.socket.transport.abort()
        await newer.settled()
        await say(newer, number, b"here")
        assert (await anna.hear()).body == voice(b"here")
        await newer.close()
        await sees(anna, room, anna)


@pytest.mark.parametrize("kind", [Kind.REMOVE, Kind.BAN, Kind.LEAVE])
async def test_who_is_no_member_any_more_is_out(running: app.Server, kind: Kind) -> None:
    async with people(running.url, 3) as everybody:
        anna, ben, carl = everybody
        room, number = await gathered(everybody)
        if kind is Kind.LEAVE:
            await append(ben, room, room.make(ben.person, kind))
        else:
            await append(anna, room, room.keyed(anna.person, kind, ben.public))
        await sees(carl, room, anna, carl)
        assert (await sees(ben, room)).room == 0  # for all he may see
        await say(anna, number, b"among us")
        await say(ben, number, b"still me")
        assert (await carl.hear()).body == voice(b"among us")
        assert await heard(ben) == await heard(carl) == []
        assert await refused(ben, m.JoinVoice(room.id)) == "not_a_member"
        await go(carl, room)
        await sees(anna, room, anna)
        await ben.nothing(m.VoiceState)


async def test_a_login_and_a_new_member_are_told_who_is_in(running: app.Server) -> None:
    async with people(running.url, 3) as (anna, ben, carl):
        room = await gather(anna, ben)
        await come(anna, room)
        await ben.close()
        async with client(running.url, ben.person, publish=False) as again:
            await sees(again, room, anna)
        await carl.nothing(m.VoiceState)
        await enter(carl, room, await invite(anna, room))
        await sees(carl, room, anna)


async def test_a_burst_of_joins_is_told_together(running: app.Server) -> None:
    async with people(running.url, 30) as everybody:
        room = await gather(*everybody)
        observer, first, *others = everybody
        await come(first, room)
        await sees(observer, room, first)
        began = time.monotonic()
        await asyncio.gather(*(come(one, room) for one in others))
        told = {observer: 1, first: 1}
        for one in told:
            while len((await one.expect(m.VoiceState)).members) < len(others) + 1:
                told[one] += 1
        lasted = time.monotonic() - began
        print(f"{len(others)} joins in {lasted:.2f} s: told {told[first]} times, outside {told[observer]}")
        assert told[observer] <= lasted / voice_rooms.OUTSIDE_GAP + 2
        assert told[first] <= lasted / voice_rooms.INSIDE_GAP + 2


async def test_one_who_enters_and_leaves_without_end_is_stopped(running: app.Server) -> None:
    async with people(running.url, 2) as (anna, ben):
        room = await gather(anna, ben)
        for _ in range(voice_rooms.JOINS):
            await come(anna, room)
            await go(anna, room)
        with pytest.raises(Refused) as caught:
            await come(anna, room)
        assert caught.value.code == "rate_limited"
        assert 0 < (caught.value.error.retry_after or 0) <= 60
        assert len((await come(ben, room)).members) == 1


async def test_the_last_wish_holds_while_the_roster_is_read(running: app.Server) -> None:
    async with people(running.url, 1) as (anna,):
        garden, kitchen = await gather(anna), await gather(anna)
        rooms = running.hub.rooms
        for room in (garden, kitchen):
            rooms._give_up(room.id)  # so that each roster has to be read
        await anna.send(m.JoinVoice(garden.id, 1))
        await anna.send(m.JoinVoice(kitchen.id, 2))
        answers = {}
        for _ in range(2):
            message = await anna.receive()
            while isinstance(message, m.VoiceState) and message.rid is None:
                message = await anna.receive()
            assert isinstance(message, m.VoiceState | m.Error)
            answers[message.rid] = message
        assert isinstance(answers[1], m.Error)
        assert answers[1].code == "not_in_room"
        assert isinstance(answers[2], m.VoiceState)
        assert running.hub.voice.people == 1


async def test_who_is_gone_before_the_roster_is_read_is_not_in(running: app.Server) -> None:
    async with people(running.url, 2) as (anna, ben):
        room = await gather(anna, ben)
        running.hub.rooms._give_up(room.id)
        await ben.send(m.JoinVoice(room.id))
        ben.socket.transport.abort()
        await anna.settled()
        assert (await come(anna, room)).members[0].identity == anna.public
        assert running.hub.voice.people == 1


def test_a_restart_empties_the_rooms_and_people_come_again(process: ServerProcess) -> None:
    async def before(url: str) -> tuple[Client, Client, object]:
        async with people(url, 2) as (anna, ben):
            room = await gather(anna, ben)
            await come(anna, room)
            await come(ben, room)
            return anna, ben, room

    async def after(url: str, anna: Client, ben: Client, room: object) -> None:
        async with (
            client(url, anna.person, publish=False) as again,
            client(url, ben.person, publish=False) as other,
        ):
            await again.nothing(m.VoiceState)
            assert len((await come(again, room)).members) == 1  # type: ignore[arg-type]
            state = await come(other, room)  # type: ignore[arg-type]
            await say(again, state.room, b"again")
            assert (await other.hear()).body == voice(b"again")

    process.start()
    anna, ben, room = asyncio.run(before(process.url))
    process.kill()
    process.start()
    asyncio.run(after(process.url, anna, ben, room))


# ---------------------------------------------------------------- rates


async def test_frames_over_the_rate_are_dropped_and_counted(tmp_path: Path) -> None:
    async with (
        server(tmp_path, rate_media=Rate(0.001, 150)) as running,
        people(running.url, 2) as everybody,
    ):
        _, number = await gathered(everybody)
        anna, ben = everybody
        for i in range(200):
            await say(anna, number, i)
        await anna.settled()
        assert await heard(ben) == [voice(i) for i in range(150)]
        assert running.hub.counters.media_limited == 50


async def test_large_frames_count_for_more(tmp_path: Path) -> None:
    async with (
        server(tmp_path, rate_media=Rate(0.001, 150)) as running,
        people(running.url, 2) as everybody,
    ):
        _, number = await gathered(everybody)
        for _ in range(60):
            await show(everybody[0], number, bytes(SCREEN_BODY))
        await everybody[0].settled()
        assert running.hub.counters.media_limited == 10  # each is three of 150


async def test_an_address_has_so_many_times_as_much(tmp_path: Path) -> None:
    async with (
        server(tmp_path, rate_media=Rate(0.001, 20), rate_address_factor=3) as running,
        people(running.url, 5) as everybody,
    ):
        _, number = await gathered(everybody)
        for one in everybody:
            for i in range(20):
                await say(one, number, i)
            await one.settled()
        assert running.hub.counters.media_in == 100
        assert running.hub.counters.media_limited == 40


async def test_an_ipv6_site_has_four_times_as_much_as_an_address(tmp_path: Path) -> None:
    async with (
        server(tmp_path, rate_media=Rate(0.001, 20), rate_address_factor=1) as running,
        contextlib.AsyncExitStack() as stack,
    ):
        networks = [{"X-Forwarded-For": f"2001:db8:1:{i:x}::1"} for i in range(6)]
        everybody = [
            await stack.enter_async_context(client(running.url, additional_headers=one)) for one in networks
        ]
        _, number = await gathered(everybody)
        for one in everybody:
            for i in range(20):
                await say(one, number, i)
            await one.settled()
        assert running.hub.counters.media_limited == 40


async def test_frames_over_an_identity_s_rate_cost_its_address_nothing(tmp_path: Path) -> None:
    async with (
        server(tmp_path, rate_media=Rate(0.001, 20), rate_address_factor=3) as running,
        people(running.url, 2) as everybody,
    ):
        _, number = await gathered(everybody)
        for one, count in zip(everybody, (100, 20), strict=True):
            for i in range(count):
                await say(one, number, i)
            await one.settled()
        assert running.hub.counters.media_limited == 80


@pytest.mark.parametrize("setting", [{"rate_media": Rate(0, 0)}, {"rate_address_factor": 0}])
async def test_nought_is_unlimited(tmp_path: Path, setting: dict[str, Any]) -> None:
    async with server(tmp_path, **setting) as running, people(running.url, 2) as everybody:
        _, number = await gathered(everybody)
        for i in range(140):
            await say(everybody[0], number, i)
        await everybody[0].settled()
        assert running.hub.counters.media_limited == 0


# ---------------------------------------------------------------- what the server keeps


def contents(folder: Path) -> dict[str, bytes]:
    """Every file and what it holds."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_nothing_of_a_room_is_recorded_or_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = os.urandom(60)
    with caplog.at_level(logging.DEBUG):
        async with server(tmp_path) as running, people(running.url, 2) as everybody:
            anna, ben = everybody
            room, number = await gathered(everybody)
            files = contents(tmp_path)
            await say(anna, number, secret)
            assert (await ben.hear()).body == voice(secret)
            await show(ben, number, secret)
            await anna.hear()
            await say(anna, number + 1, secret)
            await anna.settled()
            assert contents(tmp_path).keys() == files.keys()
            stored = b"".join(contents(tmp_path).values())
            assert secret not in stored
            assert room.id in stored  # so it would have been found
    for hidden in (anna.public, room.id, secret):
        assert hidden.hex() not in caplog.text
        assert repr(hidden)[2:-1] not in caplog.text


async def test_the_figures_say_what_there_was(running: app.Server) -> None:
    async with people(running.url, 3) as everybody:
        anna, ben, carl = everybody
        room, number = await gathered(everybody)
        voices = running.hub.voice
        assert (len(voices), voices.people) == (1, 3)
        for i in range(5):
            await say(anna, number, i)
        await say(anna, number + 1)
        for one in (ben, carl):
            for _ in range(5):
                await one.hear()
        await anna.settled()
        counters = running.hub.counters
        assert (counters.media_in, counters.media_out, counters.media_outside) == (6, 10, 1)
        for one in everybody:
            await go(one, room)
        assert (len(voices), voices.people) == (0, 0)


async def test_the_capability_and_the_rate_are_told(tmp_path: Path) -> None:
    async with server(tmp_path, rate_media=Rate(33, 44)) as running, client(running.url) as anna:
        limits = anna.welcome.limits
        assert (limits.media_rate, limits.media_burst) == (33, 44)
        await anna.send(m.GetInfo())
        assert "voice" in (await anna.expect(m.Info)).capabilities
