"""A link on which one message takes longer than every keepalive: it arrives, and so does what follows."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from pathlib import Path

import pytest

from mobium.client import ConnectionChanged
from mobium.client.transport import dial
from mobium_server.gateway import Wire
from tests.support.engines import Ear, World, fast_vault
from tests.support.server import server
from tests.support.slow import slow_link

KEEPALIVE = 0.2  # seconds between a client's pings; the message takes ten times as long
SERVER_PINGS = 1.5 * KEEPALIVE  # as by default
LARGE = 700_000  # characters: a bucket of 1 MiB
RATE = 500_000  # bytes a second


@pytest.fixture(autouse=True)
def _small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As between machines: over loopback the server's kernel would take the whole message at once."""
    fast_vault(monkeypatch)
    made = Wire.connection_made

    def connection_made(self: Wire, transport: asyncio.BaseTransport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        made(self, transport)

    monkeypatch.setattr(Wire, "connection_made", connection_made)


async def test_a_large_message_comes_down_a_slow_link(tmp_path: Path) -> None:
    connector = partial(dial, keepalive=KEEPALIVE)
    async with (
        server(tmp_path / "s", ws_ping_interval=SERVER_PINGS) as running,
        slow_link(running.port, down=RATE) as port,
        World(tmp_path, connector, f"ws://127.0.0.1:{running.port}") as world,
    ):
        alice, bob = await world.pair()
        await bob.disconnect()
        await alice.wait(await alice.send("Bob", "x" * LARGE), "sent", 10)
        await alice.wait(await alice.send("Bob", "the train leaves at noon"), "sent", 10)
        ear = Ear(bob)
        await bob.connect(f"ws://127.0.0.1:{port}", wait=False)
        assert [len(text or "") for text in await ear.texts(2)] == [LARGE, 24]
        states = [event.state for event in ear.heard if isinstance(event, ConnectionChanged)]
        assert states[-1] == "online"
        assert "waiting" not in states


async def test_a_large_message_goes_up_a_slow_link(tmp_path: Path) -> None:
    connector = partial(dial, keepalive=KEEPALIVE)
    async with (
        server(tmp_path / "s", ws_ping_interval=SERVER_PINGS) as running,
        slow_link(running.port, up=RATE) as port,
        World(tmp_path, connector, f"ws://127.0.0.1:{running.port}") as world,
    ):
        alice, _ = await world.pair()
        await alice.disconnect()
        ear = Ear(alice)
        await alice.connect(f"ws://127.0.0.1:{port}")
        sent = await alice.send("Bob", "x" * LARGE)
        await alice.wait(sent, "sent", 10)
        await ear.state(sent, "sent")
        states = [event.state for event in ear.heard if isinstance(event, ConnectionChanged)]
        assert states[-1] == "online"
        assert "waiting" not in states
