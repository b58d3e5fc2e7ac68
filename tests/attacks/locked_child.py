"""The process whose memory is read (tests/attacks/test_a22_locked_memory.py).

`python -m tests.attacks.locked_child FOLDER lock|replace` reads a password and recovery words from its
standard input, recovers a profile with them, talks, and locks it; with `replace` it then replaces its process
image, as the lock of a program does. `... kernel` holds a native ratchet and lets it go at the next line.
Each says when it is ready, and ends with its standard input. Not its concern: looking.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from pathlib import Path

from mobium.client import Engine, MessageReceived
from tests.support.engines import settle
from tests.support.hostile import HostileServer

STEPS = 5

WAIT = "import sys; print('ready', flush=True); sys.stdin.read()"


async def talk_and_lock(folder: Path, password: str, words: str) -> None:
    """Recover, talk with somebody, lock."""
    await Engine.recover(folder / "alice", password, words)
    await Engine.create(folder / "bob", password)
    async with (
        HostileServer() as server,
        Engine.open(folder / "alice", password, connector=server.connect, receipt_delay=0) as alice,
        Engine.open(folder / "bob", password, connector=server.connect, receipt_delay=0) as bob,
    ):
        for engine in (alice, bob):
            await engine.connect(server.url)
            await settle(engine)
        heard = bob.events()
        await bob.contacts.add(alice.me)
        await alice.wait(await alice.send(bob.me, "hello"), "delivered", 15)
        await bob.wait(await bob.send(alice.me, "hello too"), "delivered", 15)
        await alice.wait(await alice.send(bob.me, "and on"), "delivered", 15)
        async for event in heard:
            if isinstance(event, MessageReceived) and event.text == "and on":
                break
        for engine in (alice, bob):
            await engine.lock()


def hold_a_ratchet() -> None:
    """Hold a native ratchet whose keys no Python object ever had, and let it go."""
    ratchet = importlib.import_module("mobium._native").Ratchet
    state = ratchet.initiate(*(bytes.fromhex(sys.stdin.readline()) for _ in range(4)))
    for _ in range(STEPS):
        _, state = state.encrypt(b"hello", bytes(16))
    print("ready", flush=True)
    sys.stdin.readline()
    del state


def main() -> None:
    if sys.argv[1] == "kernel":
        hold_a_ratchet()
    else:
        folder, how = Path(sys.argv[1]), sys.argv[2]
        password, words = sys.stdin.readline().strip(), sys.stdin.readline().strip()
        asyncio.run(talk_and_lock(folder, password, words))
        if how == "replace":
            os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", WAIT])
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
