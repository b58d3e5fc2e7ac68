"""A19: huge frames before the login, deep or huge MessagePack, slow and half-open sockets, a reader that
never reads: memory is bounded and others are unaffected (docs/PROTOCOL.md, Framing and Limits).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import struct
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgpack
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from mobium.errors import ProtocolError, ServerRefused
from mobium.protocol import codec, limits
from mobium.protocol import messages as m
from mobium_server import door, gateway, hub, stream
from mobium_server.door import Door, Guest
from mobium_server.gateway import Wire
from mobium_server.limits import Rate
from mobium_server.listener import Listener
from mobium_server.windows import Windows
from tests.support.certificates import certificate, trusting
from tests.support.server import Client, ServerProcess, client, log_in, server

pytestmark = pytest.mark.once

MIB = 1 << 20
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame_header(size: int, *, final: bool = True, opcode: int = 2) -> bytes:
    """The header of a masked frame that says it has so many bytes; the mask is zero."""
    return struct.pack("!BBQ", (0x80 if final else 0) | opcode, 0xFF, size) + bytes(4)


@contextlib.asynccontextmanager
async def raw(
    port: int, *, upgraded: bool = True
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A socket of one's own, with the WebSocket handshake done and the challenge still to be read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if upgraded:
            writer.write(UPGRADE)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        yield reader, writer
    finally:
        writer.transport.abort()


async def ends(reader: asyncio.StreamReader, within: float = 5.0) -> bool:
    """Whether the server ends this connection."""
    try:
        async with asyncio.timeout(within):
            while await reader.read(65_536):
                pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


async def others_are_fine(url: str) -> None:
    """Two honest clients log in and exchange a message."""
    async with client(url) as alice, client(url) as bob:
        await alice.post(bob.public, b"hello")
        assert (await bob.take()).payload[1:6] == b"hello"
        await alice.expect(m.Accepted)


# ---------------------------------------------------------------- before the login


async def pour(port: int, header: bytes, total: int) -> tuple[bool, int]:
    """Send a header and then zeros. Returns whether the server ended it, and the bytes that went."""
    async with raw(port) as (reader, writer):
        writer.write(header)
        sent = 0
        ended = asyncio.ensure_future(ends(reader, 20))
        with contextlib.suppress(ConnectionError):
            while sent < total and not ended.done():
                writer.write(bytes(65_536))
                sent += 65_536
                await writer.drain()
                await asyncio.sleep(0)
        if sent >= total:
            ended.cancel()
            return False, sent
        return await ended, sent


async def test_a_huge_frame_before_the_login_is_not_taken(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as running:
        await others_are_fine(running.url)
        memory = psutil.Process(running.pid).memory_info().rss
        for header in (frame_header(64 * MIB), frame_header(2**62), frame_header(4_097)):
            ended, sent = await pour(running.port, header, 64 * MIB)
            assert ended
            assert sent < 16 * MIB  # what fits into the buffers of two sockets
        # In pieces: each is small enough, together they are not.
        async with raw(running.port) as (reader, writer):
            writer.write(frame_header(4_000, final=False) + bytes(4_000))
            for _ in range(100):
                writer.write(frame_header(4_000, final=False, opcode=0) + bytes(4_000))
            assert await ends(reader)
        await others_are_fine(running.url)
        assert psutil.Process(running.pid).memory_info().rss - memory < 16 * MIB


async def test_without_the_limit_a_stranger_fills_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "PREAUTH_FRAME", 2**32)  # the defence, off
    async with server(tmp_path) as running:
        ended, sent = await pour(running.port, frame_header(2**31), 24 * MIB)
        assert not ended
        assert sent == 24 * MIB


# ---------------------------------------------------------------- MessagePack

BOMBS: dict[str, bytes] = {
    "deep lists": b"\x91" * 900_000,
    "deep maps": b"\x81\xa1a" * 300_000,
    "a list that says it is huge": b"\xdd\xff\xff\xff\xff",
    "a map that says it is huge": b"\xdf\xff\xff\xff\xff",
    "bytes that say they are huge": b"\xc6\xff\xff\xff\xff",
    "many small lists": b"\xdc\x04\x00" + b"\xdc\x04\x00".join([b"\x90" * 1_000] * 900),
    "a list too long": b"\xdd\x00\x01\x00\x00" + b"\x00" * 65_536,
    "a map too large": msgpack.packb({str(n): 0 for n in range(1_000)}),
    "one key a thousand times": b"\xde\x00\x40" + b"\xa1a\x00" * 64,
    "a timestamp": msgpack.packb({"type": msgpack.Timestamp(0)}),
    "an extension": msgpack.packb({"type": msgpack.ExtType(7, b"x" * 900_000)}),
    "a frame and another": codec.encode(m.Ping()) * 2,
    "text that is none": b"\x81\xa4type\xa4\xff\xff\xff\xff",
    "nothing": b"",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_and_takes_little_memory(bomb: str) -> None:
    tracemalloc.start()
    try:
        began = time.process_time()
        with pytest.raises(ProtocolError):
            codec.decode_client(BOMBS[bomb])
        print(f"refused after {time.process_time() - began:.3f} s of the processor")
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


async def test_bombs_end_a_connection_and_nothing_else(tmp_path: Path) -> None:
    async with server(tmp_path) as running:
        for bombs in (list(BOMBS.values())[at : at + 3] for at in range(0, len(BOMBS), 3)):
            one = await log_in(running.url)
            for number, bomb in enumerate(bombs, 1):
                await one.send_raw(bomb)
                if number < limits.MALFORMED_LIMIT:
                    error = await one.receive()
                    assert isinstance(error, m.Error)
                    assert error.code == "malformed"
            if len(bombs) == limits.MALFORMED_LIMIT:
                assert await one.closed() == 4400
            await one.close()
        await others_are_fine(running.url)


def test_without_the_count_a_small_frame_becomes_a_large_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    # 200 lists of 1,024 lists: few bytes that would become very many objects.
    tree = b"\x81\xa1a\xdc\x00\xc8" + (b"\xdc\x04\x00" + b"\x90" * 1_024) * 200
    with pytest.raises(ProtocolError):
        codec.unpack_map(tree)
    monkeypatch.setattr(limits, "MAX_CONTAINERS", 2**32)  # the defence, off
    assert sum(map(len, codec.unpack_map(tree)["a"])) == 200 * 1_024


# ---------------------------------------------------------------- slow and silent


LOITERERS: dict[str, tuple[bytes, float]] = {
    "says nothing": (b"", 0),
    "says its request a byte at a time": (b"G" + b"E" * 60, 0.05),
    "upgrades and says nothing": (UPGRADE, 0),
    "upgrades and says its login a byte at a time": (UPGRADE + frame_header(1_000) + bytes(60), 0.05),
}


async def loiter(port: int, what: bytes, pause: float, within: float) -> bool:
    """Whether the server ends a connection that comes to no login."""
    async with raw(port, upgraded=False) as (reader, writer):
        if what.startswith(UPGRADE):
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
        ended = asyncio.ensure_future(ends(reader, within))
        for byte in what.removeprefix(UPGRADE):
            writer.write(bytes((byte,)))
            await asyncio.sleep(pause)
            if ended.done():
                break
        return await ended


async def test_who_does_not_log_in_in_time_is_gone(tmp_path: Path) -> None:
    async with server(tmp_path, auth_timeout=1.0) as running:
        gone = await asyncio.gather(
            *(loiter(running.port, what, pause, 10) for what, pause in LOITERERS.values())
        )
        assert gone == [True] * len(LOITERERS)
        await others_are_fine(running.url)


async def test_without_the_timer_they_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wire, "_on_time", lambda _wire: None)  # the defence, off
    async with server(tmp_path, auth_timeout=1.0) as running:
        gone = await asyncio.gather(*(loiter(running.port, what, 0, 1.5) for what, _ in LOITERERS.values()))
        assert gone == [False] * len(LOITERERS)


@contextlib.asynccontextmanager
async def crowd(port: int, size: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """So many sockets that are open and silent."""
    async with contextlib.AsyncExitStack() as stack:
        yield [(await stack.enter_async_context(raw(port, upgraded=False)))[0] for _ in range(size)]


async def test_a_crowd_of_silent_sockets_keeps_nobody_out(tmp_path: Path) -> None:
    """Ten times as many as there are places: those who say nothing for longest make way."""
    async with server(tmp_path, max_connections=50) as running, crowd(running.port, 500):
        assert running.listener.door.places <= 50
        assert len(running.listener.lines) <= 50 + door.COURTESY
        await others_are_fine(running.url)


async def test_without_giving_way_a_crowd_keeps_people_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter = Door.enter

    def stubborn(one: Door, guest: Guest) -> bool:
        one._strangers.clear()
        return enter(one, guest)

    monkeypatch.setattr(Door, "enter", stubborn)  # the defence, off
    async with server(tmp_path, max_connections=50) as running, crowd(running.port, 60):
        with pytest.raises(ServerRefused) as refused:
            await others_are_fine(running.url)
        assert refused.value.code == "too_many_connections"


async def test_an_address_holds_so_many_connections_and_no_more(tmp_path: Path) -> None:
    async with (
        server(tmp_path, max_connections_per_ip=4, trusted_proxies=()) as running,
        crowd(running.port, 40),
    ):
        assert running.listener.door.places <= 4


# ---------------------------------------------------------------- handshakes


async def hellos(folder: Path, count: int, **changes: Any) -> tuple[int, int]:
    """Somebody begins so many TLS connections at one address and says no more; then a proxy makes one.

    Returns how many of his the server answers, and how many it counts as too many.
    """
    cert, key = certificate(folder, "localhost", "127.0.0.1")
    secured: dict[str, Any] = {"tls_cert": cert, "tls_key": key, "rate_general": Rate(1_000, 1_000)}
    trusted = (ipaddress.ip_network("127.0.0.2"),)
    hello, incoming = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        trusting(cert).wrap_bio(incoming, hello, server_hostname="localhost").do_handshake()
    first = hello.read()
    async with server(folder, **(secured | {"trusted_proxies": trusted} | changes)) as running:
        answers = [await greeted(running.port, first, "127.0.0.1") for _ in range(count)]
        assert await greeted(running.port, first, "127.0.0.2")
        return sum(answers), running.hub.counters.limited


async def greeted(port: int, hello: bytes, source: str) -> bool:
    """Whether the server answers the first message of a TLS handshake that comes from an address."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    writer.write(hello)
    try:
        async with asyncio.timeout(10):
            return bool(await reader.read(1))
    finally:
        writer.transport.abort()


