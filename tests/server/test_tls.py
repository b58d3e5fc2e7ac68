"""TLS in the server: version 1.3 alone, reload, wrong guesses, what is refused without it, and its memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import ssl
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mobium.errors import InvalidInput, ServerRefused
from mobium_server.door import Door
from mobium_server.http import Asked, Reply, Routes
from mobium_server.limits import Address, parse_address
from mobium_server.reception import Reception
from mobium_server.stats import Counters
from mobium_server.tls import Certificates, TlsLayer
from tests.support.certificates import certificate, trusting
from tests.support.raw import exchange, handshake, parse, request
from tests.support.server import Client, ServerProcess, client, log_in, server, settings


async def test_messages_over_tls(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost", "127.0.0.1")
    async with server(tmp_path, require_tls=True, tls_cert=cert, tls_key=key) as one:
        assert one.url == f"wss://127.0.0.1:{one.port}/ws"
        context = trusting(cert)
        async with client(one.url, ssl=context) as anna, client(one.url, ssl=context) as ben:
            assert anna.socket.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
            for size in (512, 1 << 20, 512, 65_536):
                await anna.post_and_wait_any(ben.public, b"x" * 100, bucket=size)
                assert len((await ben.take()).payload) == size + 57
        assert (await request(one.port, "/health", context=context)).body == b"OK"


async def test_older_versions_are_refused(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost")
    context = trusting(cert)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with server(tmp_path, tls_cert=cert, tls_key=key) as one:
        with pytest.raises(ssl.SSLError):
            await exchange(one.port, b"GET /health HTTP/1.1\r\n\r\n", context)


async def test_plain_on_a_tls_port_is_told_so(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost")
    async with server(tmp_path, require_tls=True, tls_cert=cert, tls_key=key) as one:
        response = await request(one.port, "/info")
        assert (response.status, b"wss://" in response.body) == (403, True)
        assert (await handshake(one.port, {})).status == 403
        # A health check on the machine itself is answered all the same.
        assert (await request(one.port, "/health")).body == b"OK"


async def test_with_a_certificate_but_no_need_both_are_served(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost")
    async with server(tmp_path, tls_cert=cert, tls_key=key) as one:
        assert (await request(one.port, "/info")).status == 200
        assert (await request(one.port, "/info", context=trusting(cert))).status == 200


async def test_tls_on_a_plain_port_is_told_so(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path, "localhost")
    async with server(tmp_path) as one:
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            await exchange(one.port, b"GET /health HTTP/1.1\r\n\r\n", trusting(cert))


@pytest.mark.parametrize("garbage", [b"\x16", b"\x16\x03\x01\x00\x05hello", b"\x16" + bytes(5_000)])
async def test_what_only_looks_like_tls_is_closed(tmp_path: Path, garbage: bytes) -> None:
    cert, key = certificate(tmp_path, "localhost")
    async with server(tmp_path, tls_cert=cert, tls_key=key, auth_timeout=1) as one:
        assert b"HTTP" not in await exchange(one.port, garbage)
        assert (await request(one.port, "/health", context=trusting(cert))).body == b"OK"


async def test_required_tls_without_a_certificate_fails_closed(tmp_path: Path) -> None:
    async with server(tmp_path, require_tls=True) as one:
        for path in ("/info", "/ws"):
            response = await request(one.port, path)
            assert (response.status, b"over TLS only" in response.body) == (403, True)
        with pytest.raises(InvalidStatus):
            await connect(one.url)
        assert (await request(one.port, "/health")).body == b"OK"
        # Through a proxy that has TLS everything is as usual.
        https = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
        assert (await request(one.port, "/info", headers=https)).status == 200
        async with client(one.url, publish=False, additional_headers=https):
            pass
        for wrong in ({"X-Forwarded-Proto": "http"}, {"X-Forwarded-Proto": "https, http"}):
            assert (await request(one.port, "/info", headers=wrong)).status == 403


async def test_nobody_but_a_trusted_proxy_speaks_for_tls(tmp_path: Path) -> None:
    async with server(tmp_path, require_tls=True, trusted_proxies=()) as one:
        https = {"X-Forwarded-Proto": "https"}
        assert (await request(one.port, "/info", headers=https)).status == 403
        assert (await request(one.port, "/health")).status == 200, "this machine may ask for its health"


@dataclass(eq=False)
class Passer:
    """Somebody at an address."""

    peer: Address | None
    address: str = ""
    behind_proxy: bool = False

    def drop(self) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("address", "path", "status"),
    [
        ("127.0.0.1", "/health", 200),
        ("172.17.0.1", "/health", 200),  # a container's own machine, over the bridge
        ("192.168.1.9", "/health", 200),
        ("fe80::1", "/health", 200),
        ("fd00::1", "/health", 200),
        ("8.8.8.8", "/health", 403),
        ("2a00::1", "/health", 403),
        ("172.17.0.1", "/info", 403),
        ("172.17.0.1", "/ws", 403),
    ],
)
def test_from_nearby_health_alone_is_answered_in_clear(
    tmp_path: Path, address: str, path: str, status: int
) -> None:
    chosen = settings(tmp_path, require_tls=True, trusted_proxies=())
    routes = Routes(
        origins=(),
        admin_token="",
        own_name=lambda _: True,
        info=dict,
        stats=dict,
        metrics=bytes,
    )
    passer = Passer(parse_address(address))
    door = Door(10, 0, Counters())
    assert door.enter(passer)
    reception = Reception(chosen, routes, door, lambda _: 0.0, Counters())
    reply = reception.consider(passer, Asked("GET", path), encrypted=False)
    assert isinstance(reply, Reply)
    assert reply.status == status


async def test_the_names_of_the_certificate_are_the_servers(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "chat.example.org", "*.xn--bcher-kva.example", "8.8.8.8")
    async with server(tmp_path, tls_cert=cert, tls_key=key) as one:
        assert one.certificates is not None
        assert one.certificates.names == {"chat.example.org", "*.xn--bcher-kva.example", "8.8.8.8"}
        context = trusting(cert)
        context.check_hostname = False
        for good in ("chat.example.org:1", "mail.xn--bcher-kva.example:1", "8.8.8.8:1", "127.0.0.1:1"):
            await (await log_in(one.url, host=good, ssl=context)).close()
        with pytest.raises(ServerRefused, match="SC_PUBLIC_HOSTS"):
            await log_in(one.url, host="example.org:1", ssl=context)


def test_what_is_no_certificate_is_said(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path / "a", "localhost")
    _, other = certificate(tmp_path / "b", "localhost")
    text = tmp_path / "text"
    text.write_text("not a certificate")
    for wrong in ((cert, other), (text, key), (cert, text), (key, cert)):
        with pytest.raises(InvalidInput, match="SC_TLS_CERT and SC_TLS_KEY cannot be used"):
            Certificates(*wrong)


async def test_a_renewed_certificate_is_read_on_sighup(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost", "127.0.0.1")
    first = trusting(cert)
    process = ServerProcess(tmp_path, {"SC_TLS_CERT": str(cert), "SC_TLS_KEY": str(key)})
    with process:
        old = await log_in(process.url, ssl=first)
        certificate(tmp_path, "localhost", "127.0.0.1")
        second = trusting(cert)
        process.process.send_signal(signal.SIGHUP)
        await taken(process.port, second)
        with pytest.raises(ssl.SSLError):
            await request(process.port, "/health", context=first)
        # Broken files change nothing, and who is connected stays; nor does a certificate without its key.
        other, _ = certificate(tmp_path / "other", "localhost")
        for number, wrong in enumerate((b"broken", other.read_bytes()), 1):
            cert.write_bytes(wrong)
            process.process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(10):
                while sum("not reloaded" in line for line in process.errors) < number:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await old.publish()
            assert (await request(process.port, "/health", context=second)).body == b"OK"
        # And a good pair is taken again.
        certificate(tmp_path, "localhost", "127.0.0.1")
        process.process.send_signal(signal.SIGHUP)
        assert await asyncio.to_thread(process.said, "The certificate was reloaded")
        await taken(process.port, trusting(cert))
        await old.close()
        assert process.stop() == 0
    reasons = [line.partition("cannot be used: ")[2] for line in process.errors if "not reloaded" in line]
    assert [reason.partition(" (")[0] for reason in reasons] == [
        "they are not a certificate chain and its key, without a password, in PEM",
        "the key is not that of the certificate",
    ]


async def test_a_certificate_that_clients_refuse_is_said(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "chat.example.org", "*.example.net", begins=-9, ends=-2)
    variables = {
        "SC_TLS_CERT": str(cert),
        "SC_TLS_KEY": str(key),
        "SC_PUBLIC_HOSTS": "chat.example.org,mail.example.net,other.example",
    }
    with ServerProcess(tmp_path, variables, service=True) as process:
        assert await asyncio.to_thread(process.said, f"{cert} expired on ")
        assert await asyncio.to_thread(
            process.said, f"{cert} is not for other.example, which SC_PUBLIC_HOSTS"
        )
        said = "".join(process.errors)
        assert "is not for chat.example.org" not in said
        assert "is not for mail.example.net" not in said
        # What is put in its place is looked at as well, and nothing is said of a good one.
        certificate(tmp_path, "chat.example.org", "*.example.net", "other.example", begins=3, ends=9)
        process.process.send_signal(signal.SIGHUP)
        assert await asyncio.to_thread(process.said, f"{cert} is not in force before ")
        before = len(process.errors)
        certificate(tmp_path, "chat.example.org", "*.example.net", "other.example")
        process.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(10):
            while len(process.errors) == before:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert process.stop() == 0
        assert [line.partition("INFO ")[2] for line in process.errors[before:]] == [
            "The certificate was reloaded.\n"
        ]


async def test_the_time_that_a_certificate_has_left_is_a_figure(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost", ends=2)
    headers = {"Authorization": f"Bearer {'t' * 24}"}
    async with server(tmp_path, tls_cert=cert, tls_key=key, admin_token="t" * 24) as one:
        shown = await request(one.port, "/metrics", headers=headers, context=trusting(cert))
        left = re.search(rb"^mobium_certificate_seconds_left (\S+)$", shown.body, re.MULTILINE)
        assert left is not None
        assert 2 * 86_400 - 600 < float(left[1]) <= 2 * 86_400
        certificate(tmp_path, "localhost", ends=-0.5)
        one.reload_certificates()
        stats = json.loads((await request(one.port, "/admin/stats", headers=headers)).body)
        assert -43_800 < stats["certificate_seconds_left"] <= -43_200
    async with server(tmp_path / "clear", admin_token="t" * 24) as one:
        shown = await request(one.port, "/metrics", headers=headers)
        assert b"certificate" not in shown.body


async def taken(port: int, context: ssl.SSLContext) -> None:
    """Wait until a context's certificate is the one that is used."""
    async with asyncio.timeout(10):
        while True:
            try:
                assert (await request(port, "/health", context=context)).body == b"OK"
            except ssl.SSLError:
                await asyncio.sleep(0.02)
            else:
                return


