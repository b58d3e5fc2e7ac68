"""What the log says over a day with everything in it: when the server begins and ends, what its operator must
know, and of people nothing: no key, no address, no payload, no name of a channel.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mobium.errors import ServerRefused
from mobium.protocol import messages as m
from mobium.protocol.connection import Answer, ClientConnection
from mobium_server import app
from mobium_server.care.probe import probe
from tests.support.certificates import certificate, trusting
from tests.support.channels import begin, enter, invite, tell
from tests.support.raw import request
from tests.support.server import WAIT, Client, Person, ServerProcess, client, log_in, server, settings

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
    with pytest.raises(ServerRefused) as refused:
        await log_in(url, host="another.example:443")
    assert refused.value.code == "wrong_host"
    await forged(url)
    for path in (PATH, "/admin/stats", "/metrics"):
        wrong = {"Authorization": f"Bearer {'x' * 24}", "X-Forwarded-For": ADDRESS}
        await request(port, path, headers=wrong)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01" + TEXT)  # a handshake of TLS that is none
    await asyncio.wait_for(reader.read(), WAIT)
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


# ---------------------------------------------------------------- who leaves early

GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: the end is a reset


def leave(port: int, data: bytes, *, reset: bool = False) -> None:
    """Say something, and go without reading an answer."""
    with socket.create_connection(("127.0.0.1", port)) as gone:
        gone.sendall(data)
        if reset:
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


async def emptied(one: app.Server, accepted: int) -> None:
    """Wait until so many connections have come, and all have ended."""
    async with asyncio.timeout(10):
        while one.listener.counters.accepted < accepted or one.listener.lines:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("data", [GET, b"HEAD /info HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n", GET + b"more"])
async def test_who_leaves_before_the_answer_is_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, data: bytes, reset: bool
) -> None:
    async with server(tmp_path) as one:
        for _ in range(5):
            leave(one.port, data, reset=reset)
        await emptied(one, 5)
        assert one.listener.counters.internal == 0
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_health_checks_over_tls_leave_no_line(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost")
    variables = {"SC_TLS_CERT": str(cert), "SC_TLS_KEY": str(key), "SC_ADMIN_TOKEN": TOKEN}
    with ServerProcess(tmp_path, variables) as process:
        assert await asyncio.to_thread(process.said, "TLS 1.3 with the certificate")
        start = len(process.errors)
        asked = settings(tmp_path, port=process.port, tls_cert=cert, tls_key=key)
        for _ in range(20):
            assert await asyncio.to_thread(probe, asked) is None
        command = [sys.executable, "-m", "mobium_server", "health"]
        where = {"SC_HOST": "127.0.0.1", "SC_PORT": str(process.port), "PATH": "/usr/bin:/bin"}
        done = await asyncio.to_thread(
            subprocess.run, command, env={**where, **variables}, cwd=tmp_path, capture_output=True, timeout=20
        )
        assert (done.returncode, done.stdout) == (0, b"OK\n")
        with socket.create_connection(("127.0.0.1", process.port)) as raw:
            raw.sendall(b"\x16\x03\x01\x00")  # and one that leaves in the middle of the handshake
        headers = {"Authorization": f"Bearer {TOKEN}"}
        shown = await request(process.port, "/admin/stats", headers=headers, context=trusting(cert))
        assert json.loads(shown.body)["internal"] == 0
        assert await asyncio.to_thread(process.stop) == 0
        assert process.errors[start:] == []
