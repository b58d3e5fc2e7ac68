"""A26: the server restarts or crashes between forwarding and commit, renumbers its deliveries, or is told an
old acknowledgement on a new connection: nothing unopened is deleted (docs/PROTOCOL.md, Delivery).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mobium.client import inbox, receive
from mobium.client.inbox import Inbox
from mobium.client.store.database import Tx
from mobium.crypto import Identity
from mobium.errors import StoreError
from mobium.protocol import messages as m
from tests.attacks.people import Scene, acquainted
from tests.support.engines import online, until
from tests.support.server import WAIT, Client, ServerProcess, client, log_in, server


class Slow:
    """A store that takes one batch of deliveries each time it is told to, and at last dies."""

    def __init__(self, reader: bytes) -> None:
        self._reader = reader
        self._go = threading.Semaphore(0)
        self.begun = 0
        self.dead = False

    def receive(
        self,
        tx: Tx,
        identity: Identity,
        arrivals: Sequence[receive.Arrival],
        now_ms: int,
        entropy: Callable[[int], bytes],
    ) -> bool:
        if identity.public == self._reader:
            self.begun += 1
            assert self._go.acquire(timeout=10)
            if self.dead:
                raise StoreError("The machine has lost its power.")
        return receive.receive(tx, identity, arrivals, now_ms, entropy)

    def go(self) -> None:
        """Let one batch through."""
        self._go.release()

    async def begins(self, count: int) -> None:
        """Wait until the batch of that number is being stored."""

        async def begun() -> bool:
            return self.begun >= count

        await until(begun)


async def acknowledge_late(scene: Scene) -> list[str]:
    """Bob is storing three messages when the connection breaks. On the next one the server begins with a
    fourth, under the first one's tag. When he has stored the three, and before he saw the fourth, he dies.

    Returns the texts that he has when he is back.
    """
    alice = await scene.person("alice")
    with pytest.MonkeyPatch.context() as patch:
        async with scene.visitor("bob") as bob:
            await acquainted(alice, bob)
            slow = Slow(bob.key)
            patch.setattr(inbox, "receive", slow.receive)
            account = scene.server.accounts[bob.key]
            scene.server.hold(bob.key)
            for text in ("one", "two", "three"):
                await alice.says(bob, text)
            await scene.server.release(bob.key)
            await slow.begins(1)
            scene.server.hold(bob.key)
            await scene.server.cut(bob.key)
            await alice.says(bob, "four")
            await bob.ear.connection("waiting")
            link = online(bob.engine).link
            link.retry_now()

            async def connected() -> bool:
                return link.online

            await until(connected)
            await scene.server.release(bob.key, lambda mailbox: [mailbox[-1], *mailbox[:-1]])
            slow.go()
            await slow.begins(2)
            slow.dead = True
            slow.go()
            await bob.ear.connection("waiting")
            await bob.engine.disconnect()  # before the store is tried again
        await scene.server.until(lambda: account.line is None, "the end of Bob's connection")
    async with scene.visitor("bob") as bob:
        await scene.server.drained(bob.key)
        return sorted(map(str, await bob.history(alice)))


async def test_an_acknowledgement_counts_on_its_own_connection_alone(folder: Path) -> None:
    async with Scene(folder) as scene:
        assert await acknowledge_late(scene) == ["four", "one", "three", "two"]


async def test_without_that_an_unopened_message_is_deleted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reset = Inbox.reset

    def same_connection(box: Inbox) -> None:
        number = getattr(box, "_connection", 0)
        reset(box)
        box._connection = number

    monkeypatch.setattr(Inbox, "reset", same_connection)  # the defence, off
    async with Scene(folder) as scene:
        assert await acknowledge_late(scene) == ["one", "three", "two"]


async def test_a_connection_that_breaks_behind_a_delivery_changes_nothing(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await scene.pair()
        await alice.says(bob, "hello", "delivered")
        await bob.hears("hello")
        box = online(bob.engine).inbox
        await box.put(m.Delivery(7, bytes(16), alice.key, b""))
        box.reset()  # in the same turn of the loop
        await alice.says(bob, "the next one", "delivered")
        await bob.hears("the next one")


# ---------------------------------------------------------------- the real server


async def test_an_acknowledgement_of_what_was_never_sent_here_is_malformed(tmp_path: Path) -> None:
    async with server(tmp_path) as running, client(running.url) as friend:
        async with client(running.url) as first:
            person = first.person
            await friend.post(person.public, b"0")
            assert (await first.take(ack=False)).tag == 1
        one = await log_in(running.url, person)
        for tag in (2, 2**63 - 1):  # the window holds one delivery, with tag 1
            await one.send(m.AckDeliveries(tag))
            assert (await refusal(one)).code == "malformed"
        await one.close()
        async with client(running.url, person, publish=False) as again:
            assert again.welcome.offline_count == 1
            assert (await again.take()).payload[1:2] == b"0"


async def refusal(one: Client) -> m.Error:
    while not isinstance(answer := await one.receive(), m.Error):
        pass
    return answer


async def crash_before_the_commit(folder: Path, patch: str) -> tuple[bool, list[bytes]]:
    """The server hands a message over, and is killed before it is committed or acknowledged.

    Returns whether its sender was told that it was taken, and what the recipient finds afterwards, once the
    sender has sent again what was not.
    """
    running = ServerProcess(folder, patch=patch)
    try:
        running.start()
        async with client(running.url) as alice, client(running.url) as bob:
            sender, reader = alice.person, bob.person
            delivery = await alice.post(bob.public, b"once")
            assert (await bob.take(ack=False)).payload[1:5] == b"once"
            try:
                within = 0.3 if patch == "never_commits" else WAIT
                told = (await alice.expect(m.Accepted, within)).id == delivery
            except TimeoutError:
                told = False
            running.kill()
        running.patch = None
        running.start()
        async with client(running.url, sender) as alice:
            if not told:
                assert await alice.post_and_wait(reader.public, b"once", delivery=delivery) == delivery
        async with client(running.url, reader) as bob:
            found = [(await bob.take()).payload[1:5] for _ in range(bob.welcome.offline_count)]
        return told, found
    finally:
        running.close()


async def test_a_crash_between_forwarding_and_commit_loses_nothing(tmp_path: Path) -> None:
    assert await crash_before_the_commit(tmp_path, "never_commits") == (False, [b"once"])


async def test_without_waiting_for_the_commit_a_message_is_lost(tmp_path: Path) -> None:
    assert await crash_before_the_commit(tmp_path, "answers_and_never_commits") == (True, [])
