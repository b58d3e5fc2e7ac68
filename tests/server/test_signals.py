"""Signals from a server's first moment to its last, with a terminal and without one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.server.test_backup import made
from tests.support.certificates import certificate
from tests.support.server import WAIT, ServerProcess, client

if sys.platform == "win32":
    pytest.skip("Windows has neither SIGHUP nor such terminals", allow_module_level=True)

from tests.support.terminal import Terminal

ROOT = Path(__file__).parents[2]


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# What runs the tests may ignore SIGHUP, which children inherit.
_HEARS_SIGHUP = (
    "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL);"
    " os.execvp(sys.argv[1], sys.argv[1:])"
)


def hearing(*command: str) -> list[str]:
    """A command that runs another one, which does not ignore SIGHUP from the beginning."""
    return [sys.executable, "-c", _HEARS_SIGHUP, *command]


# ---------------------------------------------------------------- while it starts


class Starting:
    """A server that waits at a place of its start until it may go on."""

    def __init__(self, folder: Path, place: str, *arguments: str, before: Sequence[str] = ()) -> None:
        self.folder = folder
        self.errors = folder / "errors"
        self.output = folder / "output"
        variables = {"SC_PORT": "0", "SC_HOST": "127.0.0.1", "SC_DATABASE_URL": "sqlite://mobium.db"}
        patched = ["tests.support.patched_server", f"waits_in_{place}"]
        program = ["tests.support.slow_imports"] if place == "imports" else patched
        with self.errors.open("wb") as errors, self.output.open("wb") as output:
            self.process = subprocess.Popen(
                hearing(*before, sys.executable, "-m", *program, *arguments),
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **variables},
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        wait_for(lambda: f"waiting in {place}" in self.errors.read_text())

    def go_on(self) -> None:
        """Let it."""
        (self.folder / "go").touch()


@pytest.fixture(params=["imports", "settings", "open"])
def starting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Starting]:
    one = Starting(tmp_path, request.param)
    yield one
    one.process.kill()
    one.process.wait()


def test_sighup_during_the_start_ends_nothing(starting: Starting) -> None:
    starting.process.send_signal(signal.SIGHUP)
    starting.go_on()
    wait_for(lambda: "listening on" in starting.output.read_text())
    starting.process.send_signal(signal.SIGHUP)
    starting.process.send_signal(signal.SIGTERM)
    assert starting.process.wait(WAIT) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_end_during_the_start_is_orderly(starting: Starting, number: int) -> None:
    starting.process.send_signal(number)
    starting.go_on()
    assert starting.process.wait(WAIT) == 0
    assert "Traceback" not in starting.errors.read_text()
    assert starting.output.read_text() == ""
    assert not (starting.folder / "mobium.db-wal").exists(), "the log was written back"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_another_command_ends_by_what_came_while_it_was_imported(tmp_path: Path, number: int) -> None:
    one = Starting(tmp_path, "imports", "check")
    one.process.send_signal(number)
    one.go_on()
    # Whatever calls it, such as a script that makes a backup, must not take it for done.
    assert one.process.wait(WAIT) == -number
    assert one.output.read_text() == ""
    assert one.errors.read_text() == "waiting in imports\nmobium-server: interrupted.\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("command", [("backup", "b.db"), ("restore", "good.db")])
def test_a_backup_that_is_interrupted_leaves_nothing(
    tmp_path: Path, number: int, command: tuple[str, str]
) -> None:
    made(tmp_path / "mobium.db", 3)
    made(tmp_path / "good.db", 3)
    before = {one: one.read_bytes() for one in tmp_path.iterdir()}
    one = Starting(tmp_path, "backup", *command)
    assert len(list(tmp_path.glob(".*"))) > 0, "it is being written"
    one.process.send_signal(number)
    assert one.process.wait(WAIT) == -number
    assert one.errors.read_text() == "waiting in backup\nmobium-server: interrupted.\n"
    assert one.output.read_text() == ""
    left = {one.name for one in tmp_path.iterdir()} - {one.name for one in before}
    assert left == {"errors", "output"}
    assert {one: one.read_bytes() for one in before} == before


def test_what_was_ignored_stays_so(tmp_path: Path) -> None:
    made(tmp_path / "mobium.db", 3)
    one = Starting(tmp_path, "backup", "backup", "b.db", before=["nohup"])
    one.process.send_signal(signal.SIGHUP)
    one.go_on()
    assert one.process.wait(WAIT) == 0
    assert (tmp_path / "b.db").exists()


def handles(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    (mask,) = [int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")]
    return bool(mask >> (number - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells of handlers")
def test_a_storm_of_sighup_through_the_whole_start_ends_nothing(tmp_path: Path) -> None:
    one = ServerProcess(tmp_path, service=True)
    starting = threading.Thread(target=one.start)
    starting.start()
    try:
        wait_for(lambda: one._process is not None and handles(one.pid, signal.SIGHUP))
        sent = 0
        while starting.is_alive():
            one.process.send_signal(signal.SIGHUP)
            sent += 1
            time.sleep(0.002)
        print(f"{sent} signals")
        assert one.stop() == 0
    finally:
        one.close()
        starting.join()


# ---------------------------------------------------------------- without a terminal


async def test_sighup_to_a_service_without_a_certificate_ends_nothing(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, service=True) as process:
        process.process.send_signal(signal.SIGHUP)
        async with client(process.url) as anna:
            await anna.post_and_wait(anna.public)
        assert await asyncio.to_thread(process.stop) == 0
        assert not any("reloaded" in line for line in process.errors)


# ---------------------------------------------------------------- in a terminal


def in_terminal(folder: Path, *before: str, tls: bool = False) -> Terminal:
    """A server that somebody has started by hand."""
    variables = {"SC_PORT": "0", "SC_HOST": "127.0.0.1", "SC_DATABASE_URL": f"sqlite://{folder}/mobium.db"}
    if tls:
        cert, key = certificate(folder, "localhost")
        variables |= {"SC_TLS_CERT": str(cert), "SC_TLS_KEY": str(key)}
    server = [sys.executable, "-m", "mobium_server", "--env-file", "/dev/null"]
    return Terminal(
        hearing(*before, *server),
        {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **variables},
        columns=200,
    )


@pytest.mark.parametrize("tls", [False, True])
def test_it_ends_in_order_when_its_terminal_closes(tmp_path: Path, tls: bool) -> None:
    with in_terminal(tmp_path, tls=tls) as terminal:
        terminal.expect("listening on")
        assert (tmp_path / "mobium.db-wal").exists()
        terminal.hang_up()
        assert terminal.ended() == 0
    assert not (tmp_path / "mobium.db-wal").exists(), "the log was written back"


def test_sighup_ends_it_where_there_is_nothing_to_reload(tmp_path: Path) -> None:
    with in_terminal(tmp_path) as terminal:
        terminal.expect("listening on")
        os.kill(terminal.pid, signal.SIGHUP)
        assert terminal.wait() == 0


def test_sighup_reloads_the_certificate_while_the_terminal_is_there(tmp_path: Path) -> None:
    with in_terminal(tmp_path, tls=True) as terminal:
        terminal.expect("listening on")
        os.kill(terminal.pid, signal.SIGHUP)
        terminal.expect("The certificate was reloaded")
        terminal.interrupt()
        assert terminal.wait() == 0


def test_under_nohup_it_outlives_its_terminal(tmp_path: Path) -> None:
    cert_read = "The certificate was reloaded"
    log = tmp_path / "log"
    ignoring = 'trap "" HUP; log="$1"; shift; exec "$@" > "$log" 2>&1'
    with in_terminal(tmp_path, "/bin/sh", "-c", ignoring, "sh", str(log), tls=True) as terminal:
        wait_for(lambda: log.exists() and "listening on" in log.read_text())
        terminal.hang_up()
        os.kill(terminal.pid, signal.SIGHUP)
        wait_for(lambda: cert_read in log.read_text())
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.ended() == 0
