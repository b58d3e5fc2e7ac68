"""The WebSocket edge byte by byte, in the groups of the classic conformance suites: framing, pings, reserved
bits and opcodes, fragmentation, UTF-8, closing, limits (RFC 6455), and the opening handshake.

A peer here is a socket and nothing else, so nothing of ours, nor any client library, is on its side. Not its
concern: cutting bytes into frames (test_frames.py) and what messages mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple, Self

import msgpack
import pytest

from mobium.protocol import codec
from mobium.protocol import messages as m
from mobium.protocol.connection import Answer, ClientConnection, Welcome
from mobium_server import app
from mobium_server.gateway import FRAGMENTS
from tests.support.raw import UPGRADE
from tests.support.server import Person, server

WAIT = 10.0
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PINGED = codec.encode(m.Ping(1))


class Frame(NamedTuple):
    """A frame of the server."""

    first: int
    """FIN, reserved bits and opcode."""
    payload: bytes


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, bits: int = 0, size: int | None = None
) -> bytes:
    """A masked frame; `size` is what it says, if that is not true."""
    mask = b"mask"
    first = (0x80 if fin else 0) | bits << 4 | opcode
    said = len(payload) if size is None else size
    if said < 126:
        head = struct.pack("!BB", first, 0x80 | said)
    elif said < 65_536:
        head = struct.pack("!BBH", first, 0xFE, said)
    else:
        head = struct.pack("!BBQ", first, 0xFF, said)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class Peer:
    """A socket that speaks WebSocket as far as a test makes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, *data: bytes) -> Self:
        self.writer.write(b"".join(data))
        return self

    async def read(self) -> Frame:
        """The next frame: never masked, never in pieces, no reserved bit, the shortest form of its size."""
        async with asyncio.timeout(WAIT):
            first, size = await self.reader.readexactly(2)
            assert first & 0xF0 == 0x80
            assert not size & 0x80
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
                assert size >= 126
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
                assert size >= 65_536
            return Frame(first & 0x0F, await self.reader.readexactly(size))

    async def message(self) -> m.ServerMessage:
        """The next message."""
        found = await self.read()
        assert found.first == BINARY
        return codec.decode_server(found.payload)

    async def closes(self) -> int:
        """The code with which the server closes; then the stream ends, and nothing comes between."""
        found = await self.read()
        while found.first == BINARY:
            found = await self.read()
        assert found.first == CLOSE
        assert len(found.payload) != 1
        code = int.from_bytes(found.payload[:2], "big") if found.payload else 1005
        found.payload[2:].decode()
        self.write(frame(CLOSE, found.payload[:2]))
        await self.ends()
        return code

    async def ends(self) -> None:
        """The server ends the stream, and says nothing more."""
        async with asyncio.timeout(WAIT):
            with contextlib.suppress(ConnectionError):
                assert await self.reader.read() == b""

    async def lives(self) -> None:
        """The connection is as good as new."""
        self.write(frame(BINARY, PINGED))
        assert await self.message() == m.Pong(1)


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Peer]:
    """A socket with an open WebSocket, and the challenge not yet read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE.items())
    writer.write(f"GET /ws HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
    async with asyncio.timeout(WAIT):
        answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"ICX+Yqv66kxgM0FcWaLWlFLwTAI=" in answer  # what RFC 6455 makes of the key in UPGRADE
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


@pytest.fixture
async def peer(running: app.Server) -> AsyncIterator[Peer]:
    """Somebody who is logged in."""
    async with connected(running.port) as one:
        machine = ClientConnection(Person(), f"127.0.0.1:{running.port}")
        answer = machine.receive((await one.read()).payload)
        assert isinstance(answer, Answer)
        one.write(frame(BINARY, answer.frame))
        assert isinstance(machine.receive((await one.read()).payload), Welcome)
        yield one
    assert running.listener.counters.internal == 0


# ---------------------------------------------------------------- 1: framing


@pytest.mark.parametrize("extra", [0, 105, 106, 107, 108, 65_000, 65_515, 65_516, 65_517, 200_000])
async def test_sizes_of_frames(peer: Peer, extra: int) -> None:
    data = msgpack.packb({"type": "ping", "rid": 7, "x": bytes(extra)})
    peer.write(frame(BINARY, data))
    assert await peer.message() == m.Pong(7)


@pytest.mark.parametrize("chop", [1, 2, 3, 5, 7])
async def test_bytes_that_come_in_drops(peer: Peer, chop: int) -> None:
    data = frame(BINARY, PINGED) + frame(PING, b"x") + frame(BINARY, PINGED)
    for at in range(0, len(data), chop):
        peer.write(data[at : at + chop])
        await peer.writer.drain()
        await asyncio.sleep(0)
    assert [(await peer.read()).first for _ in range(3)] == [BINARY, PONG, BINARY]


async def test_many_frames_at_once_are_answered_in_order(peer: Peer) -> None:
    peer.write(*(frame(BINARY, codec.encode(m.Ping(number))) for number in range(500)))
    assert [await peer.message() for _ in range(500)] == [m.Pong(number) for number in range(500)]


async def test_a_size_in_a_longer_form_than_needed(peer: Peer) -> None:
    """RFC 6455 asks for the shortest form of writers; what comes in another means the same."""
    mask = bytes(4)
    peer.write(b"\x82\xfe" + struct.pack("!H", len(PINGED)) + mask + PINGED)
    assert await peer.message() == m.Pong(1)
    peer.write(b"\x82\xff" + struct.pack("!Q", len(PINGED)) + mask + PINGED)
    assert await peer.message() == m.Pong(1)


async def test_an_unmasked_frame_is_an_error(peer: Peer) -> None:
    peer.write(bytes((0x82, len(PINGED))) + PINGED)
    assert await peer.closes() == 1002


# ---------------------------------------------------------------- 2: pings and pongs


@pytest.mark.parametrize("size", [0, 1, 8, 124, 125])
async def test_a_ping_is_answered_with_its_bytes(peer: Peer, size: int) -> None:
    data = os.urandom(size)
    assert await peer.write(frame(PING, data)).read() == Frame(PONG, data)


@pytest.mark.parametrize("size", [126, 200, 70_000])
@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
async def test_a_control_frame_is_small(peer: Peer, opcode: int, size: int) -> None:
    peer.write(frame(opcode, bytes(size)))
    assert await peer.closes() == 1002


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
async def test_a_control_frame_is_whole(peer: Peer, opcode: int) -> None:
    peer.write(frame(opcode, fin=False))
    assert await peer.closes() == 1002


async def test_pongs_that_nobody_asked_for_are_nothing(peer: Peer) -> None:
    peer.write(frame(PONG), frame(PONG, b"hello"), frame(PONG, bytes(125)))
    await peer.lives()


async def test_several_pings_are_answered_in_order(peer: Peer) -> None:
    peer.write(*(frame(PING, bytes([number])) for number in range(10)))
    assert [await peer.read() for _ in range(10)] == [Frame(PONG, bytes([number])) for number in range(10)]


# ---------------------------------------------------------------- 3, 4: reserved bits and opcodes


@pytest.mark.parametrize("bits", range(1, 8))
@pytest.mark.parametrize("opcode", [BINARY, PING, CLOSE])
async def test_reserved_bits_are_an_error(peer: Peer, opcode: int, bits: int) -> None:
    peer.write(frame(BINARY, PINGED), frame(opcode, b"", bits=bits))
    assert await peer.closes() == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
async def test_reserved_opcodes_are_an_error(peer: Peer, opcode: int) -> None:
    peer.write(frame(BINARY, PINGED), frame(opcode, b"x"))
    assert await peer.closes() == 1002


# ---------------------------------------------------------------- 5: fragmentation


@pytest.mark.parametrize("cuts", [(0,), (1,), (3,), (0, 0, 0), (1, 2, 5), tuple(range(len(PINGED)))])
async def test_a_message_in_pieces(peer: Peer, cuts: tuple[int, ...]) -> None:
    edges = [0, *cuts, len(PINGED)]
    pieces = [PINGED[begin:end] for begin, end in itertools.pairwise(edges)]
    for at, piece in enumerate(pieces):
        peer.write(frame(CONT if at else BINARY, piece, fin=at == len(pieces) - 1))
    assert await peer.message() == m.Pong(1)


async def test_control_frames_between_the_pieces(peer: Peer) -> None:
    peer.write(frame(BINARY, PINGED[:2], fin=False), frame(PING, b"now"))
    assert await peer.read() == Frame(PONG, b"now")
    peer.write(frame(CONT, PINGED[2:4], fin=False), frame(PONG), frame(CONT, PINGED[4:]))
    assert await peer.message() == m.Pong(1)


@pytest.mark.parametrize("fin", [True, False])
async def test_nothing_to_continue_is_an_error(peer: Peer, fin: bool) -> None:
    peer.write(frame(CONT, PINGED, fin=fin))
    assert await peer.closes() == 1002


@pytest.mark.parametrize("opcode", [BINARY, TEXT])
@pytest.mark.parametrize("fin", [True, False])
async def test_a_message_within_a_message_is_an_error(peer: Peer, opcode: int, fin: bool) -> None:
    peer.write(frame(BINARY, PINGED[:2], fin=False), frame(opcode, b"", fin=fin))
    assert await peer.closes() == 1002


async def test_a_message_has_so_many_pieces_and_no_more(peer: Peer) -> None:
    peer.write(frame(BINARY, PINGED, fin=False), *[frame(CONT, fin=False)] * (FRAGMENTS - 2), frame(CONT))
    assert await peer.message() == m.Pong(1)
    peer.write(frame(BINARY, PINGED, fin=False), *[frame(CONT, fin=False)] * FRAGMENTS)
    assert await peer.closes() == 4400


# ---------------------------------------------------------------- 6: text and UTF-8


@pytest.mark.parametrize("pieces", [(b"hello",), ("µ€😀".encode(),), (b"\xe2\x82", b"\xac"), (b"", b"", b"")])
async def test_text_is_malformed_and_no_more(peer: Peer, pieces: tuple[bytes, ...]) -> None:
    """Text has no meaning here: it is an error of our protocol, whole or in pieces, and said once."""
    for at, piece in enumerate(pieces):
        peer.write(frame(CONT if at else TEXT, piece, fin=at == len(pieces) - 1))
    error = await peer.message()
    assert isinstance(error, m.Error)
    assert error.code == "malformed"
    await peer.lives()


@pytest.mark.parametrize(
    "data", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"a\xfeb"]
)
async def test_text_that_is_no_utf_8_never_reaches_anybody(peer: Peer, data: bytes) -> None:
    peer.write(frame(TEXT, data))
    error = await peer.message()
    assert isinstance(error, m.Error)
    assert error.code == "malformed"
    await peer.lives()


# ---------------------------------------------------------------- 7: closing


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
)
async def test_a_close_is_answered_with_its_code(peer: Peer, code: int) -> None:
    peer.write(frame(CLOSE, struct.pack("!H", code) + "gone — 再见".encode()))
    assert await peer.closes() == code


async def test_a_close_without_a_code_is_answered_without_one(peer: Peer) -> None:
    peer.write(frame(CLOSE))
    assert await peer.closes() == 1005


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
async def test_codes_that_nobody_may_send_are_an_error(peer: Peer, code: int) -> None:
    peer.write(frame(CLOSE, struct.pack("!H", code)))
    assert await peer.closes() == 1002


async def test_half_a_code_is_an_error(peer: Peer) -> None:
    peer.write(frame(CLOSE, b"\x03"))
    assert await peer.closes() == 1002


@pytest.mark.parametrize("reason", [b"\xff", b"\xed\xa0\x80", b"ok\xc3"])
async def test_a_reason_that_is_no_utf_8_is_an_error(peer: Peer, reason: bytes) -> None:
    peer.write(frame(CLOSE, b"\x03\xe8" + reason))
    assert await peer.closes() == 1007


async def test_the_longest_reason(peer: Peer) -> None:
    peer.write(frame(CLOSE, b"\x03\xe8" + b"x" * 123))
    assert await peer.closes() == 1000


@pytest.mark.parametrize("after", [frame(PING, b"x"), frame(BINARY, PINGED), frame(CLOSE), b"\xff" * 50])
async def test_what_follows_a_close_is_ignored(peer: Peer, after: bytes) -> None:
    peer.write(frame(CLOSE, b"\x03\xe8"), after)
    assert await peer.closes() == 1000


async def test_what_came_before_a_close_is_answered_before_it(peer: Peer) -> None:
    peer.write(frame(BINARY, PINGED), frame(CLOSE, b"\x03\xe8"))
    assert await peer.message() == m.Pong(1)
    assert await peer.closes() == 1000


async def test_an_end_without_a_close_is_an_end(peer: Peer, running: app.Server) -> None:
    peer.write(frame(BINARY, PINGED[:3], fin=False))
    peer.writer.write_eof()
    async with asyncio.timeout(WAIT):
        while running.listener.lines:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


async def test_who_never_answers_a_close_is_dropped(peer: Peer, running: app.Server) -> None:
    peer.write(frame(3))  # a reserved opcode: the server closes, and this side says nothing
    assert (await peer.read()).first == CLOSE
    await peer.ends()
    async with asyncio.timeout(WAIT):
        while running.listener.lines:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


# ---------------------------------------------------------------- 9: limits


@pytest.mark.parametrize("over", [0, 1])
async def test_the_largest_frame(tmp_path: Path, over: int) -> None:
    async with server(tmp_path, max_message_size=65_536) as one, connected(one.port) as peer:
        machine = ClientConnection(Person(), f"127.0.0.1:{one.port}")
        answer = machine.receive((await peer.read()).payload)
        assert isinstance(answer, Answer)
        peer.write(frame(BINARY, answer.frame))
        await peer.read()
        empty = len(msgpack.packb({"type": "ping", "rid": 7, "x": bytes(66_000)})) - 66_000
        data = msgpack.packb({"type": "ping", "rid": 7, "x": bytes(65_536 + 4_096 - empty + over)})
        peer.write(frame(BINARY, data))
        if over:
            assert await peer.closes() == 1009
        else:
            assert await peer.message() == m.Pong(7)


@pytest.mark.parametrize("size", [2**31, 2**62, 2**63, 2**64 - 1])
async def test_a_size_that_nobody_has(peer: Peer, size: int) -> None:
    peer.write(frame(BINARY, b"", size=size))
    assert await peer.closes() == 1009


async def test_pieces_that_are_too_much_together(peer: Peer) -> None:
    peer.write(frame(BINARY, bytes(600_000), fin=False), frame(CONT, bytes(600_000), fin=False))
    assert await peer.closes() == 1009


# ---------------------------------------------------------------- the opening


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Upgrade": "h2c"}, 426),
        ({"Upgrade": ""}, 400),
        ({"Connection": "keep-alive"}, 426),
        ({"Connection": "keep-alive, Upgrade"}, 101),
        ({"Upgrade": "WebSocket"}, 101),
        ({"Sec-WebSocket-Version": "8"}, 400),
        ({"Sec-WebSocket-Version": ""}, 400),
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Sec-WebSocket-Key": "AAAA"}, 400),
        ({"Sec-WebSocket-Key": "not base 64 at all!!!!!!"}, 400),
        ({"Sec-WebSocket-Protocol": "chat, superchat"}, 101),
        ({"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}, 101),
    ],
)
async def test_the_opening_handshake(running: app.Server, change: dict[str, str], status: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    fields = {**UPGRADE, **change}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"GET /ws HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
    async with asyncio.timeout(WAIT):
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.transport.abort()
    assert int(answer.split()[1]) == status
    # Nothing is agreed on that was only offered.
    assert "Sec-WebSocket-Protocol" not in answer
    assert "Sec-WebSocket-Extensions" not in answer
