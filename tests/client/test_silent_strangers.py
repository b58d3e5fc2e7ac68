"""Strangers who write no text are seen by nobody: however many there are, they keep nobody out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mobium.client.store import peers
from mobium.client.store.database import Tx
from mobium.crypto import Bundle, Identity, Session
from mobium.protocol import content
from mobium.protocol.content import Receipt
from tests.attacks.people import Person, Scene, bundle_of
from tests.support.engines import World, inside, tx

MOST = 20


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "MAX_UNKNOWN", MOST)


def silent(bundle: Bundle) -> tuple[Identity, bytes]:
    """A stranger, and a first message of his that holds no text."""
    stranger = Identity(os.urandom(64))
    receipt = content.encode(Receipt(os.urandom(16), 1, "read", [bytes(16)]))
    return stranger, Session.initiate(stranger, bundle).encrypt(receipt)[0]


async def besiege(scene: Scene, bob: Person, count: int) -> list[Identity]:
    bundle, strangers = bundle_of(bob), []
    for _ in range(count):
        stranger, payload = silent(bundle)
        strangers.append(stranger)
        await scene.server.forge(stranger.public, bob.key, payload)
    await scene.server.drained(bob.key)
    return strangers


def _met(tx: Tx) -> list[bytes]:
    return [row[0] for row in tx.all("SELECT ed FROM peer WHERE relation = 'unknown' ORDER BY id")]


def _sessions(tx: Tx) -> int:
    return int(tx.value("SELECT count(*) FROM session"))


async def test_silent_strangers_keep_nobody_out_and_are_few(world: World, folder: Path) -> None:
    async with Scene(folder) as scene:
        bob = await scene.person("bob")
        strangers = await besiege(scene, bob, 3 * MOST)
        assert await tx(bob.engine, _met) == [each.public for each in strangers[-MOST:]]
        assert await tx(bob.engine, _sessions) == MOST
        carol = await scene.person("carol")
        await carol.says(bob, "I am new here")
        await bob.hears("I am new here")
        assert [each.key for each in await bob.engine.contacts.requests()] == [carol.engine.me]


async def test_whom_a_recovery_has_asked_is_not_forgotten_for_them(world: World, folder: Path) -> None:
    async with Scene(folder) as scene:
        bob = await scene.person("bob")
        now = inside(bob.engine).now()
        await tx(
            bob.engine, lambda tx: peers.update(tx, peers.add(tx, bytes(32), "unknown", now), retry_at=now)
        )
        await tx(
            bob.engine,
            lambda tx: tx.execute(
                "INSERT INTO unopened (digest, peer, at, reason) VALUES (x'00', 1, ?, '')", now
            ),
        )
        await besiege(scene, bob, 2 * MOST)
        assert (await tx(bob.engine, _met))[0] == bytes(32)
        assert len(await tx(bob.engine, _met)) == MOST
