"""Our server, which notes where its event loop's thread spends its CPU time between two signals.

SIGUSR1 begins; SIGUSR2 ends and writes to the path of the first argument (JSON): [file, function, line, CPU
seconds] of whatever Python code was running at each tick of the profiling timer, and under "others" what
other threads used. A call into C counts for the line that makes it. Not its concern: what the figures mean
(benches/load/bench_shares.py).
"""

from __future__ import annotations

import json
import runpy
import signal
import sys
import time
from pathlib import Path
from types import FrameType

INTERVAL = 0.001  # CPU seconds; the system's own tick, which is 4 ms as a rule, is what comes of it


class Sampler:
    """The samples of one process, whose main thread is the event loop's."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._found: dict[tuple[str, str, int], float] = {}
        self._last = self._began = self._all = 0.0
        self._wakeup = -1

    def install(self) -> None:
        """Wait for the signals."""
        signal.signal(signal.SIGUSR1, self._begin)
        signal.signal(signal.SIGUSR2, self._end)

    def _begin(self, _number: int, _frame: FrameType | None) -> None:
        self._wakeup = signal.set_wakeup_fd(-1)  # or each tick would wake the loop
        signal.signal(signal.SIGPROF, self._tick)
        self._all = time.process_time()
        self._last = self._began = time.thread_time()
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def _tick(self, _number: int, frame: FrameType | None) -> None:
        # Weighed by what this thread used, for the timer counts all threads.
        now = time.thread_time()
        if frame is not None:
            code = frame.f_code
            place = (code.co_filename, code.co_qualname, frame.f_lineno or code.co_firstlineno)
            self._found[place] = self._found.get(place, 0.0) + now - self._last
        self._last = now

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        others = time.process_time() - self._all - (time.thread_time() - self._began)
        signal.set_wakeup_fd(self._wakeup)
        found = [[*place, seconds] for place, seconds in self._found.items()]
        made = self._out.with_suffix(".part")
        made.write_text(json.dumps({"samples": found, "others": others}))
        made.rename(self._out)


if __name__ == "__main__":
    Sampler(Path(sys.argv.pop(1))).install()
    runpy.run_module("mobium_server", run_name="__main__", alter_sys=True)
