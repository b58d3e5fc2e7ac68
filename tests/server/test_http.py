"""HTTP on the same port: what each path answers to whom, and from which web origin a socket may be opened."""

from __future__ import annotations

import asyncio
import hmac
import json
from pathlib import Path
from unittest import mock

import pytest

from mobium_server import __version__, app
from mobium_server.limits import Rate
from tests.support.raw import UPGRADE, exchange, handshake, parse, request
from tests.support.server import client, server

TOKEN = "t" * 24


async def test_health(running: app.Server) -> None:
    response = await request(running.port, "/health")
    assert (response.status, response.body) == (200, b"OK")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Server" not in response.headers
    assert (await request(running.port, "/health?x=1")).body == b"OK"


async def test_info(running: app.Server) -> None:
    response = await request(running.port, "/info")
    assert response.headers["Content-Type"] == "application/json"
    info = json.loads(response.body)
    assert (info["name"], info["version"], info["versions"]) == ("mobium-server", __version__, [1])
    assert info["limits"]["message_size"] == running.settings.max_message_size
    assert set(info) == {"name", "version", "versions", "capabilities", "limits"}


async def test_head_and_options(running: app.Server) -> None:
    head = await request(running.port, "/health", "HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "2")
    options = await request(running.port, "/health", "OPTIONS")
    assert (options.status, options.body) == (204, b"")
    assert options.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert options.headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "CONNECT"])
