"""A real server for tests, as a process or in this one, and a raw client that speaks the protocol without an
engine.

Not its concern: engines (tests/support/engines.py) and what is tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection as Socket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from mobium.protocol import codec
from mobium.protocol.connection import Answer, ClientConnection, Welcome
from mobium.protocol.handshake import binding_input
from mobium.protocol.host import canonical_host
from mobium.protocol.limits import RATCHET_OVERHEAD
from mobium.protocol.media_frames import MediaDown, is_media, read_down
from mobium.protocol.messages import (
    Accepted,
    AckDeliveries,
    ClientMessage,
    Delivery,
    Error,
    Ping,
    Pong,
    PrekeyCount,
    PublishPrekeys,
    SendMessage,
    ServerMessage,
    WirePrekey,
)
from mobium.signing import SigningKey
from mobium_server import app
from mobium_server.clock import Clock
from mobium_server.config import Settings
from mobium_server.limits import Rate
from mobium_server.storage.base import Storage

WAIT = 20.0  # no wait in a test is longer, seconds
READY = "mobium-server listening on "
ACKNOWLEDGE_EARLY = "acknowledge_before_commit"

M = TypeVar("M")


# ---------------------------------------------------------------- a server process


class ServerProcess:
    """A server in a process of its own, in a folder of its own, on a port that it keeps over restarts."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        patch: str | None = None,
        before: Sequence[str] = (),
        *,
        service: bool = False,
    ) -> None:
        """`settings` are SC_* variables; `patch` names one of tests/support/patched_server.py, applied in the
        process; `before` is a command that is given the server's as its arguments. `service`: it has no
        terminal, even where the tests have one.
        """
        self.service = service
        self.folder = folder
        self.before = before
        self.patch = patch
        self.port = 0
        self.url = ""
        self.settings = {
            "SC_HOST": "127.0.0.1",
            "SC_REQUIRE_TLS": "false",
            "SC_MAX_CONNECTIONS_PER_IP": "0",
            "SC_DATABASE_URL": f"sqlite://{folder / 'mobium.db'}",
            **(settings or {}),
        }
        self._process: subprocess.Popen[str] | None = None
        self.errors: list[str] = []

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    @property
    def process(self) -> subprocess.Popen[str]:
        """The running process."""
        assert self._process is not None, "the server was not started"
        return self._process

    def start(self) -> Self:
        """Start, or start again on the same port and database; returns when clients can connect."""
        target = ["mobium_server"] if self.patch is None else ["tests.support.patched_server", self.patch]
        root = Path(__file__).parents[2]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SC_")}
        environment |= {"SC_PORT": str(self.port), "PYTHONPATH": str(root), **self.settings}
        self.folder.mkdir(parents=True, exist_ok=True)
        process = self._process = subprocess.Popen(
            [*self.before, sys.executable, "-m", *target],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=self.service,
        )
        self.errors = []
        assert process.stderr is not None
        assert process.stdout is not None
        # Read all the time, or a full pipe would stop the server.
        threading.Thread(target=self._read_errors, args=(process.stderr, self.errors), daemon=True).start()
        watchdog = threading.Timer(WAIT, process.kill)
        watchdog.start()
        for line in process.stdout:
            if line.startswith(READY):
                watchdog.cancel()
                self.url = line.removeprefix(READY).strip()
                self.port = urlsplit(self.url).port or 0
                return self
        watchdog.cancel()
        process.wait()
        process.stdout.close()
        raise RuntimeError("the server did not start: " + "".join(self.errors))

    @staticmethod
    def _read_errors(stream: Any, lines: list[str]) -> None:
        with stream:
            lines.extend(stream)

    def said(self, text: str) -> bool:
        """Whether a text comes on standard error, now or soon."""
        end = time.monotonic() + WAIT
        while text not in "".join(self.errors):
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def kill(self) -> None:
        """SIGKILL: no chance to do anything."""
        self.process.kill()
        self._wait()

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        self.process.send_signal(signal_number)
        return self._wait()

    def _wait(self) -> int:
        process = self.process
        code = process.wait(WAIT)
        assert process.stdout is not None
        process.stdout.close()
        self._process = None
        return code

    def close(self) -> None:
        """End it, whatever state it is in."""
        if self._process is not None:
            self.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# ---------------------------------------------------------------- a server in this process


