"""A post office whose time, storage jobs and connections are moved by hand, so that every interleaving can be
tried.

Not its concern: what must hold (the tests).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from mobium.protocol import codec
from mobium_server.delivery import PostOffice
from mobium_server.health import Health
from mobium_server.holding import Holding
from mobium_server.space import Room, Space
from mobium_server.storage.base import Storage, Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class Jobs:
    """Runs a job when told to, and reports its result when told to, both in order."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[bool], Callable[[], None]]] = deque()
        self.finished: deque[Callable[[], None]] = deque()

    def submit(
        self,
        done: Callable[[T | None, Exception | None], None],
        job: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        def call(fail: bool) -> Callable[[], None]:
            error: Exception = Unavailable("told to fail")
            if not fail:
                try:
                    result = job(*args, **kwargs)
                except Exception as caught:  # noqa: BLE001 - handed to whoever asked
                    error = caught
                else:
                    return lambda: done(result, None)
            return lambda: done(None, error)

        self.waiting.append(call)

    def execute(self, *, fail: bool = False) -> bool:
        """Run the next job on the storage; its result is not yet known to anybody."""
        if not self.waiting:
            return False
        self.finished.append(self.waiting.popleft()(fail))
        return True

    def report(self) -> bool:
        """Hand the next result to whoever asked."""
        if not self.finished:
            return False
        self.finished.popleft()()
        return True


class Timer:
    """A timer that fires when time is moved."""

    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due = due
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Timers:
    """Time that moves when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.timers: list[Timer] = []

    def later(self, delay: float, call: Callable[[], None]) -> Timer:
        timer = Timer(self.now + delay, call)
        self.timers.append(timer)
        return timer

    def fire(self) -> bool:
        """Move to the next timer and fire it."""
        self.timers = [timer for timer in self.timers if not timer.cancelled]
        if not self.timers:
            return False
        timer = min(self.timers, key=lambda one: one.due)
        self.timers.remove(timer)
        self.now = max(self.now, timer.due)
        timer.call()
        return True


class Wire:
    """A connection that keeps what was written to it."""

    def __init__(self) -> None:
        self.frames: deque[Any] = deque()
        self.slow = False
        self.held = False

    def send(self, frame: bytes) -> None:
        self.frames.append(codec.decode_server(frame))

    def relay(self, data: bytes) -> bool:
        raise AssertionError("nothing is relayed to a desk")

    def writable(self) -> bool:
        return not self.slow

    def hold(self) -> None:
        self.held = True

    def resume(self) -> None:
        self.held = False


class Bench:
    """Office, jobs and timers together."""

    def __init__(self, storage: Storage, timers: Timers | None = None) -> None:
        self.storage = storage
        self.jobs = Jobs()
        self.timers = timers or Timers()
        self.holding = Holding()
        self.health = Health()
        self.room = Room(0, 0)
        """What the disk is said to have."""
        self.office = PostOffice(
            storage,
            self.jobs,
            self.timers.later,
            now=lambda: int(self.timers.now),
            steady=lambda: self.timers.now,
            holding=self.holding,
            health=self.health,
            space=Space(lambda: self.room, lambda: self.timers.now),
        )

    def settle(self, rounds: int = 10_000) -> None:
        """Let everything happen that would happen without anybody doing anything."""
        for _ in range(rounds):
            if not (self.jobs.execute() or self.jobs.report() or self.timers.fire()):
                return
        raise AssertionError("it does not come to rest")
