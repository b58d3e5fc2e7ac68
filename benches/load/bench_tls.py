"""B8, B10 and B12 with the server's own TLS, against the same without it, in turns.

The load generator is one process of Python on the other cores and has about as much to do as the server, so
the CPU of the server for each message is what counts; a number a second says how busy the server was. Not its
concern: how many are logged in (benches/load/bench_growth.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benches.load import bench_offline as offline
from benches.load import bench_relay as relay
from benches.load.harness import ROOT, mobium_server, pin
from benches.python import bench_inbox as inbox
from tests.support.certificates import certificate, trusting

SECTION = "B8 to B12 with TLS"
ABOUT = (
    "The server ends TLS 1.3 itself. The load generator is one process of Python on the other cores"
    " with about as much to do as the server, so a number a second says how busy the server's core was."
    " B9, voice, and B11 with TLS have tables of their own, and B11 has rows above."
)
MOST = "1000000"
TRUST = "SSL_CERT_FILE"

Row = dict[str, Any]


class Size(NamedTuple):
    """How much is measured."""

    rounds: int
    each: int  # messages of each of the senders of B8
    offline: int
    queued: int


class Figures:
    """Figures of several rounds, without TLS and with it."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, bool], list[float]] = {}

    def add(self, name: str, tls: bool, value: float) -> None:
        """One round's."""
        self._found.setdefault((name, tls), []).append(value)

    def row(self, number: str, name: str, what: str, unit: str) -> Row:
        """The medians as a row; `{plain}` and `{tls}` in `what` are how busy the server was."""
        plain, tls = (statistics.median(self._found[name, one]) for one in (False, True))
        busy = {"plain": self._busy(name, tls=False), "tls": self._busy(name, tls=True)}
        return {
            "id": number,
            "section": SECTION,
            "about": ABOUT,
            "what": what.format(**busy),
            "ours": tls,
            "peer_name": "without TLS",
            "peer": plain,
            "unit": unit,
            "ratio": tls / plain,
        }

    def _busy(self, name: str, *, tls: bool) -> str:
        shares = self._found.get((f"{name}, busy", tls))
        return f"{statistics.median(shares):.0%}" if shares else ""


@contextlib.contextmanager
def trusted(cert: Path) -> Iterator[None]:
    """Engines, which trust what the system trusts, trust this certificate."""
    before = os.environ.get(TRUST)
    os.environ[TRUST] = str(cert)
    try:
        yield
    finally:
        os.environ.pop(TRUST)
        if before is not None:
            os.environ[TRUST] = before


def measure(folder: Path, size: Size, backend: str) -> list[Row]:
    """All rows; the client of B12 is on `backend`."""
    cert, key = certificate(folder, "127.0.0.1")
    secured = {"tls_cert": str(cert), "tls_key": str(key)}
    figures = Figures()
    for turn in range(size.rounds):
        for tls in (False, True):
            settings = {"max_offline_messages": MOST, **(secured if tls else {})}
            context = trusting(cert) if tls else None
            with mobium_server(folder / f"relay-{turn}-{tls}", **settings) as (process, url):
                cost = asyncio.run(relay.ours(url, process, size.each, context))
            figures.add("relay cpu", tls, cost.cpu * 1e6)
            figures.add("relay", tls, cost.speed)
            figures.add("relay, busy", tls, cost.cpu * cost.speed)
            place = folder / f"offline-{turn}-{tls}"
            with mobium_server(place, **settings) as (process, url):
                taken = asyncio.run(offline.ours(url, process, size.offline, context))
            if not taken.accepted <= offline.stored(place / "mobium.db"):
                raise RuntimeError("acknowledged before its commit")
            figures.add("offline cpu", tls, taken.cpu * 1e6)
            figures.add("offline", tls, taken.speed)
            figures.add("offline, busy", tls, taken.cpu * taken.speed)
    for tls in (False, True):
        place = folder / f"inbox-{tls}"
        settings = {"max_offline_messages": MOST, **(secured if tls else {})}
        with mobium_server(place / "server", **settings) as (_, url), trusted(cert):
            asyncio.run(inbox.fill(place, url, size.queued))
            returned = inbox.run_back(place, url, size.queued, backend)
        figures.add("inbox", tls, size.queued / returned["seconds"])
    return [
        figures.row("B8", "relay cpu", "DM relay online to online: server CPU for each message", "us"),
        figures.row(
            "B8", "relay",
            "the same, sustained: delivered, acknowledged and answered;"
            " server busy {tls} with TLS, {plain} without", "/s",
        ),
        figures.row("B10", "offline cpu", "DM to an offline user, committed: server CPU for each", "us"),
        figures.row(
            "B10", "offline",
            "the same, committed and acknowledged; after a kill all are there;"
            " server busy {tls} with TLS, {plain} without", "/s",
        ),
        figures.row(
            "B12", "inbox",
            f"{size.queued:,} queued DMs: decrypted, stored, acknowledged, {backend}", "/s",
        ),
    ]  # fmt: skip


def rows(quick: bool) -> list[Row]:
    """Five rows, about 40 seconds."""
    size = Size(1, 40, 1_000, 100) if quick else Size(3, 400, 20_000, 1_000)
    pin(0, last=False)
    (ROOT / "build").mkdir(exist_ok=True)
    # Not in the temporary folder, which may be memory: a commit waits for the disk.
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        return measure(Path(folder), size, "native")