def settings(folder: Path, **changes: Any) -> Settings:
    """Settings for a test: a free port on loopback, no TLS, no limit on connections of one address."""
    defaults: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "require_tls": False,
        "max_connections_per_ip": 0,
        "rate_general": Rate(0, 0),
        "database_url": f"sqlite://{folder / 'mobium.db'}",
    }
    return Settings(**(defaults | changes))


@contextlib.asynccontextmanager
async def server(
    folder: Path, *, storage: Storage | None = None, clock: Clock | None = None, **changes: Any
) -> AsyncIterator[app.Server]:
    """A server in this process."""
    async with app.running(settings(folder, **changes), storage=storage, clock=clock) as one:
        yield one


# ---------------------------------------------------------------- a raw client


class Person:
    """An identity as far as the server knows one."""

    def __init__(self, key: SigningKey | None = None, x_public: bytes | None = None) -> None:
        self.key = key or SigningKey.generate()
        self.x_public = x_public or os.urandom(32)
        self.binding = self.key.sign(binding_input(self.x_public))

    @property
    def public(self) -> bytes:
        """Ed25519 public key."""
        return self.key.public

    def sign(self, data: bytes) -> bytes:
        """Sign as a login does."""
        return self.key.sign(data)


def payload(content: bytes = b"", bucket: int = 512) -> bytes:
    """Something of the size of a ratchet message in `bucket`, beginning with `content`."""
    return (b"\x01" + content).ljust(bucket + RATCHET_OVERHEAD, b"\0")