async def test_other_methods_are_refused(running: app.Server, method: str) -> None:
    response = await request(running.port, "/health", method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


async def test_there_is_nothing_else(running: app.Server) -> None:
    for path in ("/", "/admin", "/admin/stats", "/metrics", "/healthz", "/../health", "/health/", "*"):
        assert (await request(running.port, path)).status == 404


@pytest.mark.parametrize(
    "data",
    [
        b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /health HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /health HTTP/2\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nbroken header\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_request_gets_a_sentence(running: app.Server, data: bytes) -> None:
    response = parse(await exchange(running.port, data))
    assert response.status == 400
    assert response.body.startswith(b"This is not an HTTP request that is answered here")


@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"a" * 20_000,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 4_000,
        b"GET / HTTP/1.1\r\na: " + b"b" * 20_000,
    ],
)
async def test_a_large_request_is_refused_before_it_is_complete(running: app.Server, data: bytes) -> None:
    assert parse(await exchange(running.port, data)).status in (414, 431)


async def test_headers_that_stand_twice_are_refused(running: app.Server) -> None:
    data = b"GET /ws HTTP/1.1\r\nOrigin: http://a\r\nOrigin: http://b\r\n\r\n"
    assert parse(await exchange(running.port, data)).status == 400


async def test_the_figures_need_the_token(tmp_path: Path) -> None:
    async with server(tmp_path, admin_token=TOKEN) as one, client(one.url) as anna:
        await anna.post_and_wait(anna.public)
        for path in ("/metrics", "/admin/stats"):
            for wrong in ({}, {"Authorization": TOKEN}, {"Authorization": f"Bearer {TOKEN}x"}):
                response = await request(one.port, path, headers=wrong)
                assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
                assert TOKEN.encode() not in response.body
        right = {"Authorization": f"Bearer {TOKEN}"}
        stats = json.loads((await request(one.port, "/admin/stats", headers=right)).body)
        assert (stats["sessions"], stats["messages"]) == (1, 1)
        metrics = await request(one.port, "/metrics", headers=right)
        assert metrics.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert b"mobium_sessions 1.0" in metrics.body
        assert b"mobium_messages_total 1.0" in metrics.body
        assert anna.public.hex().encode() not in metrics.body


async def test_the_token_is_compared_in_constant_time(tmp_path: Path) -> None:
    with mock.patch("mobium_server.http.hmac.compare_digest", wraps=hmac.compare_digest) as compare:
        async with server(tmp_path, admin_token=TOKEN) as one:
            await request(one.port, "/metrics", headers={"Authorization": "Bearer wrong"})
    compare.assert_called_once_with(b"wrong", TOKEN.encode())


async def test_cors_without_a_list(tmp_path: Path) -> None:
    async with server(tmp_path, admin_token=TOKEN) as one:
        origin = {"Origin": "https://anybody.example", "Authorization": f"Bearer {TOKEN}"}
        assert (await request(one.port, "/info", headers=origin)).headers[
            "Access-Control-Allow-Origin"
        ] == "*"
        for path in ("/metrics", "/admin/stats"):
            for method in ("GET", "OPTIONS"):
                response = await request(one.port, path, method, headers=origin)
                assert not any(name.startswith("Access-Control") for name in response.headers)


async def test_cors_with_a_list(tmp_path: Path) -> None:
    good = "https://chat.example.org"
    async with server(tmp_path, admin_token=TOKEN, cors_origins=(good,)) as one:
        for path in ("/health", "/admin/stats"):
            response = await request(one.port, path, "OPTIONS", headers={"Origin": good})
            assert response.headers["Access-Control-Allow-Origin"] == good
            assert response.headers["Vary"] == "Origin"
            response = await request(one.port, path, "OPTIONS", headers={"Origin": "https://evil.example"})
            assert "Access-Control-Allow-Origin" not in response.headers
        allowed = await request(one.port, "/metrics", "OPTIONS", headers={"Origin": good})
        assert allowed.headers["Access-Control-Allow-Headers"] == "Authorization"


@pytest.mark.parametrize(
    ("origin", "host", "opened"),
    [
        (None, "localhost:8443", True),
        ("http://localhost:8443", "localhost:8443", True),
        ("http://LOCALHOST:8443", "localhost:8443", True),
        ("https://chat.example.org", "localhost:8443", True),
        ("https://evil.example", "localhost:8443", False),
        ("https://evil.example", "evil.example", False),  # a name that was made to resolve here
        ("http://localhost:9999", "localhost:8443", False),
        ("null", "localhost:8443", False),
        ("", "", False),
        ("http://localhost:8443.evil.example", "localhost:8443", False),
        ("http://[x", "localhost:8443", False),  # what no parser of addresses takes
        ("http://[x", "[x", False),
        ("http://\u2100.example", "localhost:8443", False),
        ("http://localhost:99999999", "localhost:8443", False),
    ],
)
async def test_which_pages_may_open_a_socket(
    tmp_path: Path, origin: str | None, host: str, opened: bool
) -> None:
    async with server(tmp_path, cors_origins=("https://chat.example.org",)) as one:
        headers = {"Host": host, **({"Origin": origin} if origin is not None else {})}
        response = await handshake(one.port, headers)
        assert response.status == (101 if opened else 403)
        if not opened:
            assert b"SC_CORS_ORIGINS" in response.body
        assert "Server" not in response.headers
        assert "Sec-WebSocket-Extensions" not in response.headers


async def test_a_flood_from_a_wrong_origin_meets_the_rate_and_leaves_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with server(tmp_path, rate_general=Rate(1, 2), rate_address_factor=1) as one:
        answers = [await handshake(one.port, {"Origin": "http://[x"}) for _ in range(5)]
        assert [answer.status for answer in answers] == [403, 403, 429, 429, 429]
    assert not caplog.records


async def test_a_plain_request_for_the_socket_is_told_what_it_is(running: app.Server) -> None:
    assert (await request(running.port, "/ws")).status == 426
    assert (await request(running.port, "/ws", "POST", headers=UPGRADE)).status == 404
    assert (await request(running.port, "/other", headers=UPGRADE)).status == 404
    response = await handshake(running.port, {"Sec-WebSocket-Extensions": "permessage-deflate"})
    assert (response.status, "Sec-WebSocket-Extensions" in response.headers) == (101, False)


async def test_nothing_may_follow_a_request(running: app.Server) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE.items())
    for more in (b"\x88\x80\0\0\0\0", b"\x82", b"\x82\xfe\xff\xff\0\0\0\0\n", b"GET / HTTP/1.1\r\n\r\n"):
        for path in ("/ws", "/health"):
            response = parse(
                await exchange(running.port, f"GET {path} HTTP/1.1\r\n{head}\r\n".encode() + more)
            )
            assert response.status == 400


async def test_a_request_that_comes_in_pieces(running: app.Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    for byte in b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"OK")
    writer.close()
