"""Signals that end the command: a window that is closed (SIGHUP), a service that is stopped (SIGTERM).

Not its concern: Ctrl-C, which Python and asyncio bring about by themselves, and exit codes
(`mobium_client.cli.failures`).
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

__all__ = ["orderly"]

_ENDING: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def orderly() -> Iterator[None]:
    """For the time of a `with` such a signal ends what runs as Ctrl-C does, and afterwards the process, as it
    would have done at once: otherwise a profile stays whose words nobody saw to the end, and a call goes on.

    What is ignored, as under nohup, stays so.
    """
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):
            handler(signal.SIGINT, frame)
        else:  # ignored, as in the background of a script
            raise KeyboardInterrupt

    taken = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    try:
        for number in taken:
            signal.signal(number, interrupt)
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
        if came:
            with suppress(OSError, ValueError):  # the terminal has gone
                sys.stdout.flush()
            signal.raise_signal(came[0])
