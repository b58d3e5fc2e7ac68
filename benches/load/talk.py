"""People who are logged in at our server, some of whom write to one another at a fixed rate.

Not its concern: what is measured of the server meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import time

from benches.load.harness import PATIENCE, Cheap, Person, ask, kind, log_in, payload, publication
from mobium.protocol import codec
from mobium.protocol.messages import Accepted, AckDeliveries, Delivery, SendMessage
from mobium_server.files import raise_file_limit

__all__ = ["RATE", "Somebody", "crowd", "leave", "quantile", "talk", "talkers"]

RATE = 300  # messages a second in all, while everybody is logged in
TALKERS = 200
AT_ONCE = 20  # logins that go on at the same time

Somebody = tuple[Cheap, Person]


async def crowd(url: str, number: int, context: ssl.SSLContext | None = None) -> list[Somebody]:
    """So many logged-in connections."""
    raise_file_limit(number)
    people: list[Somebody] = []
    for start in range(0, number, AT_ONCE):
        batch = [log_in(url, context=context) for _ in range(min(AT_ONCE, number - start))]
        people += await asyncio.gather(*batch)
    return people


def leave(people: list[Somebody]) -> None:
    """All of them are gone."""
    for one, _ in people:
        one.transport.abort()


async def talkers(people: list[Somebody]) -> list[Somebody]:
    """Some of the people, who can be written to from now on."""
    some = random.Random(1).sample(people, min(TALKERS, len(people)))
    for one, _ in some:
        await ask(one, codec.encode(publication()))
    return some


async def talk(some: list[Somebody], seconds: float) -> list[float]:
    """They write `RATE` messages a second to one another. How long each took to its recipient, ms, in rising
    order; all of them are acknowledged by then, and answered.
    """
    ways: list[float] = []
    sent: dict[bytes, float] = {}
    answers = 0
    number = int(RATE * seconds)
    through = asyncio.Event()
    body = payload()

    def listen(one: Cheap) -> None:
        def on_frames(frames: list[bytes]) -> None:
            nonlocal answers
            now = time.perf_counter()
            tags = []
            for data in frames:
                message = kind(data)
                if isinstance(message, Delivery):
                    ways.append((now - sent[message.id]) * 1_000)
                    tags.append(message.tag)
                else:
                    assert isinstance(message, Accepted), message
                    answers += 1
            if tags:
                one.send(codec.encode(AckDeliveries(tags[-1])))
            if len(ways) == answers == number:
                through.set()

        one.on_frames = on_frames

    for one, _ in some:
        listen(one)
    begin = time.perf_counter()
    for count in range(number):
        wait = begin + count / RATE - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        (sender, _), (_, recipient) = random.sample(some, 2)
        delivery = os.urandom(16)
        sent[delivery] = time.perf_counter()
        sender.send(codec.encode(SendMessage(delivery, recipient.public, body)))
    async with asyncio.timeout(PATIENCE):
        await through.wait()
    return sorted(ways)


def quantile(rising: list[float], share: float) -> float:
    """What `share` of the figures do not exceed."""
    return rising[min(len(rising) - 1, int(len(rising) * share))]
