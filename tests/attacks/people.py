"""People who talk through a hostile server: real engines with real stores, and what a test asks of them.

Not its concern: the cheating (tests/support/hostile.py) and opening engines (tests/support/engines.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mobium.client import Engine, MessageReceived
from mobium.client.store.database import Row, Tx
from mobium.crypto import Bundle, PrekeyKind, SignedPrekey
from mobium.protocol import messages as m
from tests.support.engines import Clock, Ear, World, inside, settle, tx
from tests.support.hostile import HostileServer

__all__ = ["Person", "Scene", "State", "acquainted", "bundle_of", "state"]

# What a person has: everything but the records of what was opened and of what could not be.
_STATE = (
    "peer",
    "session",
    "session_header",
    "skipped",
    "seen",
    "prekey",
    "shown",
    "message",
    "outbox",
    "sent",
    "receipt",
)
State = dict[str, list[Row]]


@dataclass
class Person:
    """Somebody at an open engine."""

    name: str
    scene: Scene
    engine: Engine
    ear: Ear

    @property
    def key(self) -> bytes:
        """The identity, 32 bytes."""
        return bytes.fromhex(self.engine.me)

    async def says(self, other: Person, text: str, until: str | None = "sent") -> str:
        """Send a text and wait until it is `until`; returns its content id."""
        content_id = await self.engine.send(other.key, text)
        if until is not None:
            await self.engine.wait(content_id, until, timeout=15)  # type: ignore[arg-type]
        return content_id

    async def hears(self, *texts: str) -> None:
        """The next texts that are shown are these, and no other comes between."""
        for text in texts:
            event = await self.ear.next(MessageReceived)
            assert event.text == text

    async def history(self, other: Person) -> list[str | None]:
        """The texts of the conversation, oldest first."""
        return [line.text for line in await self.engine.history(other.key, limit=500)]

    async def unopened(self) -> list[str]:
        """Why payloads stayed closed."""
        return await tx(
            self.engine, lambda tx: [row[0] for row in tx.all("SELECT reason FROM unopened ORDER BY at")]
        )

    async def patient(self) -> None:
        """Ask nobody to send again for the next hour, so that a closed payload changes nothing."""
        now = inside(self.engine).now()
        await tx(self.engine, lambda tx: tx.execute("UPDATE peer SET retry_at = ?", now))


async def state(person: Person) -> State:
    """Everything that an attack must leave as it was."""

    def read(tx: Tx) -> State:
        return {table: sorted(tx.all(f"SELECT * FROM {table}"), key=repr) for table in _STATE}

    return await tx(person.engine, read)


def bundle_of(person: Person) -> Bundle:
    """What the server holds of somebody, with the last-resort key."""
    account = person.scene.server.accounts[person.key]
    assert account.signed is not None
    assert account.last_resort is not None

    def read(key: m.WirePrekey) -> SignedPrekey:
        return SignedPrekey(key.id, key.expires, key.public, key.signature)

    return Bundle(
        person.key,
        account.x_public,
        account.binding,
        read(account.signed),
        read(account.last_resort),
        PrekeyKind.KEM_LAST_RESORT,
        None,
    )


class Scene:
    """A hostile server and the people on it. Use as `async with Scene(folder) as scene`."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.server = HostileServer()
        self.world = World(folder, self.server.connect, self.server.url)
        if clock is not None:
            self.world.clock = clock
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.server)
        await self._stack.enter_async_context(self.world)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def person(self, name: str, **options: Any) -> Person:
        """Somebody connected, whose prekeys are published, until the scene ends."""
        engine = await self.world.engine(name, **options)
        if options.get("connect", True):
            await settle(engine)
        return Person(name, self, engine, Ear(engine))

    @asynccontextmanager
    async def visitor(self, name: str, **options: Any) -> AsyncIterator[Person]:
        """Somebody for the time of an `async with`, after which the profile can be opened again."""
        async with self.world.opened(name, **options) as engine:
            if options.get("connect", True):
                await settle(engine)
            yield Person(name, self, engine, Ear(engine))

    async def pair(self) -> tuple[Person, Person]:
        """Alice and Bob, who are contacts and have not talked yet."""
        alice, bob = await self.person("alice"), await self.person("bob")
        await acquainted(alice, bob)
        return alice, bob


async def acquainted(*people: Person) -> None:
    """Make everybody a contact of everybody, under their names."""
    for one in people:
        for other in people:
            if one is not other:
                await one.engine.contacts.add(other.key, other.name)
