"""The server as a process: what it says, how it ends, what survives, and what its log keeps to itself."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from mobium.errors import InvalidInput, ServerRefused
from mobium.protocol.messages import Accepted, Delivery
from mobium_server import __version__, start
from mobium_server.care.probe import probe
from mobium_server.signals import Signals
from tests.support.certificates import certificate
from tests.support.programs import free_port
from tests.support.raw import request
from tests.support.server import WAIT, Person, ServerProcess, client, log_in, server, settings


def run(*arguments: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "mobium_server", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **settings},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_version(tmp_path: Path) -> None:
    assert run("--version", folder=tmp_path).stdout == f"mobium-server {__version__}\n"
    assert not list(tmp_path.iterdir())


def test_a_wrong_setting_is_one_sentence(tmp_path: Path) -> None:
    ended = run(folder=tmp_path, SC_PORT="eighty")
    assert ended.returncode == 2
    assert ended.stderr == "mobium-server: SC_PORT must be a whole number from 0 to 65535 (port).\n"


def test_a_wrong_line_of_env_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SC_REQUIRE_TLS=perhaps\n")
    ended = run(folder=tmp_path)
    assert (ended.returncode, ended.stderr) == (2, "mobium-server: SC_REQUIRE_TLS must be true or false.\n")


def test_a_slip_of_the_pen_is_said(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SC_REQURE_TLS=false\nSC_PORT=0\nSC_DATABASE_URL=sqlite://text\n")
    (tmp_path / "text").write_text("not a database " * 100)
    ended = run(folder=tmp_path, SC_HSOT="x")
    assert ended.returncode == 1
    assert "there is no setting SC_HSOT; it is ignored" in ended.stderr
    assert "there is no setting SC_REQURE_TLS; it is ignored" in ended.stderr


def test_a_foreign_database_is_one_sentence(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "x.db").execute("CREATE TABLE recipes (name TEXT)").connection.close()
    ended = run(folder=tmp_path, SC_DATABASE_URL="sqlite://x.db", SC_PORT="0")
    assert ended.returncode == 1
    assert "not that of a mobium server" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_is_one_sentence(process: ServerProcess) -> None:
    process.start()
    ended = run(
        folder=process.folder, SC_HOST="127.0.0.1", SC_PORT=str(process.port), SC_DATABASE_URL="sqlite://y.db"
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        f"mobium-server: The server cannot listen on SC_HOST=127.0.0.1 SC_PORT={process.port}: another"
        " program has this port; end that one, or take another port.\n"
    )


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, "only root may have ports below 1024; take a higher one, or put a proxy in front"),
        (errno.EADDRNOTAVAIL, "this machine has no such address"),
        (errno.ENOBUFS, os.strerror(errno.ENOBUFS)),
        (socket.EAI_NONAME, "Name or service not known"),
    ],
)
async def test_why_it_cannot_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    kind = socket.gaierror if number == socket.EAI_NONAME else OSError
    text = said if kind is socket.gaierror else f"error while attempting to bind on address: {said}"
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "create_server", mock.AsyncMock(side_effect=kind(number, text)))
    with pytest.raises(InvalidInput) as refused:
        async with server(tmp_path):
            raise AssertionError("it listens")
    assert str(refused.value) == f"The server cannot listen on SC_HOST=127.0.0.1 SC_PORT=0: {said}."


def test_a_second_server_on_the_database_is_one_sentence(process: ServerProcess) -> None:
    process.start()
    ended = run(
        folder=process.folder, SC_PORT="0", SC_DATABASE_URL=f"sqlite://{process.folder / 'mobium.db'}"
    )
    assert ended.returncode == 1
    assert "in use by another server" in ended.stderr


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run(folder=tmp_path, SC_PORT="0", SC_DATABASE_URL="sqlite://file/x.db")
    assert ended.returncode == 1
    assert "cannot be opened" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_start_says_where_clients_connect(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as process:
        assert process.said(f"Clients on this machine connect to {process.url}")
        assert process.said("SC_TLS_CERT")
        assert process.url == f"ws://127.0.0.1:{process.port}/ws"
    with ServerProcess(tmp_path, {"SC_HOST": "0.0.0.0", "SC_REQUIRE_TLS": "true"}) as process:
        assert process.said("every connection is refused unless it comes through a proxy")
        assert process.said("SC_PUBLIC_HOSTS is empty: through a proxy nobody can log in")
        assert process.url == f"ws://127.0.0.1:{process.port}/ws"
        assert not any("Clients" in line for line in process.errors), "nobody can by that address"
    with ServerProcess(tmp_path, {"SC_HOST": "0.0.0.0"}) as process:
        where = f"ws://<name or address of this machine>:{process.port}"
        assert process.said(f"Clients on the network connect to {where}")
        assert process.said("SC_REQUIRE_TLS is false and there is no certificate: whoever listens")
    cert, key = certificate(tmp_path, "chat.example.org", "::1")
    tls = {"SC_TLS_CERT": str(cert), "SC_TLS_KEY": str(key), "SC_PUBLIC_HOSTS": "chat.example.org,::1"}
    with ServerProcess(tmp_path, {"SC_HOST": "0.0.0.0", **tls}) as process:
        assert process.said(f"Clients on the network connect to wss://chat.example.org:{process.port}")
        assert process.said(f"Clients on the network connect to wss://[::1]:{process.port}")


def has_ipv6() -> bool:
    """Whether this machine has IPv6 on loopback."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_all_addresses_are_those_of_ipv4_too(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"SC_HOST": "::", "SC_MAX_CONNECTIONS_PER_IP": "1"}) as process:
        assert process.url == f"ws://127.0.0.1:{process.port}/ws"
        by_ipv6 = f"ws://[::1]:{process.port}/ws"
        async with client(process.url) as anna, client(by_ipv6) as ben:
            await anna.post_and_wait(ben.public, b"over both")
            assert (await ben.take()).payload[1:10] == b"over both"
            with pytest.raises(ServerRefused, match="Too many connections"):  # it is the address that counts
                await log_in(process.url)
        asked = settings(tmp_path, host="::", port=process.port)
        assert probe(asked) is None
        (tmp_path / "other").mkdir()
        ended = run(folder=tmp_path / "other", SC_HOST="::", SC_PORT=str(process.port))
        assert (ended.returncode, "cannot listen on SC_HOST=::" in ended.stderr) == (1, True)
    assert (probe(asked) or "").endswith(f"port {process.port}: Connection refused.")


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_brackets_around_an_address_are_taken(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"SC_HOST": "[::1]"}) as process:
        assert process.url == f"ws://[::1]:{process.port}/ws"
        async with client(process.url):
            pass


