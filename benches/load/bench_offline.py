"""B10: direct messages to people who are offline, acknowledged after commit, against one transaction for each
message.

Ours is the whole server, over sockets. The peer is the bare storage, without any network, one durable
transaction a message, on the same disk. Then the server is killed, and every message that it acknowledged
must be in its database.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benches.load.harness import (
    PATIENCE,
    ROOT,
    Cheap,
    ask,
    cpu,
    kind,
    log_in,
    mobium_server,
    payload,
    pin,
    publication,
)
from mobium.protocol import codec
from mobium.protocol.messages import Accepted, SendMessage
from mobium_server.storage.base import NewMessage, Prekey, Publication
from mobium_server.storage.sqlite import SqliteStorage

MARK = 10.0
SENDERS = 40
IN_FLIGHT = 32
MOST = 1_000_000
KEY = Prekey(1, 2**33, bytes(32), bytes(64))


class Taken(NamedTuple):
    """Messages a second that were acknowledged, CPU seconds of the server for each, their delivery ids."""

    speed: float
    cpu: float
    accepted: set[bytes]


async def ours(
    url: str, process: psutil.Process, number: int, context: ssl.SSLContext | None = None
) -> Taken:
    """What our server takes; it is killed at the end."""
    recipients = []
    for _ in range(SENDERS):
        recipient, person = await log_in(url, context)
        await ask(recipient, codec.encode(publication()))
        recipient.transport.abort()
        recipients.append(person.public)
    senders = [(await log_in(url, context))[0] for _ in range(SENDERS)]
    left = number
    accepted: set[bytes] = set()
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    body = payload()

    def wire(sender: Cheap, recipient: bytes) -> None:
        def send() -> None:
            nonlocal left
            if left > 0:
                left -= 1
                sender.send(codec.encode(SendMessage(os.urandom(16), recipient, body)))

        def on_frames(frames: list[bytes]) -> None:
            for one in frames:
                message = kind(one)
                assert isinstance(message, Accepted), message
                accepted.add(message.id)
                send()
            if len(accepted) == number and not done.done():
                done.set_result(None)

        sender.on_frames = on_frames
        for _ in range(IN_FLIGHT):
            send()

    before, began = cpu(process), time.perf_counter()
    for socket, public in zip(senders, recipients, strict=True):
        wire(socket, public)
    async with asyncio.timeout(PATIENCE):
        await done
    spent, seconds = cpu(process) - before, time.perf_counter() - began
    process.kill()
    for one in senders:
        one.transport.abort()
    return Taken(number / seconds, spent / number, accepted)


def stored(path: Path) -> set[bytes]:
    """The delivery ids in a database whose server was killed."""
    storage = SqliteStorage(path, MOST)
    storage.open()
    found = {bytes(row[0]) for row in storage.connection.execute("SELECT delivery FROM messages")}
    storage.close()
    return found


def single(storage: SqliteStorage) -> Callable[[], object]:
    """What stores one message in a transaction of its own, on an open storage."""
    anna, ben = os.urandom(32), os.urandom(32)
    storage.publish(ben, Publication(bytes(32), bytes(64), KEY, KEY), 0)
    body = payload()
    return lambda: storage.apply([NewMessage(ben, anna, os.urandom(16), body)], [], 0)


def one_by_one(path: Path, number: int) -> float:
    """Messages a second, each in a transaction of its own."""
    storage = SqliteStorage(path, MOST)
    storage.open()
    store = single(storage)
    begin = time.perf_counter()
    for _ in range(number):
        store()
    spent = time.perf_counter() - begin
    storage.close()
    return number / spent


def rows(quick: bool) -> list[dict[str, Any]]:
    """One row."""
    number, single, rounds = (5_000, 200, 2) if quick else (20_000, 500, 3)
    pin(0, last=False)
    mine, theirs, kept = [], [], True
    (ROOT / "build").mkdir(exist_ok=True)
    # Not in the temporary folder, which may be memory: the disk is what is measured.
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        for turn in range(rounds):
            place = Path(folder) / str(turn)
            with mobium_server(place, max_offline_messages=str(MOST)) as (process, url):
                taken = asyncio.run(ours(url, process, number))
            kept = kept and taken.accepted <= stored(place / "mobium.db")
            mine.append(taken.speed)
            theirs.append(one_by_one(place / "single.db", single))
    ours_speed, peer_speed = statistics.median(mine), statistics.median(theirs)
    ratio = ours_speed / peer_speed
    return [
        {
            "id": "B10",
            "what": "DMs to offline users, acknowledged after commit; after a kill all of them are there",
            "ours": round(ours_speed),
            "peer": round(peer_speed),
            "peer_name": "one transaction for each message, no network",
            "unit": "/s",
            "ratio": round(ratio, 1),
            "mark": f"{MARK:g}x, and no ack before its commit",
            "met": ratio >= MARK and kept,
        }
    ]
