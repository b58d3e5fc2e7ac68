"""B11: the memory of an idle server and of an idle connection, plain and with the server's own TLS; then
2,000 people logged in, some of whom talk.

The marks are absolute, so there is no peer. Memory is the resident set of the server's process.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benches.load.harness import memory, mobium_server, pin
from benches.load.talk import RATE, crowd, leave, quantile, talk, talkers
from tests.support.certificates import certificate, trusting

IDLE_MARK = 45.0  # MB
PLAIN_MARK = 20.0  # KiB
TLS_MARK = 60.0
P99_MARK = 50.0  # ms


async def connection_cost(
    url: str, process: psutil.Process, number: int, context: ssl.SSLContext | None
) -> float:
    """KiB for each idle connection, beyond the first few, which bring what is made once."""
    first = await crowd(url, 50, context)
    await asyncio.sleep(0.5)
    before = memory(process)
    people = await crowd(url, number, context)
    await asyncio.sleep(0.5)
    cost = (memory(process) - before) / number / 1024
    leave([*first, *people])
    return cost


async def conversation(url: str, number: int, seconds: float) -> tuple[int, float]:
    """How many are logged in at the end, and the p99 of a message's way to its recipient in ms, while some
    talk.
    """
    people = await crowd(url, number)
    ways = await talk(await talkers(people), seconds)
    served = sum(not one.lost for one, _ in people)
    leave(people)
    return served, quantile(ways, 0.99)


def rows(quick: bool) -> list[dict[str, Any]]:
    """Four rows."""
    idle, people, seconds = (300, 400, 4.0) if quick else (1_000, 2_000, 20.0)
    pin(0, last=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with mobium_server(folder / "plain") as (process, url):
            time.sleep(1)
            resident = memory(process) / 1e6
            plain = asyncio.run(connection_cost(url, process, idle, None))
        cert, key = certificate(folder, "127.0.0.1")
        with mobium_server(folder / "tls", tls_cert=str(cert), tls_key=str(key)) as (process, url):
            tls = asyncio.run(connection_cost(url, process, idle, trusting(cert)))
        with mobium_server(folder / "crowd") as (_, url):
            served, p99 = asyncio.run(conversation(url, people, seconds))
    found = [
        ("idle server, resident", resident, "MB", f"{IDLE_MARK:g} MB", resident <= IDLE_MARK),
        ("idle connection", plain, "KiB", f"{PLAIN_MARK:g} KiB", plain <= PLAIN_MARK),
        ("idle connection with the server's TLS", tls, "KiB", f"{TLS_MARK:g} KiB", tls <= TLS_MARK),
        (
            f"{people:,} logged in, {served:,} served, {RATE} DMs a second: p99",
            p99,
            "ms",
            f"all served, under {P99_MARK:g} ms",
            served == people and p99 < P99_MARK,
        ),
    ]
    return [
        {
            "id": "B11",
            "what": what,
            "ours": round(value, 1),
            "peer": None,
            "peer_name": None,
            "unit": unit,
            "ratio": None,
            "mark": mark,
            "met": met,
        }
        for what, value, unit, mark, met in found
    ]
