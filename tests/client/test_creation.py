"""A profile is made with its words in the hands of the caller, or not at all."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mobium.client import Engine
from mobium.client.store import meta
from mobium.client.store.database import Store
from mobium.crypto import Identity
from mobium.errors import StoreError
from tests.support.engines import PASSWORD, World, inside, tx
from tests.support.server import schedules

pytestmark = pytest.mark.once


def left(folder: Path) -> set[str]:
    """What lies in a profile's folder; the lock's file stays, since others may wait for it."""
    return {file.name for file in folder.glob("*")} - {"lock"}


async def interrupted(making: asyncio.Task[str], chance: random.Random, longest: float) -> str | None:
    """Cancel `making` at some moment, perhaps more than once; its words, if it was faster."""
    await asyncio.sleep(chance.uniform(0, longest))
    for _ in range(chance.choice((1, 1, 2, 3))):
        making.cancel()
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
    await asyncio.wait((making,))
    return None if making.cancelled() else making.result()


async def test_a_creation_that_is_cancelled_leaves_nothing(world: World, seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    began = time.monotonic()
    await world.create("measured")
    longest = 1.2 * (time.monotonic() - began)
    cancelled = 0
    for number in range(schedules()):
        folder = world.path(str(number))
        making = asyncio.create_task(Engine.create(folder, PASSWORD))
        words = await interrupted(making, chance, longest)
        if words is None:
            cancelled += 1
            assert left(folder) == set()
            words = await Engine.create(folder, PASSWORD)
        else:
            longest *= 0.9  # it goes faster than when it was measured
        async with Engine.open(folder, PASSWORD) as engine:
            assert engine.identity.public == Identity.from_words(words).public
    assert cancelled > schedules() // 5, "it was cancelled too late to mean anything"


async def test_a_creation_that_is_cancelled_leaves_what_was_there(world: World, seed: int) -> None:
    await world.create("alice")
    before = {file: file.read_bytes() for file in world.path("alice").iterdir()}
    chance = random.Random(seed)
    for _ in range(20):
        making = asyncio.create_task(Engine.create(world.path("alice"), PASSWORD))
        with suppress(StoreError):  # if it was faster
            assert await interrupted(making, chance, 0.005) is None
        assert {file: file.read_bytes() for file in world.path("alice").iterdir()} == before


async def test_a_creation_without_a_database_leaves_no_identity(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:

        def full(*_: object) -> None:
            raise StoreError("The disk is full.")

        patched.setattr(Store, "_open", full)
        with pytest.raises(StoreError, match="full"):
            await world.create("alice")
    assert left(world.path("alice")) == set()
    assert await world.create("alice")


async def test_an_identity_whose_words_nobody_saw_is_not_kept(world: World) -> None:
    def fails(words: str) -> None:
        assert len(words.split()) == 24
        raise OSError("nobody reads")

    with pytest.raises(OSError, match="nobody reads"):
        await Engine.create(world.path("alice"), PASSWORD, fails)
    assert left(world.path("alice")) == set()
    shown: list[str] = []
    words = await Engine.create(world.path("alice"), PASSWORD, shown.append)
    assert shown == [words]


async def test_a_database_that_is_missing_is_a_recovery_whenever_the_machine_stops(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.create("alice")
    for file in world.path("alice").glob("mobium.db*"):
        file.unlink()
    migrate = Store._migrate

    def stops(self: Store, number: int, *args: Any, **fields: Any) -> None:
        if number:
            raise StoreError("The machine stops.")
        migrate(self, number, *args, **fields)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "_migrate", stops)
        with pytest.raises(StoreError, match="stops"):
            async with world.opened("alice", connect=False):
                pass
    async with world.opened("alice", connect=False) as alice:
        recovered = int(await tx(alice, meta.get, "recovered_at"))
        assert abs(recovered - inside(alice).now()) < 60
    for file in world.path("alice").glob("mobium.db*"):
        file.unlink()
    for anew in (True, False):
        async with world.opened("alice", connect=False) as alice:
            assert alice.began_anew is anew


async def test_an_empty_database_is_damaged_and_not_a_new_one(world: World) -> None:
    await world.create("alice")
    database = world.path("alice") / "mobium.db"
    database.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(StoreError, match="empty, so it is damaged"):
            async with world.opened("alice", connect=False):
                pass
        assert database.read_bytes() == b""