def test_the_layer_keeps_little(tmp_path: Path) -> None:
    """Two megabytes through a connection leave buffers of a few records, not of two megabytes."""
    cert, key = certificate(tmp_path, "localhost")
    to_client: list[bytes] = []
    layer = TlsLayer(Certificates(cert, key).context, to_client.append)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = trusting(cert).wrap_bio(incoming, outgoing, server_hostname="localhost")
    got: list[int] = []
    for _ in range(4):
        with contextlib.suppress(ssl.SSLWantReadError):
            peer.do_handshake()
        layer.receive(outgoing.read(), lambda plain: got.append(len(plain)))
        incoming.write(b"".join(to_client))
        to_client.clear()
    peer.write(bytes(1 << 20))
    sent = outgoing.read()
    layer.receive(memoryview(sent), lambda plain: got.append(len(plain)))
    assert sum(got) == 1 << 20
    assert max(got) <= 16_384
    layer.send(bytes(1 << 20))
    assert max(map(len, to_client)) < 17_000
    assert layer._incoming.pending == layer._outgoing.pending == 0
    layer.end()
    incoming.write(b"".join(to_client))
    assert sum(len(peer.read(1 << 20)) for _ in range(64)) == 1 << 20


async def test_a_connection_takes_little_memory(tmp_path: Path) -> None:
    """asyncio's own TLS takes 256 KiB for each, before anything is said."""
    cert, key = certificate(tmp_path, "localhost", "127.0.0.1")
    context = trusting(cert)
    settings = {"SC_TLS_CERT": str(cert), "SC_TLS_KEY": str(key), "SC_RATE_GENERAL": "0"}
    with ServerProcess(tmp_path, settings) as process:
        resident = psutil.Process(process.pid).memory_info

        async def crowd(count: int) -> list[Client]:
            return [await log_in(process.url, ssl=context) for _ in range(count)]

        first = await crowd(30)  # what is only taken once
        before, more = resident().rss, 70
        second = await crowd(more)
        assert (resident().rss - before) / more < 64 << 10
        for one in second:
            await one.publish()
            await one.post_and_wait_any(one.public, bucket=65_536)
            await one.take()
        assert (resident().rss - before) / more < 128 << 10
        for one in first + second:
            one.socket.transport.abort()


async def test_a_peer_that_ends_tls_ends_the_connection(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost", "127.0.0.1")
    async with server(tmp_path, tls_cert=cert, tls_key=key) as one:
        anna = await log_in(one.url, ssl=trusting(cert))
        anna.socket.transport.close()
        async with asyncio.timeout(5):
            while one.hub.sessions:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
        assert one.listener.door.places == 0


async def test_a_response_over_tls_is_whole(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost")
    async with server(tmp_path, tls_cert=cert, tls_key=key) as one:
        data = await exchange(one.port, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", trusting(cert))
        assert parse(data).status == 404
