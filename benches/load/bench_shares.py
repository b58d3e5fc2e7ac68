"""B8, looked into: which part of the server a direct message's CPU time goes to, without TLS and with it.

A sample at each tick of the system says which line of Python was running; what C does, and the kernel, counts
for the line that called it. Only shares are to be trusted, and those of a few per cent as little as their
samples are few. Not its concern: how much it is in all (benches/load/bench_relay.py).
"""

from __future__ import annotations

import asyncio
import json
import linecache
import signal
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benches.load.bench_relay import PAIRS, Couples, relay
from benches.load.harness import PATIENCE, mobium_server, pin
from benches.load.sampled_server import __file__ as sampled_server
from tests.support.certificates import certificate, trusting

SECTION = "Where the server's time goes for a direct message (B8)"
ABOUT = (
    "Sampled while B8's load runs, many messages under way at once. Calls into C and the kernel count for the"
    " line that makes them. A message that is not acknowledged within 5 ms is stored, as it would be over the"
    " internet; under this load many are."
)
FUNCTIONS = 3  # named of each part
POLL = 0.02

Row = dict[str, Any]

SYSTEM_CALLS = "the kernel: sockets read, written, waited for"
OPENSSL = "OpenSSL: records sealed and opened"
MESSAGES = "messages checked, decoded, encoded"
LOOP = "asyncio's loop around them"
THREAD = "other threads: storage"
PARTS = {
    "mobium_server/tls.py": "Python around OpenSSL",
    "mobium_server/gateway.py": "connections and WebSocket frames",
    "mobium_server/frames.py": "connections and WebSocket frames",
    "mobium_server/stream.py": "connections and WebSocket frames",
    "mobium_server/listener.py": "connections and WebSocket frames",
    "websockets/": "connections and WebSocket frames",
    "mobium/protocol/": MESSAGES,
    "/msgpack/": MESSAGES,
    "mobium_server/delivery.py": "delivery: envelopes, windows, answers",
    "mobium_server/windows.py": "delivery: envelopes, windows, answers",
    "mobium_server/envelope.py": "delivery: envelopes, windows, answers",
    "mobium_server/recent.py": "delivery: envelopes, windows, answers",
    "mobium_server/holding.py": "delivery: envelopes, windows, answers",
    "mobium_server/": "requests: rates, handlers, counters",
    "asyncio/": LOOP,
    "/selectors.py": LOOP,
    "/ssl.py": OPENSSL,
    "<string>": "objects made: named tuples, data classes",
}
# Lines of those files that are calls out of Python.
CALLS = (
    ("/selectors.py", ".poll(", SYSTEM_CALLS),
    ("asyncio/", ".recv_into(", SYSTEM_CALLS),
    ("asyncio/", "_sock.send(", SYSTEM_CALLS),
    ("mobium_server/tls.py", "_object.", OPENSSL),
)


class Sample(NamedTuple):
    """Where CPU seconds went."""

    file: str
    function: str
    line: int
    seconds: float

    @property
    def part(self) -> str:
        """The part of the server."""
        path = Path(self.file).as_posix()
        text = linecache.getline(self.file, self.line)
        for where, call, part in CALLS:
            if where in path and call in text:
                return part
        return next((part for where, part in PARTS.items() if where in path), "other")


class Profile(NamedTuple):
    """Samples of a run, CPU seconds of other threads, and how many messages it had."""

    samples: list[Sample]
    others: float
    number: int

    def parts(self) -> dict[str, float]:
        """CPU seconds of each part."""
        found = {THREAD: self.others}
        for sample in self.samples:
            found[sample.part] = found.get(sample.part, 0.0) + sample.seconds
        return found

    def dearest(self, part: str) -> str:
        """The functions of a part that took most."""
        found: dict[str, float] = {}
        for sample in self.samples:
            if sample.part == part:
                found[sample.function] = found.get(sample.function, 0.0) + sample.seconds
        names = sorted(found, key=found.__getitem__, reverse=True)[:FUNCTIONS]
        whole = sum(self.parts().values())
        return ", ".join(f"{name} {found[name] / whole:.0%}" for name in names)


async def load(url: str, process: psutil.Process, each: int, out: Path, tls: Path | None) -> Profile:
    """A run, profiled from when everybody is there."""
    couples = await Couples.made(url, trusting(tls) if tls is not None else None)
    process.send_signal(signal.SIGUSR1)
    await asyncio.sleep(0.1)
    await relay(couples, process, each)
    process.send_signal(signal.SIGUSR2)
    async with asyncio.timeout(PATIENCE):
        while (found := read(out)) is None:  # noqa: ASYNC110
            await asyncio.sleep(POLL)
    return Profile([Sample(*one) for one in found["samples"]], found["others"], each * PAIRS)


def read(out: Path) -> dict[str, Any] | None:
    """What the server wrote, once it is there."""
    if not out.exists():
        return None
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def measure(folder: Path, each: int) -> list[Row]:
    """One row for each part."""
    cert, key = certificate(folder, "127.0.0.1")
    profiles = []
    for tls in (False, True):
        settings = {"tls_cert": str(cert), "tls_key": str(key)} if tls else {}
        out = folder / f"{tls}.json"
        with mobium_server(folder / str(tls), [sampled_server, str(out)], **settings) as (process, url):
            profiles.append(asyncio.run(load(url, process, each, out, cert if tls else None)))
    plain, secured = (one.parts() for one in profiles)
    return [
        {
            "id": "B8",
            "section": SECTION,
            "about": ABOUT,
            "figures": {
                "part": part,
                "us a DM": plain.get(part, 0.0) / profiles[0].number * 1e6,
                "share": f"{plain.get(part, 0.0) / sum(plain.values()):.0%}",
                "with TLS": secured[part] / profiles[1].number * 1e6,
                "its share": f"{secured[part] / sum(secured.values()):.0%}",
                "most of it, with TLS": profiles[1].dearest(part),
            },
        }
        for part in sorted(secured, key=secured.__getitem__, reverse=True)
    ]


def rows(quick: bool) -> list[Row]:
    """About ten rows, in half a minute; none where there is no profiling timer."""
    if not hasattr(signal, "setitimer"):
        return []
    pin(0, last=False)
    with tempfile.TemporaryDirectory() as name:
        return measure(Path(name), 200 if quick else 2_000)
