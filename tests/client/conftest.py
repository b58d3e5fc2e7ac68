"""Engines over an honest server in memory, or over the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mobium_server.storage.memory import MemoryStorage
from tests.support.channel_world import ChannelWorld, Hands, channel_world
from tests.support.engines import World, fast_folder, fast_vault
from tests.support.hostile import HostileServer
from tests.support.server import server as real_server


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


@pytest.fixture
async def town(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ChannelWorld]:
    """A real server in this process, and engines that can be in channels on it."""
    fast_vault(monkeypatch)
    monkeypatch.setattr("mobium.client.link._FIRST_DELAY", 0.02)
    hands = Hands()
    async with (
        real_server(folder / "server", storage=MemoryStorage(1_000), clock=hands.clock()) as server,
        channel_world(folder, server.url, hands) as world,
    ):
        yield world
