"""An engine in a child process that can be killed at any moment, led over a Unix socket.

The child tells what it queued, every state of its messages, and every message that it sends or shows; lines
that it wrote before its death arrive. Not its concern: when it dies (tests/e2e/test_kill.py).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest

from mobium.client import Engine, MessageStateChanged
from mobium.client.link import Link
from mobium.client.outbox import Outbox
from mobium.client.store.database import Tx
from mobium.protocol.messages import ClientMessage, Error, SendMessage
from tests.support.engines import PASSWORD, PATIENCE, fast_vault, inside, until
from tests.support.nursery import Nursery, nurse

__all__ = ["CHILDREN", "Remote", "tell_sends"]

CHILDREN = "tests.support.remote"


def tell_sends(patch: pytest.MonkeyPatch, tell: Callable[[str], None]) -> None:
    """Call `tell` with the delivery id (hex) of every message that an engine of this process sends."""
    send = Link.send

    async def told(link: Link, message: ClientMessage) -> None:
        if isinstance(message, SendMessage) and link.online:
            tell(message.id.hex())
        await send(link, message)

    patch.setattr(Link, "send", told)


class _Assassin:
    """Kills another process when this one has been told `at` times that the server has taken a message."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self.pid, self.at, self._taken, self._tell = 0, 0, 0, tell
        pytest.MonkeyPatch().setattr(Outbox, "answer", self._watch(Outbox.answer))

    def _watch(self, answer: Callable[..., None]) -> Callable[..., None]:
        def answered(outbox: Outbox, delivery: bytes, error: Error | None) -> None:
            self._taken += error is None
            if self.pid and self._taken >= self.at:
                os.kill(self.pid, signal.SIGKILL)
                self.pid = 0
                self._tell(killed=True)
            answer(outbox, delivery, error)

        return answered


# ------------------------------------------------------------ in the child


def nothing_queued(tx: Tx) -> bool:
    """Whether everything has gone out and was answered."""
    return tx.one("SELECT 1 FROM outbox UNION SELECT 1 FROM receipt") is None


async def _order(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except OSError:  # the test has closed its end before it read everything
        return b""


async def _live(profile: str, url: str, control: str) -> None:
    reader, writer = await asyncio.open_unix_connection(control)

    def tell(**what: Any) -> None:
        writer.write(json.dumps(what).encode() + b"\n")

    async def listen(engine: Engine) -> None:
        async for event in engine.events():
            if isinstance(event, MessageStateChanged):
                tell(state=event.state, id=event.id)

    tell(pid=os.getpid())
    assassin = _Assassin(tell)
    tell_sends(pytest.MonkeyPatch(), lambda delivery: tell(out=delivery))
    async with Engine.open(profile, PASSWORD, receipt_delay=0.05) as engine, asyncio.TaskGroup() as group:
        listener = group.create_task(listen(engine))
        await engine.connect(url, wait=False)
        tell(me=engine.me)
        while line := await _order(reader):
            order = json.loads(line)
            if "text" in order:
                tell(queued=await engine.send(order["peer"], order["text"]), text=order["text"])
            elif "kill" in order:
                assassin.at, assassin.pid = order["at"], order["kill"]
            elif order.get("quiet"):
                await until(lambda: inside(engine).store.run(nothing_queued))
                tell(quiet=True)
            elif "history" in order:
                history = await engine.history(order["history"], limit=1_000_000)
                tell(history=[(line.id, line.outgoing, line.text) for line in history])
        listener.cancel()


def _child(orders: dict[str, Any]) -> None:
    fast_vault(pytest.MonkeyPatch())
    asyncio.run(_live(orders["profile"], orders["url"], orders["control"]))


# ------------------------------------------------------------ in the test


class Remote:
    """One engine's life in a child. Use as `async with Remote(...) as remote`; it may be killed meanwhile."""

    def __init__(self, nursery: Nursery, profile: Path, url: str) -> None:
        self._nursery = nursery
        self._orders = {"profile": str(profile), "url": url, "control": f"{profile}.control"}
        self._told = asyncio.Condition()
        self.queued: dict[str, str] = {}
        self.sent: set[str] = set()
        self.out: list[str] = []
        self.last: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        Path(self._orders["control"]).unlink(missing_ok=True)  # noqa: ASYNC240
        self._listener = await asyncio.start_unix_server(self._listen, self._orders["control"], limit=1 << 26)
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._life = self._group.create_task(self._nursery.run(self._orders))
        await self._until("me")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._group.__aexit__(None, None, None)
        self._listener.close()

    @property
    def me(self) -> str:
        """The identity."""
        return str(self.last["me"])

    @property
    def unacknowledged(self) -> int:
        """Messages that were queued and that nobody has acknowledged."""
        return len(self.queued.keys() - self.sent)

    def order(self, **what: Any) -> None:
        """Tell the child what to do."""
        with suppress(OSError):
            self._writer.write(json.dumps(what).encode() + b"\n")

    async def kill(self) -> None:
        """SIGKILL, and read what it said before."""
        os.kill(self.last["pid"], signal.SIGKILL)
        assert await self._life == -signal.SIGKILL
        await self._until("ended")

    async def quiet(self) -> None:
        """Wait until everything has gone out and was answered."""
        self.last.pop("quiet", None)
        self.order(quiet=True)
        await self._until("quiet")

    async def history(self, peer: str) -> list[tuple[str, bool, str]]:
        """(id, outgoing, text) of everything with a peer."""
        self.last.pop("history", None)
        self.order(history=peer)
        await self._until("history")
        return [(line[0], line[1], line[2]) for line in self.last["history"]]

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until the child has told what makes it true, or has ended."""
        async with asyncio.timeout(2 * PATIENCE), self._told:
            await self._told.wait_for(lambda: true() or "ended" in self.last)

    async def _until(self, word: str) -> None:
        await self.until(lambda: word in self.last)
        assert word in self.last, f"the client ended before it told {word}"

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        with suppress(OSError):
            while line := await reader.readline():
                if line.endswith(b"\n"):
                    await self._learn(json.loads(line))
        await self._learn({"ended": True})

    async def _learn(self, told: dict[str, Any]) -> None:
        async with self._told:
            self.last |= told
            if "queued" in told:
                self.queued[told["queued"]] = told["text"]
            if told.get("state") in {"sent", "delivered", "read"}:
                self.sent.add(told["id"])
            if "out" in told:
                self.out.append(told["out"])
            self._told.notify_all()


if __name__ == "__main__":
    nurse(_child)
