"""How the command ends: one sentence and an exit code for everything that can go wrong, never a traceback.

What nobody expected goes into a log file, where the traceback stands without the messages and values that
could hold somebody's text. Not its concern: what went wrong.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

from typer.exceptions import TyperException

from mobium import __version__
from mobium.errors import (
    InvalidInput,
    MobiumError,
    NotConnected,
    RecoveryError,
    StoreError,
    WrongPassword,
)
from mobium_client.plain import harmless

__all__ = ["ExitCode", "exit_code", "guarded", "keep_log", "sentence"]

_LOG_SIZE = 1 << 20  # bytes, then the file begins anew and the older half is kept beside it
# Their messages are the interpreter's own and name code, never data.
_TELLING = (AttributeError, ImportError, NameError, TypeError, NotImplementedError)


class ExitCode(IntEnum):
    """What the exit code of `mobium` means; the same list stands in its help."""

    DONE = 0
    FAILED = 1  # refused or failed; the sentence says why
    USAGE = 2  # the command line is wrong, or names nothing
    NOT_CONNECTED = 3  # no connection to the server; what was to be sent is queued
    WRONG_SECRET = 4  # password or recovery words
    DATA = 5  # a profile's files cannot be read or written
    UNEXPECTED = 70  # a mistake in the program; the log file has the place
    INTERRUPTED = 130  # Ctrl-C
    BROKEN_PIPE = 141  # whoever read the output has gone


_CODES: tuple[tuple[type[MobiumError], ExitCode], ...] = (
    (InvalidInput, ExitCode.USAGE),
    (NotConnected, ExitCode.NOT_CONNECTED),
    (WrongPassword, ExitCode.WRONG_SECRET),
    (RecoveryError, ExitCode.WRONG_SECRET),
    (StoreError, ExitCode.DATA),
)


def exit_code(error: MobiumError) -> ExitCode:
    """The code that `error` ends the process with."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


def sentence(error: MobiumError) -> str:
    """What is shown of `error`: its message, harmless, in one line."""
    return " ".join(harmless(str(error)).split()) or "It failed, and nobody said why."


def guarded(command: Callable[[], Any]) -> int:
    """Run `command` and return its exit code (its result, if that is a number), whatever happens.

    Everything that is said goes to standard error.
    """
    try:
        result = command()
        sys.stdout.flush()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # what typer makes of it
            _forget_output()
            return ExitCode.BROKEN_PIPE
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as raised:  # noqa: BLE001 - the outermost edge
        return _ended_by(_first(raised))
    return result if isinstance(result, int) else ExitCode.DONE


def _ended_by(error: BaseException) -> int:
    match error:
        case BrokenPipeError():
            _forget_output()
            return ExitCode.BROKEN_PIPE
        case KeyboardInterrupt():
            _say("")
            return ExitCode.INTERRUPTED
        case MobiumError():
            _forget_output()  # where it cannot be written, which may be why
            _say(f"mobium: {sentence(error)}")
            return exit_code(error)
        case TyperException():
            message = " ".join(error.format_message().split())
            if message:  # none where the help was shown instead
                _say(f"mobium: {harmless(message)} (mobium --help)")
            return ExitCode.USAGE
        case ImportError(name=None):  # the choice of the kernels was refused, in a sentence
            _say(f"mobium: {harmless(str(error))}")
            return ExitCode.FAILED
    return _unexpected(error)


def _first(error: BaseException) -> BaseException:
    """What says most in a group: an interruption, then an error made on purpose, then the first one."""
    leaves = list(_leaves(error))
    for kind in (KeyboardInterrupt, BrokenPipeError, MobiumError):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0] if leaves else error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        return


def _forget_output() -> None:
    """If nobody reads any more: let the interpreter's own flush at the end go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(nowhere, stream.fileno())


# ---------------------------------------------------------------- what nobody expected


def _unexpected(error: BaseException) -> ExitCode:
    try:
        where = _note(describe(error))
    except (OSError, ImportError):  # an installation that is damaged has no engine to ask for the folder
        _say(
            f"mobium: Something unexpected went wrong ({type(error).__name__}), and no log could be written."
        )
    else:
        _say(f"mobium: Something unexpected went wrong ({type(error).__name__}); the details are in {where}")
    return ExitCode.UNEXPECTED


def describe(error: BaseException) -> str:
    """A traceback of types and places. Messages are left out, since they may repeat somebody's words."""
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        lines.append(f"{type(current).__module__}.{type(current).__qualname__}{_detail(current)}")
        lines += [
            f"  {frame.filename}:{frame.lineno} in {frame.name}"
            for frame in traceback.extract_tb(current.__traceback__)
        ]
        if isinstance(current, BaseExceptionGroup):
            lines += ["  | " + line for inner in current.exceptions for line in describe(inner).splitlines()]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        if current is not None:
            lines.append("after")
    return "\n".join(lines)


def _detail(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f": {error.strerror} (errno {error.errno})"
    return f": {error}" if isinstance(error, _TELLING) else ""


def _note(text: str) -> Path:
    """Append an entry to the log file, which is made with mode 0600. Raises OSError."""
    from mobium.client.profile import Profiles, backend_name

    path = Profiles().log_file
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_SIZE:
        path.replace(path.with_name(path.name + ".old"))
    head = (
        f"{time.strftime('%Y-%m-%d %H:%M:%S%z')} mobium {__version__} ({backend_name()}), "
        f"Python {platform.python_version()}, {sys.platform}"
    )
    with open(path, "a", encoding="utf-8", errors="backslashreplace", opener=_private) as file:
        file.write(f"{head}\n{text}\n\n")
    return path


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)


class _LogFile(logging.Handler):
    """Warnings of the libraries go to the log file: their first line, and the places of an exception."""

    def emit(self, record: logging.LogRecord) -> None:
        first = str(record.msg).splitlines()[:1]
        lines = [f"{record.levelname} {record.name}: {first[0] if first else ''}"]
        if record.exc_info and record.exc_info[1] is not None:
            lines.append(describe(record.exc_info[1]))
        try:
            _note("\n".join(lines))
        except (OSError, ImportError):
            return


@contextmanager
def keep_log() -> Iterator[None]:
    """While the context is open, what libraries log is kept from the screen and goes to the log file."""
    handler = _LogFile(logging.WARNING)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
