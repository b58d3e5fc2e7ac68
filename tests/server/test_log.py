"""What the log says over a day with everything in it: when the server begins and ends, what its operator must
know, and of people nothing: no key, no address, no payload, no name of a channel.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import socket
import struct
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mobium.protocol import messages as m
from mobium.protocol.connection import Answer, ClientConnection
from tests.support.channels import begin, enter, invite, tell
from tests.support.raw import request
from tests.support.server import Client, Person, ServerProcess, client, log_in, server

TOKEN = "t" * 24
ADDRESS = "203.0.113.77"  # as a proxy says
TEXT = b"a very secret text"
ORIGIN = "https://stranger.example"
PATH = "/nothing-like-this"


async def a_day(url: str, port: int) -> list[bytes]:
    """Traffic of every kind, and of every kind that is refused; what must stay unsaid."""
    headers = {"X-Forwarded-For": ADDRESS}
    async with (
        client(url, additional_headers=headers) as anna,
        client(url, additional_headers=headers) as ben,
    ):
        away = await log_in(url)
        await away.publish()
        await away.close()
        await anna.post(ben.public, TEXT)
        await ben.take()
        await anna.expect(m.Accepted)
        await anna.post_and_wait(away.public, TEXT)
        await anna.send(m.GetPrekeyBundle(away.public))
        await anna.expect(m.PrekeyBundle)
        room = await begin(anna)
        ticket = await invite(anna, room)
        await enter(ben, room, ticket)
        await tell(ben, room, TEXT)
        await anna.send(m.GetHistory(room.id, 0, 100))
        await anna.expect(m.History)
        for unwelcome in (
            m.SendMessage(b"d" * 16, b"n" * 32, b"short"),
            m.ChannelPost(b"d" * 16, b"c" * 32, 0, b"short"),
            m.JoinChannel(b"x" * 200, b"i" * 16),
        ):
            await anna.send(unwelcome)
            await anna.expect(m.Error)
        await misbehave(url, port, anna)
        return [anna.public, ben.public, away.public, room.id, ticket, TEXT]


async def misbehave(url: str, port: int, anna: Client) -> None:
    """What only strangers do."""
    await (await log_in(url, anna.person)).close()  # a second login
    liar = await log_in(url)
    await liar.send_raw(b"\xc1" + TEXT)
    await liar.send_raw("text")
    await liar.send_raw(TEXT)
    assert await liar.closed() == 4400
    breaker = await log_in(url)
    breaker.socket.transport.write(b"\x83\x80mask")
    assert await breaker.closed() == 1002
    gone = await log_in(url)
    plain = gone.socket.transport.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # the end is a reset
    gone.socket.transport.abort()
    with pytest.raises(InvalidStatus):
        await log_in(url, origin=ORIGIN)
    with pytest.raises(Exception, match=r".+"):
        await log_in(url, host="another.example")
    await forged(url)
    for path in (PATH, "/admin/stats", "/metrics"):
        wrong = {"Authorization": f"Bearer {'x' * 24}", "X-Forwarded-For": ADDRESS}
        await request(port, path, headers=wrong)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01" + TEXT)  # a handshake of TLS that is none
    await reader.read()
    writer.close()


async def forged(url: str) -> None:
    """A login whose signature is wrong."""
    async with connect(url) as line:
        machine = ClientConnection(Person(), url.split("/")[2])
        data = await line.recv()
        assert isinstance(data, bytes)
        answer = machine.receive(data)
        assert isinstance(answer, Answer)
        await line.send(answer.frame[:-10] + bytes(10))
        await line.wait_closed()
        assert line.close_code in (4400, 4401)


def assert_nobody_is_named(text: str, secrets: list[bytes]) -> None:
    for secret in secrets:
        forms = (
            secret.hex(),
            repr(secret)[2:-1],
            base64.b64encode(secret).decode().rstrip("="),
            base64.urlsafe_b64encode(secret).decode().rstrip("="),
            secret.hex()[:16],
        )
        for form in forms:
            assert form not in text
    for other in (ADDRESS, TOKEN, "Bearer", ORIGIN, "stranger", PATH, "another.example", "Traceback"):
        assert other not in text
    assert re.findall(r"127\.0\.0\.1", text) == []


async def test_the_log_of_a_process_is_quiet_and_names_nobody(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"SC_ADMIN_TOKEN": TOKEN}) as process:
        assert await asyncio.to_thread(process.said, "SC_PUBLIC_HOSTS")
        secrets = await a_day(process.url, process.port)
        start = next(at for at, line in enumerate(process.errors) if "SC_PUBLIC_HOSTS" in line) + 1
        assert await asyncio.to_thread(process.stop) == 0
        said = process.errors[start:]
    # A day on which nothing happened to the server itself: not a line.
    assert said == []
    assert_nobody_is_named("".join(line for line in process.errors if "127.0.0.1" not in line), secrets)


async def test_at_its_most_talkative_it_still_names_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with server(tmp_path, admin_token=TOKEN) as one:
            secrets = await a_day(one.url, one.port)
    ours = [record for record in caplog.records if not record.name.startswith("websockets")]
    assert_nobody_is_named("\n".join(map(logging.Formatter().format, ours)), secrets)
    # The test itself can find something: the clients' own library, in this process, names the server.
    assert "127.0.0.1" in "\n".join(record.getMessage() for record in caplog.records)
