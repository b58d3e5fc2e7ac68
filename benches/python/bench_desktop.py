"""B13: the desktop on a private display: from its start to the unlock screen; a conversation of 10,000
messages is opened; it sends while a message arrives each 10 ms.

The window runs in a process of its own (desktop_window.py), the other side's engine in this one, behind a
real server. A stall is the longest time between two turns of the window's loop, beyond the 5 ms that were
asked for; what its thread itself did meanwhile is beside it, since on a busy machine it mostly waits.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benches.python.bench_inbox import start_server
from mobium.client import Engine
from tests.support.display import display
from tests.support.engines import tx
from tests.support.said import key_of, say

PASSWORD = "a password for a bench"
TIME_LIMIT = 300.0
SECTION = "The desktop (B13)"
ABOUT = (
    "On a private display without a graphics card, with both sides and the server on this machine. What waits"
    " for other programs counts in the times, so processor time stands beside them."
)
EACH = 0.010  # seconds between two arrivals
TURNS = 3  # each figure is the median of so many


async def fill(data: Path, count: int, url: str) -> str:
    """Two profiles that know each other, and a long conversation; the key of the window's."""
    for name in ("window", "other"):
        (data / "profiles" / name).mkdir(parents=True)
        await Engine.create(data / "profiles" / name, PASSWORD)
    async with (
        Engine.open(data / "profiles" / "window", PASSWORD) as window,
        Engine.open(data / "profiles" / "other", PASSWORD) as other,
    ):
        text = "Message {} of a long conversation, about nothing much."
        text = "Message {} of a long conversation, about nothing much."
        said = [(n % 3 == 0, text.format(n), 0.0) for n in range(count)]
        await tx(window, say, "Long", said)
        for engine in (window, other):
            await engine.connect(url)
        await window.contacts.add(other.me, "Other")
        await other.wait(await other.send(window.me, "hello"), "sent", TIME_LIMIT)
        await window.wait(await window.send(other.me, "hello"), "sent", TIME_LIMIT)
        return window.me


async def send(data: Path, peer: str, count: int, url: str, ready: Callable[[], object]) -> None:
    """The other side."""
    async with Engine.open(data / "profiles" / "other", PASSWORD) as other:
        await other.connect(url)
        await asyncio.to_thread(ready)
        began = time.monotonic()
        for number in range(count):
            await other.send(peer, f"Arrival {number}, one of many")
            await asyncio.sleep(max(0.0, began + (number + 1) * EACH - time.monotonic()))
        await other.settled(TIME_LIMIT)


def child(
    what: str, argument: str, environment: dict[str, str], module: str = "benches.python.desktop_window"
) -> subprocess.Popen[str]:
    """A process that runs one of the functions of a module, and prints what it returns."""
    code = (
        f"import json, sys; from {module} import {what}; print(json.dumps({what}(sys.argv[1])), flush=True)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, argument], env=environment, stdout=subprocess.PIPE, text=True
    )


def figures(process: subprocess.Popen[str]) -> dict[str, float]:
    """What a child has found."""
    out, _ = process.communicate(timeout=TIME_LIMIT)
    if process.returncode:
        raise RuntimeError("the window's process has failed")
    found: dict[str, float] = json.loads(out.splitlines()[-1])
    return found


def median(found: list[dict[str, float]], name: str) -> float:
    """The median of a figure in milliseconds."""
    return statistics.median(one[name] for one in found) * 1000


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """B13."""
    count, arrivals, turns = (1_000, 100, 1) if quick else (10_000, 500, TURNS)
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        server, url = start_server(data)
        try:
            peer = asyncio.run(fill(data, count, url))
            with display(data, 1_440, 900) as shown:
                environment = {**os.environ, **shown.environ, "MOBIUM_DATA_DIR": str(data)}
                child("start", "", environment).wait(TIME_LIMIT)  # fonts are put into its home once
                starts = [figures(child("start", "", environment)) for _ in range(turns)]
                opens = [
                    figures(child("long_one", key_of("Long"), environment))["seconds"] for _ in range(turns)
                ]
                window = child("burst", str(arrivals), environment)
                assert window.stdout is not None
                asyncio.run(send(data, peer, arrivals, url, window.stdout.readline))
                stalls = figures(window)
        finally:
            server.terminate()
            server.wait(30)
    found = [
        ("start to the unlock screen", median(starts, "seconds"), 1_000),
        ("the same, processor time", median(starts, "work"), None),
        (f"a conversation of {count:,} messages opened", statistics.median(opens) * 1000, 250),
        (
            f"longest stall while {arrivals} messages arrive, one each 10 ms, and some are sent",
            stalls["most"],
            50,
        ),
        ("the same, 99th percentile", stalls["p99"], None),
        ("the longest work of the window's thread between two turns meanwhile", stalls["work"], None),
    ]
    return [
        {
            "id": "B13",
            "section": SECTION,
            "about": ABOUT,
            "what": what,
            "ours": ours,
            "unit": "ms",
            "mark": "" if mark is None else f"{mark:,} ms",
            "met": None if mark is None or quick else ours <= mark,
        }
        for what, ours, mark in found
    ]