def prekey(number: int, size: int = 32, expires: int = 2**33) -> WirePrekey:
    """A prekey that nobody can use, of the right form."""
    return WirePrekey(number, expires, number.to_bytes(4, "big") * (size // 4), bytes(64))


def publication(one_time: int = 0, kem_one_time: int = 0, first: int = 10, **fields: Any) -> PublishPrekeys:
    """A first publication, with ids from `first`."""
    return PublishPrekeys(
        signed=prekey(1),
        last_resort=prekey(2, 1_568),
        one_time=[prekey(first + i) for i in range(one_time)],
        kem_one_time=[prekey(first + i, 1_568) for i in range(kem_one_time)],
        **fields,
    )


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.code)
        self.code = error.code
        self.error = error


class Client:
    """One logged-in connection."""

    def __init__(self, socket: Socket, person: Person, welcome: Welcome) -> None:
        self.socket = socket
        self.person = person
        self.welcome = welcome
        self._kept: deque[ServerMessage] = deque()
        self.heard: deque[MediaDown] = deque()
        """Media frames that have come and were not looked at yet."""

    @property
    def public(self) -> bytes:
        """Who this is."""
        return self.person.public

    async def send(self, message: ClientMessage) -> None:
        """Write a message."""
        await self.socket.send(codec.encode(message))

    async def send_raw(self, data: bytes | str) -> None:
        """Write any WebSocket message."""
        await self.socket.send(data)

    def send_late(self, *messages: ClientMessage) -> None:
        """Write messages without regard to a close that was received, and in one piece, so that the server
        reads them at once.
        """
        frames = [Frame(Opcode.BINARY, codec.encode(message)) for message in messages]
        self.socket.transport.write(b"".join(frame.serialize(mask=True) for frame in frames))

    async def receive(self, within: float = WAIT) -> ServerMessage:
        """The next message."""
        if self._kept:
            return self._kept.popleft()
        return await self._read(within)

    async def _read(self, within: float) -> ServerMessage:
        async with asyncio.timeout(within):
            while True:
                data = await self.socket.recv()
                assert isinstance(data, bytes)
                if not is_media(data):
                    return codec.decode_server(data)
                self.heard.append(read_down(data))

    async def hear(self, within: float = WAIT) -> MediaDown:
        """The next media frame; messages are kept for later."""
        async with asyncio.timeout(within):
            while not self.heard:
                data = await self.socket.recv()
                assert isinstance(data, bytes)
                if is_media(data):
                    self.heard.append(read_down(data))
                else:
                    self._kept.append(codec.decode_server(data))
        return self.heard.popleft()

    async def settled(self) -> None:
        """Everything that was sent until now has been answered, and what came meanwhile has been read."""
        rid = int.from_bytes(os.urandom(4), "big")
        await self.send(Ping(rid))
        while await self.expect(Pong) != Pong(rid):
            pass

    async def expect(self, kind: type[M], within: float = WAIT) -> M:
        """The next message of a type; others are kept for later, but an error is raised unless it is what is
        expected.
        """
        for i, kept in enumerate(self._kept):
            if isinstance(kept, kind):
                del self._kept[i]
                return kept
        while True:
            message = await self._read(within)
            if isinstance(message, kind):
                return message
            if isinstance(message, Error):
                raise Refused(message)
            self._kept.append(message)

    def keep(self, *messages: ServerMessage) -> None:
        """Look at these messages again later."""
        self._kept.extend(messages)

    async def nothing(self, kind: type[M], within: float = 0.15) -> None:
        """Assert that no message of a type comes."""
        try:
            found = await self.expect(kind, within)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected: {found}")

    async def publish(self, message: PublishPrekeys | None = None) -> PrekeyCount:
        """Publish prekeys, so that this identity can be written to."""
        await self.send(message or publication())
        return await self.expect(PrekeyCount)

    async def post(
        self,
        recipient: bytes,
        content: bytes = b"",
        *,
        delivery: bytes | None = None,
        bucket: int = 512,
        rid: int | None = None,
    ) -> bytes:
        """Send a direct message without waiting for its answer; returns the delivery id."""
        delivery = delivery or os.urandom(16)
        await self.send(SendMessage(delivery, recipient, payload(content, bucket), rid))
        return delivery

    async def post_and_wait(self, recipient: bytes, content: bytes = b"", **fields: Any) -> bytes:
        """Send a direct message; returns when the server has acknowledged it."""
        delivery = await self.post(recipient, content, **fields)
        accepted = await self.expect(Accepted)
        assert accepted.id == delivery
        return delivery

    async def post_and_wait_any(self, recipient: bytes, content: bytes = b"", **fields: Any) -> bytes:
        """The same, where answers to other messages may come first."""
        delivery = await self.post(recipient, content, **fields)
        while (await self.expect(Accepted)).id != delivery:
            pass
        return delivery

    async def take(self, *, ack: bool = True, within: float = WAIT) -> Delivery:
        """The next delivery."""
        delivery = await self.expect(Delivery, within)
        if ack:
            await self.send(AckDeliveries(delivery.tag))
        return delivery

    async def close(self) -> None:
        """Close the socket."""
        await self.socket.close()

    async def closed(self, within: float = WAIT) -> int:
        """Wait until the server closes; returns the close code."""
        async with asyncio.timeout(within):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd is not None else 1006


@contextlib.asynccontextmanager
async def client(
    url: str, person: Person | None = None, *, publish: bool = True, **fields: Any
) -> AsyncIterator[Client]:
    """Log in, and by default publish prekeys so that this identity can be written to."""
    one = await log_in(url, person, **fields)
    try:
        if publish:
            await one.publish()
        yield one
    finally:
        await one.close()


async def log_in(url: str, person: Person | None = None, *, host: str | None = None, **fields: Any) -> Client:
    """Log in. `host` is what was dialled, if it differs from the URL's; other fields go to websockets'
    `connect`.
    """
    person = person or Person()
    split = urlsplit(url)
    dialled = host or canonical_host(
        split.hostname or "", split.port or (443 if split.scheme == "wss" else 80)
    )
    socket = await connect(url, compression=None, max_size=None, max_queue=None, ping_interval=None, **fields)
    try:
        return Client(socket, person, await _log_in(socket, person, dialled))
    except BaseException:
        await socket.close()
        raise


async def _log_in(socket: Socket, person: Person, host: str) -> Welcome:
    machine = ClientConnection(person, host)
    async with asyncio.timeout(WAIT):
        while True:
            data = await socket.recv()
            assert isinstance(data, bytes)
            event = machine.receive(data)
            if isinstance(event, Answer):
                await socket.send(event.frame)
            elif isinstance(event, Welcome):
                return event


def schedules() -> int:
    """How many random schedules a test runs."""
    return int(os.environ.get("MOBIUM_SCHEDULES", "20"))


def randomness(seed: int, schedule: int) -> random.Random:
    """The randomness of one schedule."""
    return random.Random(f"{seed}/{schedule}")


def forwarded(address: str) -> dict[str, str]:
    """What a proxy that is trusted says of where somebody comes from."""
    return {"X-Forwarded-For": address}


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so that no event tells."""
    async with asyncio.timeout(WAIT):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
