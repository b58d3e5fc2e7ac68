"""A server that ignores the window: what it pushes waits in its own memory, not in the client's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest

from mobium.client.receive import receive
from mobium.protocol import codec
from mobium.protocol import messages as m
from tests.support.engines import PATIENCE, Ear, World, inside, online
from tests.support.hostile import HostileServer

MIB = 1 << 20


async def test_large_frames_wait_at_the_server(
    world: World, server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await world.pair()
    key = bytes.fromhex(bob.me)
    line = server.accounts[key].line
    assert line is not None
    gate, held, store, run = asyncio.Event(), asyncio.Event(), inside(bob).store, inside(bob).store.run

    async def slow(work: Callable[..., Any], *args: Any) -> Any:
        if work is receive:
            held.set()
            await gate.wait()
        return await run(work, *args)

    monkeypatch.setattr(store, "run", slow)
    payload = os.urandom(MIB)
    for tag in range(1, 201):
        frame = codec.encode(m.Delivery(tag, os.urandom(16), bytes.fromhex(alice.me), payload))
        line.outgoing.put_nowait(frame)
    await asyncio.wait_for(held.wait(), PATIENCE)
    before, unchanged = -1, 0
    while unchanged < 20:
        await asyncio.sleep(0.01)
        left = line.outgoing.qsize()
        before, unchanged = left, unchanged + 1 if left == before else 0
    # Those that the transport holds, and few behind it.
    assert 200 - before <= 32 + 8
    assert online(bob).inbox._size <= 4 * MIB
    gate.set()
    line.tag = 200
    ear = Ear(bob)
    await alice.send("Bob", "and then this")
    await ear.text("and then this")
