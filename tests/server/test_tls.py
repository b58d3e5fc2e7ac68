"""TLS in the server, and that a switch for it is never a promise that is not kept."""

import asyncio
import signal
import ssl
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from mobium_server.config import Settings
from tests.support.certificates import certificate, trusting
from tests.support.http import exchange, parse, request
from tests.support.server import ServerProcess, client, server


async def test_two_talk_over_tls(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost", "127.0.0.1")
    context = trusting(cert)
    async with server(tmp_path, tls_cert=cert, tls_key=key, require_tls=True) as one:
        assert one.url.startswith("wss://")
        async with client(one.url, ssl=context) as ann, client(one.url, ssl=context) as ben:
            await ann.post_and_wait(ben.public, b"over TLS")
            assert (await ben.take()).payload.startswith(b"\x01over TLS")
        assert (await request(one.port, "/health", context=context)).body == b"OK"


async def test_nothing_older_than_tls_1_3(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost", "127.0.0.1")
    context = trusting(cert)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with server(tmp_path, tls_cert=cert, tls_key=key) as one:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await request(one.port, "/health", context=context)
        assert (await request(one.port, "/health", context=trusting(cert))).status == 200


async def test_clear_text_on_a_tls_port_gets_a_clear_answer(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost", "127.0.0.1")
    async with server(tmp_path, tls_cert=cert, tls_key=key, require_tls=True, trusted_proxies=()) as one:
        answer = await request(one.port, "/info")
        assert answer.status == 403
        assert b"wss://" in answer.body


async def test_required_without_a_certificate_refuses_everybody(tmp_path: Path) -> None:
    async with server(tmp_path, require_tls=True, trusted_proxies=()) as one:
        with pytest.raises(InvalidStatus) as caught:
            async with client(one.url.replace("wss://", "ws://")):
                pass
        assert caught.value.response.status_code == 403
        assert (await request(one.port, "/info")).status == 403
        assert (await request(one.port, "/health")).body == b"OK"


async def test_a_trusted_proxy_speaks_for_https_and_nobody_else_does(tmp_path: Path) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    for proxies, welcome in ((("127.0.0.1/32",), True), ((), False)):
        settings = Settings.from_env({"SC_TRUSTED_PROXIES": ",".join(proxies) or "none"})
        folder = tmp_path / str(welcome)
        async with server(folder, require_tls=True, trusted_proxies=settings.trusted_proxies) as one:
            url = one.url.replace("wss://", "ws://")
            if welcome:
                async with client(url, additional_headers=forwarded) as ann:
                    await ann.post_and_wait(ann.public)
            else:
                with pytest.raises(InvalidStatus):
                    async with client(url, additional_headers=forwarded):
                        pass


async def test_tls_on_a_port_without_it_is_ended_at_once(tmp_path: Path) -> None:
    async with server(tmp_path) as one:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await request(one.port, "/health", context=ssl.create_default_context())


async def test_a_bad_certificate_stops_the_start_in_a_sentence(tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("not a certificate")
    one = ServerProcess(tmp_path, {"SC_TLS_CERT": str(junk), "SC_TLS_KEY": str(junk)})
    with pytest.raises(RuntimeError) as caught:
        one.start()
    assert "SC_TLS_CERT" in str(caught.value)
    assert "Traceback" not in str(caught.value)


async def test_sighup_takes_the_new_certificate(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path / "pem", "localhost", "127.0.0.1")
    old = trusting(cert)
    settings = {"SC_TLS_CERT": str(cert), "SC_TLS_KEY": str(key), "SC_REQUIRE_TLS": "true"}
    with ServerProcess(tmp_path / "server", settings) as one:
        assert (await request(one.port, "/health", context=old)).status == 200
        certificate(tmp_path / "pem", "localhost", "127.0.0.1")
        one.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(20):
            while await accepted(one.port, old):  # noqa: ASYNC110 - nothing else tells of the reload
                await asyncio.sleep(0.02)
        assert (await request(one.port, "/health", context=trusting(cert))).status == 200


async def accepted(port: int, context: ssl.SSLContext) -> bool:
    """Whether a client that trusts `context` gets an answer."""
    try:
        await request(port, "/health", context=context)
    except ssl.SSLError:
        return False
    return True


async def test_the_first_byte_tells_even_if_it_comes_alone(tmp_path: Path) -> None:
    async with server(tmp_path) as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        for byte in b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n":
            writer.write(bytes([byte]))
            await writer.drain()
        assert parse(await reader.read()).body == b"OK"
        writer.close()
        assert parse(await exchange(one.port, b"GET /health HTTP/1.1\r\n\r\n")).status in {200, 400}