def test_bad_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        start.run(["--nonsense"], Signals())
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_orderly_end(process: ServerProcess, number: int) -> None:
    process.start()
    ben = Person()
    async with client(process.url) as anna:
        away = await log_in(process.url, ben)
        await away.publish()
        await away.close()
        sent = [await anna.post(ben.public, bytes([i])) for i in range(30)]
        # What waits is committed and answered before the sockets are closed.
        ended = asyncio.create_task(asyncio.to_thread(process.stop, number))
        answers = [(await anna.expect(Accepted)).id for _ in sent]
        assert answers == sent
        assert await anna.closed() == 1001
        assert await ended == 0
    folder = process.folder
    assert not (folder / "mobium.db-wal").exists(), "the log was written back"
    process.start()
    async with client(process.url, ben, publish=False) as back:
        assert [(await back.take()).payload[1] for _ in range(30)] == list(range(30))


async def test_an_end_with_nobody_there(process: ServerProcess) -> None:
    process.start()
    assert await asyncio.to_thread(process.stop) == 0
    assert not any("Traceback" in line or "ERROR" in line for line in process.errors)


async def test_a_client_that_never_reads_does_not_hold_up_the_end(process: ServerProcess) -> None:
    process.start()
    anna = await log_in(process.url)
    anna.socket.transport.pause_reading()
    assert await asyncio.to_thread(process.stop) == 0
    anna.socket.transport.abort()