@pytest.mark.skipif(sys.platform == "darwin", reason="127.0.0.2 is no address of such a machine")
async def test_handshakes_of_an_address_are_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "HANDSHAKES", Rate(0.000_1, hub.HANDSHAKES.burst))  # however slow this machine
    assert await hellos(tmp_path, 60) == (40, 20)
    # Where addresses say nothing, they are not asked.
    assert await hellos(tmp_path, 60, rate_address_factor=0.0) == (60, 0)


@pytest.mark.skipif(sys.platform == "darwin", reason="127.0.0.2 is no address of such a machine")
async def test_without_the_count_each_of_them_is_signed_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "HANDSHAKES", Rate(0, 0))  # the defence, off
    assert await hellos(tmp_path, 60) == (60, 0)


# ---------------------------------------------------------------- what one connection does to others


async def answered(one: Client) -> bool:
    try:
        return isinstance(await one.receive(2.0), m.Pong)
    except TimeoutError:
        return False


async def answered_beside(
    folder: Path, breach: bytes, before: Callable[[bytes], None] = lambda _public: None
) -> list[bool]:
    """In one turn of the server's loop some ask for something, and one asks and sends `breach` behind it.

    Returns for each of the honest ones whether it was answered.
    """
    async with server(folder) as running, contextlib.AsyncExitStack() as stack:
        people = [await stack.enter_async_context(client(running.url)) for _ in range(9)]
        ping = codec.encode(m.Ping())
        before(people[4].public)
        for number, one in enumerate(people):
            # All these bytes are in the server's sockets before its loop turns again.
            frame = bytes((0x82, 0x80 | len(ping))) + bytes(4) + ping
            one.socket.transport.write(frame + breach if number == 4 else frame)
        breacher = people.pop(4)
        answers = await asyncio.gather(*map(answered, people))
        breacher.socket.transport.abort()
        for one in people:
            one.socket.transport.abort()
        return answers


