"""Engines over an honest server in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.engines import World, fast_vault
from tests.support.hostile import HostileServer


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with HostileServer() as server:
        yield server


@pytest.fixture
async def world(
    tmp_path: Path, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    fast_vault(monkeypatch)
    async with World(tmp_path, server.connect, server.url) as world:
        yield world
