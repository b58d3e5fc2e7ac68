"""Engines in a storm: in this process, where they die before their next commit, or in a child that is killed.

Both are led by names of the engine's methods, and answer with built-in values. What was encrypted under which
delivery id is told, since only senders know what a numbered message says. Not its concern: who does what and
when (tests/support/storm.py).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mobium.client import ChannelChanged, Engine, MessageStateChanged
from mobium.client.store import posts
from mobium.client.store.database import Tx
from mobium.errors import InvalidInput, MobiumError, NotConnected, ProtocolError, ServerRefused, StoreError
from tests.support.engines import PASSWORD, PATIENCE, fast_vault, inside
from tests.support.nursery import Nursery, nurse

__all__ = ["CHILDREN", "Died", "Here", "There", "watch_seals"]

CHILDREN = "tests.support.storm_engine"
LONGEST = 1_800.0  # seconds that a child lives, which is longer than any storm on a busy machine
#: What nobody may say of an honest server and honest members.
ALARMS = ("broken", "disputed", "reordered")
_ERRORS = {
    each.__name__: each for each in (InvalidInput, MobiumError, NotConnected, ProtocolError, StoreError)
}

Seal = Callable[[str, str, str], None]
"""Told (delivery id, content id, text) of every channel message that is encrypted; it may yet be undone."""


class Died(Exception):
    """The engine was killed before it answered."""


def watch_seals(patch: pytest.MonkeyPatch, tell: Seal) -> None:
    """Tell what the engines of this process encrypt for channels."""
    seal = posts.seal

    def sealed(tx: Tx, row: int, delivery: bytes, *rest: Any) -> None:
        found = tx.one(
            "SELECT message.content, message.text FROM post JOIN message ON message.id = message"
            " WHERE post.id = ?",
            row,
        )
        if found is not None:
            tell(delivery.hex(), found[0].hex(), found[1])
        seal(tx, row, delivery, *rest)

    patch.setattr(posts, "seal", sealed)


async def perform(engine: Engine, method: str, arguments: list[Any]) -> Any:
    """Call a method of an engine, or of what it holds; returns built-in values."""
    if method == "status":
        return await inside(engine).store.run(_status, bytes.fromhex(arguments[0]))
    if method == "connection":
        return engine.connection
    if method == "me":
        return engine.me
    if method == "go":
        return await engine.connect(*arguments, wait=False)
    found: Any = engine
    for name in method.split("."):
        found = getattr(found, name)
    return msgspec.to_builtins(await found(*arguments))


def _status(tx: Tx, channel: bytes) -> dict[str, Any]:
    """What is not done yet, in all and in a channel."""
    row = tx.one(
        "SELECT id, state, reason, cursor, secret IS NULL, private FROM channel WHERE channel = ?", channel
    )
    number = 0 if row is None else row[0]
    return {
        "state": "" if row is None else row[1],
        "reason": "" if row is None else row[2],
        "cursor": 0 if row is None else row[3],
        "secret": row is None or not row[4],
        "posts": tx.value("SELECT count(*) FROM post WHERE channel = ?", number),
        "handouts": tx.value("SELECT count(*) FROM handout WHERE channel = ?", number),
        "closed": tx.value("SELECT count(*) FROM message WHERE channel = ? AND kind = 'closed'", number),
        "queued": tx.value("SELECT count(*) FROM outbox"),
        "unopened": tx.value("SELECT count(*) FROM unopened"),
    }


# ---------------------------------------------------------------- in this process


class Here:
    """An engine of this process. `profile` exists."""

    def __init__(self, profile: Path, url: str) -> None:
        self._profile, self._url = profile, url
        self.sent: set[str] = set()
        self.alarms: list[tuple[str, str]] = []
        self._dead = False
        self._ready = asyncio.Event()

    async def open(self) -> None:
        """Open the profile."""
        self._ready.clear()
        self._dead = False
        self._life = asyncio.create_task(self._live())
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait((self._life, ready), return_when=asyncio.FIRST_COMPLETED)
        if self._life.done():
            ready.cancel()
            self._life.result()

    async def _live(self) -> None:
        async with Engine.open(self._profile, PASSWORD, receipt_delay=0.0) as engine:
            self._engine = engine
            store = inside(engine).store
            commit = store._commit

            def dying() -> None:
                if self._dead:
                    raise StoreError("This machine has died.")
                commit()

            store._commit = dying  # type: ignore[method-assign]
            self._ready.set()
            async for event in engine.events():
                if isinstance(event, MessageStateChanged) and event.state == "sent":
                    self.sent.add(event.id)
                elif isinstance(event, ChannelChanged) and event.what in ALARMS:
                    self.alarms.append((event.what, event.channel))

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method."""
        engine = self._engine
        try:
            return await perform(engine, method, list(arguments))
        except StoreError as error:
            if self._dead or engine is not self._engine or not self._ready.is_set():
                raise Died from error
            raise

    async def crash(self) -> None:
        """Commit nothing more, say nothing more, and be gone."""
        self._dead = True
        online = self._engine._online
        transport = None if online is None else online.link._transport
        if transport is not None:
            transport._socket.transport.abort()  # type: ignore[attr-defined]
        await self.close()

    async def close(self) -> None:
        """Close the profile."""
        self._life.cancel()
        with suppress(asyncio.CancelledError, StoreError):
            await self._life

    def tell(self) -> None:
        """Everything was told at once."""

    @property
    def failure(self) -> BaseException | None:
        """Why the engine ended by itself, if it did."""
        if not self._life.done() or self._life.cancelled() or self._dead:
            return None
        return self._life.exception()


