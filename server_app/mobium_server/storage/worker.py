"""One thread for one storage: jobs run there in the order in which they were submitted, and their results
come back in that order.

The order is what delivery builds on: a page that was read before a commit is also seen before it. Not its
concern: what the jobs do.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

__all__ = ["Jobs", "Worker"]

P = ParamSpec("P")
T = TypeVar("T")


class Jobs(Protocol):
    """What delivery needs of a worker."""

    def submit(
        self,
        done: Callable[[T | None, Exception | None], None],
        job: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Run `job` after all jobs before it, then call `done(result, None)` or `done(None, error)`, again in
        order.
        """


class Worker:
    """The thread. Results arrive on the event loop that was running when it was made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[Callable[[], Callable[[], None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="mobium-storage", daemon=True)
        self._thread.start()

    def submit(
        self,
        done: Callable[[T | None, Exception | None], None],
        job: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Run `job` on the thread, then `done(result, None)` or `done(None, error)` on the loop."""

        def call() -> Callable[[], None]:
            try:
                result = job(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - handed to whoever asked
                failure = error
                return lambda: done(None, failure)
            return lambda: done(result, None)

        self._jobs.put(call)

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `job` on the thread and wait for its result."""
        future: asyncio.Future[T] = self._loop.create_future()

        def done(result: T | None, error: Exception | None) -> None:
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        self.submit(done, job, *args, **kwargs)
        return await future

    async def stop(self) -> None:
        """Let the jobs that wait finish, then end the thread."""
        self._jobs.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    def _run(self) -> None:
        while (call := self._jobs.get()) is not None:
            report = call()
            try:
                self._loop.call_soon_threadsafe(report)
            except RuntimeError:
                return  # the loop is closed: nobody waits for this any more