async def test_a_kill_loses_nothing_that_was_acknowledged(process: ServerProcess) -> None:
    process.settings["SC_RATE_GENERAL"] = "0"
    process.start()
    ben = Person()
    anna = await log_in(process.url)
    away = await log_in(process.url, ben)
    await away.publish()
    await away.close()
    sent = [await anna.post(ben.public, bytes([i])) for i in range(200)]
    acknowledged = [(await anna.expect(Accepted)).id for _ in range(50)]
    process.kill()
    await anna.close()
    process.start()
    async with client(process.url, ben, publish=False) as back:
        shown = [(await back.take()).id for _ in range(back.welcome.offline_count)]
        assert shown == sent[: len(shown)], "in order"
        assert set(acknowledged) <= set(shown)
        await back.nothing(Delivery)


async def test_the_log_names_nobody(process: ServerProcess) -> None:
    process.start()
    async with client(process.url) as anna, client(process.url) as ben:
        await anna.post(ben.public, b"a very secret text")
        await ben.take()
        await anna.expect(Accepted)
        await anna.send_raw(b"\xc1")
    await request(process.port, "/nothing-like-this")
    assert await asyncio.to_thread(process.stop) == 0
    text = "".join(process.errors)
    for secret in (anna.public.hex(), ben.public.hex(), "secret text", "nothing-like-this"):
        assert secret not in text
    # The address of the server itself is said at the start; no peer's port is.
    assert "ERROR" not in text
    assert len(process.errors) < 8


@pytest.mark.skipif(sys.platform == "win32", reason="no such sockets")
@pytest.mark.parametrize("abstract", [False, True])
def test_whoever_started_it_is_told_when_it_is_ready(tmp_path: Path, abstract: bool) -> None:
    if abstract and sys.platform != "linux":
        pytest.skip("only Linux has such names")
    name = f"@mobium-{os.urandom(8).hex()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(name.replace("@", "\0"))
        line.settimeout(WAIT)
        with ServerProcess(tmp_path, {"NOTIFY_SOCKET": name}) as process:
            assert line.recv(100) == b"READY=1"
            assert process.stop() == 0
        line.settimeout(0)
        with pytest.raises(BlockingIOError):
            line.recv(100)


@pytest.mark.skipif(sys.platform == "win32", reason="no such sockets")
async def test_a_supervisor_that_does_not_listen_stops_nothing(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, {"NOTIFY_SOCKET": str(tmp_path / "none")}) as process:
        assert process.said("NOTIFY_SOCKET cannot be told that the server is ready: No such file")
        async with client(process.url):
            pass


def streams(pid: int) -> set[Path]:
    """Where the standard streams of a process go."""
    return {Path(f"/proc/{pid}/fd/{number}").readlink() for number in range(3)}


@pytest.mark.skipif(sys.platform == "win32", reason="no such shell")
@pytest.mark.parametrize("closed", ["<&- 2>&-", "<&- >&- 2>&-"])
async def test_it_serves_without_standard_streams(tmp_path: Path, closed: str) -> None:
    port = free_port()
    environment = {**os.environ, "SC_HOST": "127.0.0.1", "SC_PORT": f"{port}", "SC_REQUIRE_TLS": "false"}
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", f'exec "$0" -m mobium_server {closed}', sys.executable,
        cwd=tmp_path,
        env=environment | {"SC_DATABASE_URL": "sqlite://m.db"},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(WAIT):
            while probe(settings(tmp_path, port=port)) is not None:
                assert process.returncode is None
                await asyncio.sleep(0.05)
        async with client(f"ws://127.0.0.1:{port}/ws") as anna:
            await anna.post_and_wait(anna.public)
        if sys.platform == "linux":
            assert streams(process.pid) == {Path("/dev/null")}
        process.terminate()
        assert await asyncio.wait_for(process.wait(), WAIT) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
