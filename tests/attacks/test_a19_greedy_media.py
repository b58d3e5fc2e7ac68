"""A19, with media frames: huge ones, floods of them from inside and outside a room, and a listener that never
reads: memory and work are bounded, and others are unaffected (docs/PROTOCOL.md, Realtime and Limits).
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from mobium.protocol import messages as m
from mobium.protocol.limits import MAX_SPEAKERS, MEDIA_FRAGMENT, SCREEN_BODY, VOICE_BODY
from mobium.protocol.media_frames import SCREEN, VOICE, to_server
from mobium_server import media
from mobium_server.gateway import Wire
from mobium_server.limits import Rate, Rates
from mobium_server.media import SCREEN_MOST, TURN, VOICE_MOST
from tests.support.server import Client, client, server
from tests.support.slow import little_socket
from tests.support.voice import gathered, heard, people, say, show, voice

pytestmark = pytest.mark.once

MIB = 1 << 20


def wire(frame: bytes) -> bytes:
    """A frame as a client writes it."""
    return Frame(Opcode.BINARY, frame).serialize(mask=True)


async def write(one: Client, data: bytes, times: int) -> None:
    """Write bytes again and again, whatever the server says to it, until it closes."""
    transport = one.socket.transport
    for _ in range(times):
        if not transport.is_closing():
            transport.write(data)
        await asyncio.sleep(0)


async def messages_work(*two: Client) -> None:
    """They write to each other."""
    one, other = two
    await one.post(other.public, b"hello")
    assert (await other.take()).payload[1:6] == b"hello"
    await one.expect(m.Accepted)


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    "frame",
    [
        b"\x01\x00\x01" + bytes(VOICE_BODY + 1),
        b"\x01\x00\x01" + bytes(VOICE_BODY - 1),
        b"\x01\x00\x01" + bytes(500_000),
        b"\x01",
        b"\x02\x00\x01",
        b"\x02\x00\x01" + bytes(SCREEN_BODY + 1),
        b"\x02\x00\x01" + bytes(1_000_000),
    ],
    ids=len,
)
async def test_a_frame_of_a_wrong_size_goes_nowhere(tmp_path: Path, frame: bytes) -> None:
    async with server(tmp_path) as running, people(running.url, 3) as everybody:
        anna, ben, mallory = everybody
        _, number = await gathered(everybody)
        for _ in range(3):
            await mallory.send_raw(frame[:1] + number.to_bytes(2, "big") + frame[3:] if frame[3:] else frame)
        assert await mallory.closed() == 4400
        await say(anna, number)
        assert (await ben.hear()).body == voice()
        assert await heard(ben) == []
        assert running.hub.counters.malformed == 3
        assert running.hub.counters.media_in == 1


async def test_a_huge_frame_is_not_taken(tmp_path: Path) -> None:
    async with server(tmp_path, max_message_size=65_536) as running, people(running.url, 2) as everybody:
        anna, mallory = everybody
        await gathered(everybody)
        begin = struct.pack("!BBQ", 0x82, 0xFF, 64 * MIB) + bytes(4) + to_server(SCREEN, 1, b"x")
        mallory.socket.transport.write(begin)
        assert await mallory.closed() == 1009
        await anna.settled()


# ---------------------------------------------------------------- floods

FLOOD = 20_000


async def flooded(folder: Path, *, inside: bool) -> tuple[int, int]:
    """How many of so many frames of one connection the server looks at, and how many copies of them go out;
    others talk and write meanwhile.
    """
    async with (
        server(folder, rate_general=Rate(30, 60), rate_media=Rate(80, 150)) as running,
        people(running.url, 5) as everybody,
        client(running.url) as stranger,
    ):
        anna, ben, *_, inmate = everybody
        _, number = await gathered(everybody)
        mallory = inmate if inside else stranger
        reading = asyncio.create_task(ends(mallory))
        await write(mallory, wire(to_server(VOICE, number, voice(b"flood"))) * 100, FLOOD // 100)
        await messages_work(anna, ben)
        if not mallory.socket.transport.is_closing():
            with contextlib.suppress(ConnectionClosed):
                await mallory.socket.ping()
            while running.hub.counters.media_in < FLOOD and not mallory.socket.transport.is_closing():
                await anna.settled()
        await say(anna, number, b"among us")
        while (await ben.hear()).body != voice(b"among us"):
            pass
        mallory.socket.transport.abort()
        await reading
        counters = running.hub.counters
        return counters.media_in, counters.media_out


async def ends(one: Client) -> None:
    """Read until the connection ends."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await one.socket.recv()


