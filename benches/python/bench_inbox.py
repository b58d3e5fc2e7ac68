"""B12: a client comes back to 1,000 queued messages: how many a second are decrypted, stored and
acknowledged.

Server, sender and the returning client are three processes; the client runs once on each back end. Its time
counts from the connection to the transaction that stored the last message; its memory from before the
connection to the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from mobium.client import Engine
from mobium.client.events import MessageReceived

PASSWORD = "a password for a bench"
TIME_LIMIT = 300.0
TEXT = "x" * 200


async def receive(folder: str, url: str, count: int) -> dict[str, float]:
    """The returning client, in its own process."""
    process = psutil.Process()
    async with Engine.open(folder, PASSWORD, receipt_delay=0.0) as engine:
        events = engine.events()
        before = process.memory_info().rss
        began = time.perf_counter()
        await engine.connect(url)
        left = count
        async for event in events:
            left -= isinstance(event, MessageReceived)
            if not left:
                break
        seconds = time.perf_counter() - began
        grown = process.memory_info().rss - before
    return {"seconds": seconds, "grown": grown}


async def fill(root: Path, url: str, count: int) -> None:
    """Two identities that know each other; then one of them leaves, and `count` messages wait for it."""
    await Engine.create(root / "sender", PASSWORD)
    await Engine.create(root / "receiver", PASSWORD)
    async with Engine.open(root / "sender", PASSWORD, receipt_delay=0.0) as sender:
        async with Engine.open(root / "receiver", PASSWORD, receipt_delay=0.0) as receiver:
            await sender.connect(url)
            await receiver.connect(url)
            await sender.wait(await sender.send(receiver.me, "hello"), "sent", TIME_LIMIT)
            await receiver.wait(await receiver.send(sender.me, "hello"), "delivered", TIME_LIMIT)
            peer = receiver.me
        ids = [await sender.send(peer, TEXT) for _ in range(count)]
        await sender.wait(ids[-1], "sent", TIME_LIMIT)


def start_server(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A server process and its address."""
    environment = {
        **os.environ,
        "SC_HOST": "127.0.0.1",
        "SC_PORT": "0",
        "SC_REQUIRE_TLS": "false",
        "SC_RATE_GENERAL": "0",
        "SC_MAX_OFFLINE_MESSAGES": "100000",
        "SC_DATABASE_URL": f"sqlite://{folder / 'mobium.db'}",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "mobium_server"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("mobium-server listening on "):
            return process, line.split()[-1]
    raise RuntimeError("the server did not start")


def run_back(root: Path, url: str, count: int, backend: str) -> dict[str, float]:
    """The figures of one returning client."""
    code = (
        "import asyncio, json, sys; from benches.python.bench_inbox import receive; "
        "print(json.dumps(asyncio.run(receive(sys.argv[1], sys.argv[2], int(sys.argv[3])))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(root / "receiver"), url, str(count)],
        env={**os.environ, "MOBIUM_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
        timeout=TIME_LIMIT,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """B12 on both back ends."""
    count = 200 if quick else 1_000
    found = []
    for backend in ("native", "pure"):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            server, url = start_server(root)
            try:
                asyncio.run(fill(root, url, count))
                figures = run_back(root, url, count, backend)
            finally:
                server.terminate()
                server.wait(30)
        rate = count / figures["seconds"]
        grown = figures["grown"] / 2**20
        marked = backend == "native" and not quick
        found.append(
            {
                "id": "B12",
                "what": f"{count:,} queued DMs: decrypted, stored, acknowledged, {backend}",
                "ours": rate,
                "unit": "/s",
                "mark": "1,500/s",
                "met": rate >= 1_500 if marked else None,
            }
        )
        found.append(
            {
                "id": "B12",
                "what": f"memory that grows meanwhile, {backend}",
                "ours": grown,
                "unit": "MiB",
                "mark": "under 20 MiB",
                "met": grown < 20 if marked else None,
            }
        )
    return found
