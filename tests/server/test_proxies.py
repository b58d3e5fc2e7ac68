"""Behind the real Caddy and the real nginx, as the shipped examples set them up."""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidHandshake

from mobium.errors import ServerRefused
from mobium.protocol.codes import CloseCode
from mobium_server import app
from mobium_server.config import Settings
from tests.support.proxies import DEPLOY, HOME, NAME, NEIGHBOUR, PROXIES, Site, nginx
from tests.support.raw import UPGRADE, request
from tests.support.server import log_in, server

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is this machine on Linux alone"),
    pytest.mark.needs("caddy", "nginx"),
]
BOTH = pytest.mark.parametrize("kind", PROXIES)
SERVER: dict[str, Any] = {"require_tls": True, "public_hosts": (NAME,)}


@contextmanager
def behind(kind: str, folder: Path, one: app.Server, **changes: Any) -> Iterator[Site]:
    """A proxy in front of a server."""
    with PROXIES[kind](folder / kind, one.port, **changes) as site:
        yield site


def addresses(one: app.Server) -> list[str]:
    """What the server takes its connections to come from."""
    return sorted(wire.address for wire in one.listener.lines)


@BOTH
async def test_a_login_is_bound_to_the_site_and_large_messages_pass(tmp_path: Path, kind: str) -> None:
    async with server(tmp_path, max_message_size=4 << 20, **SERVER) as one:
        with behind(kind, tmp_path, one) as site:
            anna, ben = await site.log_in(), await site.log_in()
            assert anna.socket.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
            await ben.publish()
            for size in (512, 4 << 20, 512):
                await anna.post_and_wait_any(ben.public, b"x" * 100, bucket=size)
                assert len((await ben.take()).payload) == size + 57
            with pytest.raises(ServerRefused, match="SC_PUBLIC_HOSTS"):
                await site.log_in(host="elsewhere.example.org:443")
            assert (await site.ask("/health")).status == 200
            await anna.close()
            await ben.close()


@BOTH
async def test_without_its_name_the_server_takes_no_login(tmp_path: Path, kind: str) -> None:
    async with server(tmp_path, require_tls=True) as one:
        with behind(kind, tmp_path, one) as site, pytest.raises(ServerRefused, match="SC_PUBLIC_HOSTS"):
            await site.log_in()


@BOTH
async def test_limits_count_the_client_s_address_and_believe_no_client(tmp_path: Path, kind: str) -> None:
    async with server(tmp_path, max_connections_per_ip=2, **SERVER) as one:
        with behind(kind, tmp_path, one) as site:
            held = [await site.log_in(), await site.log_in()]
            assert addresses(one) == [HOME, HOME]
            lies: list[Any] = [
                {},
                {"X-Forwarded-For": NEIGHBOUR},
                [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "203.0.113.10, 127.0.0.1")],
                {"X-Real-IP": NEIGHBOUR, "Forwarded": f"for={NEIGHBOUR}"},
            ]
            for lie in lies:
                with pytest.raises(ServerRefused) as caught:
                    await site.log_in(additional_headers=lie)
                assert caught.value.code == "too_many_connections"
            # Nobody has taken the neighbour's places.
            held += [await site.log_in(NEIGHBOUR), await site.log_in(NEIGHBOUR)]
            # Even whoever is at a trusted address cannot speak for others through the proxy.
            held.append(await site.log_in("127.0.0.1", additional_headers={"X-Forwarded-For": "203.0.113.9"}))
            assert {one.address for one in one.listener.lines} == {HOME, NEIGHBOUR, "127.0.0.1"}
            for one_held in held:
                await one_held.close()


# A site without TLS beside the one of the example, as an operator may write it by mistake.
PLAIN = {
    "caddy": {"# Change the name.": "http://chat.example.org {\n\treverse_proxy 127.0.0.1:8443\n}\n# "},
    "nginx": {
        "    access_log off;\n    return 301 https://$host$request_uri;": (
            "    location / {\n"
            "        proxy_pass http://127.0.0.1:8443;\n"
            "        proxy_set_header X-Forwarded-For $remote_addr;\n"
            "        proxy_set_header X-Forwarded-Proto $scheme;\n"
            "    }"
        )
    },
}


