"""What tests of channels on the command line do with somebody's machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from mobium.client import Engine
from tests.support.commands import PASSWORD, Desk

T = TypeVar("T")


def inside(desk: Desk, work: Callable[[Engine], Awaitable[T]], *, connect: bool = True) -> T:
    """Do something with somebody's engine in this process."""

    async def opened() -> T:
        [profile] = desk.profile("any").parent.iterdir()
        async with Engine.open(profile, PASSWORD) as engine:
            if connect:
                await engine.connect()
            return await work(engine)

    return asyncio.run(opened())


_KEYS: dict[Path, str] = {}  # by home, since a key is asked for in the middle of things


def keep_key(desk: Desk, key: str) -> None:
    """Remember who a desk belongs to."""
    _KEYS[desk.home] = key


def key_of(desk: Desk) -> str:
    """Who a desk belongs to."""
    return _KEYS[desk.home]


def rows(desk: Desk, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in desk.run(*arguments, "--json").out.splitlines()]


def said(desk: Desk, *arguments: str) -> list[str]:
    """What a history shows, without the dates."""
    return [line[21:] for line in desk.run("history", *arguments).out.splitlines()]


def open_link(desk: Desk) -> str:
    """The link into a new open channel."""

    async def make(engine: Engine) -> str:
        await engine.create_channel("plaza", private=False)
        return await engine.invite("#plaza")

    return inside(desk, make)


def link_into(desk: Desk, *arguments: str) -> str:
    return desk.run("channel", "invite", "garden", *arguments).out.strip()
