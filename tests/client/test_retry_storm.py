"""Two who lose their sessions again and again, over a server that holds, shuffles, repeats and forges, but
drops nothing: every text arrives, once.
"""

from __future__ import annotations

import random

import pytest

from mobium.client import Engine
from tests.support.asking import forged, lose_sessions, talk
from tests.support.engines import World, online, tx, until
from tests.support.hostile import Envelope, HostileServer

_STEPS = 40
_WHAT = ["say"] * 6 + ["hold", "release", "release", "forge", "repeat", "lose", "wait", "wait"]
_SECONDS = (10, 61, 130, 400, 1_000, 3_700, -50)  # back, too


@pytest.mark.parametrize("runs", [20, pytest.param(500, marks=pytest.mark.long)])
async def test_everything_arrives_once(world: World, server: HostileServer, runs: int, seed: int) -> None:
    pair = await world.pair()
    await talk(*pair)
    for run in range(runs):
        print(f"MOBIUM_TEST_SEED={seed}, run {run}")
        await _storm(world, server, pair, random.Random(f"{seed} {run}"), f"{run}.")


async def _storm(
    world: World, server: HostileServer, pair: tuple[Engine, Engine], chance: random.Random, prefix: str
) -> None:
    keys = [bytes.fromhex(engine.me) for engine in pair]
    said: tuple[list[str], list[str]] = [], []

    def shuffled(envelopes: list[Envelope]) -> list[Envelope]:
        return chance.sample(envelopes, len(envelopes))

    for step in range(_STEPS):
        one = chance.randrange(2)
        match chance.choice(_WHAT):
            case "say":
                said[one].append(f"{prefix}{step}")
                await pair[one].send(keys[1 - one], said[one][-1])
            case "hold":
                server.hold(keys[one])
            case "release":
                await server.release(keys[one], shuffled)
            case "forge":
                await server.forge(keys[1 - one], keys[one], forged())
            case "repeat":
                await server.put(*chance.choices(server.sent, k=3))
            case "lose":
                await tx(pair[one], lose_sessions, keys[1 - one])
            case _:
                world.clock.offset += chance.choice(_SECONDS)
                for engine in pair:
                    online(engine).repair.wake()
    await _all_there(world, server, pair, said)


async def _all_there(
    world: World, server: HostileServer, pair: tuple[Engine, Engine], said: tuple[list[str], list[str]]
) -> None:
    for engine in pair:
        await server.release(bytes.fromhex(engine.me))

    async def heard(one: int) -> list[str | None]:
        lines = await pair[1 - one].history(pair[one].me, limit=500)
        return [line.text for line in lines if line.text in said[one]]

    async def so() -> bool:
        # Asking takes its time: a minute passes at each look, in which nobody has anything to say.
        world.clock.offset += 60
        for engine in pair:
            online(engine).repair.wake()
        return all([set(await heard(one)) == set(said[one]) for one in (0, 1)])

    await until(so)
    for one in (0, 1):
        assert len(await heard(one)) == len(said[one])
