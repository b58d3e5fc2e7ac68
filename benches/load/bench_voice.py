"""B9: what a media frame costs the server's CPU for each one who hears it, forty in a voice room, against
`websockets.broadcast`, with TLS and without; and how much of a core a room takes in which some speak.

Both servers get the same load in turns, on a core of their own. Ours does more: it looks up the room, counts
against the rates, puts numbers into the header, and has a queue for each socket.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benches.load.bench_fanout import Open
from benches.load.floor_broadcast import __file__ as floor_broadcast
from benches.load.harness import (
    PATIENCE,
    ROOT,
    Cheap,
    answer,
    cpu,
    mobium_server,
    open_socket,
    pin,
    started,
)
from mobium.protocol.limits import MAX_SPEAKERS, VOICE_BODY
from mobium.protocol.media_frames import SCREEN, VOICE, is_media, to_server
from mobium.protocol.messages import JoinVoice, VoiceState
from tests.support.certificates import certificate, trusting

SECTION = "Voice rooms (B9)"
ABOUT = (
    "Forty in a room, one of whom sends while the others listen; the next frame is sent when the first"
    " listener has one, so that no two frames are written together unless several are under way at once."
    " `websockets.broadcast` knows no rooms, rates, numbers or slow readers."
)
PICTURE = 20 << 10  # bytes of a frame of a screen at 2.5 Mbit/s and 15 a second

Row = dict[str, Any]


class Load(NamedTuple):
    """What is sent: bodies of one kind, so many at once."""

    name: str
    kind: int
    size: int
    at_once: int

    def frame(self, room: int) -> bytes:
        """One of them."""
        return to_server(self.kind, room, os.urandom(self.size))


LOADS = (
    Load("voice frame", VOICE, VOICE_BODY, 1),
    Load("voice frame, 4 at once", VOICE, VOICE_BODY, 4),
    Load("frame of a screen, 20 KiB", SCREEN, PICTURE, 1),
)


class Size(NamedTuple):
    """How much is measured."""

    rounds: int
    frames: int
    seconds: float
    """Of each number of speakers."""


async def entered(url: str, context: ssl.SSLContext | None) -> tuple[list[Cheap], int]:
    """Forty in a room, and its number."""
    channel = await Open.made(url, MAX_SPEAKERS - 1, context)
    everybody = [channel.sender, *channel.readers]
    state = VoiceState(channel.id)
    for one in everybody:
        state = await answer(one, JoinVoice(channel.id, 1), VoiceState)
    await asyncio.sleep(0.2)  # the last of who is told is told
    assert len(state.members) == MAX_SPEAKERS
    return everybody, state.room


async def spread(sender: Cheap, listeners: list[Cheap], data: bytes, number: int, at_once: int) -> None:
    """Send so many frames, and return when every listener has all of them."""
    left, heard = number, 0
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send() -> None:
        nonlocal left
        if left > 0:
            left -= 1
            sender.send(data)

    def at_listener(frames: list[bytes]) -> None:
        nonlocal heard
        heard += sum(map(is_media, frames))
        if heard == number * len(listeners) and not done.done():
            done.set_result(None)

    def at_first(frames: list[bytes]) -> None:
        for _ in frames:
            send()
        at_listener(frames)

    for one in listeners:
        one.on_frames = at_listener
    listeners[0].on_frames = at_first
    for _ in range(at_once):
        send()
    async with asyncio.timeout(PATIENCE):
        await done


async def ours(
    url: str, process: psutil.Process, number: int, context: ssl.SSLContext | None
) -> dict[str, float]:
    """CPU seconds for each delivery of each load."""
    (sender, *listeners), room = await entered(url, context)
    costs = {}
    for load in LOADS:
        frame = load.frame(room)
        await spread(sender, listeners, frame, 50, load.at_once)
        before = cpu(process)
        await spread(sender, listeners, frame, number, load.at_once)
        costs[load.name] = (cpu(process) - before) / (number * len(listeners))
    for one in (sender, *listeners):
        one.transport.abort()
    return costs


async def theirs(
    url: str, process: psutil.Process, number: int, context: ssl.SSLContext | None
) -> dict[str, float]:
    """The same of the bare broadcast."""
    sockets = [await open_socket(url, context) for _ in range(MAX_SPEAKERS)]
    await asyncio.gather(*(one.ready for one in sockets))
    await asyncio.sleep(0.2)
    sender, *listeners = sockets
    costs = {}
    for load in LOADS:
        frame = load.frame(1)
        await spread(sender, listeners, frame, 50, load.at_once)
        before = cpu(process)
        await spread(sender, listeners, frame, number, load.at_once)
        costs[load.name] = (cpu(process) - before) / (number * len(listeners))
    for one in sockets:
        one.transport.abort()
    return costs


async def speaking(
    url: str, process: psutil.Process, speakers: int, seconds: float, context: ssl.SSLContext | None
) -> float:
    """The share of a core that the server takes while so many speak, 50 frames a second each; every frame
    reaches everybody else.
    """
    everybody, room = await entered(url, context)
    frame = Load("", VOICE, VOICE_BODY, 1).frame(room)
    heard, turns = 0, int(seconds * 50)
    done = asyncio.Event()

    def count(frames: list[bytes]) -> None:
        nonlocal heard
        heard += sum(map(is_media, frames))
        if heard == turns * speakers * (MAX_SPEAKERS - 1):
            done.set()

    for one in everybody:
        one.on_frames = count
    before, began = cpu(process), time.perf_counter()
    for turn in range(turns):
        for place, one in enumerate(everybody[:speakers]):
            # Each at its own moment, as people's microphones are.
            due = began + (turn + place / speakers) / 50
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            one.send(frame)
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    share = (cpu(process) - before) / (time.perf_counter() - began)
    for one in everybody:
        one.transport.abort()
    return share


def measure(folder: Path, size: Size) -> list[Row]:
    """All rows."""
    cert, key = certificate(folder, "127.0.0.1")
    found: dict[tuple[str, bool, str], list[float]] = {}
    shares: dict[tuple[int, bool], float] = {}
    for tls in (False, True):
        context = trusting(cert) if tls else None
        secured = {"tls_cert": str(cert), "tls_key": str(key)} if tls else {}
        floor = [floor_broadcast, str(cert), str(key)] if tls else [floor_broadcast]
        with (
            mobium_server(folder / f"server-{tls}", rate_media="0", **secured) as (process, url),
            started(floor) as (floor_process, floor_url),
        ):
            for _ in range(size.rounds):
                for side, costs in (
                    ("ours", asyncio.run(ours(url, process, size.frames, context))),
                    ("theirs", asyncio.run(theirs(floor_url, floor_process, size.frames, context))),
                ):
                    for name, cost in costs.items():
                        found.setdefault((name, tls, side), []).append(cost * 1e6)
            for speakers in (2, 8):
                shares[speakers, tls] = asyncio.run(speaking(url, process, speakers, size.seconds, context))
    rows: list[Row] = []
    for tls in (False, True):
        for load in LOADS:
            mine, peer = (statistics.median(found[load.name, tls, side]) for side in ("ours", "theirs"))
            rows.append(
                {
                    "what": f"{load.name}{', TLS' if tls else ''}: server CPU for each delivery",
                    "ours": mine,
                    "peer_name": "websockets.broadcast",
                    "peer": peer,
                    "unit": "us",
                    "ratio": mine / peer,
                    "mark": "not slower",
                    "met": mine <= peer,
                }
            )
    for (speakers, tls), share in shares.items():
        deliveries = speakers * 50 * (MAX_SPEAKERS - 1)
        what = (
            f"{speakers} speak to {MAX_SPEAKERS}{', TLS' if tls else ''}: {deliveries:,} deliveries a second"
        )
        rows.append({"what": f"{what}, of a core", "ours": share * 100, "unit": "%"})
    return [{"id": "B9", "section": SECTION, "about": ABOUT, **row} for row in rows]


def rows(quick: bool) -> list[Row]:
    """The section."""
    pin(0, last=False)
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        return measure(Path(folder), Size(1, 300, 1.0) if quick else Size(5, 1_000, 5.0))
