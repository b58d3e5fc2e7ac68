"""B8 and B11 as people come: from 10 to 2,000 logged in, without and with the server's own TLS, what a login
costs, how much memory a connection takes, what a direct message costs at a fixed rate, and how long it takes.

Each line has a server of its own. A login is one of some that follow one another once everybody is there; its
time is the client's too. The clients of 2,000 people with TLS take 600 MiB. Not its concern: how
much fits into a second (benches/load/bench_tls.py).
"""

from __future__ import annotations

import asyncio
import ssl
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benches.load.harness import Person, cpu, log_in_as, memory, mobium_server, pin
from benches.load.talk import RATE, Somebody, crowd, leave, quantile, talk, talkers
from tests.support.certificates import certificate, trusting

SIZES = (10, 100, 500, 1_000, 2_000)
ENOUGH = 100  # people from whom on the memory of one can be told from what is made once
LOGINS = 20
FIRST = 5  # who bring what is made once, before the memory is looked at
SETTLE = 0.5
SECTION = "Growth: B8 and B11 from 10 to 2,000 people"
ABOUT = (
    f"Everybody is logged in; {RATE} DMs a second among at most 200 of them, each acknowledged by its"
    " recipient and answered to its sender. At such a rate nearly every frame wakes the server by"
    " itself, so a message costs more than in B8, where many are under way. A login is the mean of"
    f" {LOGINS} (CPU of the server) and their median (until its client is welcomed)."
)

Row = dict[str, Any]


async def logins(url: str, process: psutil.Process, context: ssl.SSLContext | None) -> tuple[float, float]:
    """What one more login costs the server's CPU, and how long it takes its client, ms."""
    people: list[Somebody] = []
    seconds = []
    before = cpu(process)
    for _ in range(LOGINS):
        person = Person()
        began = time.perf_counter()
        socket, _ = await log_in_as(url, person, context=context)
        seconds.append(time.perf_counter() - began)
        people.append((socket, person))
    spent = cpu(process) - before
    leave(people)
    return spent / LOGINS * 1e3, statistics.median(seconds) * 1e3


async def line(
    url: str, process: psutil.Process, number: int, seconds: float, context: ssl.SSLContext | None
) -> dict[str, float | None]:
    """The figures with so many people."""
    leave(await crowd(url, FIRST, context))
    await asyncio.sleep(SETTLE)
    before = memory(process)
    people = await crowd(url, number, context)
    await asyncio.sleep(SETTLE)
    resident = memory(process)
    login_cpu, login_time = await logins(url, process, context)
    some = await talkers(people)
    began = cpu(process)
    ways = await talk(some, seconds)
    spent = cpu(process) - began
    if any(one.lost for one, _ in people):
        raise RuntimeError(f"not all of {number} people were served")
    leave(people)
    return {
        "login, CPU ms": login_cpu,
        "login, ms": login_time,
        "server, MiB": resident / 2**20,
        "a connection, KiB": (resident - before) / number / 1024 if number >= ENOUGH else None,
        "a DM, CPU us": spent / len(ways) * 1e6,
        "a DM, p50 ms": quantile(ways, 0.5),
        "a DM, p99 ms": quantile(ways, 0.99),
    }


def measure(folder: Path, sizes: tuple[int, ...], seconds: float) -> list[Row]:
    """One row for each number of people, without TLS and then with it."""
    cert, key = certificate(folder, "127.0.0.1")
    found = []
    for tls in (False, True):
        settings = {"tls_cert": str(cert), "tls_key": str(key)} if tls else {}
        context = trusting(cert) if tls else None
        for number in sizes:
            with mobium_server(folder / f"{number}-{tls}", **settings) as (process, url):
                figures = asyncio.run(line(url, process, number, seconds, context))
            about = {"people": f"{number:,}", "TLS": "on" if tls else "off"}
            found.append({"id": "B11", "section": SECTION, "about": ABOUT, "figures": about | figures})
    return found


def rows(quick: bool) -> list[Row]:
    """Ten rows, about 90 seconds; fewer and shorter ones if `quick`."""
    pin(0, last=False)
    with tempfile.TemporaryDirectory() as name:
        return measure(Path(name), SIZES[:2] if quick else SIZES, 1.0 if quick else 6.0)
