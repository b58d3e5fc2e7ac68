"""What signals do to a server, from its first moment on: SIGTERM and SIGINT end it; SIGHUP has the
certificate read again, or ends it if its terminal has gone.

Imported before all else, so it imports next to nothing. Not its concern: how the server ends and what is read
again (`mobium_server.app`).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

__all__ = ["Signals"]


class Signals:
    """The signals of this process, in three steps: `note` what comes until it is known what is asked for;
    then `give_back` for a command that is no server, or `leave` while it starts, and the other two as soon as
    there is something to end and to reload.
    """

    def __init__(self) -> None:
        self._of_terminal = False
        self._noted: dict[int, None] = {}
        self._before: dict[signal.Signals, Any] = {}

    def note(self) -> None:
        """Remember what comes from now on. To be called in the main thread."""
        for number in _handled():
            self._before[number] = signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._noted[number] = None

    def give_back(self) -> None:
        """Signals have their usual meaning again, and so have those that came."""
        for number, before in self._before.items():
            signal.signal(number, before)
        for came in self._noted:
            os.kill(os.getpid(), came)

    def leave(self) -> None:
        """SIGTERM and SIGINT end this process, which has nothing yet that would have to be ended in order;
        SIGHUP is remembered. Raises SystemExit if one of the two has come.
        """
        if sys.platform != "win32":
            # Under nohup it is to outlive its terminal.
            ignored = self._before.get(signal.SIGHUP) is signal.SIG_IGN
            self._of_terminal = not ignored and _has_terminal()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _leave)
            if number in self._noted:
                sys.exit(0)

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
        if signal.SIGHUP in self._noted:
            hang_up()


def _handled() -> list[signal.Signals]:
    numbers = [signal.SIGTERM, signal.SIGINT]
    if sys.platform != "win32":
        numbers.append(signal.SIGHUP)
    return numbers


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal, and it is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
