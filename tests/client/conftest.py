"""Engines over an honest server in memory, or over the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mobium.media.link import MemoryNetwork
from mobium_server.storage.memory import MemoryStorage
from tests.support.channel_world import ChannelWorld, channel_world
from tests.support.clocks import Hands
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


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes thirty times as fast in calls."""
    for name, seconds in {
        "RING": 1.0,
        "SILENCE": 0.3,
        "RECONNECT": 1.5,
        "REPEAT": 0.1,
        "CONNECT": 1.0,
    }.items():
        monkeypatch.setattr(f"mobium.client.call_state.{name}", seconds)
    monkeypatch.setattr("mobium.media.link._BEAT", 0.05)
    monkeypatch.setattr("mobium.client.call_links._BEAT", 0.01)
