"""What tests of asking again do: forge what cannot be opened, lose sessions, look at what was asked for."""

from __future__ import annotations

import os

from mobium.client import Engine
from mobium.client.store import incoming, peers
from mobium.client.store.database import Tx
from tests.support.engines import World, settle


async def in_order(world: World, first_is_smaller: bool) -> tuple[str, str]:
    """Names of two profiles, the first of which has the bytewise smaller key or the larger one."""
    keys = {}
    for name in ("one", "two"):
        async with world.opened(name) as engine:
            await settle(engine)
            keys[name] = engine.me
    smaller, larger = sorted(keys, key=lambda name: keys[name])
    return (smaller, larger) if first_is_smaller else (larger, smaller)


async def talk(one: Engine, other: Engine) -> None:
    """Each answers the other, so that the session between them is one that both know."""
    for sender, receiver in ((one, other), (other, one)):
        await sender.wait(await sender.send(receiver.me, "hello"), "delivered", 5)


def forged() -> bytes:
    return b"\x01" + os.urandom(568)


def unopened(tx: Tx) -> list[str]:
    return [row[0] for row in tx.all("SELECT reason FROM unopened ORDER BY at")]


def waiting(tx: Tx) -> int:
    return int(tx.value("SELECT count(*) FROM outbox"))


def nothing_due(tx: Tx, now: int) -> bool:
    return all(at > now for _, at in incoming.due_retries(tx, now, 0)) and not tx.all("SELECT 1 FROM outbox")


def lose_sessions(tx: Tx, key: bytes) -> None:
    peer = peers.by_key(tx, key)
    assert peer is not None
    for held in list(tx.sessions.of(tx, peer.id).values()):
        tx.sessions.remove(tx, held)


def asked(tx: Tx) -> bool:
    return bool(tx.value("SELECT count(*) FROM unopened WHERE retried"))


def none_unasked(tx: Tx) -> bool:
    return not unasked(tx)


def unasked(tx: Tx) -> int:
    return int(tx.value("SELECT count(*) FROM unopened WHERE NOT retried"))
