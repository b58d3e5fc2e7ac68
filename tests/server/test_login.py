"""Logging in: who is let in under which name, what a failed login costs, what comes before and after."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgpack
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from mobium.errors import ServerRefused
from mobium.protocol import codec
from mobium.protocol.handshake import binding_input, client_input
from mobium.protocol.messages import Auth, AuthChallenge, Error, GetInfo, Info, Ping, Pong
from mobium.signing import SigningKey
from mobium_server import __version__, app
from mobium_server.hosts import accepts_host
from tests.support.server import Person, client, log_in, server


async def challenged(url: str) -> tuple[Any, AuthChallenge]:
    """A socket before its login."""
    socket = await connect(url, compression=None, max_queue=None)
    data = await socket.recv()
    assert isinstance(data, bytes)
    challenge = codec.decode_server(data)
    assert isinstance(challenge, AuthChallenge)
    return socket, challenge


async def outcome(socket: Any) -> tuple[list[str], int]:
    """The error codes that come, and the close code."""
    codes = []
    async with asyncio.timeout(10):
        try:
            while True:
                message = codec.decode_server(await socket.recv())
                assert isinstance(message, Error)
                codes.append(message.code)
        except ConnectionClosed as closed:
            return codes, closed.rcvd.code if closed.rcvd else 1006


def answer(challenge: AuthChallenge, person: Person, host: str, /, **changes: Any) -> Auth:
    """A login, with some of its fields changed after signing."""
    nonce = os.urandom(32)
    signed = client_input(challenge.nonce, nonce, challenge.server_key, person.public, person.x_public, host)
    fields: dict[str, Any] = {
        "pubkey": person.public,
        "x25519_pub": person.x_public,
        "binding": person.binding,
        "nonce": nonce,
        "host": host,
        "version": 1,
        "device": 1,
        "signature": person.sign(signed),
    }
    return Auth(**(fields | changes))


async def test_the_welcome_proves_the_server_and_tells_its_limits(tmp_path: Path) -> None:
    async with server(tmp_path, max_message_size=4096, message_ttl=600) as one:
        key = one.public_key
        async with client(one.url, publish=False) as anna:
            assert anna.welcome.server_key == key
            assert anna.welcome.limits.message_size == 4096
            assert anna.welcome.limits.message_ttl == 600
    async with server(tmp_path) as one:
        assert one.public_key == key, "the key lives in the database"


async def test_every_challenge_is_new(running: app.Server) -> None:
    nonces = set()
    for _ in range(5):
        socket, challenge = await challenged(running.url)
        nonces.add(challenge.nonce)
        await socket.close()
    assert len(nonces) == 5


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signature": bytes(64)}, "auth_failed"),
        ({"binding": bytes(64)}, "auth_failed"),
        ({"pubkey": SigningKey.generate().public}, "auth_failed"),
        ({"x25519_pub": bytes(32)}, "auth_failed"),
        ({"nonce": bytes(32)}, "auth_failed"),
        ({"host": "localhost:2"}, "auth_failed"),
        ({"version": 2}, "unsupported_version"),
        ({"host": "LOCALHOST:1"}, "malformed"),
        ({"host": "localhost"}, "malformed"),
        ({"pubkey": bytes(32)}, "auth_failed"),
        ({"pubkey": (1).to_bytes(32, "little")}, "auth_failed"),
    ],
)
async def test_a_login_that_is_not_true_is_refused(
    running: app.Server, changes: dict[str, Any], code: str
) -> None:
    socket, challenge = await challenged(running.url)
    await socket.send(codec.encode(answer(challenge, Person(), "localhost:1", **changes)))
    assert await outcome(socket) == ([code], 4401)


async def test_an_answer_to_another_challenge_is_refused(running: app.Server) -> None:
    first, challenge = await challenged(running.url)
    second, _ = await challenged(running.url)
    await second.send(codec.encode(answer(challenge, Person(), "localhost:1")))
    assert await outcome(second) == (["auth_failed"], 4401)
    await first.close()


async def test_a_name_that_is_not_the_servers_is_refused(tmp_path: Path) -> None:
    async with server(tmp_path, public_hosts=("chat.example.org",)) as one:
        async with client(one.url, host="chat.example.org:1", publish=False):
            pass
        for wrong in ("localhost:1", "other.example.org:1", "example.org:1"):
            with pytest.raises(ServerRefused, match="SC_PUBLIC_HOSTS") as refused:
                await log_in(one.url, host=wrong)
            assert refused.value.code == "wrong_host"


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("192.168.1.5", True),
        ("10.0.0.1", True),
        ("fe80::1", True),
        ("fd00::1", True),
        ("raspberrypi", True),
        ("raspberrypi.local", True),
        ("chat.example.org", False),
        ("8.8.8.8", False),
        ("2600::1", False),
        ("local", True),
        ("evil.notlocal", False),
    ],
)
def test_names_without_a_list(name: str, accepted: bool) -> None:
    assert accepts_host((), lambda: (), name) is accepted
    assert accepts_host(("chat.example.org",), lambda: (), name) is (name == "chat.example.org")


def test_names_of_the_certificate() -> None:
    def names() -> tuple[str, ...]:
        return ("chat.example.org", "*.chat.example.org", "8.8.8.8")

    for good in ("chat.example.org", "a.chat.example.org", "8.8.8.8", "localhost"):
        assert accepts_host((), names, good)
    for bad in ("example.org", "a.b.chat.example.org", "8.8.4.4", "xchat.example.org"):
        assert not accepts_host((), names, bad)
    assert not accepts_host(("only.example.org",), names, "chat.example.org")


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (codec.encode(Ping()), "not_authenticated"),
        (b"", "malformed"),
        (b"\xc1", "malformed"),
        (msgpack.packb({"type": "nothing"}), "unknown_type"),
        (msgpack.packb({"type": "auth"}), "malformed"),
        ("text", "malformed"),
    ],
)
async def test_anything_else_before_the_login_ends_the_connection(
    running: app.Server, first: bytes | str, code: str
) -> None:
    socket, _ = await challenged(running.url)
    await socket.send(first)
    assert await outcome(socket) == ([code], 4401)


async def test_nobody_speaks_between_login_and_welcome(running: app.Server) -> None:
    socket, challenge = await challenged(running.url)
    login = codec.encode(answer(challenge, Person(), "localhost:1"))
    await asyncio.gather(socket.send(login), socket.send(codec.encode(Ping())))
    assert await outcome(socket) == (["not_authenticated"], 4401)
    assert not running.hub.sessions


async def test_a_login_takes_only_so_long(tmp_path: Path) -> None:
    async with server(tmp_path, auth_timeout=0.3) as one:
        socket, _ = await challenged(one.url)
        assert await outcome(socket) == ([], 4401)
        # A login in time is not cut off later.
        async with client(one.url, publish=False) as anna:
            await asyncio.sleep(0.5)
            await anna.send(Ping(1))
            assert await anna.expect(Pong) == Pong(1)


async def test_a_second_login_on_the_connection_is_malformed(running: app.Server) -> None:
    async with client(running.url, publish=False) as anna:
        await anna.send(answer(AuthChallenge(bytes(32), bytes(32), [1]), anna.person, "localhost:1"))
        message = await anna.receive()
        assert isinstance(message, Error)
        assert message.code == "malformed"


async def test_three_malformed_frames_close(running: app.Server) -> None:
    async with client(running.url, publish=False) as anna:
        await anna.send_raw(b"\xc1")
        await anna.send_raw(msgpack.packb({"type": "later", "rid": 1}))
        await anna.send(Ping(1))
        kinds = [await anna.receive() for _ in range(3)]
        assert [getattr(one, "code", "pong") for one in kinds] == ["malformed", "unknown_type", "pong"]
        await anna.send_raw("text")
        assert await anna.closed() == 4400


async def test_what_the_server_is(running: app.Server) -> None:
    async with client(running.url, publish=False) as anna:
        await anna.send(GetInfo(4))
        info = await anna.expect(Info)
        assert (info.name, info.version, info.versions, info.rid) == ("mobium-server", __version__, [1], 4)
        assert info.limits == anna.welcome.limits


async def test_idle_connections_are_pinged_and_closed(tmp_path: Path) -> None:
    async with (
        server(tmp_path, ws_ping_interval=0.2) as one,
        client(one.url, publish=False) as quiet,
        client(one.url, publish=False) as alive,
    ):
        # no pongs
        quiet.socket.protocol.send_frame = lambda _: None  # type: ignore[method-assign, assignment]
        assert await quiet.closed(5) == 4408
        await alive.send(Ping(1))  # its library answered the pings
        assert await alive.expect(Pong) == Pong(1)


async def test_a_lost_identity_binding_is_not_believed(running: app.Server) -> None:
    person = Person()
    person.binding = Person().key.sign(binding_input(person.x_public))
    with pytest.raises(ServerRefused) as refused:
        await log_in(running.url, person)
    assert refused.value.code == "auth_failed"
