"""The cast of `make demo`: what is printed, the server, the people, and what was said in the channel.

Not its concern: what they play (tools/demo.py).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from mobium.client import ChannelChanged, Engine, MessageReceived, MessageStateChanged
from mobium_client.plain import harmless, layout

PASSWORD = "a password for a demo"
PATIENCE = 60.0
STYLES = {
    "anna": "bold magenta", "bert": "bold cyan", "cora": "bold green", "server": "bold yellow", "": "",
}  # fmt: skip


class Stage:
    """What is printed."""

    def __init__(self) -> None:
        self.console = Console(markup=False, highlight=False, emoji=False)
        self._act = 0

    def act(self, title: str) -> None:
        self._act += 1
        self.console.print()
        self.console.print(Rule(Text(f" {self._act}. {title} ", "bold"), align="left", characters="─"))

    def say(self, who: str, text: str, style: str = "") -> None:
        """A line of somebody, in his own column."""
        head = Text.assemble((f"{who:>7} ", STYLES[who]), ("│ ", "dim"))
        for line in layout(harmless(text), 10, 10, self.console.width - 1):
            self.console.print(head + Text(line.removeprefix("        │ "), style), soft_wrap=True)
            head = Text.assemble(" " * 8, ("│ ", "dim"))

    def show(self, table: Table) -> None:
        self.console.print(table)


class Server:
    """The server process; killed and started again on the same port and database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.url = ""
        self._process: asyncio.subprocess.Process | None = None
        self._log = (folder / "server.log").open("ab")

    async def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SC_")}
        environment |= {
            "SC_HOST": "127.0.0.1",
            "SC_PORT": str(self.port),
            "SC_REQUIRE_TLS": "false",
            "SC_DATABASE_URL": f"sqlite://{self.folder / 'server.db'}",
        }
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mobium_server",
            cwd=self.folder, env=environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=self._log,
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := (await self._process.stdout.readline()).decode():
                if " listening on " in line:
                    self.url = line.rsplit(" ", 1)[1].strip()
                    self.port = int(self.url.split(":")[2].split("/")[0])
                    return
        raise RuntimeError((self.folder / "server.log").read_text()[-2_000:])

    async def kill(self) -> None:
        """kill -9."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """An orderly end; returns the exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            return await process.wait()

    def rows(self) -> list[tuple[bytes, bytes, bytes]]:
        """Mailbox, sender and payload of what waits on the disk."""
        file = f"file:{self.folder / 'server.db'}?mode=ro"
        with closing(sqlite3.connect(file, uri=True)) as database:
            return database.execute(
                "SELECT identity, sender, payload FROM messages"
                " JOIN devices ON devices.id = mailbox ORDER BY seq"
            ).fetchall()

    async def until_empty(self) -> None:
        """Wait until nothing waits on the disk, the receipts of what was read last included."""
        async with asyncio.timeout(PATIENCE):
            while self.rows():  # noqa: ASYNC110 - nobody tells what a server has deleted
                await asyncio.sleep(0.05)

    def channel_counts(self) -> tuple[int, int, int]:
        """Signed statements, messages and members of channels on the disk."""
        file = f"file:{self.folder / 'server.db'}?mode=ro"
        with closing(sqlite3.connect(file, uri=True)) as database:
            counts = "(SELECT count(*) FROM statements), (SELECT count(*) FROM posts)"
            members = "(SELECT count(*) FROM members WHERE gone IS NULL)"
            statements, posts, inside = database.execute(f"SELECT {counts}, {members}").fetchone()
            return statements, posts, inside

    def files(self) -> dict[str, bytes]:
        """Everything that the server has written, its log included."""
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir()) if path.is_file()}


@dataclass
class Person:
    """Somebody with a profile: what he wrote, and what his engine has shown."""

    name: str
    folder: Path
    stage: Stage
    words: str = ""
    key: str = ""
    wrote: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)  # in the channel
    removed: bool = False
    states: dict[str, str] = field(default_factory=dict)
    loud: bool = True
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def at(self, server: Server | None) -> AsyncIterator[Engine]:
        """At the machine, connected, with somebody who reads what comes in."""
        async with Engine.open(self.folder, PASSWORD) as engine:
            self.key = engine.me
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read(engine))
                if server is not None:
                    await engine.connect(server.url)
                try:
                    yield engine
                finally:
                    reading.cancel()

    async def _read(self, engine: Engine) -> None:
        async for event in engine.events():
            if isinstance(event, MessageReceived) and event.channel is not None:
                self.heard.append(event.text or "")
                self.stage.say(self.name, f"sees in {event.channel}: {event.text}")
            elif isinstance(event, MessageReceived) and event.text is not None:
                self.shown.append(event.text)
                if self.loud:
                    self.stage.say(self.name, f"sees: {event.text}")
            elif isinstance(event, ChannelChanged):
                self.removed = self.removed or (event.what == "removed" and event.subject == engine.me)
            elif isinstance(event, MessageStateChanged):
                self.states[event.id] = event.state
            self.changed.set()

    async def write(self, engine: Engine, peer: str, text: str) -> str:
        if self.loud:
            self.stage.say(self.name, f"writes: {text}")
        self.wrote.append(text)
        return await engine.send(peer, text)

    async def until_shown(self, other: Person) -> None:
        """Wait until everything that `other` wrote is shown here."""
        async with asyncio.timeout(PATIENCE):
            while len(self.shown) < len(other.wrote):
                self.changed.clear()
                await self.changed.wait()

    async def until_heard(self, count: int) -> None:
        """Wait until `count` messages of others in the channel are shown here."""
        async with asyncio.timeout(PATIENCE):
            while len(self.heard) < count:
                self.changed.clear()
                await self.changed.wait()

    async def until_removed(self) -> None:
        """Wait until the removal from the channel has come."""
        async with asyncio.timeout(PATIENCE):
            while not self.removed:
                self.changed.clear()
                await self.changed.wait()

    async def until_delivered(self, count: int) -> None:
        """Wait until `count` of the messages written here are known to have arrived."""
        async with asyncio.timeout(PATIENCE):
            while sum(state in {"delivered", "read"} for state in self.states.values()) < count:
                self.changed.clear()
                await self.changed.wait()

    @property
    def acknowledged(self) -> int:
        return sum(state in {"sent", "delivered", "read"} for state in self.states.values())


@dataclass
class Talk:
    """What was said in the channel before and after the removal, and what each one's history shows of it."""

    before: list[str]
    after: list[str]
    seen: dict[str, list[str]] = field(default_factory=dict)
    refused: bool = False  # what the removed one wanted to add

    @property
    def one_order(self) -> bool:
        """Whether those who stayed saw everything in one order, and the removed one what came before."""
        everything = self.before + self.after
        return self.seen.get("anna") == self.seen.get("cora") == everything and (
            self.seen.get("bert", [])[: len(self.before)] == self.before
        )

    @property
    def closed(self) -> bool:
        """Whether the removed one saw nothing more and could add nothing."""
        return self.refused and len(self.seen.get("bert", [])) == len(self.before)
