"""What the load benches share: server processes on a core of their own, their CPU and memory, a client that
costs little, and people of whom only the server knows.

Not its concern: what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import psutil

from mobium.protocol import codec
from mobium.protocol.connection import Answer, ClientConnection, Signer, Welcome
from mobium.protocol.handshake import binding_input
from mobium.protocol.host import canonical_host
from mobium.protocol.limits import RATCHET_OVERHEAD
from mobium.protocol.messages import ClientMessage, Error, PublishPrekeys, WirePrekey
from mobium.signing import SigningKey

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0  # seconds that any step of a bench may take

M = TypeVar("M")


# ---------------------------------------------------------------- processes


@contextlib.contextmanager
def started(
    arguments: list[str], environment: dict[str, str] | None = None
) -> Iterator[tuple[psutil.Process, str]]:
    """A process on the last core, and the URL at the end of its first line. It ends with the block."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SC_")}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**clean, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        pin(process.pid, last=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("the process did not start")
        yield psutil.Process(process.pid), line.split()[-1]
    finally:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


@contextlib.contextmanager
def mobium_server(
    folder: Path, arguments: Sequence[str] = ("-m", "mobium_server"), **settings: str
) -> Iterator[tuple[psutil.Process, str]]:
    """Our server without limits of rate and number, as `arguments` of Python start it. `settings` are SC_*
    variables without the prefix.
    """
    environment = {
        "SC_HOST": "127.0.0.1",
        "SC_PORT": "0",
        "SC_REQUIRE_TLS": "false",
        "SC_DATABASE_URL": f"sqlite://{folder / 'mobium.db'}",
        "SC_MAX_CONNECTIONS": "0",
        "SC_MAX_CONNECTIONS_PER_IP": "0",
        "SC_RATE_GENERAL": "0",
        **{f"SC_{name.upper()}": value for name, value in settings.items()},
    }
    with started([*arguments], environment) as found:
        yield found


def pin(pid: int, *, last: bool) -> None:
    """Keep a process on the last core, or on all others."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0)) if pid == 0 else sorted(os.sched_getaffinity(pid))
    if len(cores) > 1:
        os.sched_setaffinity(pid, {cores[-1]} if last else set(cores[:-1]))


def cpu(process: psutil.Process) -> float:
    """CPU seconds that a process has used, all threads: to the microsecond where the system has a clock for
    each process, else to its tick of 10 ms.
    """
    clock = ctypes.c_int()
    if sys.platform == "linux" and not ctypes.CDLL(None).clock_getcpuclockid(
        process.pid, ctypes.byref(clock)
    ):
        return time.clock_gettime(clock.value)
    times = process.cpu_times()
    return float(times.user + times.system)


def memory(process: psutil.Process) -> int:
    """Resident bytes."""
    return int(process.memory_info().rss)


# ---------------------------------------------------------------- people


class Person:
    """An identity as far as the server knows one."""

    def __init__(self) -> None:
        self._key = SigningKey.generate()
        self.x_public = os.urandom(32)
        self.binding = self._key.sign(binding_input(self.x_public))

    @property
    def public(self) -> bytes:
        """Ed25519 public key."""
        return self._key.public

    def sign(self, data: bytes) -> bytes:
        """Sign as a login does."""
        return self._key.sign(data)


def payload() -> bytes:
    """Something of the size of a ratchet message in the smallest bucket."""
    return b"\x01".ljust(512 + RATCHET_OVERHEAD, b"\0")


def publication() -> PublishPrekeys:
    """Prekeys that nobody can use, of the right form: their owner can be written to."""
    signed = WirePrekey(1, 2**33, bytes(32), bytes(64))
    return PublishPrekeys(signed, WirePrekey(2, 2**33, bytes(1_568), bytes(64)))


# ---------------------------------------------------------------- a cheap client


def frame(payload: bytes) -> bytes:
    """A binary WebSocket frame of a client. Its mask is zero, which costs nothing and is still a mask."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BBI", 0x82, 0x80 | size, 0) + payload
    if size < 65_536:
        return struct.pack("!BBHI", 0x82, 0x80 | 126, size, 0) + payload
    return struct.pack("!BBQI", 0x82, 0x80 | 127, size, 0) + payload


