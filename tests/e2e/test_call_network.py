"""A network that is lost in the middle of a call, by WebRTC over a real server: the call is found again on
another way, or it ends.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mobium.client.transport import dial
from mobium.media.sources import Tone
from tests.support.calls import Phone, phones, talking
from tests.support.engines import World, until
from tests.support.server import randomness, server

pytestmark = [pytest.mark.usefixtures("on_loopback"), pytest.mark.serial, pytest.mark.needs("libopus")]
pytest.importorskip("aiortc")

from tests.support.forwarder import Forwarder, Weather  # noqa: E402

GOOD = Weather(0.0, 0.005, 0.005)


@asynccontextmanager
async def call(folder: Path, forwarder: Forwarder) -> AsyncIterator[tuple[Phone, Phone]]:
    """Alice has called Bob, and each hears the other."""
    async with (
        server(folder / "server") as one,
        World(folder, dial, one.url) as world,
        phones(world, forwarder.maker, "alice", "bob", alice=Tone(440, 0.5), bob=Tone(550, 0.5)) as (
            alice,
            bob,
        ),
    ):
        await talking(alice, bob)
        await heard(alice, bob)
        yield alice, bob
    forwarder.close()


async def heard(*people: Phone) -> None:
    """Wait until everybody has heard something new."""
    for one in people:
        report = one.calls.report()
        before = 0 if report is None else report.counts.played

        async def more(one: Phone = one, before: int = before) -> bool:
            report = one.calls.report()
            return report is not None and report.counts.played > before + 20

        await until(more)


async def test_a_lost_way_is_replaced_by_another_one(folder: Path, seed: int) -> None:
    forwarder = Forwarder(GOOD, randomness(seed, 0))
    async with call(folder, forwarder) as (alice, bob):
        for attempt in (1, 2):
            forwarder.cut()
            began = time.monotonic()
            for one in (alice, bob):
                await one.state("active")
            print(f"found again after {time.monotonic() - began:.1f} s")
            await heard(alice, bob)
            for one in (alice, bob):
                assert [name[1] for name in one.calls.links._links] == [attempt]
        await alice.calls.hang_up()
        await bob.state("ended", "hung_up")


async def test_somebody_who_vanishes_is_given_up(
    folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """His program has died: no word comes through the server, and nothing over the link."""

    async def nothing(*_: object) -> None:
        """What somebody says whose program has died."""

    monkeypatch.setattr("mobium.client.call_state.RECONNECT", 4.0)
    forwarder = Forwarder(GOOD, randomness(seed, 0))
    async with call(folder, forwarder) as (alice, bob):
        bob.calls.heard = lambda *_: None
        bob.calls._steps._send = nothing
        forwarder.cut()
        await alice.state("reconnecting")
        assert (await alice.state("ended", "lost")).reason
        assert not alice.calls.links._links
