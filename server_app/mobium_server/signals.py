"""What signals do to a server, from its first moment on: SIGTERM and SIGINT end it; SIGHUP has the
certificate read again, or ends it if its terminal has gone.

Not its concern: how it ends and what is read (`mobium_server.app`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

__all__ = ["Signals"]


class Signals:
    """To be made before anything else, in the main thread: a service may be told to reload as soon as it is
    started, and SIGHUP would end it.
    """

    def __init__(self) -> None:
        self._of_terminal = False
        self._hung_up = False
        signal.signal(signal.SIGTERM, _leave)
        signal.signal(signal.SIGINT, _leave)
        if sys.platform != "win32":
            terminal = _has_terminal()
            before = signal.signal(signal.SIGHUP, self._note)
            # Under nohup it is to outlive its terminal.
            self._of_terminal = terminal and before is not signal.SIG_IGN

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._hung_up = True

    def end_with(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
        """From now on SIGTERM and SIGINT call `stop`."""
        if sys.platform == "win32":
            # No signal handlers on this loop: Ctrl+C reaches Python's own, which must be woken.
            signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(stop))
        else:
            loop.add_signal_handler(signal.SIGTERM, stop)
            loop.add_signal_handler(signal.SIGINT, stop)

    def hang_up_with(
        self, loop: asyncio.AbstractEventLoop, stop: Callable[[], None], reload: Callable[[], None] | None
    ) -> None:
        """From now on SIGHUP calls `reload`, or `stop` if its usual meaning is meant: the terminal has gone,
        or there is one and nothing to reload. What came before is made up for.
        """
        if sys.platform == "win32":
            return

        def hang_up() -> None:
            if self._of_terminal and (reload is None or not _has_terminal()):
                stop()
            elif reload is not None:
                reload()

        loop.add_signal_handler(signal.SIGHUP, hang_up)
        if self._hung_up:
            hang_up()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """There is nothing yet that would have to be ended in order."""
    sys.exit(0)


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal, and it is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
