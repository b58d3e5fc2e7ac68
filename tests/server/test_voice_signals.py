"""Signals of calls and rooms: handed over at once or not at all, never stored, and few to a slow socket."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mobium.protocol import messages as m
from mobium.protocol.limits import MAX_SIGNAL, PREKEY_OVERHEAD, RATCHET_OVERHEAD
from mobium_server import app, hub
from mobium_server.limits import Rate
from tests.support.channels import gather, refused, rows
from tests.support.server import Client, Person, client, log_in, payload, server
from tests.support.slow import little_socket
from tests.support.voice import come


async def signal(one: Client, recipient: bytes, content: bytes = b"", **fields: int) -> m.Forwarded:
    """Send a signal; returns the server's answer."""
    await one.send(m.SendSignal(recipient, payload(content, fields.get("bucket", 512)), 9))
    return await one.expect(m.Forwarded)


async def test_it_goes_to_who_is_online_and_is_not_stored(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url, publish=False) as ben:
        before = rows(running)
        assert await signal(anna, ben.public, b"ring") == m.Forwarded(9)
        assert await ben.expect(m.Signal) == m.Signal(anna.public, payload(b"ring"))
        assert await signal(ben, anna.public, b"busy") == m.Forwarded(9)
        assert (await anna.expect(m.Signal)).payload == payload(b"busy")
        assert rows(running) == before
        assert running.hub.counters.signals == 2


async def test_without_a_rid_nothing_is_said_of_what_went_well(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        await anna.send(m.SendSignal(ben.public, payload()))
        await ben.expect(m.Signal)
        await anna.nothing(m.Forwarded, 0.05)


async def test_who_is_offline_does_not_get_it_later(running: app.Server) -> None:
    async with client(running.url) as anna:
        ben = await log_in(running.url)
        await ben.publish()
        await ben.close()
        while ben.public in running.hub.sessions:
            await anna.settled()
        for nobody in (ben.public, Person().public):  # known to the server, and not
            assert await refused(anna, m.SendSignal(nobody, payload(), 9)) == "offline"
        async with client(running.url, ben.person, publish=False) as again:
            await again.settled()
            await again.nothing(m.Signal, 0.05)


@pytest.mark.parametrize("overhead", [RATCHET_OVERHEAD, PREKEY_OVERHEAD])
@pytest.mark.parametrize("message_size", [512, 1 << 20])
async def test_the_largest(tmp_path: Path, overhead: int, message_size: int) -> None:
    async with (
        server(tmp_path, max_message_size=message_size) as running,
        client(running.url) as anna,
        client(running.url) as ben,
    ):
        await anna.send(m.SendSignal(ben.public, bytes(MAX_SIGNAL + overhead)))
        assert len((await ben.expect(m.Signal)).payload) == MAX_SIGNAL + overhead


@pytest.mark.parametrize(
    ("size", "code"),
    [
        (0, "bad_size"),
        (512, "bad_size"),
        (512 + RATCHET_OVERHEAD + 1, "bad_size"),
        (2 * MAX_SIGNAL + RATCHET_OVERHEAD, "too_large"),
        (2 * MAX_SIGNAL, "too_large"),
    ],
)
async def test_sizes_that_no_padded_signal_has(running: app.Server, size: int, code: str) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        assert await refused(anna, m.SendSignal(ben.public, bytes(size))) == code
        await ben.settled()
        await ben.nothing(m.Signal, 0.02)


async def test_they_count_as_requests_and_large_ones_for_more(tmp_path: Path) -> None:
    async with (
        server(tmp_path, rate_general=Rate(0.001, 20), rate_address_factor=0) as running,
        client(running.url, publish=False) as anna,
        client(running.url, publish=False) as ben,
    ):
        for _ in range(2):
            await signal(anna, ben.public, bucket=MAX_SIGNAL)  # eight each
        for _ in range(4):
            await signal(anna, ben.public)
        assert await refused(anna, m.SendSignal(ben.public, payload(), 9)) == "rate_limited"


async def test_a_slow_reader_is_owed_few(running: app.Server) -> None:
    async with (
        client(running.url) as anna,
        client(running.url, sock=await little_socket(running.port)) as ben,
    ):
        await come(ben, await gather(ben))  # so that the server's kernel takes few bytes, too
        ben.socket.transport.pause_reading()
        await anna.post(ben.public, bucket=1 << 19)
        session = running.hub.sessions[ben.public]
        await anna.settled()
        assert not session.line.writable()
        taken = 0
        while True:
            await anna.send(m.SendSignal(ben.public, payload(taken.to_bytes(4, "big"), 4_096), 9))
            while not isinstance(answer := await anna.receive(), m.Forwarded | m.Error):
                pass
            if isinstance(answer, m.Error):
                break
            taken += 1
        assert (answer.code, answer.rid, answer.retry_after) == ("queue_full", 9, 1.0)
        assert taken == hub.SIGNALS_MOST // (4_096 + RATCHET_OVERHEAD)
        ben.socket.transport.resume_reading()
        for i in range(taken):  # what was taken comes, in order
            assert (await ben.expect(m.Signal)).payload[1:5] == i.to_bytes(4, "big")
        while not session.line.writable():
            await ben.take()
        await anna.send(m.SendSignal(ben.public, payload(b"again"), 9))
        while (await ben.expect(m.Signal)).payload[1:6] != b"again":
            pass


async def test_a_replaced_login_gets_none(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        ben.socket.transport.pause_reading()
        newer = await log_in(running.url, ben.person)
        await signal(anna, ben.public, b"ring")
        assert (await newer.expect(m.Signal)).sender == anna.public
        ben.socket.transport.abort()
        await newer.close()


async def test_a_sender_cannot_be_chosen(running: app.Server) -> None:
    async with client(running.url) as anna, client(running.url) as ben:
        await anna.send_raw(
            b"\x84\xa4type\xacvoice_signal\xa9recipient\xc4\x20"
            + ben.public
            + b"\xa6sender\xc4\x20"
            + os.urandom(32)
            + b"\xa7payload\xc5\x02\x39"
            + payload()
        )
        assert (await ben.expect(m.Signal)).sender == anna.public
