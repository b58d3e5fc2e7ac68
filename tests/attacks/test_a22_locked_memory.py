"""A22, the memory of a locked profile (docs/CRYPTO.md section 2, Lock): what somebody reads from outside in
the process that had it open.

A lock that replaces the process image leaves nothing. `Engine.lock()` alone promises less, because Python
cannot wipe what it held in `str` and `bytes`: the store and every session are closed and let go, and what
native code held is wiped; copies that Python made may stay until the process ends, and this test says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import re
import secrets
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mobium._pure import state as states
from mobium.client.store.database import Store, Tx
from mobium.crypto import Identity, vault
from mobium.crypto._primitives import x25519_public
from mobium.crypto.session import HEAD_OVERHEAD
from tests.attacks.locked_child import STEPS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/PID/mem")

MAPS = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (r\S+) \S+ \S+ \S+ *(.*)")


class Child:
    """A process that does what it is told, line by line, and says when it is ready."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.pid = process.pid
        self._in, self._out = process.stdin, process.stdout

    async def told(self, *lines: str) -> bytes:
        """Give it lines; returns its memory when it is ready again."""
        self._in.write("".join(f"{line}\n" for line in lines).encode())
        async with asyncio.timeout(60):
            assert await self._out.readline() == b"ready\n"
        return memory(self.pid)


@contextlib.asynccontextmanager
async def child(*arguments: str) -> AsyncIterator[Child]:
    """The process; it ends with its standard input."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.attacks.locked_child", *arguments, stdin=PIPE, stdout=PIPE
    )  # fmt: skip
    try:
        yield Child(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
            await process.wait()


def memory(pid: int) -> bytes:
    """Everything that the process can read of its own, as another process sees it."""
    pieces = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            found = MAPS.match(line)
            if found is None or found[4] in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            begin, end = int(found[1], 16), int(found[2], 16)
            with contextlib.suppress(OSError):  # a page that is not there
                file.seek(begin)
                pieces.append(file.read(end - begin))
    return b"\0".join(pieces)


async def secrets_of(folder: Path, password: str, words: str) -> dict[str, bytes]:
    """What must not be found, read from the profile itself."""
    identity, data_key = vault.open(folder / "alice" / "vault", password)
    found = {
        "password": password.encode(),
        "words": words.encode(),
        "seed": identity.seed,
        "data key": data_key,
        "data key in hex": data_key.hex().encode(),
        "database key": vault.database_key(data_key),
        "database key in hex": vault.database_key(data_key).hex().encode(),
    }
    store = await Store.open(folder / "alice" / "mobium.db", vault.database_key(data_key), lambda _: None)

    def heads(tx: Tx) -> list[bytes]:
        return [row[0] for row in tx.all("SELECT head FROM session")]

    for number, head in enumerate(await store.run(heads)):
        state = states.decode_parts(head[HEAD_OVERHEAD:], [])
        found[f"root key {number}"] = state.root
        found[f"ratchet key {number}"] = state.private
        for name, chain in (("sending", state.sending), ("receiving", state.receiving)):
            if chain is not None:
                found[f"{name} chain key {number}"] = chain.key
    await store.close()
    return found


async def left(folder: Path, how: str) -> tuple[set[str], set[str]]:
    """Which secrets are in the memory of a process that has locked its profile, and which there were."""
    password = "a password of nobody else " + secrets.token_hex(8)
    _, words = Identity.generate()
    async with child(str(folder), how) as process:
        seen = await process.told(password, words)
    known = await secrets_of(folder, password, words)
    return {name for name, secret in known.items() if secret in seen}, set(known)


async def test_a_lock_that_replaces_the_process_leaves_nothing(tmp_path: Path) -> None:
    found, known = await left(tmp_path, "replace")
    assert found == set()
    assert known >= {"password", "words", "seed", "data key", "data key in hex", "sending chain key 0"}


async def test_without_replacing_it_python_keeps_what_it_had(tmp_path: Path) -> None:
    """`Engine.lock()` alone, in a program that goes on: the same look finds what that program was given."""
    found, _ = await left(tmp_path, "lock")
    assert found >= {"password", "words"}


async def test_a_native_ratchet_that_is_let_go_leaves_nothing() -> None:
    """Which is what the lock can promise of native code: there nothing else keeps a copy."""
    ratchet = importlib.import_module("mobium._native").Ratchet
    inputs = [os.urandom(32) for _ in range(4)]
    inputs[1] = x25519_public(inputs[1])
    state = ratchet.initiate(*inputs)
    for _ in range(STEPS):
        _, state = state.encrypt(b"hello", bytes(16))
    held = states.decode_parts(state.head(), [])
    assert held.sending is not None
    async with child("kernel") as process:
        seen = await process.told(*(each.hex() for each in inputs))
        assert held.sending.key in seen
        assert held.root in seen
        seen = await process.told("let go")
        assert held.sending.key not in seen
        assert held.root not in seen
