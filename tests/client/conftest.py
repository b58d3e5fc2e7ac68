"""Engines over an honest server in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.engines import World, fast_folder, fast_vault
from tests.support.hostile import HostileServer


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with HostileServer() as server:
        yield server


@pytest.fixture
def folder() -> Iterator[Path]:
    with fast_folder() as folder:
        yield folder


@pytest.fixture
async def world(folder: Path, server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    fast_vault(monkeypatch)
    async with World(folder, server.connect, server.url) as world:
        yield world
