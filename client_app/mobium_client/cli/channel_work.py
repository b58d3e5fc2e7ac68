"""What the commands about channels share: an engine that is connected where it must be, and sends what there
is to send before it ends; and how things are shown.

Not its concern: the commands (`mobium_client.cli.channels`, `mobium_client.cli.invites`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from rich.table import Table

from mobium.client import Channel, Engine
from mobium.errors import NotConnected
from mobium_client.cli.session import Run, run_async

__all__ = ["connect", "counted", "table", "to_change", "with_engine"]

T = TypeVar("T")

_NEWS = 10.0  # seconds for what happened while nobody was connected
_PATIENCE = 60.0  # and for what is to go out


def with_engine(run: Run, work: Callable[[Engine], Awaitable[T]]) -> T:
    """Do something with the profile's engine, and send what that leaves to be sent."""

    async def opened() -> T:
        async with run.engine() as engine:
            done = await work(engine)
            if engine.connection != "offline":
                await _send_the_rest(run, engine)
            return done

    return run_async(opened())


async def _send_the_rest(run: Run, engine: Engine) -> None:
    """What was done may bring more along, such as a new secret for every member."""
    try:
        await engine.settled(_PATIENCE)
    except (TimeoutError, NotConnected):
        run.screen.remark(
            "Something still waits to be sent, and goes out while mobium is connected next: mobium listen"
        )


async def to_change(run: Run, engine: Engine, channel: str) -> Channel:
    """A channel at its server, once what was missed is known: names and roles are those of now."""
    found = await engine.channels.get(channel)
    await run.check_home(engine, found)
    await connect(run, engine)
    return await engine.channels.get(f"#{found.id}")


async def connect(run: Run, engine: Engine) -> None:
    """Log in, and wait for what was missed."""
    await run.connect(engine)
    with suppress(TimeoutError):
        await engine.settled(_NEWS)


def table(*titles: str) -> Table:
    """A table with these titles, in the style of all."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(title, no_wrap=True)
    return table


def counted(count: int, what: str) -> str:
    """A number of things in words."""
    return f"1 {what}" if count == 1 else f"{count} {what}s"