@BOTH
async def test_the_scheme_is_the_client_s(tmp_path: Path, kind: str) -> None:
    async with server(tmp_path, **SERVER) as one:
        with behind(kind, tmp_path, one) as site:
            assert (await site.ask("/info")).status == 200
            moved = await site.ask("/info", tls=False)
            assert moved.status in (301, 308)
            assert moved.headers["Location"].startswith(f"https://{NAME}")
            with pytest.raises(InvalidHandshake):
                await log_in(one.url)  # past the proxy
            assert (await request(one.port, "/info")).status == 403


@BOTH
async def test_a_proxy_without_tls_makes_nothing_encrypted(tmp_path: Path, kind: str) -> None:
    """What a client says of its scheme counts for nothing."""
    async with server(tmp_path, **SERVER) as one:
        with behind(kind, tmp_path, one, changes=PLAIN[kind]) as site:
            for lie in ((), ("X-Forwarded-Proto: https",)):
                refused = await site.ask("/info", lie, tls=False)
                assert (refused.status, b"wss://" in refused.body) == (403, True)
            assert (await site.ask("/info", ("X-Forwarded-Proto: http",))).status == 200


@BOTH
async def test_idle_connections_last(tmp_path: Path, kind: str) -> None:
    """With the proxy's times and the pings' made shorter in the same measure."""
    changes = {"proxy_read_timeout 120s": "proxy_read_timeout 1s"} if kind == "nginx" else {}
    async with server(tmp_path, ws_ping_interval=0.25, **SERVER) as one:
        with behind(kind, tmp_path, one, changes=changes) as site:
            anna = await site.log_in()
            await anna.publish()
            await asyncio.sleep(3)  # in which this client says nothing of its own
            await anna.post_and_wait_any(anna.public)
            await anna.close()


async def test_without_pings_nginx_would_end_them(tmp_path: Path) -> None:
    async with server(tmp_path, ws_ping_interval=60, **SERVER) as one:
        with nginx(
            tmp_path / "nginx", one.port, {"proxy_read_timeout 120s": "proxy_read_timeout 1s"}
        ) as site:
            anna = await site.log_in()
            assert await anna.closed(within=5) == 1006


def test_the_times_of_the_example_fit_the_default() -> None:
    text = (DEPLOY / "nginx" / "mobium.conf").read_text("utf-8")
    times = [int(found) for found in re.findall(r"proxy_(?:read|send)_timeout (\d+)s;", text)]
    assert len(times) == 2
    # two pings may stay unanswered before the server itself gives up
    assert min(times) > 3 * Settings().ws_ping_interval


@BOTH
async def test_pages_of_the_site_itself_may_open_a_socket(tmp_path: Path, kind: str) -> None:
    upgrade = [f"{name}: {value}" for name, value in UPGRADE.items()]
    async with server(tmp_path, **SERVER) as one:
        with behind(kind, tmp_path, one) as site:
            own = await site.ask("/ws", [*upgrade, f"Origin: https://{site.dialled}"])
            assert own.status == 101
            other = await site.ask("/ws", [*upgrade, "Origin: https://evil.example"])
            assert other.status == 403


@BOTH
async def test_older_tls_is_refused(tmp_path: Path, kind: str) -> None:
    async with server(tmp_path, **SERVER) as one:
        with behind(kind, tmp_path, one) as site:
            site.context.maximum_version = ssl.TLSVersion.TLSv1_2
            with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
                await site.ask("/health")


@BOTH
async def test_the_close_code_passes_and_no_log_names_an_address(tmp_path: Path, kind: str) -> None:
    async with server(tmp_path, **SERVER) as one:
        with behind(kind, tmp_path, one) as site:
            anna = await site.log_in()
            again = await site.log_in(person=anna.person)
            assert await anna.closed() == CloseCode.REPLACED
            await again.close()
            one.listener.stop_listening()
            assert (await site.ask("/health")).status == 502
    said = [
        file.read_text("utf-8", "replace")
        for file in (tmp_path / kind).iterdir()
        if file.is_file() and file.suffix not in (".conf", ".pem", "")
    ]
    said.append((tmp_path / kind / "output").read_text("utf-8", "replace"))
    assert not [text for text in said if HOME in text]
