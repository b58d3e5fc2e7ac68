"""B8: what one direct message costs the server's CPU, online to online, against a bare relay on the same
library.

Ours does more: it reads the message strictly, tags it, takes the recipient's acknowledgement and answers the
sender; what is not acknowledged by the next commit is stored, too. Both relays get the same load in turns, on
a core of their own: one that fills it, where a message waits behind so many others that most are stored, and
one that leaves each pair with one message on its way.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benches.load.floor_relay import __file__ as floor_relay
from benches.load.harness import (
    PATIENCE,
    Cheap,
    ask,
    cpu,
    kind,
    log_in,
    mobium_server,
    open_socket,
    payload,
    pin,
    publication,
    started,
)
from mobium.protocol import codec
from mobium.protocol.messages import Accepted, AckDeliveries, Delivery, SendMessage

MARK = 1.6
PAIRS = 50
IN_FLIGHT = 4  # of each sender
TOKEN = "t" * 32  # opens the server's figures


class Load:
    """Senders that keep `in_flight` messages on their way until each has sent `each`."""

    def __init__(self, each: int, in_flight: int) -> None:
        self.in_flight = in_flight
        self.left = dict.fromkeys(range(PAIRS), each)
        self.open = PAIRS
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def next(self, pair: int) -> bool:
        """Whether the pair sends another."""
        self.left[pair] -= 1
        return self.left[pair] >= 0

    def arrived(self, pair: int) -> None:
        """One message of the pair is through; the last one ends the run."""
        if self.left[pair] == -self.in_flight:
            self.open -= 1
            if not self.open:
                self.done.set_result(None)


class Cost(NamedTuple):
    """What a run has cost: CPU seconds of the server for each message, and messages a second."""

    cpu: float
    speed: float


class Couples:
    """Those who write, each to one other person."""

    def __init__(self) -> None:
        self.senders: list[Cheap] = []
        self.recipients: list[tuple[Cheap, bytes]] = []

    @classmethod
    async def made(cls, url: str, context: ssl.SSLContext | None = None) -> Couples:
        """All of them logged in."""
        couples = cls()
        for _ in range(PAIRS):
            couples.senders.append((await log_in(url, context))[0])
            recipient, person = await log_in(url, context)
            await ask(recipient, codec.encode(publication()))
            couples.recipients.append((recipient, person.public))
        return couples


async def ours(
    url: str,
    process: psutil.Process,
    each: int,
    context: ssl.SSLContext | None = None,
    in_flight: int = IN_FLIGHT,
) -> Cost:
    """What the relay of our server costs."""
    return await relay(await Couples.made(url, context), process, each, in_flight)


async def relay(couples: Couples, process: psutil.Process, each: int, in_flight: int = IN_FLIGHT) -> Cost:
    """Everybody sends so many; then all of them are gone."""
    senders, recipients = couples.senders, couples.recipients
    load = Load(each, in_flight)

    def wire(pair: int) -> None:
        sender, (recipient, public) = senders[pair], recipients[pair]

        def send() -> None:
            if load.next(pair):
                sender.send(codec.encode(SendMessage(os.urandom(16), public, payload())))

        def at_recipient(frames: list[bytes]) -> None:
            tags = [message.tag for message in map(kind, frames) if isinstance(message, Delivery)]
            recipient.send(codec.encode(AckDeliveries(tags[-1])))

        def at_sender(frames: list[bytes]) -> None:
            for one in frames:
                assert isinstance(kind(one), Accepted), kind(one)
                send()
                load.arrived(pair)

        sender.on_frames, recipient.on_frames = at_sender, at_recipient
        for _ in range(in_flight):
            send()

    return await run(load, wire, process, each, [*senders, *(one for one, _ in recipients)])


async def floor(url: str, process: psutil.Process, each: int, in_flight: int) -> Cost:
    """The same of the bare relay; its recipients start the next message, since nobody answers its senders."""
    sockets: list[tuple[Cheap, Cheap, bytes]] = []
    for _ in range(PAIRS):
        sender, recipient = await open_socket(url), await open_socket(url)
        name = os.urandom(32)
        await asyncio.gather(sender.ready, recipient.ready)
        await ask(sender, os.urandom(32))
        await ask(recipient, name)
        sockets.append((sender, recipient, name))
    load = Load(each, in_flight)

    def wire(pair: int) -> None:
        sender, recipient, name = sockets[pair]

        def send() -> None:
            if load.next(pair):
                sender.send(codec.encode(SendMessage(os.urandom(16), name, payload())))

        def at_recipient(frames: list[bytes]) -> None:
            for _ in frames:
                send()
                load.arrived(pair)

        recipient.on_frames = at_recipient
        for _ in range(in_flight):
            send()

    return await run(load, wire, process, each, [one for pair in sockets for one in pair[:2]])


async def run(load: Load, wire: Any, process: psutil.Process, each: int, sockets: list[Cheap]) -> Cost:
    before, began = cpu(process), time.perf_counter()
    for pair in range(PAIRS):
        wire(pair)
    async with asyncio.timeout(PATIENCE):
        await load.done
    spent, seconds = cpu(process) - before, time.perf_counter() - began
    for one in sockets:
        one.transport.abort()
    number = each * PAIRS
    return Cost(spent / number, number / seconds)


def stored(url: str) -> int:
    """How many messages the server has stored."""
    host = url.partition("://")[2].partition("/")[0]
    asked = urllib.request.Request(f"http://{host}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
        lines = answer.read().decode().splitlines()
    return int(float(next(line for line in lines if line.startswith("mobium_messages_stored")).split()[-1]))


def rows(quick: bool) -> list[dict[str, Any]]:
    """A row for each load."""
    pin(0, last=False)
    with (
        tempfile.TemporaryDirectory() as folder,
        mobium_server(Path(folder), admin_token=TOKEN) as server,
        started([floor_relay]) as bare,
    ):
        return [row(server, bare, in_flight, quick) for in_flight in (IN_FLIGHT, 1)]


def row(
    server: tuple[psutil.Process, str], bare: tuple[psutil.Process, str], in_flight: int, quick: bool
) -> dict[str, Any]:
    """Both relays in turns."""
    each, rounds = (100, 3) if quick else (400, 5)
    (process, url), (floor_process, floor_url) = server, bare
    our_costs, floor_costs = [], []
    before = stored(url)
    for _ in range(rounds):
        our_costs.append(asyncio.run(ours(url, process, each, in_flight=in_flight)).cpu)
        floor_costs.append(asyncio.run(floor(floor_url, floor_process, each, in_flight)).cpu)
    share = (stored(url) - before) / (rounds * each * PAIRS)
    mine, theirs = statistics.median(our_costs) * 1e6, statistics.median(floor_costs) * 1e6
    ratio = mine / theirs
    waits = f"{PAIRS} pairs, {in_flight} under way each, {share:.0%} stored"
    return {
        "id": "B8",
        "what": f"DM relay online to online: server CPU for each message ({waits})",
        "ours": round(mine, 1),
        "peer": round(theirs, 1),
        "peer_name": "bare websockets relay",
        "unit": "us",
        "ratio": round(ratio, 2),
        "mark": f"at most {MARK}x",
        "met": ratio <= MARK,
    }