class Cheap(asyncio.Protocol):
    """A WebSocket client that does the least it can: frames in, frames out, pings answered."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._data = bytearray()
        self._open = False
        self.transport: asyncio.Transport
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_frames: Callable[[list[bytes]], None] = lambda _frames: None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(
            f"GET /ws HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost = True
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("refused"))

    def data_received(self, data: bytes) -> None:
        buffer = self._data
        buffer += data
        if not self._open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not buffer.startswith(b"HTTP/1.1 101"):
                self.transport.close()
                return
            del buffer[: end + 4]
            self._open = True
            self.ready.set_result(None)
        frames = []
        at = 0
        have = len(buffer)
        while have - at >= 2:
            size = buffer[at + 1]
            begin = at + 2
            if size == 126:
                if have - at < 4:
                    break
                (size,) = struct.unpack_from("!H", buffer, at + 2)
                begin = at + 4
            elif size == 127:
                if have - at < 10:
                    break
                (size,) = struct.unpack_from("!Q", buffer, at + 2)
                begin = at + 10
            if have < begin + size:
                break
            if buffer[at] == 0x82:
                frames.append(bytes(buffer[begin : begin + size]))
            elif buffer[at] == 0x89:
                self.transport.write(b"\x8a\x80\0\0\0\0")
            at = begin + size
        del buffer[:at]
        if frames:
            self.on_frames(frames)

    def send(self, payload: bytes) -> None:
        self.transport.write(frame(payload))


async def open_socket(url: str, context: ssl.SSLContext | None = None) -> Cheap:
    """A WebSocket to `url`."""
    split = urlsplit(url)
    loop = asyncio.get_running_loop()
    assert split.hostname is not None
    assert split.port is not None
    _, protocol = await loop.create_connection(
        lambda: Cheap(split.netloc), split.hostname, split.port, ssl=context
    )
    return protocol


async def log_in(url: str, context: ssl.SSLContext | None = None) -> tuple[Cheap, Person]:
    """A logged-in connection of somebody new."""
    person = Person()
    return (await log_in_as(url, person, context=context))[0], person


async def log_in_as(
    url: str,
    person: Signer,
    then: Callable[[list[bytes]], None] = lambda _frames: None,
    context: ssl.SSLContext | None = None,
) -> tuple[Cheap, Welcome]:
    """A logged-in connection to our server, and its welcome; `then` gets the frames that follow."""
    split = urlsplit(url)
    machine = ClientConnection(person, canonical_host(split.hostname or "", split.port or 0))
    protocol = await open_socket(url, context)
    done: asyncio.Future[Welcome] = asyncio.get_running_loop().create_future()

    def on_frames(frames: list[bytes]) -> None:
        for place, one in enumerate(frames):
            event = machine.receive(one)
            if isinstance(event, Answer):
                protocol.send(event.frame)
            elif isinstance(event, Welcome):
                done.set_result(event)
                protocol.on_frames = then
                if place + 1 < len(frames):
                    then(frames[place + 1 :])
                return

    protocol.on_frames = on_frames
    async with asyncio.timeout(PATIENCE):
        await protocol.ready
        return protocol, await done


async def ask(protocol: Cheap, request: bytes) -> None:
    """Send a request and wait for its answer."""
    answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_frames(_frames: list[bytes]) -> None:
        if not answered.done():
            answered.set_result(None)

    protocol.on_frames = on_frames
    protocol.send(request)
    async with asyncio.timeout(PATIENCE):
        await answered


async def answer(protocol: Cheap, request: ClientMessage, wanted: type[M]) -> M:
    """Send a request and return its answer; what the server sends unasked meanwhile is passed over."""
    found: asyncio.Future[M] = asyncio.get_running_loop().create_future()

    def on_frames(frames: list[bytes]) -> None:
        for message in map(kind, frames):
            if found.done():
                return
            if isinstance(message, wanted):
                found.set_result(message)
            elif isinstance(message, Error):
                found.set_exception(RuntimeError(f"refused: {message.code}"))

    protocol.on_frames = on_frames
    protocol.send(codec.encode(request))
    async with asyncio.timeout(PATIENCE):
        return await found


def kind(data: bytes) -> object:
    """The message of a frame from the server."""
    return codec.decode_server(data)
