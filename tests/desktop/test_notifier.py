"""Notifications of the system on a real session bus: it is let go, and given up where nobody shows them."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import psutil
import pytest

from mobium_client.gui.notifier import SystemNotifier
from tests.support.session_bus import BUS, session_bus

pytestmark = [*BUS]


@pytest.mark.parametrize("service", [True, False])
async def test_the_bus_is_let_go_and_a_bus_on_which_nobody_shows_anything_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, service: bool
) -> None:
    with session_bus(tmp_path, service=service) as bus:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
        before = psutil.Process().num_fds()
        notifier = SystemNotifier()
        with caplog.at_level(logging.WARNING):
            async with asyncio.TaskGroup() as group:
                running = group.create_task(notifier.run())
                for _ in range(2):
                    await notifier("Bert", "a secret text")
                running.cancel()
        if service:
            async with asyncio.timeout(20):
                while bus.closed < 2:  # noqa: ASYNC110 - another process says so
                    await asyncio.sleep(0.005)
            assert bus.shown == [("Bert", "a secret text")] * 2
        said = [one for one in caplog.records if one.name == "mobium_client.gui.notifier"]
        assert len(said) == (0 if service else 1)
        assert "secret" not in caplog.text
        assert psutil.Process().num_fds() == before
