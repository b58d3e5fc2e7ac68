"""The status page in a real browser: it shows the figures to who has the token, and nothing to anybody else;
it takes nothing from elsewhere, and says in a sentence what is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mobium.protocol.messages import GetPrekeyCount
from mobium_server import app
from mobium_server.limits import Rate
from tests.support.browser import Browser, Page, browser
from tests.support.raw import request
from tests.support.server import ServerProcess, client, server
from tests.support.voice import gathered, people, say

TOKEN = "t" * 24
PARTS = ("/admin", "/admin/status.css", "/admin/status.js", "/admin/icon.svg")


def needs_browser(test: Any) -> Any:
    """The marks of a test that looks at the page: all of them share a browser, so one worker runs them."""
    return pytest.mark.needs("chromium")(pytest.mark.xdist_group("browser")(test))


# ---------------------------------------------------------------- what is answered


async def test_the_page_is_there_once_there_is_a_token(tmp_path: Path, running: app.Server) -> None:
    async with server(tmp_path / "other", admin_token=TOKEN) as one:
        for path in PARTS:
            assert (await request(running.port, path)).status == 404
            reply = await request(one.port, path)
            assert reply.status == 200
            assert reply.body
            assert TOKEN.encode() not in reply.body
            assert (await request(one.port, path, "HEAD")).body == b""
            assert (await request(one.port, path, "POST")).status == 405


async def test_a_browser_is_told_to_trust_nothing(tmp_path: Path) -> None:
    async with server(tmp_path, admin_token=TOKEN, cors_origins=("*",)) as one:
        for path in PARTS:
            headers = (await request(one.port, path)).headers
            policy = headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none';")
            assert "unsafe" not in policy
            assert "http" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cache-Control"] == "no-store"
            assert headers["X-Frame-Options"] == "DENY"


async def test_nothing_is_inline_and_nothing_comes_from_elsewhere(tmp_path: Path) -> None:
    async with server(tmp_path, admin_token=TOKEN) as one:
        page = (await request(one.port, "/admin")).body.decode()
        assert re.findall(r"<script\b[^>]*>(?!</script>)", page) == []
        assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []
        for path in PARTS:
            text = (await request(one.port, path)).body.decode().replace("http://www.w3.org/2000/svg", "")
            assert re.findall(r"//[\w-]+\.|https?:", text) == []


# ---------------------------------------------------------------- what is seen


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests here: what a tab keeps goes with it, and each server has a port of its own."""
    with browser(tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.fixture
async def page(chromium: Browser) -> AsyncIterator[Page]:
    """A tab of the browser."""
    async with chromium.page() as page:
        await page.look(1280, 900)
        yield page


async def enter(page: Page, token: str) -> None:
    """Type a token and press the button."""
    await page.until("!document.querySelector('#enter').hidden")
    await page.run(
        f"document.querySelector('#token').value = {json.dumps(token)};"
        "document.querySelector('#enter button').click()"
    )


async def card(page: Page, title: str) -> dict[str, Any]:
    """A card: its large figure, what follows it, its plots, and what is read aloud of them."""
    found: dict[str, Any] = await page.run(
        f"""(() => {{
            const card = [...document.querySelectorAll('#cards .card')]
                .find((one) => one.querySelector('h2').textContent === {json.dumps(title)});
            return {{
                large: card.querySelector('.large').textContent,
                more: card.querySelector('.more').textContent,
                plots: [...card.querySelectorAll('path:not(.base)')].map((one) => one.getAttribute('d')),
                spoken: card.querySelector('svg').getAttribute('aria-label'),
            }};
        }})()"""
    )
    return found


async def notice(page: Page) -> str:
    """The sentence at the top, once there is one."""
    found: str = await page.until("document.querySelector('#notice:not([hidden])')?.textContent")
    return found


SHOWN = "!document.querySelector('#figures').hidden"


@needs_browser
async def test_the_figures_agree_with_what_happened(tmp_path: Path, page: Page) -> None:
    async with server(tmp_path / "server", admin_token=TOKEN) as one:
        async with client(one.url) as away, client(one.url) as other:
            pass
        async with client(one.url) as anna:
            for _ in range(7):
                await anna.post_and_wait(away.public)
            for _ in range(2):
                await anna.post_and_wait(other.public)
            await page.open(f"http://127.0.0.1:{one.port}/admin")
            assert "figures" not in await page.run("location.href")
            assert await page.run(SHOWN) is False
            await enter(page, TOKEN)
            await page.until(SHOWN)
            await page.until("document.querySelector('#cards').innerText.includes('in 2 mailboxes')")
            waiting = await card(page, "Waiting for recipients")
            assert waiting["large"] == "9"
            assert waiting["more"].endswith("in 2 mailboxes; the fullest holds 7")
            people = await card(page, "Connections")
            assert people["more"] == "1 device is logged in; 2,000 may connect"
            assert (await card(page, "Messages a second"))["more"].startswith("9 direct and 0 for channels")
            assert (await card(page, "Channels"))["large"] == "0"
            assert (await card(page, "Commit to disk"))["large"].endswith("ms")
            assert re.search(
                r"iB of it in the log; .+iB free of .+iB$", (await card(page, "Database"))["more"]
            )
            # The plots follow: of messages that come, and of the time that passes.
            before = await card(page, "Messages a second")
            for _ in range(40):
                await anna.post_and_wait(away.public)
            await page.until("document.querySelector('#cards').innerText.includes('49 direct and')")
            after = await card(page, "Messages a second")
            assert after["plots"][0] not in ("", before["plots"][0])
            assert float(after["large"].replace(",", "")) > 0
            assert "now direct " in after["spoken"]
            assert (await card(page, "Waiting for recipients"))["plots"] != waiting["plots"]
        # The token is nowhere but in this tab and in the header.
        assert all(TOKEN not in url for url in page.asked)
        assert {url.partition("?")[0] for url in page.asked if url.startswith("http")} <= {
            f"http://127.0.0.1:{one.port}{path}" for path in (*PARTS, "/admin/stats")
        }
        assert await page.run("Object.entries(localStorage).length + document.cookie.length") == 0
        assert page.complaints == []


@needs_browser
async def test_it_says_how_many_are_in_voice_rooms(tmp_path: Path, page: Page) -> None:
    async with server(tmp_path / "server", admin_token=TOKEN) as one, people(one.url, 3) as everybody:
        _, number = await gathered(everybody)
        for i in range(4):
            await say(everybody[0], number, i)
        await say(everybody[0], number + 1)
        for listener in everybody[1:]:
            for _ in range(4):
                await listener.hear()
        await everybody[0].settled()
        await page.open(f"http://127.0.0.1:{one.port}/admin")
        await enter(page, TOKEN)
        await page.until(SHOWN)
        rooms = await card(page, "Channels")
        assert rooms["more"] == "1 roster in memory; 3 people in 1 voice room"
        assert rooms["spoken"].endswith("in voice 3")
        totals = await page.run("document.querySelector('#figures').innerText")
        for name, value in (("relayed", 8), ("from outside a room", 1), ("dropped as too many a second", 0)):
            assert re.search(rf"Media frames {name}\s+{value}\b", totals)
        assert page.complaints == []


@needs_browser
async def test_it_says_what_was_refused_as_too_many(tmp_path: Path, page: Page) -> None:
    async with (
        server(tmp_path / "server", admin_token=TOKEN, rate_general=Rate(0.001, 5)) as one,
        client(one.url, publish=False) as greedy,
    ):
        for _ in range(8):
            await greedy.send(GetPrekeyCount())
            await greedy.receive()
        await page.open(f"http://127.0.0.1:{one.port}/admin")
        await enter(page, TOKEN)
        await page.until(SHOWN)
        totals = await page.run("document.querySelector('#figures').innerText")
        assert re.search(r"Refused as too many: requests,[^\n]*\s+3\b", totals), totals


@needs_browser
async def test_a_token_is_asked_for_checked_kept_and_forgotten(tmp_path: Path, page: Page) -> None:
    async with server(tmp_path / "server", admin_token=TOKEN) as one:
        await page.open(f"http://127.0.0.1:{one.port}/admin")
        for wrong in ("x" * 24, "żółw"):
            await enter(page, wrong)
            assert await notice(page) == (
                "That is not the token of this server. Its operator set it as SC_ADMIN_TOKEN."
            )
            assert await page.run(SHOWN) is False
            assert await page.run("sessionStorage.length") == 0
            await page.run("document.querySelector('#notice').hidden = true")
        # The browser itself notes that a request was answered 401, and nothing else.
        assert all("401" in complaint for complaint in page.complaints)
        page.complaints.clear()
        await enter(page, TOKEN)
        await page.until(SHOWN)
        await page.open(f"http://127.0.0.1:{one.port}/admin")
        await page.until(SHOWN)
        await page.run("document.querySelector('#forget').click()")
        assert await page.run(SHOWN) is False
        assert await page.run("sessionStorage.length + document.querySelector('#token').value.length") == 0
        await page.open(f"http://127.0.0.1:{one.port}/admin")
        await page.until("!document.querySelector('#enter').hidden")
        assert await page.run(SHOWN) is False
        assert page.complaints == []


@needs_browser
async def test_a_server_that_is_down_is_said_and_found_again(tmp_path: Path, page: Page) -> None:
    with ServerProcess(tmp_path / "server", {"SC_ADMIN_TOKEN": TOKEN}) as process:
        await page.open(f"http://127.0.0.1:{process.port}/admin")
        await enter(page, TOKEN)
        await page.until(SHOWN)
        process.kill()
        assert await notice(page) == (
            "The server does not answer. It is asked again every few seconds. These are its last figures."
        )
        assert await page.run(SHOWN)
        process.start()
        await page.until("document.querySelector('#notice').hidden")
        assert "running for" in await page.text()


@needs_browser
async def test_it_fits_every_screen(tmp_path: Path, page: Page) -> None:
    async with server(tmp_path / "server", admin_token=TOKEN) as one:
        await page.look(320, 640)
        await page.open(f"http://127.0.0.1:{one.port}/admin")
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert await page.run(wide) is False
        await enter(page, TOKEN)
        await page.until(SHOWN)
        for width in (320, 390, 768, 1280, 2560):
            await page.look(width, 800)
            assert await page.run(wide) is False
        grounds = set()
        for dark in (False, True):
            await page.look(390, 800, dark=dark)
            grounds.add(await page.run("getComputedStyle(document.body).backgroundColor"))
        assert len(grounds) == 2
