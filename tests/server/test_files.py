"""File descriptors: the soft limit is raised as far as needed and allowed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mobium_server.files import OWN
from tests.support.raw import request
from tests.support.server import ServerProcess, log_in

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
SCRIPT = """
import logging, resource, sys
from mobium_server.files import raise_file_limit
logging.basicConfig(format="%(message)s", stream=sys.stdout)
resource.setrlimit(resource.RLIMIT_NOFILE, (200, int(sys.argv[1])))
fit = raise_file_limit(int(sys.argv[2]))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], fit)
"""


@pytest.mark.parametrize(
    ("hard", "connections", "said", "soft"),
    [
        (3_000, 20, False, "200 20"),
        (3_000, 500, False, "628 500"),
        (300, 500, True, "300 172"),
        (700, 0, False, "700 572"),
        (200, 0, False, "200 72"),
        (200, 500, True, "200 72"),
    ],
)
def test_the_soft_limit(hard: int, connections: int, said: bool, soft: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(hard), str(connections)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    *warnings, last = ended.stdout.splitlines()
    assert last == soft
    assert [f"SC_MAX_CONNECTIONS={connections} needs" in line for line in warnings] == [True] * said


def limited(kind: str, number: int) -> list[str]:
    """Runs a command with a limit on its open files: "-S" the soft one, "" both."""
    return ["sh", "-c", f'ulimit {kind} -n {number} && exec "$0" "$@"']


async def test_a_server_started_with_a_low_limit_takes_as_many_as_it_should(tmp_path: Path) -> None:
    most = 120
    settings = {"SC_MAX_CONNECTIONS": str(most), "SC_AUTH_TIMEOUT": "60", "SC_RATE_GENERAL": "0"}
    with ServerProcess(tmp_path, settings, before=limited("-S", 64)) as process:
        async with AsyncExitStack() as stack:
            for _ in range(most):
                one = await log_in(process.url)
                stack.push_async_callback(one.close)
            # and whoever comes now is told that there is no room, over a file of its own
            assert (await request(process.port, "/health")).status == 503
        assert await asyncio.to_thread(process.stop) == 0
        assert not any("open files" in line for line in process.errors)


def test_a_limit_that_cannot_be_raised_is_said(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, before=limited("", 256)) as process:
        assert process.said("SC_MAX_CONNECTIONS=2000 needs 2128 open files, but the system allows 256")
        assert process.said("LimitNOFILE=")


async def test_where_it_cannot_be_raised_whoever_comes_too_many_is_told_so(tmp_path: Path) -> None:
    settings = {"SC_AUTH_TIMEOUT": "60", "SC_RATE_GENERAL": "0"}
    with ServerProcess(tmp_path, settings, before=limited("", 256)) as process:
        async with AsyncExitStack() as stack:
            for _ in range(256 - OWN):
                one = await log_in(process.url)
                stack.push_async_callback(one.close)
            assert (await request(process.port, "/health")).status == 503
        assert not any("could not be taken" in line for line in process.errors)
