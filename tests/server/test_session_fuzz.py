"""Whole sessions of nonsense and half-sense against the real handlers: the server answers with messages of
the protocol, with an error or by closing for a reason of the list; nothing of it becomes a fault, and honest
people beside it do not notice.

Not its concern: single frames (test_frames.py, ../protocol/test_codec.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import tempfile
import types
import typing
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from mobium.protocol import codec
from mobium.protocol import messages as m
from mobium.protocol.limits import PREKEY_OVERHEAD, RATCHET_OVERHEAD, SENDER_KEY_OVERHEAD
from mobium.protocol.roster import Kind, Role
from mobium_server import app
from tests.server.test_frames import serialize
from tests.support.channels import Room, begin, enter, invite, tell
from tests.support.server import Client, Person, client, log_in, publication, server

CLIENT_MESSAGES = [one for one in typing.get_args(m.ClientMessage) if one is not m.Auth]
# Close codes that a client may get for what it does; 1011 would be a fault of the server.
REASONS = {1000, 1002, 1003, 1005, 1006, 1007, 1009, 4400, 4401, 4409, 4429}
HOLD = 30.0  # seconds that one session may take


# ---------------------------------------------------------------- what is sent


@dataclass(frozen=True)
class Pick:
    """Something of a kind that is only known when the session runs."""

    kind: str
    number: int


def picks(kind: str) -> st.SearchStrategy[Pick]:
    return st.integers(0, 11).map(lambda number: Pick(kind, number))


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
numbers = st.integers(0, 6) | st.sampled_from([64, 500, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1, -1])


def values(kind: Any, name: str) -> st.SearchStrategy[Any]:
    """Values that a field takes, or nearly."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return values(arguments[0], name)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([values(one, name) for one in arguments])
    if origin is list:
        return st.lists(values(arguments[0], name), max_size=4)
    if kind is bytes:
        return picks("statement" if name == "statement" else "payload" if name == "payload" else name)
    if kind is int:
        return numbers
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return fields(kind)
    return {type(None): st.none(), bool: st.booleans(), float: st.floats(), str: st.text(max_size=8)}[kind]


def fields(kind: type[msgspec.Struct]) -> st.SearchStrategy[dict[str, Any]]:
    """The fields of a message, most of them as they should be, some left out."""
    hints = typing.get_type_hints(kind, include_extras=True)
    must: dict[str, st.SearchStrategy[Any]] = {}
    may: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(kind):
        (must if field.required else may)[field.name] = values(hints[field.name], field.name)
    return st.fixed_dictionaries(must, optional=may)


def tagged(kind: type[msgspec.Struct]) -> st.SearchStrategy[dict[str, Any]]:
    """A message of a kind as a map."""
    return fields(kind).map(lambda found: {"type": kind.__struct_config__.tag, **found})


valid = st.sampled_from(CLIENT_MESSAGES).flatmap(tagged)
spoiled = st.tuples(valid, st.integers(0, 7), junk).map(
    lambda found: {
        **found[0],
        **{name: found[2] for at, name in enumerate(found[0]) if at == found[1] and name != "type"},
    }
)
websocket = st.builds(Frame, st.sampled_from(list(Opcode)), st.binary(max_size=130), st.booleans()).map(
    serialize
)
steps = st.one_of(
    valid,
    valid,
    valid,
    spoiled,
    st.tuples(valid, st.integers(0, 300), st.integers(0, 255)),  # a byte of it is another
    st.binary(max_size=60),
    websocket.map(lambda data: ["websocket", data]),
    st.sampled_from([["again"], ["twice"], ["text"]]),
)
sessions = st.lists(st.tuples(st.integers(0, 1), steps), min_size=1, max_size=40)


# ---------------------------------------------------------------- the session


