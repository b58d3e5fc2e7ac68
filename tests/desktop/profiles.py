"""Profiles for the tests of the desktop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from mobium.client import Engine
from mobium.client.address import parse
from mobium.client.store import meta
from mobium.client.store.database import Tx
from tests.support.engines import tx

PASSWORD = "correct horse battery"  # of nobody


def make(folder: Path, name: str = "anna", fill: Callable[[Engine], Awaitable[object]] | None = None) -> Path:
    """Make a profile in a data folder; `fill` puts something in. Returns the profile's folder."""

    async def work() -> None:
        path.mkdir(parents=True)
        await Engine.create(path, PASSWORD)
        if fill is not None:
            async with Engine.open(path, PASSWORD) as engine:
                await fill(engine)

    path = folder / "profiles" / name
    asyncio.run(work())
    return path


async def know_a_server(engine: Engine, url: str = "ws://127.0.0.1:9/ws", key: bytes = bytes(32)) -> None:
    """As if this server had been reached before, and had shown this key (32 bytes)."""

    def note(store: Tx) -> None:
        host = parse(url).host
        meta.meet_server(store, host, url)
        meta.set_server_key(store, host, key, 1 << 20, 604_800)

    await tx(engine, note)
