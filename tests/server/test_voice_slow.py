"""Slow sockets in voice rooms: they lose media and nothing else, delay nobody, and cost little memory; and
messages while many stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mobium.protocol import codec
from mobium.protocol import messages as m
from mobium.protocol.limits import MAX_SPEAKERS, MEDIA_FRAGMENT
from mobium.protocol.media_frames import is_media
from mobium_server import app
from mobium_server.limits import Rate
from mobium_server.media import SCREEN_LIFE, SCREEN_MOST, TURN, VOICE_MOST
from mobium_server.stream import Stream
from tests.support.certificates import certificate, trusting
from tests.support.server import Client, client, payload, server
from tests.support.slow import little_socket, slow_link
from tests.support.voice import gathered, people, say, show, voice

# What two kernels may hold of one connection whose socket was made small, and one turn of the server.
IN_BETWEEN = 200_000
TLS_BUFFER = 262_144  # what asyncio's TLS reads ahead at the client


@contextlib.asynccontextmanager
async def room_with_a_slow_one(
    folder: Path, *, tls: bool = False
) -> AsyncIterator[tuple[app.Server, Client, Client, Client, int]]:
    """A server, two people in a room with one whose socket is small, and the number of the room."""
    fields: dict[str, Any] = {"rate_media": Rate(0, 0), "max_offline_messages": 5_000}
    dialled: dict[str, Any] = {}
    if tls:
        cert, key = certificate(folder, "localhost", "127.0.0.1")
        fields |= {"require_tls": True, "tls_cert": cert, "tls_key": key}
        dialled = {"ssl": trusting(cert), "server_hostname": "localhost"}
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(server(folder, **fields))
        anna = await stack.enter_async_context(client(running.url, **dialled))
        ben = await stack.enter_async_context(client(running.url, **dialled))
        small = await little_socket(running.port)
        lazy = await stack.enter_async_context(client(running.url, sock=small, **dialled))
        _, number = await gathered([anna, ben, lazy])
        yield running, anna, ben, lazy, number


async def stream(anna: Client, ben: Client, number: int, pictures: int) -> None:
    """Anna shows pictures and talks, and Ben gets all of it, though another one in the room does not read."""
    picture = bytes(MEDIA_FRAGMENT)
    for i in range(pictures):
        await show(anna, number, picture)
        words = [voice(3 * i + turn) for turn in range(3)]
        for word in words:
            await say(anna, number, word)
        heard = [(await ben.hear()).body for _ in range(4)]
        assert [body for body in heard if body != picture] == words  # which may pass the picture


@pytest.mark.parametrize("tls", [False, True])
async def test_who_does_not_read_loses_media_and_nothing_else(tmp_path: Path, tls: bool) -> None:
    async with room_with_a_slow_one(tmp_path, tls=tls) as (running, anna, ben, lazy, number):
        lazy.socket.transport.pause_reading()
        await stream(anna, ben, number, 80)
        line: Any = running.hub.sessions[lazy.public].line
        unsent = line._transport.get_write_buffer_size()
        waiting = sum(lane._size for lane in (line._media._voice, line._media._screen))
        assert unsent <= TURN + 1_024  # and what TLS adds
        assert waiting <= VOICE_MOST + SCREEN_MOST
        assert line.writable()  # media does not make a reader slow for messages
        ids = [await ben.post(lazy.public) for _ in range(20)]
        await ben.settled()
        lazy.socket.transport.resume_reading()
        before = 0
        came: list[bytes] = []
        while len(came) < len(ids):  # messages overtake what waits of media
            data = await asyncio.wait_for(lazy.socket.recv(), 20)
            assert isinstance(data, bytes)
            if is_media(data):
                before += len(data)
                continue
            message = codec.decode_server(data)
            if isinstance(message, m.Delivery):
                came.append(message.id)
                await lazy.send(m.AckDeliveries(message.tag))
        assert came == ids
        assert before <= IN_BETWEEN + (TLS_BUFFER if tls else 0)
        await say(anna, number, b"now")
        while (await lazy.hear()).body != voice(b"now"):  # and it hears on
            pass
        await lazy.settled()
        counters = running.hub.counters
        assert counters.media_slow > 0
        gone = counters.media_out + counters.media_slow
        assert gone + len(line._media or ()) == 2 * counters.media_in  # two hear each frame


async def test_what_a_dead_socket_has_not_taken_goes_by_itself(tmp_path: Path) -> None:
    async with room_with_a_slow_one(tmp_path) as (running, anna, ben, lazy, number):
        lazy.socket.transport.pause_reading()
        await stream(anna, ben, number, 30)
        line: Any = running.hub.sessions[lazy.public].line
        assert line._media
        began = time.monotonic()
        while line._media:
            await ben.settled()
            assert time.monotonic() - began < SCREEN_LIFE + 20
        assert not running.listener._lagging
        lazy.socket.transport.abort()


async def test_a_dead_socket_is_asked_a_few_times_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Stream] = []
    queue_media = Stream._queue_media

    def counted(line: Stream, turn: list[tuple[int, bytes]]) -> None:
        if not turn:
            asked.append(line)
        queue_media(line, turn)

    async with room_with_a_slow_one(tmp_path) as (running, anna, ben, lazy, number):
        lazy.socket.transport.pause_reading()
        await stream(anna, ben, number, 30)
        line: Any = running.hub.sessions[lazy.public].line
        monkeypatch.setattr(Stream, "_queue_media", counted)
        while line._media:  # noqa: ASYNC110 - nothing is said any more, and what waits goes by its age
            await asyncio.sleep(0.05)
        print(f"asked {asked.count(line)} times")
        assert asked.count(line) <= 20  # every 10 ms it would be 200
        lazy.socket.transport.abort()


async def test_who_leaves_the_room_keeps_nothing_of_it(tmp_path: Path) -> None:
    async with room_with_a_slow_one(tmp_path) as (running, anna, ben, lazy, number):
        lazy.socket.transport.pause_reading()
        await stream(anna, ben, number, 30)
        session = running.hub.sessions[lazy.public]
        assert session.participant is not None
        running.hub.voice.leave(session.participant)
        line: Any = session.line
        assert line._media is None
        await say(anna, number, b"after")
        assert (await ben.hear()).body == voice(b"after")
        lazy.socket.transport.resume_reading()
        await lazy.settled()
        assert voice(b"after") not in [frame.body for frame in lazy.heard]


async def test_on_a_slow_link_messages_pass_media(tmp_path: Path) -> None:
    """A link that takes a quarter of what is sent: messages come, and some of the media does, too."""
    async with (
        server(tmp_path, rate_media=Rate(0, 0)) as running,
        people(running.url, 2) as (anna, ben),
        slow_link(running.port, down=400_000) as port,
        client(f"ws://127.0.0.1:{port}/ws", host=f"127.0.0.1:{running.port}") as slow,
    ):
        _, number = await gathered([anna, ben, slow])
        waits: list[float] = []

        async def read() -> None:
            while len(waits) < 10:
                sent = float((await slow.take()).payload[1:].rstrip(b"\0"))
                waits.append(time.monotonic() - sent)

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            began = time.monotonic()
            for i in range(60):
                await stream(anna, ben, number, 1)
                if i % 6 == 0:
                    await ben.post(slow.public, str(time.monotonic()).encode())
                await asyncio.sleep(max(0.0, began + (i + 1) / 30 - time.monotonic()))
        heard = sum(len(frame.body) for frame in slow.heard)
        print(
            f"messages behind 1.5 MB/s of media on 400 kB/s: median {statistics.median(waits) * 1e3:.0f} ms, "
            f"longest {max(waits) * 1e3:.0f} ms; {heard / 1e3:.0f} kB of media came"
        )
        assert heard > 0
        assert running.hub.counters.media_slow > 0


@pytest.mark.serial
async def test_messages_while_forty_stream(tmp_path: Path) -> None:
    """Forty in a room, two of whom speak for two seconds, and two others who write to each other."""
    frames, speakers = 100, 2
    async with (
        server(tmp_path, rate_media=Rate(80, 150)) as running,
        people(running.url, MAX_SPEAKERS) as everybody,
        client(running.url) as dora,
        client(running.url) as emil,
    ):
        _, number = await gathered(everybody)
        waits: list[float] = []
        done = asyncio.Event()

        async def write() -> None:
            while not done.is_set():
                began = time.monotonic()
                await dora.post(emil.public)
                assert (await emil.take()).payload == payload()
                waits.append(time.monotonic() - began)
                await dora.expect(m.Accepted)

        async def listen(one: Client) -> int:
            own = speakers if one in everybody[:speakers] else 0
            wanted = frames * (speakers - (1 if own else 0))
            for _ in range(wanted):
                await one.hear()
            return wanted

        async def speak(one: Client) -> None:
            began = time.monotonic()
            for i in range(frames):
                await say(one, number, i)
                await asyncio.sleep(max(0.0, began + (i + 1) / 50 - time.monotonic()))

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            hearing = [group.create_task(listen(one)) for one in everybody]
            for one in everybody[:speakers]:
                group.create_task(speak(one))
            await asyncio.wait(hearing, timeout=40)
            done.set()
        heard = sum(task.result() for task in hearing)
        assert heard == frames * speakers * (MAX_SPEAKERS - 1) == running.hub.counters.media_out
        assert running.hub.counters.media_slow == 0
        ordered = sorted(waits)
        print(
            f"{len(waits)} messages while {speakers} speak to {MAX_SPEAKERS}, all in one process: "
            f"median {ordered[len(ordered) // 2] * 1e3:.1f} ms, "
            f"99th {ordered[len(ordered) * 99 // 100] * 1e3:.1f} ms"
        )