@pytest.mark.parametrize("inside", [True, False])
async def test_a_flood_is_cut_off_and_little_of_it_goes_out(tmp_path: Path, inside: bool) -> None:
    looked_at, copies = await flooded(tmp_path, inside=inside)
    print(f"{looked_at} frames looked at, {copies} copies")
    assert looked_at < FLOOD / 2  # twenty times a burst of requests, and what came in a second
    assert copies < 4 * (150 + 800) + 100


async def test_without_the_bound_the_whole_flood_keeps_the_server_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wire, "tolerate", lambda _: True)  # the defence, off
    looked_at, _ = await flooded(tmp_path, inside=False)
    assert looked_at >= FLOOD


async def test_without_the_rate_every_frame_becomes_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(ask: Callable[..., float]) -> Callable[..., float]:
        def unlimited(rates: Rates, *arguments: Any) -> float:
            return 0.0 if rates._rate.per_second in (80, 800) else ask(rates, *arguments)

        return unlimited

    monkeypatch.setattr(Rates, "take", off(Rates.take))  # the defence, off
    monkeypatch.setattr(Rates, "wait", off(Rates.wait))
    looked_at, copies = await flooded(tmp_path, inside=True)
    assert looked_at >= FLOOD
    assert copies > FLOOD


# ---------------------------------------------------------------- a listener that never reads


async def unread(folder: Path) -> tuple[int, int]:
    """Somebody in a room reads nothing while eight megabytes are shown there, and others hear all of it.

    Returns the bytes that wait in the server's memory for the socket, and in the queue for it.
    """
    async with (
        server(folder, rate_media=Rate(0, 0)) as running,
        people(running.url, 2) as (anna, ben),
        client(running.url, sock=await little_socket(running.port)) as lazy,
    ):
        _, number = await gathered([anna, ben, lazy])
        lazy.socket.transport.pause_reading()
        for _ in range(8 * MIB // MEDIA_FRAGMENT):
            await show(anna, number, bytes(MEDIA_FRAGMENT))
            assert (await ben.hear()).kind == SCREEN
        await messages_work(anna, ben)
        line: Any = running.hub.sessions[lazy.public].line
        unsent = line._transport.get_write_buffer_size()
        waiting = sum(lane._size for lane in (line._media._voice, line._media._screen)) if line._media else 0
        lazy.socket.transport.abort()
        return unsent, waiting


async def test_a_listener_that_never_reads_costs_little_and_delays_nobody(tmp_path: Path) -> None:
    unsent, waiting = await unread(tmp_path)
    assert unsent <= TURN
    assert waiting <= VOICE_MOST + SCREEN_MOST


async def test_without_the_queue_it_fills_the_socket_s_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wire, "relay_media", lambda line, _kind, data: line._say(data))  # the defence, off
    unsent, _ = await unread(tmp_path)
    assert unsent > 4 * MIB


async def test_without_dropping_the_queue_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "SCREEN_MOST", 1 << 40)
    monkeypatch.setattr(media, "SCREEN_LIFE", 3_600.0)  # the defence, off
    _, waiting = await unread(tmp_path)
    assert waiting > 4 * MIB


def test_the_most_that_a_room_can_hold_back() -> None:
    """Frames are the same bytes for all, so that a whole room of such listeners holds them once; what each
    holds of its own is one turn.
    """
    assert MAX_SPEAKERS * TURN < 2 * MIB
