"""The bridge between the window and everything that waits: the one file of the desktop that knows threads.

An asyncio loop runs in a thread of its own; the engine, Argon2 and the disk live there. What is submitted
from the window's thread comes back as an answer on a queue, which the window drains for a few milliseconds at
a time (`drain`), so that neither waits for the other. Not its concern: who listens
(`mobium_client.gui.models.dispatch`).
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from mobium_client.gui.models.dispatch import Dispatcher
from mobium_client.gui.models.presenter import Cancel
from mobium_client.log import describe, note

__all__ = ["DRAIN", "POLL", "Bridge"]

T = TypeVar("T")

POLL = 0.015  # seconds between two looks at the queue
DRAIN = 0.008  # seconds that one look may take
_SWITCH = 0.0005  # seconds
_START = 10.0  # seconds
_STOP = 10.0  # seconds that locking may take when the window is closed
_KEEP = 4.0  # seconds of them that a disk has for what was written last


class Bridge:
    """A background loop. All methods but `tell` and `settled` belong to the thread that drains."""

    def __init__(self, events: Dispatcher) -> None:
        self._events = events
        self._answers: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._group: asyncio.TaskGroup | None = None
        self._stop: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._kept: set[asyncio.Task[None]] = set()
        # The longest that the window's thread waits for the interpreter's lock after a call of the toolkit:
        # there are thousands of those calls, and 5 ms, the default, are seen.
        sys.setswitchinterval(_SWITCH)
        self._thread = threading.Thread(target=self._work, name="mobium", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START):
            raise RuntimeError("The background loop did not start.")

    def submit(
        self,
        work: Coroutine[Any, Any, T],
        done: Callable[[T], object] = lambda _: None,
        failed: Callable[[Exception], object] = lambda _: None,
        *,
        keep: bool = False,
    ) -> Cancel:
        """Run `work` in the loop; `done` or `failed` is called by `drain`, neither once it was cancelled.
        With `keep` the end of the loop waits for it, and does not cancel it.
        """
        wanted = True
        task: asyncio.Task[None] | None = None

        def answer(call: Callable[[Any], object], value: Any) -> None:
            if wanted:
                call(value)

        async def run() -> None:
            try:
                result = await work
            except Exception as error:  # noqa: BLE001 - it is handed to whoever asked
                failure = error  # the name of an except clause ends with it
                self._answers.put(lambda: answer(failed, failure))
            else:
                self._answers.put(lambda: answer(done, result))

        def begin() -> None:
            nonlocal task
            if self._group is None or not wanted:
                work.close()
            else:
                task = self._group.create_task(run())
                among = self._kept if keep else self._tasks
                among.add(task)
                task.add_done_callback(among.discard)
                task.add_done_callback(lambda _: work.close())  # where it was cancelled before its first step

        def end() -> None:
            if task is not None:
                task.cancel()

        def cancel() -> None:
            nonlocal wanted
            wanted = False
            self._in_loop(end)

        if not self._in_loop(begin):
            work.close()
        return cancel

    def apart(
        self, work: Callable[[], T], done: Callable[[T], object], failed: Callable[[Exception], object]
    ) -> None:
        """Call `work`, which may wait for another program without end, in a thread that keeps nothing from
        ending; `drain` calls `done` or `failed`.
        """

        def call() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - it is handed to whoever asked
                failure = error  # the name of an except clause ends with it
                self._answers.put(lambda: failed(failure))
            else:
                self._answers.put(lambda: done(result))

        threading.Thread(target=call, name="mobium apart", daemon=True).start()

    async def settled(self) -> None:
        """Wait, in the loop, for what was submitted to be kept; for some seconds at most."""
        if self._kept:
            await asyncio.wait(tuple(self._kept), timeout=_KEEP)

    def tell(self, event: object) -> None:
        """Hand an event to the dispatcher, with the next `drain`."""
        self._answers.put(lambda: self._events.tell(event))

    def note(self, error: BaseException) -> None:
        """Put something unexpected into the log file."""
        text = describe(error)

        async def write() -> None:
            await asyncio.to_thread(note, text)

        self.submit(write())

    def drain(self, limit: float = DRAIN) -> bool:
        """Call what has come, for at most `limit` seconds; whether anything is left."""
        end = time.perf_counter() + limit
        while time.perf_counter() < end:
            try:
                answer = self._answers.get_nowait()
            except queue.Empty:
                return False
            answer()
        return True

    def close(self, timeout: float = _STOP) -> bool:
        """Cancel everything, which locks what is open, and wait for that; whether it has ended in time."""
        self._in_loop(self._end)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # ------------------------------------------------------------ in the loop's thread

    def _in_loop(self, call: Callable[[], object]) -> bool:
        """Whether the loop is there to call it."""
        try:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # it has ended
            return False
        return True

    def _end(self) -> None:
        if self._stop is not None:
            self._stop.set()

    def _work(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._ready.set()
            await self._stop.wait()
            self._group = None
            await self.settled()
            for task in (*self._tasks, *self._kept):
                task.cancel()
