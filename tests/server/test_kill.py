"""Killing the server at random moments under load, at the level of the protocol: nothing acknowledged is
lost, nothing is shown twice or out of order. Against a server that acknowledges before its commit the same
test must fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from mobium.protocol.messages import Accepted, AckDeliveries, Delivery, Error
from tests.support.server import Client, Person, ServerProcess, log_in, randomness, schedules

SENDERS = 3
BURST = 40  # messages of one sender in one schedule


class Lost(AssertionError):
    """A promise was broken."""


class Book:
    """What everybody saw, over all kills."""

    def __init__(self) -> None:
        self.sent: dict[bytes, tuple[int, bytes, int]] = {}
        """Delivery id: sender, recipient, and which of the sender's messages it is."""
        self.answered: set[bytes] = set()
        self.shown: dict[bytes, list[bytes]] = {}
        self.in_flight = 0
        self.resent = 0
        self.kills = 0

    def show(self, recipient: bytes, delivery: bytes) -> None:
        """A client shows a message once."""
        shown = self.shown.setdefault(recipient, [])
        if delivery not in shown:
            shown.append(delivery)

    def check(self) -> None:
        """What was acknowledged is shown, and every pair's messages are in order."""
        everything = {delivery for shown in self.shown.values() for delivery in shown}
        missing = self.answered - everything
        if missing:
            raise Lost(f"{len(missing)} acknowledged messages are lost")
        for recipient, shown in self.shown.items():
            for sender in range(SENDERS):
                numbers = [self.sent[one][2] for one in shown if self.sent[one][0] == sender]
                if numbers != sorted(numbers):
                    raise Lost(f"out of order at {recipient.hex()[:8]}")

    def __str__(self) -> str:
        shown = sum(map(len, self.shown.values()))
        return (
            f"{self.kills} kills, {len(self.answered)} acknowledged, {self.in_flight} in flight at a kill, "
            f"{self.resent} resent, {shown} shown"
        )


async def receive(one: Client, book: Book, slowly: random.Random | None = None) -> None:
    """Show and acknowledge what comes, note answers, until the connection breaks."""
    with contextlib.suppress(ConnectionClosed, EOFError, OSError, TimeoutError):
        while True:
            message = await one.receive(60)
            if isinstance(message, Delivery):
                book.show(one.public, message.id)
                if slowly is not None and slowly.random() < 0.3:
                    await asyncio.sleep(slowly.random() * 0.01)
                await one.send(AckDeliveries(message.tag))
            elif isinstance(message, Accepted):
                book.answered.add(message.id)
            elif isinstance(message, Error):
                raise Lost(f"refused: {message.code}")


async def schedule(process: ServerProcess, book: Book, rng: random.Random, people: list[Person]) -> bool:
    """Load, one kill, a restart, and everything that follows. False if nothing was in flight at the kill."""
    senders = [await log_in(process.url, person) for person in people[:SENDERS]]
    online, offline = people[SENDERS], people[SENDERS + 1]
    reader = await log_in(process.url, online)

    async def talk(number: int) -> None:
        mine = senders[number]
        count = sum(sender == number for sender, _, _ in book.sent.values())
        with contextlib.suppress(ConnectionClosed, OSError):
            for i in range(BURST):
                recipient = rng.choice([online, offline, offline]).public
                delivery = rng.randbytes(16)
                book.sent[delivery] = (number, recipient, count + i)
                await mine.post(recipient, delivery, delivery=delivery)
                if rng.random() < 0.3:
                    await asyncio.sleep(rng.random() * 0.01)

    async with asyncio.TaskGroup() as tasks:
        for number, one in enumerate(senders):
            tasks.create_task(receive(one, book))
            tasks.create_task(talk(number))
        tasks.create_task(receive(reader, book, rng))
        await asyncio.sleep(rng.uniform(0.005, 0.12))
        process.kill()
        book.kills += 1
    for one in (*senders, reader):
        await one.close()
    unanswered = [delivery for delivery in book.sent if delivery not in book.answered]
    book.in_flight += len(unanswered)
    await asyncio.to_thread(process.start)
    await recover(process, book, people, unanswered)
    book.check()
    return bool(unanswered)


async def recover(process: ServerProcess, book: Book, people: list[Person], unanswered: list[bytes]) -> None:
    """Everybody comes back; senders repeat what was not answered; readers read until nothing is left."""
    clients = [await log_in(process.url, person) for person in people]
    try:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            readers = [tasks.create_task(receive(one, book)) for one in clients]
            for delivery in unanswered:
                sender, recipient, _ = book.sent[delivery]
                await clients[sender].post(recipient, delivery, delivery=delivery)
                book.resent += 1
            while len(book.answered) < len(book.sent):  # noqa: ASYNC110 - several readers write there
                await asyncio.sleep(0.01)
            # Answered means acknowledged by its recipient or stored, and what is stored comes to who is
            # online.
            for _ in range(200):
                if sum(map(len, book.shown.values())) == len(book.sent):
                    break
                await asyncio.sleep(0.01)
            for reader in readers:
                reader.cancel()
    finally:
        for one in clients:
            await one.close()


async def run(folder: Path, seed: int, number: int, patch: str | None = None) -> Book:
    """So many schedules on one database."""
    book = Book()
    people = [Person() for _ in range(SENDERS + 2)]
    settings = {"SC_RATE_GENERAL": "0", "SC_MAX_OFFLINE_MESSAGES": "100000"}
    with ServerProcess(folder, settings, patch) as process:
        for person in people:
            one = await log_in(process.url, person)
            await one.publish()
            await one.close()
        counted = tried = 0
        while counted < number:
            assert tried < 5 * number, "the kills hit nothing"
            counted += await schedule(process, book, randomness(seed, tried), people)
            tried += 1
    return book


@pytest.mark.once
async def test_nothing_acknowledged_is_lost_at_a_kill(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    book = await run(tmp_path, seed, schedules())
    with capsys.disabled():
        print(f"\n{book} (seed {seed})")
    assert book.in_flight > 0


@pytest.mark.once
async def test_a_server_that_acknowledges_before_its_commit_is_caught(tmp_path: Path, seed: int) -> None:
    with pytest.raises(Lost, match="acknowledged messages are lost"):
        await run(tmp_path, seed, 30, "acknowledge_before_commit")


def test_the_book_finds_what_is_wrong() -> None:
    book = Book()
    first, second = os.urandom(16), os.urandom(16)
    book.sent = {first: (0, b"r", 0), second: (0, b"r", 1)}
    book.answered = {first}
    with pytest.raises(Lost, match="lost"):
        book.check()
    book.show(b"r", second)
    book.show(b"r", second)
    book.show(b"r", first)
    with pytest.raises(Lost, match="order"):
        book.check()
