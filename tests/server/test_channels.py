"""Channels over the wire: begun, joined, left; who may append and read what."""

from __future__ import annotations

from mobium.protocol import messages as m
from mobium.protocol.roster import Kind
from mobium_server import app
from tests.support.channels import append, gather, members, read_all, states, tell
from tests.support.server import client


async def test_a_channel_from_its_first_word_to_the_last(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben, client(running.url) as carl:
        room = await gather(anna, ben, carl)
        assert (await members(carl, room)).statements == room.raws
        number = await tell(anna, room, b"hello")
        assert number == 4
        for one in (ben, carl):
            message = await one.expect(m.ChannelMessage)
            assert (message.channel_id, message.number, message.sender) == (room.id, 4, anna.public)
            assert message.payload[1:6] == b"hello"
        await append(anna, room, room.keyed(anna.person, Kind.REMOVE, carl.public))
        assert (await carl.expect(m.RosterPage)).statements == [room.raws[-1]]
        await tell(ben, room, b"gone")
        assert await states(ben) == {room.id: (6, 3)}
        assert await states(carl) == {room.id: (5, 3)}
        assert [entry.number for entry in await read_all(ben, room)] == [2, 3, 4, 5, 6]
        assert [entry.number for entry in await read_all(carl, room)] == [3, 4, 5]
        await carl.nothing(m.ChannelMessage)
