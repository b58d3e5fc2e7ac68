"""People in voice rooms, for raw clients.

Not its concern: what is tested.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from mobium.protocol import messages as m
from mobium.protocol.limits import VOICE_BODY
from mobium.protocol.media_frames import SCREEN, VOICE, to_server
from tests.support.channels import Room, gather
from tests.support.server import Client, Person, client

RID = 4_711


def voice(content: bytes | int = b"") -> bytes:
    """Something of the size of a frame of voice."""
    content = content.to_bytes(4, "big") if isinstance(content, int) else content
    return content.ljust(VOICE_BODY, b".")


async def come(one: Client, room: Room) -> m.VoiceState:
    """Enter the voice room of a channel; returns who is in it."""
    await one.send(m.JoinVoice(room.id, RID))
    return await answer(one)


async def go(one: Client, room: Room) -> m.VoiceState:
    """Leave it; returns who is left."""
    await one.send(m.LeaveVoice(room.id, RID))
    return await answer(one)


async def answer(one: Client) -> m.VoiceState:
    """The state that answers a request; others before it are passed over."""
    while True:
        state = await one.expect(m.VoiceState)
        if state.rid == RID:
            return state


async def sees(one: Client, room: Room, *people: Client) -> m.VoiceState:
    """Wait until somebody is told that these people, and no others, are in a room; what is said of other
    rooms is kept for later.
    """
    wanted = {each.public for each in people}
    others: list[m.VoiceState] = []
    try:
        while True:
            state = await one.expect(m.VoiceState)
            if state.channel_id != room.id:
                others.append(state)
            elif {each.identity for each in state.members} == wanted:
                return state
    finally:
        one.keep(*others)


def number_of(state: m.VoiceState, one: Client) -> int:
    """The number that somebody's frames carry."""
    return next(each.number for each in state.members if each.identity == one.public)


async def say(one: Client, room: int, content: bytes | int = b"") -> None:
    """Send a frame of voice into the room with this number."""
    await one.send_raw(to_server(VOICE, room, voice(content)))


async def show(one: Client, room: int, body: bytes) -> None:
    """Send a frame of a screen."""
    await one.send_raw(to_server(SCREEN, room, body))


async def heard(one: Client) -> list[bytes]:
    """The bodies of the frames that have come to somebody by now."""
    await one.settled()
    bodies = [frame.body for frame in one.heard]
    one.heard.clear()
    return bodies


@contextlib.asynccontextmanager
async def people(url: str, number: int) -> AsyncIterator[list[Client]]:
    """So many clients."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(client(url, Person())) for _ in range(number)]


async def gathered(everybody: list[Client]) -> tuple[Room, int]:
    """A channel of these people, all of whom are in its voice room and know it; and the room's number."""
    room = await gather(everybody[0], *everybody[1:])
    state = m.VoiceState(room.id)
    for one in everybody:
        state = await come(one, room)
    for one in everybody[:-1]:
        await sees(one, room, *everybody)
    return room, state.room
