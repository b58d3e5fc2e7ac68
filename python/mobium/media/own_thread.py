"""A thread for what may never answer, such as a display: nobody waits for it, not even the end of the
program, which waits for the threads of an executor.

Not its concern: what is done there, and for how long that is waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

__all__ = ["OwnThread"]

_Result = TypeVar("_Result")


class OwnThread:
    """One thread, which begins with the first work. Its methods belong to one other thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._begun = self._ended = False

    def submit(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Do something there, behind what was submitted before. Raises RuntimeError after `end`."""
        if self._ended:
            raise RuntimeError(f"The thread of {self._name} has ended.")
        result: Future[_Result] = Future()

        def run() -> None:
            if not result.set_running_or_notify_cancel():
                return
            try:
                result.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised where somebody waits for it
                result.set_exception(error)

        self._work.put(run)
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        return result

    def end(self) -> None:
        """Submit nothing more; the thread ends behind what was submitted."""
        self._ended = True
        self._work.put(None)

    def _run(self) -> None:
        while (run := self._work.get()) is not None:
            run()