# ---------------------------------------------------------------- in a child


class There:
    """An engine in a process of its own, which is killed for good. `profile` exists."""

    def __init__(self, nursery: Nursery, profile: Path, url: str, tell: Seal) -> None:
        self._nursery, self._tell = nursery, tell
        self._journal = Path(f"{profile}.journal")
        self._orders = {
            "profile": str(profile), "url": url, "control": f"{profile}.control",
            "journal": str(self._journal),
        }  # fmt: skip
        self.sent: set[str] = set()
        self.alarms: list[tuple[str, str]] = []
        self.failure: BaseException | None = None
        self._number = 0

    async def open(self) -> None:
        """Let a child open the profile."""
        control = self._orders["control"]
        Path(control).unlink(missing_ok=True)  # noqa: ASYNC240
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._opened = asyncio.get_running_loop().create_future()
        self._listener = await asyncio.start_unix_server(self._listen, control, limit=1 << 28)
        self._life = asyncio.create_task(self._nursery.run(self._orders, LONGEST))
        async with asyncio.timeout(2 * PATIENCE):
            self._pid: int = await self._opened

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        with suppress(OSError):
            while line := await reader.readline():
                told = json.loads(line)
                if "pid" in told:
                    self._opened.set_result(told["pid"])
                elif not (answer := self._answers.pop(told["number"])).done():
                    if "error" in told:
                        answer.set_exception(_error(told))
                    else:
                        answer.set_result(told["result"])
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Died())
        self._answers.clear()
        writer.close()

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        order = {"number": self._number, "method": method, "arguments": arguments}
        if self._writer.is_closing():
            raise Died
        self._writer.write(json.dumps(order).encode() + b"\n")
        return await answer

    def tell(self) -> None:
        """Tell what was encrypted until now."""
        self._read_journal()

    async def crash(self) -> None:
        """SIGKILL."""
        os.kill(self._pid, signal.SIGKILL)
        await self._end()

    async def close(self) -> None:
        """Let the child close the profile and end."""
        if not self._life.done():
            with suppress(OSError):
                self._writer.write(b"\n")
        await self._end()

    async def _end(self) -> None:
        async with asyncio.timeout(2 * PATIENCE):
            code = await self._life
        self._listener.close()
        if code not in (0, -signal.SIGKILL):
            self.failure = RuntimeError(f"a child ended with {code}")
        self._read_journal()

    def _read_journal(self) -> None:
        if not self._journal.exists():
            return
        for line in self._journal.read_text("utf-8").splitlines():
            word, *rest = json.loads(line)
            if word == "sent":
                self.sent.add(rest[0])
            elif word == "alarm":
                self.alarms.append((rest[0], rest[1]))
            else:
                self._tell(*rest)


_KNOWN = (*_ERRORS.values(), ServerRefused)


def _error(told: dict[str, Any]) -> MobiumError:
    if told["error"] == "ServerRefused":
        return ServerRefused(told["code"], told["text"], None)
    return _ERRORS.get(told["error"], MobiumError)(told["text"])


async def _live(orders: dict[str, str], journal: Callable[..., None]) -> None:
    reader, writer = await asyncio.open_unix_connection(orders["control"], limit=1 << 26)

    async def answer(engine: Engine, order: dict[str, Any]) -> None:
        told: dict[str, Any] = {"number": order["number"]}
        try:
            told["result"] = await perform(engine, order["method"], order["arguments"])
        except MobiumError as error:
            name = next(each.__name__ for each in type(error).__mro__ if each in _KNOWN)
            told |= {"error": name, "text": str(error), "code": getattr(error, "code", "")}
        writer.write(json.dumps(told).encode() + b"\n")

    async def listen(engine: Engine) -> None:
        async for event in engine.events():
            if isinstance(event, MessageStateChanged) and event.state == "sent":
                journal("sent", event.id)
            elif isinstance(event, ChannelChanged) and event.what in ALARMS:
                journal("alarm", event.what, event.channel)

    async with (
        Engine.open(orders["profile"], PASSWORD, receipt_delay=0.0) as engine,
        asyncio.TaskGroup() as group,
    ):
        listener = group.create_task(listen(engine))
        writer.write(json.dumps({"pid": os.getpid()}).encode() + b"\n")
        while (line := await reader.readline()).strip():
            group.create_task(answer(engine, json.loads(line)))
        listener.cancel()


def _child(orders: dict[str, Any]) -> None:
    signal.alarm(0)  # a storm outlasts the lifetime that the nursery gives
    patch = pytest.MonkeyPatch()
    file = os.open(orders["journal"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def journal(*what: str) -> None:  # at once, so that it outlives the process
        os.write(file, json.dumps(what).encode() + b"\n")

    fast_vault(patch)
    watch_seals(patch, lambda *what: journal("sealed", *what))
    asyncio.run(_live(orders, journal))


if __name__ == "__main__":
    nurse(_child)
