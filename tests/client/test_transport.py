"""One contract over both transports, WebSocket and in-memory; then what only a network does."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from mobium.client.address import Address
from mobium.client.transport import Transport, TransportClosed, dial, memory_pair
from mobium.errors import NotConnected

pytestmark = pytest.mark.once

Ends = tuple[Transport, Transport, Callable[[int], Awaitable[None]]]


@asynccontextmanager
async def memory_ends() -> AsyncIterator[Ends]:
    ours, theirs = memory_pair()
    yield ours, theirs, theirs.close
    await ours.close()


class _ServerEnd:
    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket

    async def send(self, data: bytes) -> None:
        await self.socket.send(data)

    async def receive(self) -> bytes:
        data = await self.socket.recv()
        assert isinstance(data, bytes)
        return data

    async def close(self, code: int = 1000) -> None:
        await self.socket.close(code)


@asynccontextmanager
async def websocket_ends() -> AsyncIterator[Ends]:
    accepted: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def handle(socket: ServerConnection) -> None:
        await accepted.put(socket)
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        ours = await dial(Address(f"ws://127.0.0.1:{port}/ws", f"127.0.0.1:{port}", False))
        theirs = _ServerEnd(await accepted.get())
        yield ours, theirs, theirs.close
        await ours.close()


@pytest.fixture(params=[memory_ends, websocket_ends])
async def ends(request: pytest.FixtureRequest) -> AsyncIterator[Ends]:
    async with asyncio.timeout(20), request.param() as opened:
        yield opened


async def test_messages_arrive_whole_and_in_order(ends: Ends) -> None:
    ours, theirs, _ = ends
    sent = [bytes([n % 256]) * (n * 37 % 5_000) for n in range(20)]
    for data in sent:
        await ours.send(data)
    assert [await theirs.receive() for _ in sent] == sent
    await theirs.send(b"back")
    assert await ours.receive() == b"back"


async def test_a_close_comes_with_its_code_after_what_was_sent(ends: Ends) -> None:
    ours, theirs, close = ends
    await theirs.send(b"last")
    await close(4409)
    assert await ours.receive() == b"last"
    with pytest.raises(TransportClosed) as caught:
        await ours.receive()
    assert caught.value.code == 4409
    with pytest.raises(TransportClosed):
        await ours.send(b"too late")


async def test_close_never_raises_and_may_come_twice(ends: Ends) -> None:
    ours, _, _ = ends
    await ours.close()
    await ours.close()
    with pytest.raises(TransportClosed):
        await ours.receive()


async def test_a_waiting_receive_ends_with_the_close(ends: Ends) -> None:
    ours, _, close = ends
    waiting = asyncio.ensure_future(ours.receive())
    await asyncio.sleep(0)
    await close(1001)
    with pytest.raises(TransportClosed) as caught:
        await waiting
    assert caught.value.code == 1001


async def test_a_sender_waits_while_nobody_reads() -> None:
    ours, theirs = memory_pair()

    async def send_for_ever() -> None:
        while True:
            await ours.send(b"x")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(send_for_ever(), 0.05)
    assert await theirs.receive() == b"x"


async def test_a_text_message_closes() -> None:
    async def handle(socket: ServerConnection) -> None:
        await socket.send("text")
        await socket.wait_closed()

    async with asyncio.timeout(20), serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        ours = await dial(Address(f"ws://127.0.0.1:{port}/ws", f"127.0.0.1:{port}", False))
        with pytest.raises(TransportClosed) as caught:
            await ours.receive()
        assert caught.value.code == 1003


async def test_an_unreachable_server_is_one_sentence() -> None:
    with pytest.raises(NotConnected, match="cannot be reached"):
        await dial(Address("ws://127.0.0.1:1/ws", "127.0.0.1:1", False))
    with pytest.raises(NotConnected, match="cannot be reached"):
        await dial(Address("wss://no-such-name.invalid/ws", "no-such-name.invalid:443", True))


async def test_a_refusal_over_http_is_told() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 22\r\nConnection: close\r\n\r\nUse wss://.\x1b[31m\nnow!!"
        )
        writer.close()
        await writer.wait_closed()

    async with asyncio.timeout(20), await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotConnected, match=r"refused the connection: Use wss://\.\[31mnow!!") as caught:
            await dial(Address(f"ws://127.0.0.1:{port}/ws", f"127.0.0.1:{port}", False))
        assert "\x1b" not in str(caught.value)


async def test_tls_against_a_server_without_it_says_so() -> None:
    async def clear_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)  # the whole hello: a close with unread bytes would reset the connection
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with asyncio.timeout(20), await asyncio.start_server(clear_text, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotConnected, match="did not answer with TLS"):
            await dial(
                Address(f"wss://127.0.0.1:{port}/ws", f"127.0.0.1:{port}", True), ssl.create_default_context()
            )


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALL_PROXY", "all_proxy", "socks_proxy", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "socks5h://127.0.0.1:1")
    async with asyncio.timeout(20), websocket_ends() as (ours, theirs, _):
        await ours.send(b"direct")
        assert await theirs.receive() == b"direct"


@asynccontextmanager
async def _serving(handle: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[Address]:
    async with serve(handle, "127.0.0.1", 0, ping_interval=None, close_timeout=0.1) as server:
        port = server.sockets[0].getsockname()[1]
        yield Address(f"ws://127.0.0.1:{port}/ws", f"127.0.0.1:{port}", False)


async def test_a_network_that_is_gone_is_given_up() -> None:
    async def handle(socket: ServerConnection) -> None:
        socket.transport.pause_reading()  # nothing comes back, as if a cable had been pulled
        await socket.wait_closed()

    async with asyncio.timeout(20), _serving(handle) as address:
        began = asyncio.get_running_loop().time()
        ours = await dial(address, keepalive=0.05)
        with pytest.raises(TransportClosed) as caught:
            await ours.receive()
        assert caught.value.code == 1006
        assert asyncio.get_running_loop().time() - began >= 0.1
        await ours.close()


async def test_a_quiet_network_and_one_that_is_not_read_are_not_given_up() -> None:
    count = 200  # more than wait before the socket is no longer read

    async def handle(socket: ServerConnection) -> None:
        await asyncio.sleep(0.5)
        for number in range(count):
            await socket.send(number.to_bytes(2, "big") * 5_000)
        await socket.wait_closed()

    async with asyncio.timeout(20), _serving(handle) as address:
        ours = await dial(address, keepalive=0.05)
        await asyncio.sleep(1.0)
        assert [(await ours.receive())[:2] for _ in range(count)] == [
            n.to_bytes(2, "big") for n in range(count)
        ]
        await ours.close()