class Scene:
    """A server, two honest people in a channel, and two who send what they like."""

    def __init__(self, running: app.Server, anna: Client, ben: Client, room: Room, ticket: bytes) -> None:
        self.running = running
        self.anna = anna
        self.ben = ben
        self.room = room
        self.people = [Person(), Person()]
        self.clients: list[Client] = []
        self.rooms = [room]
        self.pools: dict[str, list[bytes]] = {
            "id": [bytes([number]) * 16 for number in range(4)] + [ticket],
            "invite": [ticket, b"i" * 16],
            "payload": [
                bytes(512 + RATCHET_OVERHEAD),
                bytes(512 + PREKEY_OVERHEAD),
                bytes(512 + SENDER_KEY_OVERHEAD),
                bytes(4_096 + SENDER_KEY_OVERHEAD),
                b"",
                bytes(513),
            ],
            "public": [b"p" * 32, b"p" * 1_568, b"p"],
            "signature": [b"s" * 64],
            "statement": [],
            "": [b"", b"x" * 16, b"k" * 32, b"s" * 64],
        }

    def resolve(self, value: Any, who: int) -> Any:
        """What a drawn value stands for in this session."""
        if isinstance(value, dict):
            return {name: self.resolve(one, who) for name, one in value.items()}
        if isinstance(value, list):
            return [self.resolve(one, who) for one in value]
        if not isinstance(value, Pick):
            return value
        pool = self.pool(value.kind, who)
        return pool[value.number % len(pool)]

    def pool(self, kind: str, who: int) -> list[bytes]:
        if kind in ("recipient", "pubkey"):
            return [*(one.public for one in self.people), self.anna.public, self.ben.public, b"n" * 32]
        if kind in ("channel_id", "after"):
            return [*(room.id for room in self.rooms), b"c" * 32, b""]
        if kind == "statement":
            return self.statements(self.people[who])
        if kind == "proof":
            return [self.room.proof(self.clients[who]), b"s" * 64]
        return self.pools.get(kind, self.pools[""])

    def statements(self, who: Person) -> list[bytes]:
        """Statements that somebody could make, and some that he may not."""
        room, other = self.room, self.people[1 - self.people.index(who)]
        mine = self.rooms[-1]
        return [
            Room(who).create,
            mine.create,
            room.join(who),
            room.make(who, Kind.LEAVE),
            room.role(who, other.public, Role.ADMIN),
            copy.copy(room).keyed(who, Kind.REMOVE, other.public),
            b"",
            bytes(200),
        ]

    async def step(self, who: int, step: Any) -> None:
        """One of them does something."""
        one = self.clients[who]
        if isinstance(step, dict):
            await self.say(one, msgpack.packb(self.resolve(step, who)))
        elif isinstance(step, bytes):
            await self.say(one, step)
        elif isinstance(step, tuple):
            message, at, byte = step
            data = bytearray(msgpack.packb(self.resolve(message, who)))
            data[at % len(data)] = byte
            await self.say(one, bytes(data))
        elif step[0] == "websocket":
            with contextlib.suppress(RuntimeError):  # this side has ended already
                one.socket.transport.write(step[1])
        elif step[0] == "text":
            await self.say(one, "text")
        elif step[0] == "twice":  # a newer login replaces the older
            self.clients[who] = await log_in(self.running.url, self.people[who])
            assert await self.ending(one) in REASONS
        else:
            one.socket.transport.abort()
            self.clients[who] = await log_in(self.running.url, self.people[who])

    async def say(self, one: Client, data: bytes | str) -> None:
        with contextlib.suppress(ConnectionClosed):
            await one.send_raw(data)

    async def ending(self, one: Client) -> int:
        """Everything that comes is a message of the protocol; the code with which it ends."""
        try:
            while True:
                data = await one.socket.recv()
                assert isinstance(data, bytes)
                codec.decode_server(data)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006

    async def read(self, who: int) -> None:
        """Take what came; whoever was closed comes again."""
        one = self.clients[who]
        if one.socket.close_code is not None or one.socket.transport.is_closing():
            assert await self.ending(one) in REASONS
            self.clients[who] = await log_in(self.running.url, self.people[who])

    async def honest(self) -> None:
        """Two honest people write to each other, and in their channel."""
        sent = await self.anna.post(self.ben.public, b"hello")
        while (await self.ben.take()).id != sent:
            pass  # what strangers wrote to him
        while (await self.anna.expect(m.Accepted)).id != sent:
            pass


@contextlib.asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    async with server(folder) as running, client(running.url) as anna, client(running.url) as ben:
        room = await begin(anna)
        ticket = await invite(anna, room)
        await enter(ben, room, ticket)
        one = Scene(running, anna, ben, room, ticket)
        for person in one.people:
            stranger = await log_in(running.url, person)
            await stranger.publish(publication(2, 2))
            one.clients.append(stranger)
        one.rooms.append(await begin(one.clients[0]))
        yield one
        for stranger in one.clients:
            stranger.socket.transport.abort()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing is logged as an error meanwhile."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))

    keep = Keep(logging.WARNING)
    logging.getLogger().addHandler(keep)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(keep)
    assert said == []


async def play(session: list[tuple[int, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with asyncio.timeout(HOLD), scene(Path(folder)) as one:
            for who, step in session:
                await one.step(who, step)
                await asyncio.sleep(0)
                await one.read(who)
            await one.honest()
            await tell_still(one)
            for stranger in one.clients:
                stranger.socket.transport.abort()
            assert one.running.listener.counters.internal == 0


async def tell_still(one: Scene) -> None:
    """The channel still takes messages; whoever came into it meanwhile is read first."""
    await one.anna.send(m.GetMembers(one.room.id, one.room.roster.index + 1, rid=99))
    while (page := await one.anna.expect(m.RosterPage)).rid != 99:
        pass  # what was pushed meanwhile
    for raw in page.statements:
        one.room.take(raw)
    await tell(one.anna, one.room, b"hello")


# A failure is shown as it was found: to make it smaller takes minutes, since each session has a server.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(max_examples=40, phases=UNSHRUNK, suppress_health_check=list(HealthCheck))
@given(sessions)
def test_a_session_of_nonsense_harms_nobody(session: list[tuple[int, Any]]) -> None:
    with quiet():
        asyncio.run(play(session))


@pytest.mark.long
@settings(max_examples=3_000, phases=UNSHRUNK, suppress_health_check=list(HealthCheck))
@given(sessions)
def test_many_sessions_of_nonsense_harm_nobody(session: list[tuple[int, Any]]) -> None:
    with quiet():
        asyncio.run(play(session))
