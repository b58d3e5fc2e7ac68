"""Clients that die at a chosen step: before or after a commit, before or after a write to the socket.

The client counts its steps and kills itself at the n-th. The instruments are wrapped around the engine here;
the engine knows nothing of them. Clients reach the server of the test (tests/support/hostile.py) over a Unix
socket. Not its concern: what is checked after the death.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from mobium.client import Engine, MessageReceived
from mobium.client.address import Address
from mobium.client.inbox import Inbox
from mobium.client.store.database import Store, Tx
from mobium.client.transport import Transport, TransportClosed
from mobium.protocol import codec
from mobium.protocol.messages import AckDeliveries, Delivery
from tests.support.engines import PASSWORD, fast_vault, inside, until
from tests.support.hostile import HostileServer
from tests.support.nursery import Nursery, note, noted, nurse

__all__ = ["Run", "Steps", "listening", "live"]

_NEVER = 1 << 30
_PATCH = pytest.MonkeyPatch()  # of a client's process, which ends with it


@dataclass(frozen=True)
class Run:
    """One client's life. It dies at step `step`, and notes what it did and saw in the file `report`.

    `fault` is a defence that is switched off: "acknowledge first" acknowledges before the commit, "commit
    late" lets results out one transaction before their commit.
    """

    profile: str
    socket: str
    url: str
    report: str
    peer: str
    step: int = _NEVER
    fault: str = ""


# ------------------------------------------------------------ over a Unix socket


class _Pipe:
    """A transport of frames with their length in front."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        try:
            self._writer.write(len(data).to_bytes(4, "big") + data)
            await self._writer.drain()
        except OSError:
            raise TransportClosed(1006) from None

    async def receive(self) -> bytes:
        try:
            size = int.from_bytes(await self._reader.readexactly(4), "big")
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError):
            raise TransportClosed(1006) from None

    async def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def listening(server: HostileServer, socket: Path) -> AsyncIterator[None]:
    """Let clients reach `server` through a Unix socket."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe, end = _Pipe(reader, writer), await server.connect(Address("", "", secure=False))

        async def pump(source: Transport, sink: Transport) -> None:
            try:
                while True:
                    await sink.send(await source.receive())
            except TransportClosed:
                await pipe.close()
                await end.close()

        await asyncio.gather(pump(pipe, end), pump(end, pipe))

    listener = await asyncio.start_unix_server(serve, socket)
    try:
        yield
    finally:
        listener.close()


# ------------------------------------------------------------ in the client


class Steps:
    """Counts steps, from both of the client's threads, and dies at one of them."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last

    def step(self) -> None:
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around_commits(self) -> None:
        commit = Store._commit

        def counted(store: Store) -> None:
            self.step()
            commit(store)
            self.step()

        _PATCH.setattr(Store, "_commit", counted)

    def around_writes(self, socket: str) -> Callable[[Address], Awaitable[Transport]]:
        steps = self

        class Counted(_Pipe):
            async def send(self, data: bytes) -> None:
                steps.step()
                await super().send(data)
                steps.step()

        async def connect(_address: Address) -> Transport:
            return Counted(*await asyncio.open_unix_connection(socket))

        return connect


def _nothing_left(tx: Tx) -> bool:
    return tx.one("SELECT 1 FROM outbox UNION SELECT 1 FROM receipt") is None


async def _live(run: Run, steps: Steps) -> None:
    """The script: log in, publish, write first, answer and be answered, send receipts."""
    connector = steps.around_writes(run.socket)
    async with Engine.open(run.profile, PASSWORD, connector=connector, receipt_delay=0) as engine:
        events = engine.events()
        await engine.connect(run.url)
        for number in range(4):
            text = f"a{number}"
            note(run.report, sent=await engine.send(run.peer, text), text=text)
        heard: set[str | None] = set()
        async for event in events:
            if isinstance(event, MessageReceived):
                note(run.report, shown=event.id, text=event.text)
                heard.add(event.text)
                if event.text == "b3":
                    note(run.report, sent=await engine.send(run.peer, "a4"), text="a4")
                if {"b0", "b1", "b2", "b3", "b4"} <= heard:
                    break
        # What was received is in turn known to the peer when its receipt was taken by the server.
        await until(lambda: inside(engine).store.run(_nothing_left))
    note(run.report, steps=steps.count)


def _acknowledge_first() -> None:
    take = Inbox._take

    def taken(inbox: Inbox) -> list[Delivery]:
        batch = take(inbox)
        frame = codec.encode(AckDeliveries(batch[-1].tag))
        link = inbox._send.__self__  # type: ignore[attr-defined]
        link._transport._writer.write(len(frame).to_bytes(4, "big") + frame)
        return batch

    _PATCH.setattr(Inbox, "_take", taken)


def _commit_late() -> None:
    transact, commit, checkpoint = Store._transact, Store._commit, Store._checkpoint
    late: set[Store] = set()

    def before(store: Store) -> None:
        late.discard(store)
        if store._connection is not None and store._connection.in_transaction:
            commit(store)

    def late_transact(store: Store, work: Any, args: Any, kwargs: Any) -> Any:
        before(store)
        late.add(store)
        return transact(store, work, args, kwargs)

    def late_checkpoint(store: Store) -> None:
        before(store)
        checkpoint(store)

    _PATCH.setattr(Store, "_commit", lambda store: None if store in late else commit(store))
    _PATCH.setattr(Store, "_transact", late_transact)
    _PATCH.setattr(Store, "_checkpoint", late_checkpoint)


_FAULTS = {"acknowledge first": _acknowledge_first, "commit late": _commit_late}


def _client(run: Run) -> None:
    if run.fault:
        _FAULTS[run.fault]()
    fast_vault(_PATCH)
    steps = Steps(run.step)
    steps.around_commits()
    asyncio.run(_live(run, steps))


async def live(nursery: Nursery, run: Run) -> tuple[int, list[dict[str, Any]]]:
    """Let a client of `Nursery("tests.support.crash")` live; returns its exit code and what it noted."""
    code = await nursery.run(asdict(run))
    return code, noted(run.report)


if __name__ == "__main__":
    nurse(lambda orders: _client(Run(**orders)))
