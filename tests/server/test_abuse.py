"""People who mean harm, against a server process: its memory stays bounded, and others do not notice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgpack
import psutil
import pytest

from mobium.protocol import codec
from mobium.protocol.messages import Accepted, GetInfo, SendMessage
from mobium_server.door import COURTESY
from tests.support.raw import UPGRADE, request
from tests.support.server import WAIT, Client, ServerProcess, client, log_in, payload

pytestmark = pytest.mark.serial

MIB = 1 << 20
HEADERS = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE.items())
HANDSHAKE = f"GET /ws HTTP/1.1\r\n{HEADERS}\r\n"


@contextlib.asynccontextmanager
async def attacked(folder: Path, **settings: str) -> AsyncIterator[tuple[ServerProcess, Callable[[], float]]]:
    """A server, and how many MiB it has grown since it was warm. Two honest people talk all the time and must
    not notice.
    """
    variables = {f"SC_{name.upper()}": value for name, value in settings.items()}
    with ServerProcess(folder, {"SC_RATE_GENERAL": "0", **variables}) as process:
        memory = psutil.Process(process.pid).memory_info
        async with client(process.url) as anna, client(process.url) as ben:
            for _ in range(20):
                await talk(anna, ben)
            before = memory().rss
            over = asyncio.Event()
            talking = asyncio.create_task(chat(anna, ben, over))
            yield process, lambda: (memory().rss - before) / MIB
            over.set()
            print(f"the slowest of the honest messages took {await talking:.2f} s")
        assert (await request(process.port, "/health")).body == b"OK"
        assert not any("Traceback" in line for line in process.errors)


async def talk(one: Client, other: Client) -> float:
    """One message through; returns the seconds that it took."""
    began = time.monotonic()
    async with asyncio.timeout(WAIT):
        sent = await one.post(other.public)
        delivery = await other.take()
        assert delivery.id == sent
    return time.monotonic() - began


async def chat(one: Client, other: Client, over: asyncio.Event) -> float:
    """Messages until it is over; returns the seconds of the slowest."""
    slowest = 0.0
    while not over.is_set():
        slowest = max(slowest, await talk(one, other))
        await asyncio.sleep(0.02)
    return slowest


async def opened(
    process: ServerProcess, data: bytes = b""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A socket, and something written to it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    writer.write(data)
    return reader, writer


async def upgraded(process: ServerProcess) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket that has its challenge and has not logged in."""
    reader, writer = await opened(process, HANDSHAKE.encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def ended(reader: asyncio.StreamReader, within: float = 10) -> None:
    """Wait until the server has closed."""
    async with asyncio.timeout(within):
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass


async def test_64_mib_before_the_login(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (process, growth):
        reader, writer = await upgraded(process)
        writer.write(b"\x82\xff" + (64 * MIB).to_bytes(8, "big") + b"\0\0\0\0")
        with contextlib.suppress(ConnectionError):
            for _ in range(64):
                writer.write(bytes(MIB))
                await writer.drain()
        await ended(reader)
        writer.close()
        assert growth() < 8


async def test_64_mib_in_pieces_before_the_login(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (process, growth):
        reader, writer = await upgraded(process)
        with contextlib.suppress(ConnectionError):
            for i in range(64 * 1_024):
                writer.write((b"\x02" if i == 0 else b"\x00") + b"\xfe\x04\x00\0\0\0\0" + bytes(1_024))
                if i % 64 == 0:
                    await writer.drain()
        await ended(reader)
        writer.close()
        assert growth() < 8


async def test_a_request_that_never_ends(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (process, growth):
        reader, writer = await opened(process, b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(64 * 1_024):
                writer.write(b"x" * 1_022 + b"\r\n")
                await writer.drain()
        await ended(reader)
        writer.close()
        assert growth() < 8


def deep(levels: int) -> bytes:
    """A map in a map in a map."""
    return b"\x82\xa4type\xa4ping\xa1x" + b"\x81\xa1x" * levels + b"\xc0"


@pytest.mark.parametrize(
    "frame",
    [
        deep(3_000),
        deep(100_000),
        b"\x82\xa4type\xa4ping\xa1x" + b"\x91" * 500_000 + b"\xc0",
        b"\x82\xa4type\xa4ping\xa1x\xdd\xff\xff\xff\xff",
        b"\x82\xa4type\xa4ping\xa1x\xdf\xff\xff\xff\xff",
        b"\x82\xa4type\xa4ping\xa1x\xdc\xff\xff" + b"\x90" * 65_535,
        b"\x82\xa4type\xa4ping\xa1x\xc6\xff\xff\xff\xff",
        b"\xdf\x00\x0f\xff\xff" + b"\xa0\xc0" * 400_000,
        msgpack.packb({"type": "ping", "x": [[[0] * 100 for _ in range(100)] for _ in range(50)]}),
        b"\x82\xa4type\xa4ping\xa1x\xdb\x00\x0f\x00\x00" + b"\xff" * 0xF0000,
    ],
    ids=range(10),
)
async def test_deep_and_huge_maps(tmp_path: Path, frame: bytes) -> None:
    async with attacked(tmp_path) as (process, growth):
        for _ in range(5):
            mallory = await log_in(process.url)
            for _ in range(3):
                await mallory.send_raw(frame)
            assert await mallory.closed() == 4400
        assert growth() < 16


async def test_slow_loris(tmp_path: Path) -> None:
    async with attacked(tmp_path, auth_timeout="2") as (process, growth):
        lines = [await opened(process, b"G") for _ in range(300)]

        async def drip() -> None:
            for byte in b"ET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1_000:
                for _, writer in lines:
                    writer.write(bytes([byte]))
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        await asyncio.gather(*(ended(reader) for reader, _ in lines))
        dripping.cancel()
        for _, writer in lines:
            writer.close()
        assert growth() < 16


async def test_thousands_of_half_open_sockets(tmp_path: Path) -> None:
    async with attacked(tmp_path, max_connections="1000", auth_timeout="30") as (process, growth):
        lines = []
        for start in range(0, 5_000, 250):
            lines += await asyncio.gather(*(opened(process, b"GET" if i % 2 else b"") for i in range(250)))
            if start % 1_000 == 0:
                # There is always room for somebody who logs in.
                carl = await log_in(process.url)
                await carl.close()
        # The last of them may not have been turned away yet.
        server = psutil.Process(process.pid)
        async with asyncio.timeout(WAIT):
            while server.num_fds() >= 1_000 + COURTESY + 100:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        assert growth() < 24
        for _, writer in lines:
            writer.transport.abort()


async def test_half_logins_that_never_end(tmp_path: Path) -> None:
    async with attacked(tmp_path, max_connections="400", auth_timeout="30") as (process, growth):
        lines = [await upgraded(process) for _ in range(800)]
        for _, writer in lines:
            writer.write(b"\x82\xfe\x0f\xff\0\0\0\0" + bytes(4_000))  # all but the end of a login
        carl = await log_in(process.url)
        await carl.close()
        assert growth() < 24
        for _, writer in lines:
            writer.transport.abort()


async def test_a_reader_that_never_reads(tmp_path: Path) -> None:
    async with (
        attacked(tmp_path, ws_ping_interval="600", max_offline_messages="10000") as (process, growth),
        client(process.url) as sender,
    ):
        silent = [await log_in(process.url) for _ in range(10)]
        for one in silent:
            await one.publish()
            one.socket.transport.pause_reading()
        # Half a megabyte each time, far more than sockets and windows hold.
        for _ in range(40):
            for one in silent:
                await sender.post(one.public, bucket=1 << 19)
        for _ in range(400):
            await sender.expect(Accepted)
        # At most a window of a megabyte for each of them, and what waits for the disk.
        assert growth() < 10 * 3 + 30
        for one in silent:
            one.socket.transport.abort()


async def test_a_client_that_asks_and_never_reads(tmp_path: Path) -> None:
    async with attacked(tmp_path, ws_ping_interval="600") as (process, growth):
        mallory = await log_in(process.url)
        mallory.socket.transport.pause_reading()
        request_bytes = codec.encode(GetInfo(1))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                for _ in range(200_000):
                    await mallory.send_raw(request_bytes)
        assert growth() < 8
        mallory.socket.transport.abort()


async def test_a_reader_that_never_reads_is_closed_in_the_end(tmp_path: Path) -> None:
    async with attacked(tmp_path, ws_ping_interval="1") as (process, _):
        mallory = await log_in(process.url)
        connections = psutil.Process(process.pid).num_fds()
        mallory.socket.transport.pause_reading()
        async with asyncio.timeout(15):
            while psutil.Process(process.pid).num_fds() >= connections:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        mallory.socket.transport.abort()


async def test_senders_wait_when_the_disk_is_slow(tmp_path: Path) -> None:
    """Large messages from many at once: what waits in memory is bounded, because reading stops."""
    async with attacked(tmp_path, max_offline_messages="100000") as (process, growth):
        away = await log_in(process.url)
        await away.publish()
        await away.close()
        senders = [await log_in(process.url) for _ in range(20)]
        body = payload(bucket=1 << 20)

        async def flood(one: Client) -> None:
            for _ in range(20):
                await one.send(SendMessage(os.urandom(16), away.public, body))

        floods = [asyncio.create_task(flood(one)) for one in senders]
        peak = 0.0
        while not all(task.done() for task in floods):
            peak = max(peak, growth())
            await asyncio.sleep(0.02)
        assert peak < 64 + 80
        for one in senders:
            one.socket.transport.abort()
