"""Cutting bytes into frames: the same as the WebSocket library does, whatever the pieces; and what is no
frame.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.utils import apply_mask

from mobium.protocol import codec
from mobium.protocol.messages import Ping, Pong
from mobium_server import app
from mobium_server.frames import cut, header
from tests.support.server import Client, client, log_in, schedules, server

LARGEST = 70_000
contents = st.one_of(
    st.binary(max_size=300), st.sampled_from([125, 126, 127, 65_535, 65_536, LARGEST]).map(bytes)
)
whole_frames = st.one_of(
    contents.map(lambda data: Frame(Opcode.BINARY, data)),
    st.builds(
        Frame,
        st.sampled_from([Opcode.TEXT, Opcode.CONT, Opcode.PING, Opcode.PONG, Opcode.CLOSE]),
        st.binary(max_size=100),
    ),
    st.builds(Frame, st.sampled_from([Opcode.BINARY, Opcode.TEXT, Opcode.CONT]), contents, st.just(False)),
)


def serialize(frame: Frame) -> bytes:
    """As a client writes it, also where the library would not."""
    data = bytes(frame.data)
    mask = b"mask"
    first = frame.opcode | (0x80 if frame.fin else 0)
    size = len(data)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + mask + apply_mask(data, mask)


@given(st.lists(whole_frames, max_size=8), st.randoms(use_true_random=False))
def test_frames_come_whole_and_in_order_from_any_pieces(frames: list[Frame], rng: random.Random) -> None:
    raw = [serialize(frame) for frame in frames]
    stream = b"".join(raw)
    found: list[tuple[bool, bytes]] = []
    rest = bytearray()
    at = 0
    while at < len(stream):
        end = at + rng.choice([1, 2, 7, 100, 10_000, 100_000])
        rest += stream[at:end]
        at = end
        more, used = cut(rest, LARGEST, apply_mask)
        found += more
        del rest[:used]
    assert not rest
    expected = [
        (True, bytes(frame.data)) if frame.opcode is Opcode.BINARY and frame.fin else (False, data)
        for frame, data in zip(frames, raw, strict=True)
    ]
    assert found == expected


@given(st.binary(max_size=200), st.integers(0, 150))
def test_any_bytes_are_cut_without_harm(data: bytes, largest: int) -> None:
    frames, used = cut(data, largest, apply_mask)
    assert 0 <= used <= len(data)
    # What is kept for later is never more than the largest frame and its header.
    assert len(data) - used <= largest + 14
    assert all(len(content) <= largest for whole, content in frames if whole)


@pytest.mark.parametrize("size", [LARGEST + 1, 2**32, 2**63 - 1, 2**64 - 1])
def test_what_is_too_large_is_known_by_its_header(size: int) -> None:
    head = b"\x82\xff" + size.to_bytes(8, "big") + b"mask"
    assert cut(head, LARGEST, apply_mask) == ([(False, head)], len(head))


def test_what_is_not_masked_is_left_to_the_protocol() -> None:
    data = b"\x82\x02ab" + b"more"
    assert cut(data, LARGEST, apply_mask) == ([(False, data)], len(data))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 1 << 20])
def test_the_header_is_the_librarys(size: int) -> None:
    data = bytes(size)
    assert header(size) + data == Frame(Opcode.BINARY, data).serialize(mask=False)


# ---------------------------------------------------------------- on a connection


async def pinged(one: Client) -> None:
    await one.send(Ping(1))
    assert await one.expect(Pong) == Pong(1)


def write(one: Client, data: bytes) -> None:
    one.socket.transport.write(data)


async def test_messages_in_pieces_and_control_frames_between(running: app.Server) -> None:
    ping = codec.encode(Ping(1))
    async with client(running.url, publish=False) as anna:
        write(anna, serialize(Frame(Opcode.BINARY, ping[:3], False)))
        write(anna, serialize(Frame(Opcode.PING, b"between")))
        write(anna, serialize(Frame(Opcode.CONT, ping[3:6], False)))
        write(anna, serialize(Frame(Opcode.CONT, ping[6:], True)))
        assert await anna.expect(Pong) == Pong(1)
        for byte in serialize(Frame(Opcode.BINARY, ping)):
            write(anna, bytes([byte]))
            await asyncio.sleep(0)
        assert await anna.expect(Pong) == Pong(1)
        write(anna, serialize(Frame(Opcode.BINARY, ping)) * 30)
        for _ in range(30):
            assert await anna.expect(Pong) == Pong(1)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x82\x02ab", 1002),  # not masked
        (serialize(Frame(Opcode.BINARY, b"a")).replace(b"\x82", b"\xc2", 1), 1002),  # a reserved bit
        (b"\x83\x80mask", 1002),  # an opcode that does not exist
        (b"\x89\xfe\x00\xffmask" + bytes(255), 1002),  # a ping of 255 bytes
        (b"\x09\x80mask", 1002),  # a ping in pieces
        (serialize(Frame(Opcode.CONT, b"x")), 1002),  # nothing to continue
        (serialize(Frame(Opcode.BINARY, b"a", False)) + serialize(Frame(Opcode.BINARY, b"b")), 1002),
        (serialize(Frame(Opcode.BINARY, b"a", False)) + serialize(Frame(Opcode.TEXT, b"b")), 1002),
        (b"\x82\xff" + (64 << 20).to_bytes(8, "big") + b"mask", 1009),
        (b"\x82\xff" + (2**64 - 1).to_bytes(8, "big") + b"mask", 1009),
        (serialize(Frame(Opcode.BINARY, b"a", False)) + serialize(Frame(Opcode.CONT, b"", False)) * 80, 4400),
        (b"\x88\x81mask" + bytes([0x03 ^ ord("m")]), 1002),  # a close code of one byte
        (serialize(Frame(Opcode.CLOSE, b"\x03\xe8")), 1000),
        (serialize(Frame(Opcode.CLOSE, b"")), 1005),
    ],
    ids=range(14),
)
async def test_frames_that_break_the_rules_close_with_the_rules_code(
    running: app.Server, data: bytes, code: int
) -> None:
    async with client(running.url, publish=False) as anna, client(running.url, publish=False) as ben:
        write(anna, data)
        assert await anna.closed() == code
        await pinged(ben)
    assert running.listener.counters.internal == 0


async def test_fragments_together_are_not_larger_than_a_frame_may_be(tmp_path: Path) -> None:
    async with server(tmp_path, max_message_size=512) as one, client(one.url, publish=False) as anna:
        write(anna, serialize(Frame(Opcode.BINARY, bytes(40_000), False)))
        write(anna, serialize(Frame(Opcode.CONT, bytes(40_000), False)))
        assert await anna.closed() == 1009


async def test_random_bytes_harm_nobody(running: app.Server, seed: int) -> None:
    rng = random.Random(seed)
    async with client(running.url, publish=False) as ben:
        for _ in range(10 * schedules()):
            anna = await log_in(running.url)
            junk = rng.choice(
                [
                    rng.randbytes(rng.randrange(1, 400)),
                    serialize(Frame(Opcode.BINARY, rng.randbytes(rng.randrange(0, 400)))),
                    serialize(Frame(rng.choice(list(Opcode)), rng.randbytes(100), rng.random() < 0.5)) * 3,
                ]
            )
            write(anna, junk)
            await asyncio.sleep(0)
            anna.socket.transport.abort()
            await anna.close()
        await pinged(ben)
    assert running.listener.counters.internal == 0
