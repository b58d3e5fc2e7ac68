"""Keys as they are pressed, and lines as they come through a pipe.

The one file of the command line that differs between POSIX and Windows.

Not its concern: what the keys mean (`mobium_client.cli.editor`).
"""

from __future__ import annotations

import asyncio
import codecs
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

__all__ = ["has_terminal", "key_presses", "pipe_lines"]

_CHUNK = 65_536
_LONGEST_LINE = 8 << 20  # bytes without a line break: far above every server's limit


if sys.platform == "win32":
    import ctypes
    import msvcrt

    _WINDOWS_KEYS = {
        "H": "\x1b[A", "P": "\x1b[B", "K": "\x1b[D", "M": "\x1b[C", "G": "\x1b[H", "O": "\x1b[F",
        "S": "\x1b[3~", "s": "\x1b[1;5D", "t": "\x1b[1;5C",
    }  # fmt: skip
    _OUTPUT_HANDLE = -11
    _VIRTUAL_TERMINAL = 0x0004

    def has_terminal() -> bool:
        """Whether a person can be asked."""
        return sys.stdin.isatty()

    @contextmanager
    def key_presses(_resized: Callable[[], None]) -> Iterator[AsyncIterator[str]]:
        """Keys in chunks, unechoed, while the context is open.

        `resized` is called when the window may need drawing anew.
        """
        kernel = ctypes.windll.kernel32
        handle, mode = kernel.GetStdHandle(_OUTPUT_HANDLE), ctypes.c_uint32()
        if kernel.GetConsoleMode(handle, ctypes.byref(mode)):
            kernel.SetConsoleMode(handle, mode.value | _VIRTUAL_TERMINAL)

        def read() -> str:
            key = msvcrt.getwch()
            if key in {"\x00", "\xe0"}:
                return _WINDOWS_KEYS.get(msvcrt.getwch(), "")
            if key == "\x03":
                raise KeyboardInterrupt
            return "\x04" if key == "\x1a" else key

        yield _from_thread(read, _always)

else:
    import signal
    import termios
    import tty

    def has_terminal() -> bool:
        """Whether a person can be asked."""
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError:
            return False
        return True

    @contextmanager
    def key_presses(resized: Callable[[], None]) -> Iterator[AsyncIterator[str]]:
        """Keys in chunks, unechoed, while the context is open.

        `resized` is called when the window may need drawing anew.
        """
        loop = asyncio.get_running_loop()
        source = sys.stdin.fileno()
        before = termios.tcgetattr(source)
        chunks: asyncio.Queue[str] = asyncio.Queue()
        decoder = codecs.getincrementaldecoder("utf-8")("replace")

        def readable() -> None:
            data = os.read(source, _CHUNK)
            text = decoder.decode(data)
            if text:
                chunks.put_nowait(text)
            if not data:  # the terminal is gone
                loop.remove_reader(source)
                chunks.put_nowait("\x04")

        def back_in_front() -> None:
            tty.setcbreak(source, termios.TCSADRAIN)
            resized()

        async def presses() -> AsyncIterator[str]:
            while True:
                yield await chunks.get()

        tty.setcbreak(source, termios.TCSADRAIN)
        try:
            loop.add_reader(source, readable)
            loop.add_signal_handler(signal.SIGWINCH, resized)
            loop.add_signal_handler(signal.SIGCONT, back_in_front)
            yield presses()
        finally:
            loop.remove_reader(source)
            loop.remove_signal_handler(signal.SIGWINCH)
            loop.remove_signal_handler(signal.SIGCONT)
            termios.tcsetattr(source, termios.TCSADRAIN, before)


def pipe_lines() -> AsyncIterator[str]:
    """The lines of standard input without their ends, until it is closed.

    What is not UTF-8 is shown as such.
    """
    pending = b""
    source = sys.stdin.fileno()

    def read() -> str | None:
        # os.read, since a thread that holds the lock of sys.stdin would break the end of the process
        nonlocal pending
        while b"\n" not in pending:
            data = os.read(source, _CHUNK)
            if not data or len(pending) > _LONGEST_LINE:
                line, pending = pending, b""
                return line.decode("utf-8", "replace") if line else None
            pending += data
        line, _, pending = pending.partition(b"\n")
        return line.removesuffix(b"\r").decode("utf-8", "replace")

    return _from_thread(read, lambda line: line is not None)


def _always(_key: str | None) -> bool:
    return True


async def _from_thread(
    read: Callable[[], str | None], goes_on: Callable[[str | None], bool]
) -> AsyncIterator[str]:
    """What a blocking `read` gives, from a thread that does not hold up the end of the process."""
    loop = asyncio.get_running_loop()
    results: asyncio.Queue[str | None] = asyncio.Queue(64)

    def work() -> None:
        try:
            while goes_on(result := read()):
                asyncio.run_coroutine_threadsafe(results.put(result), loop).result()
        except (OSError, RuntimeError, KeyboardInterrupt, asyncio.CancelledError):
            pass  # the terminal or the loop is gone
        try:
            asyncio.run_coroutine_threadsafe(results.put(None), loop)
        except RuntimeError:
            return

    threading.Thread(target=work, name="input", daemon=True).start()
    while (result := await results.get()) is not None:
        yield result
