"""What signals do to a server, from its first moment on: SIGTERM and SIGINT end it; SIGHUP has the
certificate read again, or ends it if its terminal has gone. Each of them ends any other command, which clears
away what it has begun.

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
    then `interrupt` for a command that is no server, or `leave` while one starts, and the other two as soon
    as there is something to end and to reload.
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

    def interrupt(self) -> None:
        """From now on each of them raises KeyboardInterrupt, as one that has come does at once; but those
        that were ignored, as under nohup, are again.
        """
        for number, before in self._before.items():
            if before is signal.SIG_IGN:
                signal.signal(number, before)
                self._noted.pop(number, None)
            else:
                signal.signal(number, self._interrupt)
        if self._noted:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        self._noted[number] = None
        raise KeyboardInterrupt

    def die(self) -> int:
        """End by the signal that interrupted, so that whatever waits for this process sees it. Where that is
        not done, the exit code to end with.
        """
        number = next(reversed(self._noted), int(signal.SIGINT))
        if sys.platform != "win32":
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        return 128 + number

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
