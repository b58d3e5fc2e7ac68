"""What clients get for calls: servers and credentials, which the real coturn takes or refuses."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from mobium.protocol import codec
from mobium.protocol.messages import GetIceConfig, IceConfig, IceServer
from mobium_server import app
from mobium_server.clock import Clock
from mobium_server.ice import turn_credentials
from mobium_server.limits import Rate
from tests.support.server import Client, Refused, client, server
from tests.support.turn import attempt, turn_server

SECRET = "0123456789abcdef0123456789abcdef"
TURN: dict[str, Any] = {"ice_turn_url": "turn:turn.example.org:3478", "ice_turn_secret": SECRET}
STUN = "stun:stun.example.org:3478"


async def ask(one: Client) -> IceConfig:
    """Ask for the servers."""
    await one.send(GetIceConfig(rid=7))
    answer = await one.expect(IceConfig)
    assert answer.rid == 7
    return answer


def pair(answer: IceConfig) -> tuple[str, str]:
    """The credentials of the TURN server."""
    found = answer.servers[-1]
    assert found.username is not None
    assert found.credential is not None
    return found.username, found.credential


async def test_without_settings_there_are_no_servers(running: app.Server) -> None:
    async with client(running.url, publish=False) as anna:
        assert await ask(anna) == IceConfig([], 0, 7)


async def test_a_stun_server_needs_no_credentials(tmp_path: Path) -> None:
    async with server(tmp_path, ice_stun_url=STUN) as one, client(one.url, publish=False) as anna:
        assert await ask(anna) == IceConfig([IceServer([STUN])], 0, 7)


async def test_the_credentials_are_those_of_the_scheme(tmp_path: Path) -> None:
    clock = Clock(wall=lambda: 1_800_000_000.9)
    async with (
        server(tmp_path, clock=clock, ice_stun_url=STUN, ice_ttl=600, **TURN) as one,
        client(one.url, publish=False) as anna,
    ):
        answer = await ask(anna)
        assert answer.ttl == 600
        assert [one.urls for one in answer.servers] == [[STUN], [TURN["ice_turn_url"]]]
        username, credential = pair(answer)
        expires, _, name = username.partition(":")
        assert expires == "1800000600"
        # RFC 2104 by its definition
        inner = hashlib.sha1(
            bytes(byte ^ 0x36 for byte in SECRET.encode().ljust(64, b"\0")) + username.encode()
        ).digest()
        outer = hashlib.sha1(bytes(byte ^ 0x5C for byte in SECRET.encode().ljust(64, b"\0")) + inner).digest()
        assert base64.b64decode(credential) == outer
        # Nothing in it says whose it is, and no two are alike.
        salt = base64.urlsafe_b64decode(name)
        assert len(salt) == 12
        assert not [at for at in range(9) if salt[at : at + 4] in anna.public]
        assert pair(await ask(anna))[0] != username


async def test_credentials_are_ten_an_hour(tmp_path: Path) -> None:
    now = [1_000.0]
    clock = Clock(steady=lambda: now[0])
    async with (
        server(tmp_path, clock=clock, **TURN) as one,
        client(one.url, publish=False) as anna,
        client(one.url, publish=False) as ben,
    ):
        assert len({pair(await ask(anna)) for _ in range(10)}) == 10
        with pytest.raises(Refused) as caught:
            await ask(anna)
        assert caught.value.code == "rate_limited"
        assert caught.value.error.rid == 7
        assert caught.value.error.retry_after == pytest.approx(3_600)
        await ask(ben)
        now[0] += 3_601
        await ask(anna)


async def fresh(url: str, count: int, address: str) -> int:
    """So many new identities at an address, as a proxy says, each asking once: how many got credentials."""
    got = 0
    for _ in range(count):
        async with client(url, publish=False, additional_headers={"X-Forwarded-For": address}) as one:
            with contextlib.suppress(Refused):
                got += bool(pair(await ask(one)))
    return got


async def test_new_identities_of_an_address_get_no_more(tmp_path: Path) -> None:
    now = [1_000.0]
    clock = Clock(steady=lambda: now[0])
    general: dict[str, Any] = {"rate_general": Rate(1_000, 1_000), "rate_address_factor": 0.5}
    async with server(tmp_path, clock=clock, **general, **TURN) as one:
        assert await fresh(one.url, 12, "192.0.2.1") == 5
        assert await fresh(one.url, 1, "192.0.2.2") == 1, "others are not concerned"
        # Of an IPv6 address the /64 counts, and the /48 four times as much.
        assert [await fresh(one.url, 7, f"2001:db8:0:{n}::{n}") for n in range(5)] == [5, 5, 5, 5, 0]
        assert await fresh(one.url, 2, "2001:db8:1::1") == 2
        async with client(
            one.url, publish=False, additional_headers={"X-Forwarded-For": "192.0.2.1"}
        ) as late:
            with pytest.raises(Refused, match="rate_limited") as refused:
                await ask(late)
            assert refused.value.error.retry_after == pytest.approx(3_600 / 5)
        now[0] += 3_601
        assert await fresh(one.url, 7, "192.0.2.1") == 5


async def test_one_who_asks_too_often_takes_nothing_from_his_address(tmp_path: Path) -> None:
    general: dict[str, Any] = {"rate_general": Rate(1_000, 1_000), "rate_address_factor": 2}
    async with (
        server(tmp_path, **general, **TURN) as one,
        client(one.url, publish=False) as anna,
        client(one.url, publish=False) as ben,
    ):
        for _ in range(10):
            await ask(anna)
        for _ in range(20):
            with pytest.raises(Refused, match="rate_limited"):
                await ask(anna)
        for _ in range(10):
            await ask(ben)


async def test_what_costs_nobody_anything_has_the_usual_rate_alone(tmp_path: Path) -> None:
    async with server(tmp_path, ice_stun_url=STUN) as one, client(one.url, publish=False) as anna:
        for _ in range(15):
            await ask(anna)


async def test_nobody_gets_anything_before_the_login(tmp_path: Path) -> None:
    async with server(tmp_path, **TURN) as one, connect(one.url) as socket:
        await socket.recv()
        await socket.send(codec.encode(GetIceConfig()))
        data = await socket.recv()
        assert isinstance(data, bytes)
        answer = codec.decode_server(data)
        assert getattr(answer, "code", None) == "not_authenticated"


async def test_secret_and_credentials_are_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with server(tmp_path, **TURN) as one, client(one.url, publish=False) as anna:
        answer = await ask(anna)
    username, credential = pair(answer)
    for text in (repr(answer), str(answer), repr(one.settings)):
        for hidden in (SECRET, credential, username):
            assert hidden not in text
    # What a client's own library logs are the frames of this test, not the server's.
    said = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets")]
    assert not [line for line in said if SECRET in line or credential in line or username in line]


@pytest.mark.needs("turnserver")
async def test_coturn_takes_ours_and_neither_expired_nor_foreign_ones(tmp_path: Path) -> None:
    past = Clock(wall=lambda: time.time() - 3_600)
    with turn_server(tmp_path / "turn", SECRET) as turn:
        settings = {**TURN, "ice_turn_url": f"turn:127.0.0.1:{turn.port}"}
        async with server(tmp_path / "now", **settings) as one, client(one.url, publish=False) as anna:
            answer = await ask(anna)
            ours = pair(answer)
        assert answer.servers[-1].urls == [f"turn:127.0.0.1:{turn.port}"]
        async with (
            server(tmp_path / "past", clock=past, ice_ttl=60, **settings) as one,
            client(one.url, publish=False) as anna,
        ):
            expired = pair(await ask(anna))
        foreign = turn_credentials("f" * 32, int(time.time()) + 600, os.urandom(12))
        longer = f"{int(ours[0].partition(':')[0]) + 1}:{ours[0].partition(':')[2]}"
        assert attempt(turn, *expired) == "no allocation"
        assert turn.said(f"Cannot find credentials of user <{expired[0]}>")
        assert attempt(turn, *foreign) == "no allocation"
        assert attempt(turn, longer, ours[1]) == "no allocation", "the time is part of what is signed"
        assert attempt(turn, *ours) == "relayed"


@pytest.mark.needs("turnserver")
def test_the_example_relays_nobody_into_the_machine_s_own_networks(tmp_path: Path) -> None:
    with turn_server(tmp_path, SECRET, loopback=False) as turn:
        ours = turn_credentials(SECRET, int(time.time()) + 600, os.urandom(12))
        assert attempt(turn, *ours) == "forbidden peer"


def test_the_same_secret_and_salt_make_the_same_credentials() -> None:
    username, credential = turn_credentials("s" * 16, 1_800_000_000, bytes(12))
    assert username == "1800000000:AAAAAAAAAAAAAAAA"
    mac = hmac.new(b"s" * 16, username.encode(), "sha1").digest()
    assert credential == base64.b64encode(mac).decode()
