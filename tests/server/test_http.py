"""What the port answers over HTTP (docs/PROTOCOL.md, HTTP on the same port)."""

import json
from pathlib import Path

import pytest

from mobium import __version__
from mobium_server import app
from tests.support.http import exchange, parse, request
from tests.support.server import client, server

TOKEN = "0123456789abcdef-the-admin"
BEARER = f"Bearer {TOKEN}"


async def test_health(running: app.Server) -> None:
    answer = await request(running.port, "/health")
    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "server" not in answer.headers


async def test_info(running: app.Server) -> None:
    answer = await request(running.port, "/info?x=1", Origin="https://any.example")
    info = json.loads(answer.body)
    assert (info["name"], info["version"], info["versions"]) == ("mobium-server", __version__, [1])
    assert info["limits"]["message_size"] == 1 << 20
    assert "direct" in info["capabilities"]


async def test_head_and_options_have_no_body(running: app.Server) -> None:
    head = await request(running.port, "/health", "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "2")
    options = await request(running.port, "/info", "OPTIONS", Origin="https://any.example")
    assert (options.status, options.body) == (204, b"")
    assert options.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
async def test_other_methods_change_nothing(running: app.Server, method: str) -> None:
    assert (await request(running.port, "/health", method)).status in {400, 405}
    assert (await request(running.port, "/health")).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/admin/stats", "/admin", "/.env", "/health/..", "//health"]
)
async def test_without_a_token_there_is_nothing_else(running: app.Server, path: str) -> None:
    assert (await request(running.port, path, Authorization=BEARER)).status == 404


@pytest.mark.parametrize(
    "data",
    [
        b"GET /health HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody",
        b"GET /health HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 4_000 + b"\r\n",
        b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
    ],
)
async def test_a_malformed_request_is_refused_or_closed(running: app.Server, data: bytes) -> None:
    answer = await exchange(running.port, data)
    assert not answer or 400 <= parse(answer).status < 500
    assert b"Traceback" not in answer
    assert (await request(running.port, "/health")).status == 200


async def test_the_admin_pages_want_the_token(tmp_path: Path) -> None:
    async with server(tmp_path, admin_token=TOKEN) as one:
        for path in ("/metrics", "/admin/stats"):
            assert (await request(one.port, path)).status == 401
            assert (await request(one.port, path, Authorization=BEARER + "x")).status == 401
            assert (await request(one.port, path, Authorization=f"Basic {TOKEN}")).status == 401
            answer = await request(one.port, path, Authorization=BEARER)
            assert answer.status == 200
            assert "access-control-allow-origin" not in answer.headers


async def test_the_figures_count_what_happens(tmp_path: Path) -> None:
    async with server(tmp_path, admin_token=TOKEN) as one, client(one.url) as ann, client(one.url) as ben:
        await ann.post(ben.public)
        await ben.take()
        text = (await request(one.port, "/metrics", Authorization=BEARER)).body.decode()
        stats = json.loads((await request(one.port, "/admin/stats", Authorization=BEARER)).body)
        assert "# TYPE" in text
        for secret in (ann.public.hex(), ben.public.hex()):
            assert secret not in text
            assert secret not in json.dumps(stats)
        assert any(value == 2 for value in stats.values() if isinstance(value, int))


async def test_listed_origins(tmp_path: Path) -> None:
    async with server(tmp_path, cors_origins=("https://good.example",)) as one:
        good = await request(one.port, "/info", Origin="https://good.example")
        assert good.headers["access-control-allow-origin"] == "https://good.example"
        bad = await request(one.port, "/info", Origin="https://bad.example")
        assert "access-control-allow-origin" not in bad.headers
