"""A process that has everything imported and forks a child for each run, so that a death costs milliseconds.

A module that offers children calls `nurse` when it is run; a test talks to it through `Nursery(module)`. Not
its concern: what the children do.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

__all__ = ["LIFETIME", "Nursery", "note", "noted", "nurse"]

LIFETIME = 60.0  # seconds after which a child that nobody killed has hung


def nurse(live: Callable[[dict[str, Any]], None]) -> None:
    """Fork a child for every line of JSON on standard input, and answer with how it ended."""
    gc.freeze()  # so that no child looks through what was imported, and all of them share it
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(int(LIFETIME))
                live(json.loads(line))
            except BaseException as error:  # noqa: BLE001 - the end of a process
                print(f"child: {error!r}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def note(report: str, **what: Any) -> None:
    """Write a line to the file `report` that survives the death of this process."""
    with Path(report).open("a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


def noted(report: str) -> list[dict[str, Any]]:
    """What a child noted in the file `report`; nothing if it died before its first line."""
    file = Path(report)
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


class Nursery:
    """The process of one module. Use as `async with Nursery("tests.support.crash") as nursery`."""

    def __init__(self, module: str) -> None:
        self._module = module

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(LIFETIME):
            await self._process.wait()

    async def run(self, orders: dict[str, Any], lifetime: float = 2 * LIFETIME) -> int:
        """Let one child live, for so many seconds at most; returns its exit code (negative: the signal that
        ended it).
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(orders).encode() + b"\n")
        async with asyncio.timeout(lifetime):
            return int(await self._process.stdout.readline())
