"""What tests of receiving from channels do: hold things back, look into the database, wait for chains."""

from __future__ import annotations

from typing import Any

from mobium.client import Engine
from mobium.client.store.database import Tx
from mobium.protocol.messages import ServerMessage
from tests.support.channel_world import Tap, row_of, texts
from tests.support.engines import tx, until


async def channel_of(engine: Engine) -> int:
    return (await row_of(engine, (await engine.channels.get("#garden")).id)).id


async def rows(engine: Engine, table: str) -> list[Any]:
    return await tx(engine, lambda tx: tx.all(f"SELECT * FROM {table}"))


def without(*kinds: type) -> Any:
    """Lets everything through but these."""
    return lambda message: None if isinstance(message, kinds) else message


class Held:
    """Keeps back what comes of some kinds, until it is let go."""

    def __init__(self, tap: Tap, *kinds: type) -> None:
        self.tap, self.kinds = tap, kinds
        self.kept: list[ServerMessage] = []
        tap.down = self._down

    def _down(self, message: ServerMessage) -> ServerMessage | None:
        if isinstance(message, self.kinds):
            self.kept.append(message)
            return None
        return message

    def let_go(self) -> None:
        self.tap.down = lambda message: message
        for message in self.kept:
            self.tap.say(message)


async def has(engine: Engine, text: str) -> bool:
    return text in await texts(engine)


async def closed_without_chain(engine: Engine) -> int:
    """How many messages wait for a chain that has not come."""

    def count(tx: Tx) -> int:
        return int(
            tx.value(
                "SELECT count(*) FROM closed LEFT JOIN receiver_chain USING (channel, peer, key_id)"
                " WHERE receiver_chain.key_id IS NULL"
            )
        )

    return await tx(engine, count)


async def answered(engine: Engine) -> None:
    """Wait until the chain of everything closed is there, though what lies before an answer stays closed."""

    async def so() -> bool:
        return await closed_without_chain(engine) == 0

    await until(so)
