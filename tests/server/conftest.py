"""Fixtures of the server's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mobium_server import app
from tests.support.server import Client, ServerProcess, log_in, server


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[app.Server]:
    """A server in this process."""
    async with server(tmp_path) as one:
        yield one


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server process that was not started yet."""
    one = ServerProcess(tmp_path)
    yield one
    one.close()


@pytest.fixture
async def four(running: app.Server) -> AsyncIterator[list[Client]]:
    """An owner, an admin, a member and a stranger, not yet in any channel."""
    people = [await log_in(running.url) for _ in range(4)]
    for one in people:
        await one.publish()
    yield people
    for one in people:
        await one.close()
