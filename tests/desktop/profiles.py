"""Profiles for the tests of the desktop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from mobium.client import Engine

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
