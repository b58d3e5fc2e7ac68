"""Calls between two engines over a real server, by WebRTC on this machine: what is said at one microphone is
understood at the other speaker, over a network that loses, delays and reorders, and through a relay alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from mobium.client.transport import dial
from mobium.media.form import FRAME_BYTES, FRAME_SECONDS
from mobium_server.app import Server
from tests.support.calls import Mouth, Phone, phones, talking
from tests.support.engines import World
from tests.support.hearing import coded, lag, understood
from tests.support.server import randomness, server
from tests.support.sound import speech

pytestmark = [
    pytest.mark.usefixtures("on_loopback"),
    pytest.mark.serial,
    pytest.mark.needs("libopus", "espeak-ng"),
]
pytest.importorskip("aiortc")

from tests.support.forwarder import Forwarder, Weather  # noqa: E402

CLEAN = Weather(0.0, 0.01, 0.01)


def bad(percent: int) -> Weather:
    """So much is lost, and packets take 10 to 40 ms, so that they come out of order."""
    return Weather(percent / 100, 0.01, 0.04)


@pytest.fixture
async def office(folder: Path) -> AsyncIterator[Server]:
    async with server(folder / "server") as one:
        yield one


async def say(speaker: Phone, listener: Phone) -> None:
    """Let somebody speak, to the end."""
    mouth = speaker.mouth
    assert isinstance(mouth, Mouth)
    mouth.speaks = True
    await asyncio.sleep(len(speech()) / FRAME_BYTES * FRAME_SECONDS + 0.7)


def judged(speaker: Phone, listener: Phone) -> tuple[float, float]:
    """(STOI, delay in seconds) of what was heard."""
    mouth, heard = speaker.mouth, listener.heard
    assert isinstance(mouth, Mouth)
    score = understood(coded(speech()), heard.pcm)
    return score, heard.began + lag(speech(), heard.pcm) - mouth.began


@asynccontextmanager
async def pair(office: Server, folder: Path, forwarder: Forwarder) -> AsyncIterator[tuple[Phone, Phone]]:
    """Two who can call each other over a network of their own."""
    async with (
        World(folder, dial, office.url) as world,
        phones(world, forwarder.maker, "alice", "bob", alice=Mouth(speech())) as (alice, bob),
    ):
        try:
            yield alice, bob
        finally:
            forwarder.close()


async def test_speech_is_understood_although_the_network_is_bad(
    office: Server, folder: Path, seed: int
) -> None:
    print(f"seed {seed}")
    weathers = {"clean": CLEAN, "5 %": bad(5), "10 %": bad(10)}
    forwarders = {
        name: Forwarder(weather, randomness(seed, number))
        for number, (name, weather) in enumerate(weathers.items())
    }
    score = {}
    async with AsyncExitStack() as stack:
        pairs = {
            name: await stack.enter_async_context(pair(office, folder / name, forwarder))
            for name, forwarder in forwarders.items()
        }
        for alice, bob in pairs.values():
            await talking(alice, bob)
            bob.calls.mute()  # which ends no call, though nothing is heard of him
        await asyncio.gather(*(say(alice, bob) for alice, bob in pairs.values()))
        for name, (alice, bob) in pairs.items():
            score[name], delay = judged(alice, bob)
            one = forwarders[name]
            print(
                f"{name}: STOI {score[name]:.3f}, delay {delay * 1_000:.0f} ms; of {one.carried} packets"
                f" {one.lost} lost, {one.reordered} out of order"
            )
            await alice.calls.hang_up()
            await bob.state("ended", "hung_up")
    for name in ("5 %", "10 %"):
        assert forwarders[name].lost > 20
        assert forwarders[name].reordered > 20
    assert score["clean"] > 0.8  # 0.97 on a machine that does nothing else
    assert score["5 %"] >= 0.9 * score["clean"]
    assert score["10 %"] >= 0.8 * score["clean"]
