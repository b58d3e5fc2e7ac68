"""Channels in a storm: members come and go, engines and the server die, and at the end everybody shows
exactly what was written while he was in.

The measure is the server's own sequence of numbers, read from its database, and what senders have encrypted;
never what another member shows. MOBIUM_SCHEDULES says how many small storms `make test-long` has.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.support.engines import fast_folder
from tests.support.server import randomness, schedules
from tests.support.storm import Storm, Weather, storm

BLOCK = 20  # small storms of the same players; then they would be in too many channels
LONGEST = 900  # seconds of one storm

BAD = Weather(channels=3, deeds=20, pause=0.5, burst=6, kills=4)


async def _blow(world: Storm, seed: int, number: int, weather: Weather) -> None:
    try:
        async with asyncio.timeout(LONGEST):
            await world.schedule(f"{number}", randomness(seed, number), weather)
    except BaseException as error:
        error.add_note(f"schedule {number}, MOBIUM_TEST_SEED={seed}")
        raise


def _small(seed: int, number: int) -> Weather:
    chance = randomness(seed, -number - 1)
    return Weather(chance.choice((1, 1, 2)), chance.randint(4, 8), chance.choice((0.03, 0.1, 0.2)), 5, 1)


async def _small_storms(seed: int, count: int, patch: pytest.MonkeyPatch) -> None:
    for first in range(0, count, BLOCK):
        numbers = range(first, min(first + BLOCK, count))
        with fast_folder() as folder:
            async with storm(folder, patch, here=11, there=1) as world:
                for number in numbers:
                    await _blow(world, seed, number, _small(seed, number))
                print(f"\nstorms {numbers.start} to {numbers.stop - 1}, seed {seed}: {world}")


@pytest.mark.once
async def test_everybody_shows_what_was_written_while_he_was_in(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _small_storms(seed, 3, monkeypatch)


@pytest.mark.long
@pytest.mark.serial
async def test_hundreds_of_small_storms(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    await _small_storms(seed, max(200, schedules() * 2 // 5), monkeypatch)  # some seconds each


@pytest.mark.long
@pytest.mark.serial
@pytest.mark.parametrize("number", range(3))
async def test_forty_engines_in_a_storm(seed: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with fast_folder() as folder:
        async with storm(folder, monkeypatch, here=36, there=4) as world:
            await _blow(world, seed, 1_000_000 + number, BAD)
            print(f"\nstorm {number}, seed {seed}: {world}")


@pytest.mark.once
@pytest.mark.parametrize(
    ("fault", "says"),
    [("loses_posts", "acknowledged, which has no number"), ("skips_history", "does not show number")],
)
async def test_a_server_that_loses_something_is_caught(
    seed: int, monkeypatch: pytest.MonkeyPatch, fault: str, says: str
) -> None:
    weather = Weather(deeds=4, kills=0)
    with fast_folder() as folder:
        async with storm(folder, monkeypatch, here=6, fault=fault) as world:
            for number in range(20):
                try:
                    await _blow(world, seed, number, weather)
                except AssertionError as error:
                    if says not in str(error):
                        raise
                    print(f"\n{fault}: caught in storm {number}, seed {seed}")
                    return
    pytest.fail(f"{fault} was not caught, MOBIUM_TEST_SEED={seed}")
