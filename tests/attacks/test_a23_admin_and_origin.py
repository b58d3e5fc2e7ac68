"""A23: the admin token is guessed by timing; a page of another origin opens `/ws` (docs/PROTOCOL.md)."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from mobium.client import address, transport
from mobium_server import app
from mobium_server.http import Asked, Reply, Routes
from tests.support.server import log_in, server

pytestmark = pytest.mark.once

TOKEN = "a-token-of-thirty-two-characters"


class Watched(bytes):
    """Bytes that note how far each comparison that stops early had to look: what a clock would tell."""

    looked: list[int]

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, bytes)
        same = 0
        while same < min(len(self), len(other)) and self[same] == other[same]:
            same += 1
        self.looked.append(same)
        return bytes(self) == other

    __hash__ = bytes.__hash__


def routes(token: str = TOKEN, **changes: Any) -> tuple[Routes, Watched]:
    made = Routes(
        **{
            "origins": (),
            "admin_token": token,
            "own_name": lambda name: name in ("chat.test", "localhost"),
            "info": dict,
            "stats": lambda: {"secret": 1},
            "metrics": lambda: b"secret 1",
            **changes,
        }
    )
    watched = Watched(made._token)
    watched.looked = []
    made._token = watched
    return made, watched


def ask(made: Routes, authorization: str, path: str = "/metrics") -> Reply:
    return made.answer(Asked("GET", path, authorization=authorization))


def guesses() -> Iterator[str]:
    """The token found letter by letter, as a clock would help to."""
    for right in range(len(TOKEN)):
        yield TOKEN[:right] + "?" * (len(TOKEN) - right)
        yield TOKEN[:right]


def test_a_guess_learns_nothing_from_being_nearly_right() -> None:
    made, watched = routes()
    for guess in (*guesses(), TOKEN + "?", "", "?"):
        for path in ("/metrics", "/admin/stats"):
            assert ask(made, f"Bearer {guess}", path).status == 401
    for authorization in (TOKEN, f"Basic {TOKEN}", f"Bearer{TOKEN}", "Bearer", ""):
        assert ask(made, authorization).status == 401
    assert watched.looked == []  # nothing ever compared it byte by byte
    assert ask(made, f"Bearer {TOKEN}").status == 200


def test_without_constant_time_each_letter_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    # The defence, off:
    monkeypatch.setattr(
        "mobium_server.http.hmac.compare_digest", lambda given, token: operator.eq(token, given)
    )
    made, watched = routes()
    for guess in guesses():
        assert ask(made, f"Bearer {guess}").status == 401
    assert watched.looked == [right for right in range(len(TOKEN)) for _ in range(2)]


def test_without_a_token_there_is_nothing_to_guess() -> None:
    made, _ = routes("")
    for path in (
        "/metrics",
        "/admin/stats",
        "/admin",
        "/admin/stats/",
        "//metrics",
        "/metrics/..",
        "/Metrics",
    ):
        for authorization in ("Bearer ", "Bearer", "", "Bearer x"):
            assert ask(made, authorization, path).status == 404


def test_no_web_origin_reads_the_figures() -> None:
    made, _ = routes()
    for path in ("/metrics", "/admin/stats"):
        reply = made.answer(Asked("GET", path, origin="https://evil.test", authorization=f"Bearer {TOKEN}"))
        assert "Access-Control-Allow-Origin" not in reply.headers
        reply = made.answer(Asked("OPTIONS", path, origin="https://evil.test"))
        assert "Access-Control-Allow-Headers" not in reply.headers


# ---------------------------------------------------------------- the socket


async def opens(running: app.Server, origin: str | None, host: str | None = None) -> bool:
    """Whether a page of this origin gets a socket and logs in."""
    headers = {} if origin is None else {"Origin": origin}
    with contextlib.ExitStack() as stack:
        if host is not None:  # a name that the page had resolve to this server
            stack.enter_context(pytest.MonkeyPatch.context()).setattr(
                "websockets.client.build_host", lambda *_: host
            )
        try:
            one = await log_in(running.url, additional_headers=headers)
        except InvalidStatus as refused:
            if refused.response.status_code != 403:
                raise
            return False
    await one.close()
    return True


FOREIGN = (
    "https://evil.test",
    "http://evil.test",
    "null",
    "",
    "file://",
    "https://127.0.0.1.evil.test",
    "https://127.0.0.1",  # the name without the port is another origin
    "https://evil.test/127.0.0.1",
    "chrome-extension://abc",
)


async def test_a_page_of_another_origin_gets_no_socket(tmp_path: Path) -> None:
    async with server(tmp_path, cors_origins=("https://app.test",)) as running:
        own = f"127.0.0.1:{running.port}"
        for origin in (*FOREIGN, f"http://{own}.evil.test", "https://app.test.evil.test"):
            assert not await opens(running, origin), origin
        # A page whose own name was made to resolve to this server.
        assert not await opens(running, "http://evil.test", host="evil.test")
        for honest in (None, f"http://{own}", "https://app.test"):
            assert await opens(running, honest), honest
        assert await opens(running, "http://localhost:1", host="localhost:1")
        assert len(running.listener.lines) <= 3


async def test_without_the_check_any_page_logs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Routes, "may_open_socket", lambda *_: True)  # the defence, off
    async with server(tmp_path) as running:
        assert await opens(running, "https://evil.test")


async def test_an_engine_sends_no_origin(tmp_path: Path) -> None:
    """Which is why a server can refuse pages without refusing programs."""
    async with server(tmp_path) as running:
        line = await transport.dial(address.parse(running.url))
        assert await line.receive()
        await line.close()