@pytest.mark.parametrize(
    "breach", [b"\xff\xff" + bytes(12), b"\x88\x80" + bytes(4), frame_header(2**62), UPGRADE, b"\x82\x00"]
)
async def test_a_breach_behind_a_request_harms_nobody(breach: bytes, tmp_path: Path) -> None:
    assert await answered_beside(tmp_path, breach) == [True] * 8


async def test_a_fault_in_one_connection_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await answered_beside(tmp_path, b"", lambda public: fails(monkeypatch, public)) == [True] * 8


async def test_without_the_guard_a_fault_takes_others_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unguarded(one: Listener) -> None:
        dirty, one._dirty = one._dirty, []
        for wire in dirty:
            wire.flush()

    monkeypatch.setattr(Listener, "_flush", unguarded)  # the defence, off
    answers = await answered_beside(tmp_path, b"", lambda public: fails(monkeypatch, public))
    assert False in answers
    assert "has a fault" in caplog.text


def fails(monkeypatch: pytest.MonkeyPatch, public: bytes) -> None:
    """The next write to this identity's connection fails."""
    say, left = Wire._say, [public]

    def failing(wire: Wire, data: bytes) -> None:
        if wire._session is not None and wire._session.identity in left:
            left.clear()
            raise RuntimeError("This connection has a fault.")
        say(wire, data)

    monkeypatch.setattr(Wire, "_say", failing)


# ---------------------------------------------------------------- a reader that never reads


async def flood(running: Any, bucket: int, count: int) -> tuple[int, int, list[str]]:
    """Somebody logs in and reads nothing while much is sent to him.

    Returns the bytes that wait in the server's memory for his socket, those in his window, and how the sender
    was answered.
    """
    async with client(running.url) as lazy, client(running.url) as sender:
        lazy.socket.transport.pause_reading()
        ids = [await sender.post(lazy.public, bucket=bucket) for _ in range(count)]
        answers: list[str] = []
        while len(answers) < len(ids):
            answer = await sender.receive()
            if isinstance(answer, m.Accepted | m.Error):
                answers.append(answer.code if isinstance(answer, m.Error) else "ack")
        await others_are_fine(running.url)
        session = running.hub.sessions[lazy.public]
        unsent = session.line._transport.get_write_buffer_size()
        lazy.socket.transport.abort()
        return unsent, session.desk.window_bytes, answers


async def test_a_reader_that_never_reads_delays_nobody(tmp_path: Path) -> None:
    async with server(tmp_path, max_offline_messages=5_000) as running:
        unsent, window, answers = await flood(running, 65_536, 400)
        assert set(answers) == {"ack"}  # it is on the disk, and his whenever he reads
        assert unsent <= limits.WINDOW_BYTES + 2 * stream.WRITE_HIGH
        assert window <= limits.WINDOW_BYTES + 65_536


async def test_without_the_window_he_fills_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Windows, "offer", lambda _, *what: Windows.hand_over(*what))  # the defence, off
    async with server(tmp_path, max_offline_messages=5_000) as running:
        unsent, _, _ = await flood(running, 65_536, 400)
        assert unsent > 8 * MIB


# ---------------------------------------------------------------- frames that cost nothing


async def chatter(folder: Path) -> int:
    """How many of twenty thousand pings the server answers to one connection."""
    pings = Frame(Opcode.BINARY, codec.encode(m.Ping())).serialize(mask=True) * 1_000
    async with server(folder, rate_general=Rate(30, 60)) as running, client(running.url) as greedy:
        answers = 0

        async def count() -> None:
            nonlocal answers
            with contextlib.suppress(ConnectionClosed):
                while answers < 20_000:
                    await greedy.receive()
                    answers += 1

        counting = asyncio.create_task(count())
        for _ in range(20):
            greedy.socket.transport.write(pings)
            await asyncio.sleep(0)
        await asyncio.wait_for(counting, 20)
        await others_are_fine(running.url)
        return answers


async def test_pings_are_free_but_not_without_end(tmp_path: Path) -> None:
    answered = await chatter(tmp_path)
    print(f"{answered} pings answered")
    assert answered < 10_000  # twenty times a burst, and 600 for each second that the flood took


async def test_without_the_bound_pings_keep_the_server_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wire, "tolerate", lambda _: True)  # the defence, off
    assert await chatter(tmp_path) == 20_000
